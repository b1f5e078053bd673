"""The glossary and the index of equations are complete: every row has all it needs, nothing is forgotten."""

import re
from pathlib import Path

import pytest

from minidet import boxes, losses, ops
from minidet.training import optim

DOCS = Path(__file__).parent.parent / "docs"


def rows(page):
    """The rows of all tables of a page, as lists of cells, without headers and dashes."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


TERMS = list(rows("glossary"))
EQUATIONS = list(rows("equations"))


def test_the_glossary_is_in_order_and_names_nothing_twice():
    terms = [row[0].lower() for row in TERMS]
    assert len(terms) >= 60
    assert terms == sorted(set(terms))


@pytest.mark.parametrize("row", TERMS, ids=lambda row: row[0])
def test_a_term_has_two_names_two_definitions_and_a_place(row):
    english, chinese, definition, chinese_definition, place = row
    assert re.search(r"[A-Za-z]", english)
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert not re.search(r"[\u4e00-\u9fff]", definition)
    assert re.search(r"[\u4e00-\u9fff]", chinese_definition)
    assert re.search(r"\.py#L\d+\)$", place)


@pytest.mark.parametrize("row", EQUATIONS, ids=lambda row: row[0])
def test_an_equation_has_a_function_and_a_test(row):
    _, equation, function, test = row
    assert equation == "" or re.fullmatch(r"\$`[^`$]+`\$", equation)
    assert equation.count("{") == equation.count("}")
    assert r"\operatorname" not in equation, "GitHub does not allow it"
    assert re.search(r"\]\(\.\./minidet/\S+\.py#L\d+\)", function)
    assert re.search(r"\]\(\.\./tests/\S*test_\w+\.py\)", test)


def test_no_loss_operation_optimiser_or_box_function_is_forgotten():
    public = [
        *losses.__all__,
        *(name for name in ops.__all__ if name.endswith("_forward")),
        *(name for name in optim.__all__ if name not in {"Optimizer", "Schedule"}),  # abstract
        *("iou", "nms", "soft_nms", "box_voting", "generate_anchors", "match_anchors"),
        *("encode_boxes", "decode_boxes", "encode_landmarks", "decode_landmarks"),
    ]
    assert set(public[-10:]) <= set(boxes.__all__)
    functions = " ".join(row[2] for row in EQUATIONS)
    assert [name for name in public if f"[`{name}`]" not in functions] == []
