"""Links into the repository: a file that is no page of the site becomes one, its code coloured and numbered.

A page says ``[conv2d](../minidet/ops/conv2d.py#L26)``, which GitHub understands. Here the link leads to
``source/minidet/ops/conv2d.py.html#L26``, and a link to a folder leads to a list of what is in it. Every name
of the API gets a link "source" of the same kind.
"""

from __future__ import annotations

import inspect
import os
import posixpath
import re
from collections.abc import Iterator
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

SHOWN = ("minidet", "notebooks", "docs/runs", "docs/ext", "scripts", "tests")
SHOWN_TOO = ("docs/walkthrough.py", "docs/conf.py", "pyproject.toml", "requirements.txt", "LICENSE")
TEXT = {".py", ".js", ".css", ".html", ".json", ".jsonl", ".txt", ".toml", ".typed", ""}
LICENCES = ("LICENSE.", "NOTICE.")
HIDDEN = {"__pycache__", ".DS_Store"}
SCHEME = "repository:"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Rewrite the links while pages are read, resolve them when they are written, and add the pages."""
    app.connect("source-read", _mark_links)
    app.connect("doctree-read", _link_signatures)
    app.connect("doctree-resolved", _resolve_links)
    app.connect("html-collect-pages", _source_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# ---- Links -------------------------------------------------------------------------------------------


def _mark_links(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give links to files that are no pages the scheme ``repository:``, which the parser leaves alone."""
    page = Path(app.env.doc2path(docname))

    def mark(link: re.Match[str]) -> str:
        path, anchor = link[1], link[2] or ""
        target = Path(os.path.normpath(page.parent / path))
        if target.is_dir() and (target / "README.md").exists():
            return f"{path.rstrip('/')}/README.md{anchor}"
        if not target.exists() or _page(app, target) or _is_picture(target):
            return link[0]
        return f"{SCHEME}/{target.relative_to(app.srcdir).as_posix()}{anchor}"

    if page.suffix in (".md", ".ipynb"):
        source[0] = LINK.sub(mark, source[0])


def _is_picture(path: Path) -> bool:
    return path.suffix in (".png", ".jpg", ".svg")


def _link_signatures(app: Sphinx, doctree: nodes.document) -> None:
    """Put a link to the definition behind every signature of the API."""
    for signature in doctree.findall(addnodes.desc_signature):
        place = definition(signature.get("module") or "", signature.get("fullname") or "", Path(app.srcdir))
        if place:
            link = nodes.reference("", "source", refuri=f"{SCHEME}/{place}", classes=["source-link"])
            signature += link


def definition(module: str, name: str, root: Path) -> str | None:
    """Return "path#Lnnn" of a public name, or None where Python does not know."""
    try:
        thing: Any = import_module(module)
        for part in name.split("."):
            thing = inspect.getattr_static(thing, part)
        thing = getattr(thing, "fget", None) or getattr(thing, "func", None) or thing
        thing = inspect.unwrap(getattr(thing, "__func__", thing))
        file = Path(inspect.getsourcefile(thing) or "").resolve()
        line = inspect.getsourcelines(thing)[1]
        return f"{file.relative_to(root.resolve()).as_posix()}#L{line}"
    except (ImportError, AttributeError, TypeError, OSError, ValueError):
        return None


def _resolve_links(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    here = app.builder.get_target_uri(docname)
    for link in doctree.findall(nodes.reference):
        uri = link.get("refuri", "")
        if not uri.startswith(SCHEME):
            continue
        path, _, anchor = uri.removeprefix(f"{SCHEME}/").partition("#")
        if not _is_shown(app, path):
            logger.warning(
                "a link to %s, which is not shown; see docs/ext/repository_links.py", path, location=link
            )
        target = posixpath.relpath(_page_of(app, path), posixpath.dirname(here))
        link["refuri"] = target + (f"#{anchor}" if anchor else "")
        link["internal"] = True


def _page_of(app: Sphinx, path: str) -> str:
    name = path.rstrip("/")
    if (Path(app.srcdir) / path).is_dir():
        return f"source/{name}/index.html"
    return f"source/{name}.html"


# ---- Pages -------------------------------------------------------------------------------------------


def _is_shown(app: Sphinx, path: str) -> bool:
    return path.rstrip("/") in {shown.as_posix() for shown in _shown(Path(app.srcdir))}


_CACHE: dict[Path, list[Path]] = {}


def _shown(root: Path) -> list[Path]:
    """List the files and folders that have a page, relative to the repository."""
    if root not in _CACHE:
        _CACHE[root] = [Path(path) for path in SHOWN_TOO]
        for start in SHOWN:
            _CACHE[root] += sorted(_walk(root / start, root))
    return _CACHE[root]


def _walk(path: Path, root: Path) -> Iterator[Path]:
    if path.name in HIDDEN:
        return
    if path.is_dir():
        yield path.relative_to(root)
        for child in path.iterdir():
            yield from _walk(child, root)
    elif path.suffix in TEXT or path.name.startswith(LICENCES):
        yield path.relative_to(root)


def _source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    root = Path(app.srcdir)
    for path in _shown(root):
        is_folder = (root / path).is_dir()
        body = _listing(app, path) if is_folder else _code(root / path)
        above = [] if path.parent == Path() else [_crumb(root, path)]
        yield (
            _page_of(app, path.as_posix()).removesuffix(".html"),
            {"title": path.as_posix(), "body": f"<h1>{escape(path.as_posix())}</h1>{''.join(above)}{body}"},
            "source_page.html",
        )


def _crumb(root: Path, path: Path) -> str:
    folder = "index.html" if (root / path).is_file() else "../index.html"
    return (
        f'<p>In <a href="{folder}">{escape(path.parent.as_posix())}</a></p>' if _has_page(root, path) else ""
    )


def _has_page(root: Path, path: Path) -> bool:
    return path.parent in _shown(root)


def _listing(app: Sphinx, folder: Path) -> str:
    """List folders, then files; a file that is a page of the site, such as a notebook, leads to that page."""
    root = Path(app.srcdir)
    shown = {path for path in _shown(root) if path.parent == folder}
    pages = {path for path in (root / folder).iterdir() if _page(app, path)}
    files = [root / path for path in shown]
    entries = [
        (path.is_file(), path.name, _page_of(app, path.relative_to(root).as_posix())) for path in files
    ]
    entries += [(True, path.name, app.builder.get_target_uri(_page(app, path))) for path in pages]
    items = []
    for is_file, name, target in sorted(entries):
        uri = posixpath.relpath(target, f"source/{folder.as_posix()}")
        items.append(f'<li><a href="{escape(uri)}">{escape(name)}{"" if is_file else "/"}</a></li>')
    return f"<ul>{''.join(items)}</ul>"


def _page(app: Sphinx, path: Path) -> str:
    """Return the page of the site that a file is, or nothing."""
    page = app.env.path2doc(path) or ""
    return page if page in app.env.found_docs else ""


def _code(file: Path) -> str:
    """Colour and number the lines; line 12 has the anchor ``L12``."""
    text = file.read_text(encoding="utf-8")
    try:
        lexer = get_lexer_for_filename(file.name) if file.suffix != ".jsonl" else TextLexer()
    except ClassNotFound:
        lexer = TextLexer()
    lines = highlight(text, lexer, HtmlFormatter(nowrap=True)).splitlines()
    numbered = (
        f'<span id="L{k}"><a class="line-number" href="#L{k}" data-line="{k}" aria-label="Line {k}"></a>'
        f"{line}</span>"
        for k, line in enumerate(lines, 1)
    )
    return '<div class="highlight source"><pre>' + "\n".join(numbered) + "\n</pre></div>"
