"""Point the links from docs/ into the code at the lines where the names they show stand now.

    python scripts/link_docs.py            # writes the line numbers
    python scripts/link_docs.py --check    # says which are wrong, writes nothing

A link into the code shows the name of a function, a class, a constant or a method, and ends in a line:
[`PNet.backward`](../../minidet/models/mtcnn/pnet.py#L1). Only the number is ever changed. Exit status 1
if a link is wrong: with --check its number too, without it only a name or a file that does not exist.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
LINK = re.compile(r"\[`?([^\]`]+)`?\]\(([^()\s#]+\.py)#L(\d*)\)")  # [name](path.py#Lnnn)


def main() -> int:
    """Write or compare, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say which links are wrong; write nothing")
    if not parser.parse_args().check:
        for page in pages():
            if relinked(page)[1]:
                page.write_text(relinked(page)[0], encoding="utf-8", newline="\n")
    wrong = wrong_links()
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


def pages() -> list[Path]:
    """List every page of docs/."""
    return sorted(DOCS.rglob("*.md"))


def wrong_links() -> list[str]:
    """List what is wrong with the links of all pages, one line each."""
    return [complaint for page in pages() for complaint in relinked(page)[1]]


def relinked(page: Path) -> tuple[str, list[str]]:
    """Return the text of ``page`` with the right line numbers, and what was wrong with it."""
    complaints = []

    def relink(link: re.Match[str]) -> str:
        name, path, line = link.groups()
        file = page.parent / path
        found = definitions(file) if file.is_file() else {}
        if name not in found:
            complaints.append(f"{page.name}: {link[0]}: no `{name}` there")
            return link[0]
        right = str(found[name].lineno)
        if line != right:
            complaints.append(f"{page.name}: {link[0]}: `{name}` is in line {right}")
        return link[0].replace(f"#L{line})", f"#L{right})")

    text = LINK.sub(relink, page.read_text(encoding="utf-8"))
    return text, complaints


def definitions(file: Path) -> dict[str, ast.stmt]:
    """Find the functions, classes, constants and "Class.method"s of a file; of overloads the last counts."""
    return dict(_named(ast.parse(file.read_bytes()).body))


def _named(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield prefix + statement.name, statement
        if isinstance(statement, ast.ClassDef):
            yield from _named(statement.body, f"{prefix}{statement.name}.")
        if isinstance(statement, ast.Assign):
            names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
            yield from ((prefix + name, statement) for name in names)


if __name__ == "__main__":
    sys.exit(main())
