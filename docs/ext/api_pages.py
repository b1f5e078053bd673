"""Write docs/api/: one page per public package, with its names in the order of ``__all__``.

The pages are made anew by every build and are not kept in the repository.
"""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import public_names
from docutils import nodes
from public_names import Name, Package
from repository_links import SCHEME, definition
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for pages."""
    app.connect("config-inited", lambda app, config: write_pages(Path(app.confdir) / "api"))
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element
) -> nodes.Element | None:
    """Find a name by its other path (``minidet.read_image``), by its last part, or else as code."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    where = re.search(r"docstring of ([\w.]+)\.\w+$", node.source or "")  # Sphinx's words for its place
    module = where[1] if where else node.get("py:module") or ""
    entries = env.domains["py"].objects
    for path in _paths(target, module):
        if path in entries:
            entry = entries[path]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text, path)
    for name in (target, f"{module}.{target}"):
        if place := definition(*name.rpartition(".")[::2], Path(app.srcdir)):
            return nodes.reference("", "", text, refuri=f"{SCHEME}/{place}")
    return None


def _paths(target: str, module: str) -> list[str]:
    """List where a name may have its entry: written in full, as a package has it, or short."""
    exact, near, far = [], [], []
    for package in public_names.packages():
        is_near = f"{module}.".startswith(f"{package.name}.")
        for name in [*package.names, *package.elsewhere]:
            if target in (name.path, f"{package.name}.{name.name}"):
                exact.append(name.path)
            elif target == name.name:
                (near if is_near else far).append(name.path)
    return exact or near or (far if len(set(far)) == 1 else [])


def write_pages(folder: Path) -> None:
    """Write index.rst and one page per package; files that did not change are not touched."""
    folder.mkdir(exist_ok=True)
    pages = {f"{package.name}.rst": "\n".join(_page(package)) for package in public_names.packages()}
    pages["index.rst"] = "\n".join(_index())
    for stale in folder.iterdir():
        if stale.name not in pages:
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    for name, text in pages.items():
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text:
            (folder / name).write_text(text, encoding="utf-8")


def _index() -> Iterator[str]:
    yield from ("API", "===", "")
    yield "Every public name: what it does, shapes, units, errors, and where it comes from. *source* leads to"
    yield "the code. The shapes and coordinates that all agree on are in :ref:`the legend <legend>`."
    yield from ("", ".. list-table::", "   :widths: 30 70", "")
    for package in public_names.packages():
        yield f"   * - :doc:`{package.name} <{package.name}>`"
        yield f"     - {_first_sentence(package.module)}"
    yield from ("", ".. toctree::", "   :hidden:", "")
    yield from (f"   {package.name}" for package in public_names.packages())
    yield ""


def _page(package: Package) -> Iterator[str]:
    yield from (package.name, "=" * len(package.name), "")
    yield from (f".. automodule:: {package.name}", "   :no-members:", "")
    if package.name == "minidet":
        yield from (".. _legend:", "", "The legend", "-" * 10, "")
        yield from (".. automodule:: minidet.detections", "   :no-members:", "")
    yield from _table("Documented here", package.names)
    yield from _table("Also here, documented in another package", package.elsewhere)
    for name in package.names:
        yield from _entry(name)


def _table(title: str, names: list[Name]) -> Iterator[str]:
    if names:
        yield from (f".. rubric:: {title}", "", ".. list-table::", "   :widths: 30 70", "")
        for name in names:
            yield f"   * - :py:obj:`{name.name} <{name.path}>`"
            yield f"     - {_first_sentence(name)}"
        yield ""


def _entry(name: Name) -> Iterator[str]:
    yield from (name.name, "-" * len(name.name), "")
    if inspect.isclass(name.value):
        yield f".. autoclass:: {name.path}"
        if methods := public_names.members(name.value):
            yield f"   :members: {', '.join(methods)}"
    elif inspect.isroutine(name.value):
        yield f".. autofunction:: {name.path}"
    else:
        yield from (f".. py:data:: {name.name}", f"   :module: {name.module}", "")
        yield from (f"   {line}" for line in public_names.comment(name).splitlines())
    yield ""


def _first_sentence(thing: Name | object) -> str:
    """Return the first sentence of a docstring, for a table; roles and literals are kept as they are."""
    if isinstance(thing, Name):
        is_code = inspect.isclass(thing.value) or inspect.isroutine(thing.value)
        text = (inspect.getdoc(thing.value) or "") if is_code else public_names.comment(thing)
    else:
        text = inspect.getdoc(thing) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    sentence = re.match(r".*?(?<!et al)(?<!eq)\.(?=\s|$)", paragraph)
    return (sentence[0] if sentence else paragraph).rstrip(":")
