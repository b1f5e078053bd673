"""The script that crawls the built documentation sees what is broken, and nothing else."""

import runpy
from pathlib import Path

import pytest

script = runpy.run_path(str(Path(__file__).parent.parent / "scripts" / "check_site.py"))
check = script["check"]

PAGES = {
    "index.html": """<a href="docs/a.html#here">a</a> <a href="https://example.org/x#y">elsewhere</a>
        <a href="#top">up</a> <h1 id="top">Top</h1>
        <link rel="stylesheet" href="_static/style.css"><script src="_static/code.js?v=1"></script>""",
    "docs/a.html": """<p id="here"><a href="../index.html">start</a></p>
        <img src="../_static/picture%20one.png"> <a href="mailto:a@example.org">post</a>
        <link rel="canonical" href="https://example.org/a.html">""",
    "search.html": '<a href="index.html">start</a>',
    "_static/style.css": "body { background: url(picture.png) } /* https://example.org */",
    "_static/code.js": "",
    "_static/picture one.png": "",
    "_static/template.html": '<a href="{{ nowhere }}">theme</a>',
}


@pytest.fixture
def site(tmp_path):
    """A site without faults; given pages replace or join those of the same name."""

    def build(**changed):
        for name, text in {**PAGES, **changed}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return build


def test_a_whole_site_has_no_faults(site):
    assert check(site()) == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('<a href="none.html">x</a>', "none.html: no such file"),
        ('<a href="../index.html#nowhere">x</a>', "../index.html#nowhere: no such place on the page"),
        ('<a href="#nowhere">x</a>', "#nowhere: no such place on the page"),
        ('<a href="../_static">x</a>', "../_static: a folder; expected a page"),
        ('<a href="repository:/minidet">x</a>', "repository:/minidet: an unknown scheme"),
        ('<img src="none.png">', "none.png: no such file"),
        (
            '<script src="https://example.org/x.js"></script>',
            "fetches https://example.org/x.js; expected a file of the site",
        ),
        ('<img src="//example.org/x.png">', "fetches //example.org/x.png; expected a file of the site"),
        (
            '<link rel="stylesheet" href="https://example.org/x.css">',
            "fetches https://example.org/x.css; expected a file of the site",
        ),
    ],
)
def test_a_fault_is_named_with_its_page(site, body, complaint):
    page = PAGES["docs/a.html"] + body
    assert check(site(**{"docs/a.html": page})) == [f"docs/a.html: {complaint}"]


def test_a_link_out_of_the_site_is_wrong(site):
    folder = site()
    (folder.parent / "secret.html").write_text("")
    page = PAGES["docs/a.html"] + '<a href="../../secret.html">x</a>'
    assert check(site(**{"docs/a.html": page})) == ["docs/a.html: ../../secret.html: outside the site"]


def test_a_page_that_no_link_leads_to_is_wrong(site):
    lost = {"docs/b.html": '<a href="c.html">c</a>', "docs/c.html": '<a href="b.html">b</a>'}
    assert check(site(**lost)) == ["docs/b.html: no link leads here", "docs/c.html: no link leads here"]


@pytest.mark.parametrize(
    "text", ["@import 'https://example.org/f.css';", "a { src: url('//example.org/f.woff') }"]
)
def test_a_style_that_needs_the_network_is_wrong(site, text):
    assert [line.partition(": ")[0] for line in check(site(**{"_static/style.css": text}))] == [
        "_static/style.css"
    ]


def test_the_exit_status_says_it(site, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["check_site.py", str(site())])
    assert script["main"]() == 0
    assert capsys.readouterr().out == "3 pages, 0 complaints\n"
    site(**{"docs/a.html": PAGES["docs/a.html"] + '<a href="none.html">x</a>'})
    assert script["main"]() == 1
    monkeypatch.setattr("sys.argv", ["check_site.py", str(site() / "none")])
    assert script["main"]() == 1
