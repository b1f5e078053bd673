"""docs/course.md lists the exercises as they are."""

import runpy
from pathlib import Path

import pytest

from minidet.course import exercises

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "course.md").read_text(encoding="utf-8")
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "list_exercises.py"))


def test_the_list_is_up_to_date():
    assert SCRIPT["renewed"](PAGE) == PAGE, "run python scripts/list_exercises.py"


def test_a_list_that_is_not_is_noticed():
    old = PAGE.replace("`iou(a, b)`", "`iou(boxes)`")
    assert old != PAGE
    assert SCRIPT["renewed"](old) == PAGE


def test_a_page_without_the_marker_is_refused():
    with pytest.raises(SystemExit, match="lacks the line"):
        SCRIPT["renewed"]("# A page\n")


def test_every_exercise_is_a_row():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) == len(exercises())
    for row, exercise in zip(rows, exercises(), strict=True):
        cells = row.replace("\\|", "/").strip("| ").split(" | ")
        assert len(cells) == 3
        assert cells[0] == f"`{exercise.signature}`"
        assert cells[1].replace("\\", "").replace("/", "|") == exercise.question.replace("/", "|")


def test_nothing_is_escaped_inside_code():
    assert all("\\" not in code for line in PAGE.splitlines() for code in line.split("`")[1::2])
