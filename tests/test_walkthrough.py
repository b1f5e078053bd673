"""The walkthrough runs, equals the library, and prints what its page shows."""

import re
import runpy
from pathlib import Path

import pytest

from minidet.datasets import bundled_portrait_path

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.slow
def test_it_prints_what_its_page_shows(capsys):
    walk = runpy.run_path(str(DOCS / "walkthrough.py"))
    walk["main"](bundled_portrait_path())  # it compares its faces with the library's by itself
    page = (DOCS / "walkthrough.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == re.search(r"```text\n(.*?)```", page, re.DOTALL)[1]


def test_it_stops_where_the_faces_differ():
    from minidet.detections import Detections

    walk = runpy.run_path(str(DOCS / "walkthrough.py"))
    faces = Detections([[0, 0, 2, 2]], [0.5], [[[1, 1]] * 5])
    moved = Detections([[0, 0, 2, 3]], [0.5], [[[1, 1]] * 5])
    with pytest.raises(AssertionError):
        walk["report"](faces.boxes, faces.scores, faces.landmarks, moved)
