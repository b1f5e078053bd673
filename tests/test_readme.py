"""The README and its Chinese twin say the same: commands, code, tables, pictures, links."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LARGEST_PICTURE = 400_000  # bytes: the page should open at once, also far from its server


def code(text):
    """The code blocks with their languages, without comments: those are translated."""
    return [
        (language, [re.sub(r"\s*#.*", "", line) for line in block.splitlines()])
        for language, block in FENCE.findall(text)
    ]


def prose(text):
    return FENCE.sub("", text)


def named_commands(text):
    """The blocks that other programs find by the comment above them."""
    return dict(re.findall(r"^<!-- (\w+) -->\n```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def heading_levels(text):
    return [len(marks) for marks in re.findall(r"^(#+) ", prose(text), re.MULTILINE)]


def table_shapes(text):
    """Cells of every row of every table."""
    return [row.count("|") for row in re.findall(r"^\|.*\|$", text, re.MULTILINE)]


def numbers_in_tables(text):
    return [re.findall(r"\d+(?:\.\d+)?", row) for row in re.findall(r"^\|.*\|$", text, re.MULTILINE)]


def links(text):
    """Targets of links and pictures, in order, without those to the twin."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not target.startswith("README")]


def inline_code(text):
    return Counter(re.findall(r"`([^`\n]+)`", prose(text)))


@pytest.mark.parametrize(
    "part", [code, named_commands, heading_levels, table_shapes, numbers_in_tables, links, inline_code]
)
def test_both_have_the_same(part):
    assert part(CHINESE) == part(ENGLISH)
    assert part(ENGLISH), "nothing to compare"


def test_each_links_to_the_other():
    assert "(README.zh-CN.md)" in ENGLISH.splitlines()[2]
    assert "(README.md)" in CHINESE.splitlines()[2]


def test_the_twin_is_chinese():
    """Every paragraph of text, every heading and every row of words is translated."""
    untranslated = [
        line
        for line in prose(CHINESE).splitlines()[3:]
        if re.match(r"#+ |[A-Za-z*]", line) and not re.search(r"[\u4e00-\u9fff]", line)
    ]
    assert untranslated == []


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["English", "Chinese"])
def test_what_it_leads_to_is_there(text):
    for target in links(text):
        assert (ROOT / target.partition("#")[0]).exists(), target


def test_pictures_are_small():
    pictures = [ROOT / target for target in links(ENGLISH) if target.endswith((".png", ".jpg"))]
    assert len(pictures) >= 5
    assert [str(picture) for picture in pictures if picture.stat().st_size > LARGEST_PICTURE] == []


def test_the_commands_are_there():
    assert {"detect", "test", "notebooks", "docs"} <= named_commands(ENGLISH).keys()


def test_the_tour_is_true(capsys):
    """The program of the tour runs and finds what its comments say."""
    section = ENGLISH[ENGLISH.index("## Five minutes") : ENGLISH.index("## In a few lines")]
    (program,) = [block for language, block in FENCE.findall(section) if language == "python"]
    exec(program, {})
    printed = capsys.readouterr().out
    (steps,) = re.findall(r"eight steps: (.*)", program)
    assert re.findall(r" ms  (\w+)", printed) == steps.split(", ")
    (shape,) = re.findall(r"# (\(.*?\)): what R-Net", program)
    assert printed.splitlines()[-1] == shape
