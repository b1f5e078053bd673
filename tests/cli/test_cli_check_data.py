"""``minidet check-data``: what is printed of problems made on purpose, the exit status, errors."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from PIL import Image

from minidet.cli import main
from minidet.cli.check_data import EPILOG, SHOWN
from minidet.datasets.open import READERS


@pytest.fixture
def write(tmp_path):
    """Write a json of landmarks with boxes, for photographs of 40 x 30 pixels; return its source."""

    def call(boxes_by_name, name="faces.json"):
        entries = []
        for grey, (image, boxes) in enumerate(boxes_by_name.items()):
            Image.new("RGB", (40, 30), (grey, 100, 0)).save(tmp_path / image)
            entries.append({"image": image, "faces": [{"box": box} for box in boxes]})
        (tmp_path / name).write_text(json.dumps(entries))
        return f"points:{tmp_path / name}"

    return call


@pytest.fixture
def clean(write):
    """Two photographs with one face and with none."""
    return write({"a.png": [[5, 5, 20, 25]], "b.png": []}, "clean.json")


@pytest.fixture
def broken(write):
    """Two photographs with three problems."""
    return write(
        {"c.png": [[5, 5, 20, 25], [5, 5, 5, 9]], "d.png": [[0, 0, 41, 10], [0, -2, 40, 10]]}, "broken.json"
    )


def test_clean(run, clean):
    status, out, err = run("check-data", clean)
    assert (status, err) == (0, "")
    assert (
        out
        == f"""\
{clean}
  photographs                 2
    without faces             1
  faces                       1
    with landmarks            0
    ignored                   0
  smallest box height, px  20.0
  median box height, px    20.0
  largest box height, px   20.0

no problems in 2 photographs
"""
    )


def test_problems(run, broken):
    status, out, err = run("check-data", broken)
    assert (status, err) == (1, "")
    head, *blocks = out.split("\n\n")
    assert head.startswith(f"{broken}\n  photographs                 2\n")
    assert blocks == [
        """\
box without area: 1
  c.png, face 1: box 5 5 5 9 is 0 wide and 4 high
box outside: 2
  d.png, face 0: reaches 1 px beyond the right edge (box 0 0 41 10, photograph 40 x 30)
  d.png, face 1: reaches 2 px beyond the upper edge (box 0 -2 40 10, photograph 40 x 30)""",
        "3 problems in 2 photographs\n",
    ]


def test_two_data_sets(run, clean, broken):
    status, out, err = run("check-data", clean, broken)
    assert (status, err) == (1, "")
    assert [line for line in out.splitlines() if line.startswith("points:")] == [clean, broken]
    assert out.endswith("\n\n3 problems in 2 photographs\n")
    assert run("check-data", broken, clean).status == 1
    assert run("check-data", clean, clean).out.endswith("\n\nno problems in 4 photographs\n")


def test_at_most_twenty_of_a_kind(run, write):
    source = write({"a.png": [[x, 5, x, 9] for x in range(SHOWN + 5)] + [[0, 0, 41, 5]]})
    status, out, _ = run("check-data", source)
    assert status == 1
    assert out.count(" is 0 wide") == SHOWN
    assert f"box without area: {SHOWN + 5}\n" in out
    assert "\n  and 5 more; --all prints all\nbox outside: 1\n" in out
    assert out.endswith(f"\n{SHOWN + 6} problems in 1 photograph\n")
    out = run("check-data", source, "--all").out
    assert out.count(" is 0 wide") == SHOWN + 5
    assert "more" not in out


def test_json(run, clean, write):
    broken = write({"c.png": [[x, 5, x, 9] for x in range(SHOWN + 5)]})
    status, out, err = run("check-data", clean, broken, "--json")
    assert (status, err) == (1, "")
    first, second = json.loads(out)
    assert first == {
        "source": clean,
        "photographs": 2,
        "without_faces": 1,
        "faces": 1,
        "with_landmarks": 0,
        "ignored": 0,
        "box_heights": {"smallest": 20, "median": 20, "largest": 20},
        "problems": [],
    }
    assert second["box_heights"] is None
    assert len(second["problems"]) == SHOWN + 5
    assert second["problems"][3] == {
        "photograph": "c.png",
        "face": 3,
        "kind": "box without area",
        "message": "box 3 5 3 9 is 0 wide and 4 high",
    }
    assert run("check-data", clean, "--json").status == 0


def test_without_images_damage_goes_unnoticed(run, tmp_path, clean):
    Image.effect_noise((40, 30), 50).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:-500])
    status, out, _ = run("check-data", clean)
    assert status == 1
    assert "unreadable photograph: 1\n  a.png: " in out
    assert run("check-data", clean, "--no-images").status == 0
    (tmp_path / "a.png").unlink()
    status, out, _ = run("check-data", clean, "--no-images")
    assert status == 1
    assert f"missing photograph: 1\n  a.png: no such file: {str(tmp_path / 'a.png')!r}\n" in out


def test_tolerance(run, broken):
    assert "box outside: 1\n" in run("check-data", broken, "--tolerance", "1").out
    assert "box outside" not in run("check-data", broken, "--tolerance", "2").out


def test_a_bar_on_a_terminal_only(run, clean, monkeypatch):
    assert run("check-data", clean).err == ""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["check-data", clean]) == 0
    assert "2/2" in terminal.getvalue()


def test_the_help_names_every_kind(capsys):
    assert set(READERS) <= set(re.findall(r"\w+", EPILOG))
    with pytest.raises(SystemExit):
        main(["check-data", "--help"])
    out = capsys.readouterr().out
    assert "celeba" in out
    assert "The exit status is 1 if there is a problem" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: KIND:PATH; see "),
        (["faces"], "data set 'faces' has no colon; expected KIND:PATH with a KIND of widerface, "),
        (["pascal:faces"], "no kind of data set 'pascal'; expected KIND:PATH with a KIND of widerface, "),
        (["voc:faces"], "data set 'voc:faces': there is no 'faces'; check the path"),
        (
            ["voc:faces", "--tolerance", "-1"],
            "argument --tolerance: '-1'; expected a number of pixels from 0 up",
        ),
        (
            ["voc:faces", "--tolerance", "inf"],
            "argument --tolerance: 'inf'; expected a number of pixels from 0",
        ),
        (
            ["voc:faces", "--tolerance", "x"],
            "argument --tolerance: 'x'; expected a number of pixels from 0 up",
        ),
    ],
)
def test_errors(run_error, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_error("check-data", *arguments).startswith(message)


def test_nothing_is_checked_if_one_data_set_cannot_be_read(run_error, broken, tmp_path):
    assert "holds no xml files" in run_error("check-data", broken, f"voc:{tmp_path}")
