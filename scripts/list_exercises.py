"""Write the list of exercises in docs/course.md anew.

Usage: python scripts/list_exercises.py

The text above the marker is written by hand; tests/course/test_page.py fails if the list is out of date.
"""

from itertools import groupby
from pathlib import Path

from minidet.course import Exercise, exercises

PAGE = Path(__file__).parent.parent / "docs" / "course.md"
MARKER = "<!-- The rest is written by scripts/list_exercises.py. -->\n"


def listing() -> str:
    """Return all exercises as Markdown, a table for each topic."""
    parts = [MARKER]
    for topic, members in groupby(exercises(), key=lambda exercise: exercise.topic):
        rows = "\n".join(row(exercise) for exercise in members)
        parts.append(f"\n## {topic}\n\n| exercise | question | returns |\n|---|---|---|\n{rows}\n")
    return "".join(parts)


def row(exercise: Exercise) -> str:
    """Return the row of one exercise."""
    question, returns = (escaped(text) for text in (exercise.question, exercise.returns))
    return f"| `{exercise.signature}` | {question} | {returns} |"


def escaped(text: str) -> str:
    """Keep Markdown from reading a product, an absolute value or a comparison as marks of its own."""
    for mark in "|*_<":
        text = text.replace(mark, "\\" + mark)
    return text


def renewed(text: str) -> str:
    """Return a page with its list replaced."""
    by_hand, found, _ = text.partition(MARKER)
    if not found:
        raise SystemExit(f"{PAGE} lacks the line {MARKER.strip()}")
    return by_hand + listing()


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
