"""``minidet detect``: what is printed, what is drawn, what the options do, and what goes wrong."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import re
import sys
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import minidet
from minidet.api import Detector
from minidet.cli import detect as verb
from minidet.errors import InputError
from minidet.weights import SHIPPED

models = pytest.mark.parametrize("model", ["retinaface", "mtcnn"])


def records(result):
    """Return the JSON on standard output; nothing may be there beside it."""
    return json.loads(result.out)


def count(result):
    """Return the number of faces of the only image, from the JSON."""
    (record,) = records(result)
    return len(record["faces"])


@pytest.fixture
def no_image(tmp_path):
    """Files that are no image, by what is wrong with them."""
    truncated = tmp_path / "truncated.jpg"
    Image.effect_noise((64, 64), 50).save(truncated)
    truncated.write_bytes(truncated.read_bytes()[:1000])
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    return {"truncated": truncated, "text": text, "empty": empty, "missing": tmp_path / "missing.jpg"}


# ---- text ------------------------------------------------------------------------------------------


@models
def test_one_face(model, photo, run):
    status, out, err = run("detect", photo, "--model", model)
    assert (status, err) == (0, "")
    headline, line = out.splitlines()
    assert re.fullmatch(re.escape(str(photo)) + r": 1 face in \d+\.\d\d s", headline)

    (face,) = minidet.detect(photo, model)
    numbers = [float(number) for number in re.findall(r"[\d.]+", line)]
    assert numbers[0] == pytest.approx(face.score, abs=1e-4)
    assert numbers[1:5] == pytest.approx(face.box, abs=0.051)
    assert numbers[5:] == pytest.approx(face.box[2:] - face.box[:2], abs=0.51)


def test_faces_are_aligned(group, run):
    headline, *lines = run("detect", group).out.splitlines()
    assert ": 3 faces in " in headline
    columns = [[match.start() for match in re.finditer("score|box|size| x ", line)] for line in lines]
    assert len(columns[0]) == 4
    assert columns == [columns[0]] * 3


@models
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (120, 90)])
def test_no_faces(model, size, tmp_path, run):
    path = tmp_path / "blank.png"
    Image.new("RGB", size, "grey").save(path)
    status, out, err = run("detect", path, "--model", model)
    assert (status, err) == (0, "")
    assert re.fullmatch(r".*blank\.png: no faces in \d+\.\d\d s\n", out)


def test_a_folder_comes_in_order(album, run):
    status, out, err = run("detect", album)
    assert (status, err) == (0, "")
    images = [line.partition(":")[0] for line in out.splitlines() if not line.startswith(" ")]
    assert images == [str(album / name) for name in ["a.jpg", "a.png", "b.PNG", "sub/a.jpg"]]


def test_standard_input(photo, monkeypatch, run):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(photo.read_bytes())))
    assert run("detect", "-").out.startswith("-: 1 face in ")


def test_standard_input_without_an_image(monkeypatch, run_error):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"no image")))
    assert "not a picture" in run_error("detect", "-")


# ---- the progress bar ------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self):
        return True


def test_bar_from_two_images_up(photo, monkeypatch, run):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    one = run("detect", photo)
    assert terminal.getvalue() == ""
    two = run("detect", photo, photo)
    assert "2/2" in terminal.getvalue()
    assert "image" in terminal.getvalue()
    lines = two.out.splitlines()
    assert [line.partition(" in ")[0] for line in lines[::2]] == [f"{photo}: 1 face"] * 2
    assert lines[1] == lines[3] == one.out.splitlines()[1]


def test_bar_makes_room_for_an_error(photo, no_image, monkeypatch, run):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run("detect", no_image["text"], photo)
    # Back to the left edge, blanks over the bar, back, and only then the line.
    assert re.search(r"\r +\rminidet: error: [^\r]*text\.jpg[^\r\n]*\n\r", terminal.getvalue())


def test_bar_makes_room_for_the_log(photo, monkeypatch, run):
    def detect(self, image):
        logging.getLogger("minidet").warning("minidet: compiling")
        return minidet.Detections.empty()

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(Detector, "detect", detect)
    run("detect", photo, photo)
    assert len(re.findall(r"\r +\rminidet: compiling\n\r", terminal.getvalue())) == 2


def test_no_bar_without_a_terminal(photo, run):
    assert run("detect", photo, photo).err == ""


# ---- JSON ------------------------------------------------------------------------------------------


@models
def test_json(model, group, run):
    result = run("detect", group, "--json", "--model", model)
    assert (result.status, result.err) == (0, "")
    (record,) = records(result)
    assert list(record) == ["image", "width", "height", "faces"]
    assert (record["image"], record["width"], record["height"]) == (str(group), 192, 144)
    assert record["faces"] == minidet.detect(group, model).to_dicts()
    assert len(record["faces"]) == 3
    for face in record["faces"]:
        assert list(face) == ["box", "score", "landmarks"]
        assert np.shape(face["box"]) == (4,)
        assert np.shape(face["landmarks"]) == (5, 2)
        assert 0 < face["score"] <= 1


def test_json_of_no_faces(tmp_path, run):
    path = tmp_path / "dot.png"
    Image.new("L", (1, 1)).save(path)
    assert records(run("detect", path, "--json")) == [
        {"image": str(path), "width": 1, "height": 1, "faces": []}
    ]


def test_json_of_several_images(album, run):
    found = records(run("detect", album, "--json"))
    assert [record["image"] for record in found] == [
        str(album / name) for name in ["a.jpg", "a.png", "b.PNG", "sub/a.jpg"]
    ]


def test_json_of_a_failure(photo, no_image, run):
    result = run("detect", no_image["text"], photo, "--json")
    assert result.status == 2
    failed, fine = records(result)
    assert list(failed) == ["image", "error"]
    assert failed["image"] == str(no_image["text"])
    assert result.err == f"minidet: error: {failed['error']}\n"
    assert len(fine["faces"]) == 1


# ---- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", ["truncated", "text", "empty", "missing"])
def test_unusable_file(problem, no_image, run_error):
    assert no_image[problem].name in run_error("detect", no_image[problem])


def test_a_corrupt_file_among_good_ones(album, no_image, run):
    no_image["truncated"].rename(album / "aa.jpg")
    status, out, err = run("detect", album)
    assert status == 2
    assert out.count(": 1 face in ") == 4
    assert err.startswith("minidet: error: ")
    assert err.count("\n") == 1
    assert "aa.jpg" in err


def test_folder_without_images(tmp_path, run_error):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "notes.txt").write_text("no image")
    assert repr(str(folder)) in run_error("detect", folder)


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_unwritable_save_folder(place, photo, tmp_path, run_error):
    (tmp_path / "file").touch()
    message = run_error("detect", photo, "--save", tmp_path / place)
    assert repr(str(tmp_path / place)) in message
    assert "expected a folder" in message


def test_backend_is_checked_by_the_library(photo, run, run_error):
    assert run("detect", photo, "--backend", "readable").status == 0
    with pytest.raises(InputError) as refused:
        minidet.RetinaFace(backend="abacus")
    assert run_error("detect", photo, "--backend", "abacus") == str(refused.value)


# ---- weights ---------------------------------------------------------------------------------------


def test_weights_by_name_and_by_path(photo, run):
    shipped = SHIPPED["mtcnn"]
    by_default = run("detect", photo, "--json", "--model", "mtcnn")
    for weights in (shipped.name, shipped.path):
        result = run("detect", photo, "--json", "--model", "mtcnn", "--weights", weights)
        assert result == by_default


def test_weights_that_are_missing(photo, run_error):
    message = run_error("detect", photo, "--weights", "nowhere.npz")
    assert "'nowhere.npz'" in message
    assert "retinaface_mobilenet025" in message


def test_weights_that_are_text(photo, tmp_path, run_error):
    path = tmp_path / "text.npz"
    path.write_text("no weights")
    assert str(path) in run_error("detect", photo, "--weights", path)


def test_weights_that_are_just_arrays(photo, tmp_path, run_error):
    path = tmp_path / "arrays.npz"
    np.savez(path, a=np.zeros(3))
    assert str(path) in run_error("detect", photo, "--weights", path)


@models
def test_weights_of_the_other_architecture(model, photo, run_error):
    other = {"retinaface": "mtcnn", "mtcnn": "retinaface_mobilenet025"}[model]
    message = run_error("detect", photo, "--model", model, "--weights", other)
    assert f"is for {other}; expected weights for {model}" in message


# ---- thresholds ------------------------------------------------------------------------------------


@models
def test_min_score(model, group, run):
    scores = np.sort(minidet.detect(group, model).scores)
    between = float(scores[0] + scores[1]) / 2
    assert count(run("detect", group, "--json", "--model", model, "--min-score", between)) == len(scores) - 1


def test_min_score_lets_doubtful_faces_in(group, run):
    assert count(run("detect", group, "--json", "--min-score", 0.02)) > 3


def test_min_face_of_retinaface_is_the_longer_side(photo, run):
    (face,) = minidet.detect(photo)
    width, height = face.box[2:] - face.box[:2]
    assert width < height - 2
    assert count(run("detect", photo, "--json", "--min-face", height - 1)) == 1
    assert count(run("detect", photo, "--json", "--min-face", height + 1)) == 0


@pytest.mark.parametrize(("model", "size"), [("retinaface", 35), ("mtcnn", 50)])
def test_min_face_leaves_out_the_small_ones(model, size, group, run):
    (record,) = records(run("detect", group, "--json", "--model", model, "--min-face", size))
    (face,) = record["faces"]  # of three
    assert face["box"][3] - face["box"][1] > 35


def test_min_face_of_mtcnn_is_its_setting(photo, run):
    found = records(run("detect", photo, "--json", "--model", "mtcnn", "--min-face", 33))
    assert found[0]["faces"] == minidet.MTCNN(min_face_size=33).detect(photo).to_dicts()
    assert found != records(run("detect", photo, "--json", "--model", "mtcnn"))


# ---- pictures --------------------------------------------------------------------------------------


def test_save(photo, tmp_path, run):
    folder = tmp_path / "new" / "drawn"
    result = run("detect", photo, "--save", folder)
    path = folder / "photo_faces.png"
    assert result.status == 0
    assert result.out.splitlines()[-1] == f"  drawn in {path}"
    expected = minidet.draw(minidet.read_image(photo), minidet.detect(photo))
    np.testing.assert_array_equal(minidet.read_image(path), np.asarray(expected))
    assert (minidet.read_image(path) != minidet.read_image(photo)).any()


def test_save_with_json(photo, tmp_path, run):
    result = run("detect", photo, "--json", "--save", tmp_path)
    assert count(result) == 1
    assert result.err == f"  drawn in {tmp_path / 'photo_faces.png'}\n"
    assert (tmp_path / "photo_faces.png").is_file()


def test_save_mirrors_folders_and_keeps_images_apart(album, photo, tmp_path, run):
    folder = tmp_path / "drawn"
    assert run("detect", album, photo, "--save", folder).status == 0
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png")) == [
        "a_2_faces.png",
        "a_faces.png",
        "b_faces.png",
        "photo_faces.png",
        "sub/a_faces.png",
    ]


def test_save_beside_the_images_twice(album, face, run):
    theirs = album / "a_faces.png"  # somebody's photograph that happens to have this name
    face.save(theirs)
    before = theirs.read_bytes()
    first = run("detect", album, "--save", album)
    after_first = sorted(album.rglob("*"))
    assert first.status == 0
    assert theirs.read_bytes() == before
    second = run("detect", album, "--save", album)
    assert (
        sorted(album.rglob("*")) == after_first
    )  # pictures of the first run are no input, and written again
    drawn = [[line for line in result.out.splitlines() if "drawn" in line] for result in (first, second)]
    assert len(drawn[0]) == 5
    assert drawn[0] == drawn[1]


def test_standard_input_is_saved_too(photo, tmp_path, monkeypatch, run):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(photo.read_bytes())))
    assert run("detect", "-", "--save", tmp_path).status == 0
    assert (tmp_path / "stdin_faces.png").is_file()


def test_a_picture_that_cannot_be_written_is_a_failure_of_its_image(photo, group, tmp_path, monkeypatch, run):
    def full(picture, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(verb, "save_annotated", full)
    result = run("detect", photo, group, "--json", "--save", tmp_path)
    assert result.status == 2
    assert ["No space left" in record["error"] for record in records(result)] == [True, True]
    assert result.err.count("minidet: error: ") == 2


# ---- no image given --------------------------------------------------------------------------------


@pytest.fixture
def notice(portrait_path):
    return f"minidet: no image given; using the bundled portrait {portrait_path}\n"


def test_without_image_the_portrait(portrait_path, notice, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    result = run("detect", "--save", "drawn")
    assert (result.status, result.err) == (0, notice)
    assert result.out.startswith(f"{portrait_path}: 1 face in ")
    assert result.out.endswith("  drawn in drawn/grace_hopper_faces.png\n")
    assert [path.name for path in tmp_path.iterdir()] == ["drawn"]


def test_without_image_json(portrait_path, notice, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    result = run("detect", "--json")
    assert records(result)[0]["image"] == str(portrait_path)
    assert count(result) == 1
    assert result.err == notice + "  drawn in grace_hopper_faces.png\n"
    assert minidet.read_image(tmp_path / "grace_hopper_faces.png").shape == (600, 512, 3)


def test_without_image_in_a_folder_that_cannot_be_written(tmp_path, monkeypatch, run):
    def refuse(folder):
        raise InputError(f"cannot write into {folder}")

    monkeypatch.setattr(verb, "make_writable", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = run("detect")
    assert result.status == 0
    assert result.out.endswith(f"  drawn in {tmp_path / 'grace_hopper_faces.png'}\n")
    assert (tmp_path / "grace_hopper_faces.png").is_file()


def test_without_image_and_without_portrait(tmp_path, monkeypatch, run_error):
    missing = SimpleNamespace(origin=str(tmp_path / "matplotlib" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: missing)
    message = run_error("detect")
    assert "no image given" in message
    assert str(tmp_path) in message
