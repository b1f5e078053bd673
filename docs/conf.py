"""Settings of the documentation site; the README has the command that builds it, as build/site/index.html.

The source folder is the repository itself, so that a relative link between pages, notebooks, model cards and
code means the same here as in the repository. Nothing is fetched while building, nor by the pages.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the API is that of this checkout
sys.path.insert(0, str(Path(__file__).parent / "ext"))

from minidet import __version__  # noqa: E402

project = "minidet"
author = "The minidet authors"
project_copyright = "MIT licence"
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "api_pages",  # docs/ext: a page per public package
    "repository_links",  # docs/ext: links into the code, and the code as pages
    "github_math",  # docs/ext: equations as GitHub writes them, shown without scripts
]

# ---- What is read ------------------------------------------------------------------------------------

root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "docs/api/*.rst",
    "notebooks/*.ipynb",
    "minidet/weights_npz/*.md",
    "README*.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = ["build", "dist", ".*", "**/.*", "**/__pycache__", "notebooks/.ipynb_checkpoints"]
nitpicky = True  # a name in a docstring that leads nowhere is a warning, and a warning is an error
nitpick_ignore_regex = [
    # Standard library and NumPy: their manuals are elsewhere, and nothing is fetched.
    ("py:.*", r"(?!minidet\b).*\b(ABC|Enum|Exception|ValueError|NamedTuple|Protocol|Generic|object)\b.*"),
]

# ---- Pages in Markdown, notebooks --------------------------------------------------------------------

nb_execution_mode = "off"  # the outputs kept in the notebooks are shown; scripts/run_notebooks.py makes them
nb_ipywidgets_js = {}  # widgets are shown as the still picture beside them: their scripts live on the network
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "dollarmath", "html_image"]
myst_heading_anchors = 5
myst_fence_as_directive = ["math"]
myst_url_schemes = {"http": None, "https": None, "mailto": None, "repository": None}
suppress_warnings = ["mystnb.unknown_mime_type"]  # a widget: see above

# ---- Docstrings --------------------------------------------------------------------------------------

autosummary_generate = False  # the pages are made by ext/api_pages.py
autodoc_typehints = "none"  # the docstrings say more: shapes, units, ranges
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
toc_object_entries = False  # every name is a heading already
numpydoc_show_class_members = False  # autodoc lists them
numpydoc_class_members_toctree = False

# ---- What is written ---------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "minidet"
html_static_path = ["_static"]
html_css_files = ["minidet.css"]
html_show_sourcelink = False
html_copy_source = False
html_additional_pages = {"index": "to_start.html"}  # so that the site opens at its root
templates_path = ["_templates"]
html_theme_options = {
    "logo": {"text": "minidet"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_prev_next": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "back_to_top_button": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"docs/index": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

WIDE = ("docs/index", "docs/networks/")


def setup(app: Sphinx) -> None:
    """Give pages with tables of code the room of the contents at the right."""
    app.connect("html-page-context", _widen)


def _widen(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    if page.startswith(WIDE):
        context["meta"] = {**(context.get("meta") or {}), "html_theme.sidebar_secondary.remove": "true"}
