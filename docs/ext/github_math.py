r"""Equations as GitHub writes them (``$`x`$`` and fences marked "math"), shown as MathML: no script, no font.

Every browser draws MathML by itself. Sphinx's own ways need a script from the network or a LaTeX
installation.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

INLINE = re.compile(r"\$`(.+?)`\$", re.DOTALL)
ACCENT = re.compile(r"(\\(?:hat|bar|tilde|vec)\s*(?:\{\w+\}|\\[a-z]+|[A-Za-z]))")  # else its index goes below
# What the converter does not know, and the same in its words.
SYNONYMS = {r"\dots": r"\ldots", r"\mathrel{+}=": r"{+}{=}"}

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, and the reader of GitHub's spelling."""
    app.connect("source-read", _read_github_math)
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _read_github_math(app: Sphinx, docname: str, source: list[str]) -> None:
    if not str(app.env.doc2path(docname)).endswith(".ipynb"):
        source[0] = INLINE.sub(r"{math}`\1`", source[0])


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_mathml(node, is_block=False))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_mathml(node, is_block=True)}</div>\n')
    raise nodes.SkipNode


def _mathml(node: nodes.Element, *, is_block: bool) -> str:
    text = node.astext()
    for unknown, known in SYNONYMS.items():
        text = text.replace(unknown, known)
    text = ACCENT.sub(r"{{}\1}", text)
    if is_block and (r"\\" in text or "&" in text) and r"\begin" not in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    try:
        return str(tex2mathml(text, as_block=is_block))
    except MathError as error:
        logger.warning("no MathML for %r: %s", node.astext(), error, location=node)
        return f"<code>{node.astext()}</code>"
