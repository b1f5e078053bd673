"""``minidet explain``: an image in, a page out; options, standard input, errors."""

import json
import re

import numpy as np
import pytest

import minidet
from minidet.cli import explain as command


def embedded(path):
    """Read the JSON of a page."""
    page = path.read_text(encoding="utf-8")
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    )


def test_a_page_of_both_detectors(run, photo, tmp_path):
    out = tmp_path / "new" / "report.html"
    status, text, err = run("explain", photo, "-o", out)
    assert (status, text) == (0, "")
    assert re.fullmatch(rf"minidet: {out} written, 0\.\d MB; open it in a browser\n", err)
    data = embedded(out)
    assert (data["name"], data["width"], data["height"]) == ("photo.jpg", 102, 120)
    retinaface, mtcnn = data["models"]
    assert retinaface["settings"] == {**minidet.RetinaFace().recipe["settings"], "min_face": 0}
    assert mtcnn["settings"] == json.loads(json.dumps(minidet.MTCNN().recipe["settings"]))
    assert retinaface["library"]["kept"] == len(minidet.detect(photo))
    assert mtcnn["library"]["faces"] == len(minidet.detect(photo, "mtcnn"))


def test_options_reach_the_detectors(run, photo, tmp_path):
    out = tmp_path / "report.html"
    options = ["--min-score", "0.3", "--min-face", "30", "--backend", "readable"]
    assert run("explain", photo, "--out", out, *options).status == 0
    retinaface, mtcnn = embedded(out)["models"]
    assert retinaface["settings"]["score_threshold"] == 0.3
    assert retinaface["settings"]["min_face"] == 30
    assert mtcnn["settings"]["score_thresholds"] == [0.6, 0.7, 0.3]
    assert mtcnn["settings"]["min_face_size"] == 30
    assert [retinaface["recipe"]["backend"], mtcnn["recipe"]["backend"]] == ["readable", "readable"]


@pytest.mark.parametrize("model", ["mtcnn", "retinaface"])
def test_one_detector_and_its_weights(run, photo, tmp_path, model):
    out, name = tmp_path / "report.html", "mtcnn" if model == "mtcnn" else "retinaface_mobilenet025"
    assert run("explain", photo, "-o", out, "--model", model, "--weights", name).status == 0
    assert [record["model"] for record in embedded(out)["models"]] == [model]


def test_standard_input(start, photo, tmp_path):
    process = start("-m", "minidet", "explain", "-", "-o", "page.html", "--model", "retinaface")
    out, _ = process.communicate(photo.read_bytes(), timeout=120)
    assert (process.returncode, out) == (0, b"")
    assert embedded(tmp_path / "page.html")["name"] == "standard input"


def test_without_an_image_a_group_picture(run, monkeypatch, tmp_path):
    small = np.zeros((40, 50, 3), np.uint8)
    monkeypatch.setattr(command, "group_picture", lambda: small)
    status, _, err = run("explain", "-o", tmp_path / "report.html")
    assert status == 0
    assert err.startswith("minidet: no image given; using a group picture of the bundled portrait\n")
    assert embedded(tmp_path / "report.html")["name"] == "a group picture"


def test_errors(run_error, photo, tmp_path):
    out = tmp_path / "report.html"
    assert "required: -o/--out" in run_error("explain", photo)
    assert run_error("explain", tmp_path / "no.jpg", "-o", out).endswith("check the path")
    assert "expected --model mtcnn or --model retinaface" in run_error(
        "explain", photo, "-o", out, "--weights", "mtcnn"
    )
    assert "'1.5'; expected a number from 0 to 1" in run_error(
        "explain", photo, "-o", out, "--min-score", "1.5"
    )
    assert "backend='x'" in run_error("explain", photo, "-o", out, "--backend", "x")
    assert str(tmp_path) in run_error("explain", photo, "-o", tmp_path)
    assert not out.exists()
