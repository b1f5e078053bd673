"""``minidet label``: photographs in, a data set out that can be read again; completing one; errors."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import minidet
from minidet.cli import label_run
from minidet.cli.files import InputImage, find_images
from minidet.datasets import Annotation, open_dataset, write_bbx_gt, write_coco, write_points_json, write_voc
from minidet.errors import InputError
from minidet.weights import SHIPPED

CHECKSUM = SHIPPED["retinaface_mobilenet025"].sha256


@pytest.fixture
def folder(group, face, tmp_path):
    """Two photographs, one with three faces and one in a subfolder with one; the third has none."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(group, folder / "group.png")
    face.save(folder / "sub/one.png")
    Image.new("RGB", (80, 60), (90, 120, 150)).save(folder / "empty.png")
    return folder


def found(path):
    return minidet.RetinaFace(0.3).detect(path)


def assert_found(annotation, path):
    """Require exactly what the detector says of a photograph with sure faces only, up to the last digits."""
    faces = found(path)
    with Image.open(path) as picture:
        width, height = picture.size
    np.testing.assert_allclose(annotation.boxes, faces.clip(width, height).boxes, atol=2e-5)
    np.testing.assert_allclose(annotation.landmarks, faces.landmarks, atol=2e-5)
    assert not annotation.ignore.any()


@pytest.mark.parametrize(
    ("out", "options", "kind"),
    [
        ("photos/faces.json", [], "coco"),
        ("above.json", [], "coco"),
        ("far/faces.json", ["--copy-images"], "coco"),
        ("far/points.json", ["--format", "points"], "points"),
        ("far/label.txt", ["--copy-images"], "widerface"),
        ("far/other.TXT", ["--copy-images"], "widerface"),
    ],
)
def test_every_format_is_read_again(run, folder, tmp_path, out, options, kind):
    status, text, err = run("label", folder, "--out", tmp_path / out, *options)
    assert status == 0
    assert text.splitlines()[0] == "3 photographs: 4 faces added"
    assert text.splitlines()[1].startswith(
        f"teacher: retinaface, weights retinaface_mobilenet025 (sha256 {CHECKSUM[:12]}), backend fast, "
    )
    assert text.splitlines()[1].endswith("; size native")
    assert err == f"written to {tmp_path / out}; read it as {kind}:{tmp_path / out}\n"

    dataset = open_dataset(f"{kind}:{tmp_path / out}")
    by_end = {os.path.basename(one.name): one for one in dataset.annotations}
    assert list(by_end) == ["empty.png", "group.png", "one.png"]
    assert by_end["one.png"].name.endswith("sub/one.png")
    assert len(by_end["empty.png"].boxes) == 0
    assert_found(by_end["group.png"], folder / "group.png")
    assert_found(by_end["one.png"], folder / "sub/one.png")
    for sample in dataset:  # the photographs are where the reader looks
        assert sample.image.size


def test_the_photographs_beside_the_folder_annotations(run, folder, tmp_path):
    (tmp_path / "set").mkdir()
    shutil.move(folder, tmp_path / "set/images")
    out = tmp_path / "set/annotations/faces.json"
    assert run("label", tmp_path / "set/images", "--out", out).status == 0
    dataset = open_dataset(f"coco:{out}")
    assert [one.name for one in dataset.annotations] == ["empty.png", "group.png", "sub/one.png"]
    assert sum(len(sample.boxes) for sample in dataset) == 4


def test_coco_keeps_the_recipe(run, folder):
    run(
        "label",
        folder,
        "--out",
        folder / "faces.json",
        "--min-score",
        "0.9",
        "--flip",
        "--scales",
        "native,long=300",
    )
    info = json.loads((folder / "faces.json").read_text())["info"]
    recipe = info["recipe"]
    assert info["contributor"] == f"minidet {minidet.__version__}"
    assert recipe["detector"]["sha256"] == CHECKSUM
    assert recipe["detector"]["settings"]["score_threshold"] == 0.3
    assert recipe["detector"]["settings"]["iou_threshold"] == 1  # the views are merged later
    assert recipe["data"]["source"] == str(folder)
    assert recipe["views"]["scales"] == ["native", "long=300"]
    assert (recipe["views"]["flip"], recipe["views"]["merge"]) == (True, "nms")
    assert (recipe["labels"]["min_score"], recipe["labels"]["ignore_score"]) == (0.9, 0.3)
    assert info["counts"]["photographs"] == 3


def test_doubtful_faces_are_ignored_or_left_out(run, folder):
    scores = np.sort(
        np.concatenate([found(folder / "group.png").scores, found(folder / "sub/one.png").scores])
    )
    between = str((scores[1] + scores[2]) / 2)
    out = folder / "faces.json"
    _, text, _ = run("label", folder, "--out", out, "--min-score", between)
    assert text.startswith("3 photographs: 2 faces added, 2 doubtful ones to be ignored\n")
    annotations = open_dataset(f"coco:{out}").annotations
    assert sum(one.ignore.sum() for one in annotations) == 2
    _, text, _ = run("label", folder, "--out", out, "--min-score", between, "--ignore-score", "none")
    assert text.startswith("3 photographs: 2 faces added\n")
    (folder.parent / "out").mkdir()
    _, text, _ = run(
        "label", folder, "--out", folder.parent / "out/label.txt", "--min-score", between, "--copy-images"
    )
    assert text.startswith("3 photographs: 2 faces added\n")


def test_small_faces_are_doubtful(run, folder):
    _, text, _ = run("label", folder, "--out", folder / "faces.json", "--min-face", "35")
    assert text.startswith("3 photographs: 2 faces added, 2 doubtful ones to be ignored\n")


def test_mtcnn(run, folder):
    _, text, _ = run("label", folder, "--out", folder / "faces.json", "--model", "mtcnn", "--min-face", "30")
    assert "teacher: mtcnn, weights mtcnn" in text
    assert "min_face_size=30.0" in text
    assert "score_thresholds=(0.6, 0.7, 0.3)" in text


def test_the_readable_backend_and_weights_of_ones_own(run, folder):
    shutil.rmtree(folder / "sub")
    (folder / "group.png").unlink()
    weights = SHIPPED["retinaface_mobilenet025"].path
    out = folder / "faces.json"
    _, text, _ = run("label", folder, "--out", out, "--backend", "readable", "--weights", weights)
    assert f"weights {weights} (" in text
    assert "backend readable" in text
    assert text.startswith("1 photograph: no faces\n")


# ---- completing ----


@pytest.fixture
def partly(folder):
    """A data set in the layout of Pascal VOC: of three faces one is annotated, and one face is nobody's."""
    faces = found(folder / "group.png")
    annotations = [
        Annotation(folder / "group.png", "group.png", faces.boxes[:1].round(), size=(192, 144)),
        Annotation(folder / "empty.png", "empty.png", [[20, 20, 40, 45]], ignore=[True], size=(80, 60)),
    ]
    write_voc(annotations, folder.parent / "voc", copy_images=True)
    return folder.parent / "voc"


def test_annotated_faces_are_kept_and_completed(run, partly, folder):
    out = partly / "faces.json"
    status, text, _ = run("label", "--data", f"voc:{partly}", "--out", out)
    assert status == 0
    assert text.startswith("2 photographs: 2 faces kept, 1 got landmarks, 2 faces added\n")
    empty, group = open_dataset(f"coco:{out}").annotations
    before = open_dataset(f"voc:{partly}").annotations
    faces = found(folder / "group.png")
    np.testing.assert_array_equal(group.boxes[0], before[1].boxes[0])
    np.testing.assert_allclose(group.landmarks[0], faces.landmarks[0], atol=2e-5)
    np.testing.assert_allclose(group.boxes[1:], faces.clip(192, 144).boxes[1:], atol=2e-5)
    np.testing.assert_array_equal(empty.boxes, before[0].boxes)
    assert empty.ignore.tolist() == [True]
    assert json.loads(out.read_text())["info"]["counts"]["got_landmarks"] == 1


def test_only_annotated_faces(run, partly):
    _, text, _ = run("label", "--data", f"voc:{partly}", "--out", partly / "faces.json", "--only-annotated")
    assert text.startswith("2 photographs: 2 faces kept, 1 got landmarks\n")


def test_boxes_that_were_made_from_points_become_the_teachers(run, folder, tmp_path):
    faces = found(folder / "group.png")
    wrong = faces.landmarks[1] + [0, 6]
    points = [faces.landmarks[0] + 0.5, wrong]
    made = [faces.boxes[0] + [1, 1, 2, 2], faces.boxes[1] + [1, 1, 1, 1]]
    write_points_json([Annotation(folder / "group.png", "group.png", made, points)], tmp_path / "points.json")
    out = tmp_path / "better.json"
    status, text, _ = run(
        "label", "--data", f"points:{tmp_path / 'points.json'}", "--boxes", "teacher", "--format", "points",
        "--out", out, "--only-annotated",
    )  # fmt: skip
    assert status == 0
    assert text.startswith(
        "1 photograph: 2 faces kept, 1 got the teacher's box, 1 with other landmarks than the teacher's\n"
    )
    (annotation,) = open_dataset(f"points:{out}").annotations
    np.testing.assert_allclose(annotation.boxes, [faces.clip(192, 144).boxes[0], made[1]], atol=2e-5)
    np.testing.assert_allclose(annotation.landmarks, points, atol=2e-5)


# ---- what goes wrong ----


def test_unreadable_photographs_are_named_and_left_out(run, folder):
    (folder / "bad.jpg").write_text("no picture")
    (folder / "sub/bad.png").write_text("no picture")
    status, text, err = run("label", folder, "--out", folder / "faces.json")
    assert status == 2
    assert text.startswith("3 photographs: 4 faces added\n")
    lines = err.splitlines()
    assert lines[0].startswith("minidet: error: ")
    assert lines[0].count(str(folder / "bad.jpg")) == 1
    assert lines[1].count(str(folder / "sub/bad.png")) == 1
    assert lines[2].startswith("written to")
    assert lines[3:] == ["minidet: left out 2 photographs; see above"]
    assert len(open_dataset(f"coco:{folder / 'faces.json'}")) == 3


def test_an_error_of_the_detector_names_the_photograph(run, folder, monkeypatch):
    def refuse(self, image):
        raise InputError("too dull")

    monkeypatch.setattr(minidet.RetinaFace, "detect", refuse)
    shutil.rmtree(folder / "sub")
    (folder / "group.png").unlink()
    _, _, err = run("label", folder, "--out", folder / "faces.json")
    assert err.splitlines()[0] == f"minidet: error: {folder / 'empty.png'}: too dull"


def test_a_subfolder_that_cannot_be_looked_into(run, folder, monkeypatch):
    closed = InputImage("closed", problem="cannot look into 'closed'")
    monkeypatch.setattr(label_run, "find_images", lambda folders: [*find_images(folders), closed])
    status, text, err = run("label", folder, "--out", folder / "faces.json")
    assert status == 2
    assert text.startswith("3 photographs: 4 faces added\n")
    assert err.splitlines()[0] == "minidet: error: cannot look into 'closed'"


def test_a_missing_photograph_of_a_data_set(run, partly):
    (partly / "images/group.png").unlink()
    status, text, err = run("label", "--data", f"voc:{partly}", "--out", partly / "faces.json")
    assert status == 2
    assert text.startswith("1 photograph: 1 face kept\n")
    assert "group" in err.splitlines()[0]
    assert err.splitlines()[-1] == "minidet: left out 1 photograph; see above"


def test_if_none_can_be_read_nothing_is_written(run, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/bad.jpg").write_text("no picture")
    status, text, err = run("label", tmp_path / "photos", "--out", tmp_path / "faces.json")
    assert (status, text) == (2, "")
    assert "none of the photographs of" in err.splitlines()[-1]
    assert not (tmp_path / "faces.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: --out"),
        (["--out", "x.json"], "expected either DIR or --data KIND:PATH"),
        (["{photos}", "--data", "voc:x", "--out", "x.json"], "expected either DIR or --data KIND:PATH"),
        (["{photos}", "--out", "x.xml"], "--out 'x.xml'; expected a name that ends in .json or .txt"),
        (
            ["{photos}", "--out", "x.txt", "--format", "coco"],
            "with --format coco; expected a name that ends in .json",
        ),
        (["nowhere", "--out", "x.json"], "there is no folder 'nowhere'; expected one with photographs"),
        (["-", "--out", "x.json"], "there is no folder '-'"),
        (["{empty}", "--out", "x.json"], "no images in the folder"),
        (
            ["{photos}", "--out", "{other}/x.json"],
            "expected --copy-images, --format points, or a FILE in a folder",
        ),
        (["{photos}", "--out", "{photos}/sub/x.json"], "expected --copy-images, --format points"),
        (["{photos}", "--out", "{photos}/x.txt"], "is not there; expected --copy-images"),
        (
            ["{photos}", "--out", "{other}/x.json", "--format", "points", "--copy-images"],
            "--copy-images changes nothing",
        ),
        (["{photos}", "--out", "{photos}/x.json", "--only-annotated"], "--only-annotated is for --data"),
        (["{photos}", "--out", "{photos}/x.json", "--boxes", "teacher"], "--boxes is for --data"),
        (
            ["{photos}", "--out", "{photos}/x.json", "--ignore-score", "0.8"],
            "--ignore-score 0.8 with --min-score 0.8",
        ),
        (
            ["{photos}", "--out", "{photos}/x.json", "--ignore-score", "all"],
            "'all'; expected a number from 0 to 1",
        ),
        (["{photos}", "--out", "{photos}/x.json", "--min-score", "2"], "'2'; expected a number from 0 to 1"),
        (["{photos}", "--out", "{photos}/x.json", "--scales", "huge"], "huge"),
        (["{photos}", "--out", "{photos}/x.json", "--weights", "mine"], "mine"),
        (["--data", "synthetic:3", "--out", "x.json"], "is drawn, and knows all its faces"),
        (["--data", "voc:nowhere", "--out", "x.json"], "there is no 'nowhere'"),
    ],
)
def test_errors(run_error, folder, tmp_path, monkeypatch, arguments, message):
    for name in ("empty", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(minidet.RetinaFace, "detect", None)  # found out before anything is detected
    places = {"photos": folder, "empty": tmp_path / "empty", "other": tmp_path / "other"}
    assert message in run_error("label", *(text.format(**places) for text in arguments))
    assert not list(tmp_path.rglob("x.*"))


def test_what_it_reads_is_not_replaced(run_error, partly, folder):
    annotations = open_dataset(f"voc:{partly}").annotations
    write_coco(annotations, partly / "images/faces.json")
    before = (partly / "images/faces.json").read_bytes()
    message = run_error(
        "label", "--data", f"coco:{partly / 'images/faces.json'}", "--out", partly / "images/faces.json"
    )
    assert message.endswith("is read from; expected another file")
    assert (partly / "images/faces.json").read_bytes() == before


def test_what_the_format_cannot_say(run_error, partly, tmp_path):
    message = run_error(
        "label", "--data", f"voc:{partly}", "--out", tmp_path / "out/label.txt", "--copy-images"
    )
    assert "has faces to be ignored, which label.txt cannot say" in message


def test_a_folder_is_no_file(run_error, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(minidet.RetinaFace, "detect", None)
    (tmp_path / "folder.json").mkdir()
    assert "is a folder; expected a file" in run_error("label", folder, "--out", tmp_path / "folder.json")


def test_a_data_set_without_photographs(run_error, tmp_path):
    write_bbx_gt([], tmp_path / "wider_face_val_bbx_gt.txt")
    (tmp_path / "none.json").write_text('{"images": [], "annotations": []}')
    message = run_error("label", "--data", f"coco:{tmp_path / 'none.json'}", "--out", tmp_path / "x.json")
    assert message.endswith("has no photographs")
