"""Crawl the built documentation: every link inside leads somewhere, and no page needs the network.

    python scripts/check_site.py              # build/site
    python scripts/check_site.py FOLDER

Checked are links, pictures, styles and scripts of every page: the file exists, and so does the place in it
after ``#``. Links to other sites are allowed; scripts, styles, pictures and frames from there are not. Every
page has to be reachable from ``index.html``. What lies in ``_static`` is the theme's. Exit status 1 if
something is wrong.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
FETCHED = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src")}
NO_PAGES = {"genindex.html", "search.html", "py-modindex.html"}  # reached from the search field


class Page(HTMLParser):
    """What a page refers to, and the places in it that can be referred to.

    Attributes
    ----------
    links : list of str
    fetched : list of str
        What a browser asks for by itself.
    ids : set of str
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the links and the ids of one element."""
        found = dict(attrs)
        self.ids.update(value for name in ("id", "name") if (value := found.get(name)))
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        if tag == "meta" and found.get("http-equiv") == "refresh":
            self.links.append(str(found["content"]).partition("url=")[2])
        if tag == "link" and found.get("rel") not in ("stylesheet", "icon", "preload", "modulepreload"):
            return  # a word on the page, which no browser fetches
        for name, value in attrs:
            if (tag, name) in FETCHED and value:
                self.fetched.append(value)


def main() -> int:
    """Crawl, print what is wrong, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "site")
    folder = parser.parse_args().folder
    if not (folder / "index.html").exists():
        print(f"{folder}: no index.html; expected a built site")
        return 1
    complaints = check(folder)
    print(*complaints, sep="\n", end="\n" if complaints else "")
    print(f"{len(_pages(folder))} pages, {len(complaints)} complaints")
    return 1 if complaints else 0


def check(folder: Path) -> list[str]:
    """List what is wrong with a site, one line each."""
    folder = folder.resolve()
    files = [
        path for path in sorted(folder.rglob("*.html")) if "_static" not in path.relative_to(folder).parts
    ]
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in files}
    complaints = []
    leads_to: dict[Path, set[Path]] = defaultdict(set)
    for path, page in pages.items():
        name = path.relative_to(folder).as_posix()
        for target in page.fetched:
            if urlsplit(target).scheme in ("http", "https") or target.startswith("//"):
                complaints.append(f"{name}: fetches {target}; expected a file of the site")
        for target in [*page.links, *page.fetched]:
            found, complaint = _follow(path, target, pages, folder)
            if complaint:
                complaints.append(f"{name}: {target}: {complaint}")
            if found:
                leads_to[path].add(found)
    for path in sorted(set(pages) - _reached(folder / "index.html", leads_to)):
        if path.name not in NO_PAGES:
            complaints.append(f"{path.relative_to(folder).as_posix()}: no link leads here")
    complaints += _fetching_styles(folder)
    return complaints


def _pages(folder: Path) -> list[Path]:
    """List the pages, without the templates that themes leave among their scripts and styles."""
    return [
        path for path in sorted(folder.rglob("*.html")) if "_static" not in path.relative_to(folder).parts
    ]


def _follow(path: Path, target: str, pages: dict[Path, Page], folder: Path) -> tuple[Path | None, str]:
    """Return the file of the site that a link leads to, and what is wrong with the link."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        known = parts.scheme in ("http", "https", "mailto", "data", "javascript") or parts.netloc
        return None, "" if known else "an unknown scheme"
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if file.is_dir():
        return None, "a folder; expected a page"
    if not file.is_file():
        return None, "no such file"
    if folder not in file.parents:
        return None, "outside the site"
    fragment = unquote(parts.fragment)
    if fragment and file in pages and fragment not in pages[file].ids:
        return file, "no such place on the page"
    return file, ""


def _reached(start: Path, leads_to: dict[Path, set[Path]]) -> set[Path]:
    found, waiting = {start}, [start]
    while waiting:
        for target in leads_to[waiting.pop()] - found:
            found.add(target)
            waiting.append(target)
    return found


def _fetching_styles(folder: Path) -> list[str]:
    """List the styles that fetch a font or a picture from another site."""
    return [
        f"{path.relative_to(folder).as_posix()}: fetches {url}; expected a file of the site"
        for path in sorted(folder.rglob("*.css"))
        for url in re.findall(
            r"url\(\s*['\"]?((?:https?:)?//[^'\")]+)|@import\s+['\"](https?://[^'\"]+)",
            path.read_text("utf-8"),
        )
        if any(url)
    ]


if __name__ == "__main__":
    sys.exit(main())
