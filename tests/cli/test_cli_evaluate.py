"""``minidet evaluate``: the table, the report and the pictures, resuming, the WIDER FACE protocol, errors."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

import minidet
from minidet.datasets import Annotation, write_bbx_gt, write_points_json, write_voc
from minidet.weights import SHIPPED

FOUND = "retinaface, weights retinaface_mobilenet025"


@pytest.fixture
def album(group, tmp_path):
    """A folder in the layout of Pascal VOC: one photograph with three faces, one with a face nobody finds."""
    faces = minidet.detect(group)
    assert len(faces) == 3
    Image.new("RGB", (80, 60), (90, 120, 150)).save(tmp_path / "empty.png")
    annotations = [
        Annotation(group, "group.png", faces.boxes, faces.landmarks, size=(192, 144)),
        Annotation(tmp_path / "empty.png", "empty.png", [[20, 20, 40, 45]], size=(80, 60)),
    ]
    write_voc(annotations, tmp_path / "album", copy_images=True)
    write_points_json(annotations[:1], tmp_path / "points.json")
    return tmp_path / "album"


def table(text):
    return {line[:25].strip(): line[25:].strip() for line in text.splitlines() if line}


def test_table(run, album):
    status, out, err = run("evaluate", "--data", f"voc:{album}", "--min-score", "0.5")
    assert (status, err) == (0, "")
    rows = table(out)
    assert rows["data"] == f"voc:{album}: 2 photographs, 4 faces"
    checksum = SHIPPED["retinaface_mobilenet025"].sha256[:12]
    assert rows["detector"].startswith(f"{FOUND} (sha256 {checksum}), backend fast, score_threshold=0.5, iou")
    assert rows["average precision"] == "0.7500"  # three of four, no mistake
    assert rows["recall"] == "0.7500 (3 of 4)"
    assert rows["recall, 24-32 px"].endswith(")")


def test_save_writes_a_report_curves_and_a_sheet_of_mistakes(run, album, tmp_path):
    status, out, err = run(
        "evaluate", "--data", f"voc:{album}", "--min-score", "0.5", "--save", tmp_path / "out"
    )
    assert status == 0
    assert err == f"written to {tmp_path / 'out'}\n"
    assert "average precision" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "detections.jsonl",
        "false_positives.png",
        "mistakes.png",
        "precision_recall.png",
        "recall_by_height.png",
        "recall_by_iou.png",
        "report.json",
    ]
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["figures"]["average_precision"] == 0.75
    assert report["minidet"] == minidet.__version__
    assert report["recipe"]["detector"]["sha256"] == SHIPPED["retinaface_mobilenet025"].sha256
    assert report["recipe"]["detector"]["settings"]["iou_threshold"] == 0.4
    assert report["recipe"]["views"] == {
        "scales": ["native"],
        "flip": False,
        "turns": [0],
        "merge": "none",
        "iou_threshold": 0.4,
    }
    assert report["recipe"]["counts"]["photographs"] == 2
    for path in (tmp_path / "out").glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 200


def test_json_is_the_report(run, album, tmp_path):
    status, out, _ = run("evaluate", "--data", f"voc:{album}", "--json", "--save", tmp_path / "out")
    assert status == 0
    assert json.loads(out) == json.loads((tmp_path / "out/report.json").read_text())


def test_a_second_run_does_nothing_again(run, album, tmp_path, monkeypatch):
    arguments = ["evaluate", "--data", f"voc:{album}", "--save", tmp_path / "out"]
    first = run(*arguments)

    def refuse(*_):
        raise AssertionError("detected again")

    monkeypatch.setattr(minidet.RetinaFace, "detect", refuse)
    assert run(*arguments) == first


def test_another_recipe_is_refused(run, run_error, album, tmp_path):
    run("evaluate", "--data", f"voc:{album}", "--save", tmp_path / "out")
    message = run_error("evaluate", "--data", f"voc:{album}", "--save", tmp_path / "out", "--flip")
    assert "another recipe (views.flip: false there, true here)" in message


def test_landmarks(run, album, tmp_path):
    status, out, _ = run(
        "evaluate",
        "--data",
        f"points:{tmp_path / 'points.json'}",
        "--min-score",
        "0.5",
        "--save",
        tmp_path / "out",
    )
    assert status == 0
    assert "average precision" not in out  # other faces of such photographs may be unmarked
    assert table(out)["error by distance of eyes"].startswith("mean 0.0")
    assert (tmp_path / "out/landmark_errors.png").exists()
    assert not (tmp_path / "out/precision_recall.png").exists()


def test_mtcnn_and_its_options(run, album):
    _, out, _ = run(
        *("evaluate", "--data", f"voc:{album}", "--model", "mtcnn", "--min-face", "30"),
        *("--stage-scores", "0.5,0.6", "--min-score", "0.8", "--pyramid-factor", "0.79", "--min-height", "0"),
    )
    detector = table(out)["detector"]
    assert "mtcnn, weights mtcnn" in detector
    assert "min_face_size=30.0, pyramid_factor=0.79, score_thresholds=(0.5, 0.6, 0.8)" in detector
    assert table(out)["measure"] == "found from IoU 0.5 up; faces of 0 px and more count"


@pytest.mark.parametrize("merge", [None, "nms", "soft-linear", "soft-gaussian", "vote"])
def test_views_and_merges(run, album, merge):
    options = [] if merge is None else ["--merge", merge]
    status, out, _ = run(
        *("evaluate", "--data", f"voc:{album}", "--scales", "native, long=300", "--flip", "--turns", "0,180"),
        *("--min-score", "0.5", *options),
    )
    assert status == 0
    rows = table(out)
    name, overlap = (
        merge or "nms",
        {"soft-linear": " at IoU 0.3", "soft-gaussian": ""}.get(merge, " at IoU 0.4"),
    )
    expected = f"size native, long=300; mirrored too; turned by 0, 180 degrees; merged by {name}{overlap}"
    assert rows["views"] == expected
    assert "iou_threshold=1.0" in rows["detector"]  # so that nothing is dropped before the merge
    assert rows["recall"] == "0.7500 (3 of 4)"


def test_slice(run, album):
    _, out, _ = run("evaluate", "--data", f"voc:{album}", "--slice", "1:")
    assert table(out)["data"] == f"voc:{album}[1:]: 1 photograph, 3 faces"


def test_only_named_photographs(run, run_error, album, tmp_path):
    path = tmp_path / "held_out.txt"
    path.write_text("group.png\n")
    command = ["evaluate", "--data", f"voc:{album}", "--only", path]
    assert table(run(*command).out)["data"] == f"voc:{album}[{path}]: 1 photograph, 3 faces"
    assert run_error(*command, "--slice", "1:") == f"voc:{album}[{path}][1:] has no photographs"
    path.write_text("group.png\nother.png\n")
    assert run_error(*command) == f"{path}: 1 of 2 names are not in voc:{album}: 'other.png'"
    assert "does not exist" in run_error(*command[:-1], tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to measure on; expected --data KIND:PATH, see minidet evaluate --help"),
        (["--data", "films:x"], "films"),
        (["--data", "voc:nowhere"], "nowhere"),
        (["--slice", "1"], "argument --slice: '1'; expected START:STOP:STEP, such as ::5 or :100"),
        (["--slice", "::0"], "argument --slice: '::0'; expected START:STOP:STEP, such as ::5 or :100"),
        (["--turns", "0,45"], "argument --turns: '0,45'; expected some of 0,90,180,270"),
        (["--jobs", "0"], "argument --jobs: '0'; expected a whole number from 1 up"),
        (["--iou", "0"], "argument --iou: '0'; expected a number above 0 and up to 1"),
        (["--iou", "2"], "argument --iou: '2'; expected a number above 0 and up to 1"),
        (["--min-height", "x"], "argument --min-height: 'x'; expected a number of pixels from 0 up"),
        (["--stage-scores", "0.5"], "argument --stage-scores: '0.5'; expected two numbers, such as 0.6,0.7"),
        (
            ["--predictions", "x", "--ground-truth", "y", "--iou", "0.7"],
            "--iou is for --data; the protocol of WIDER FACE is fixed",
        ),
        (
            ["--predictions", "x", "--ground-truth", "y", "--only", "z"],
            "--only is for --data; the protocol of WIDER FACE is fixed",
        ),
        (
            ["--predictions", "x", "--ground-truth", "y", "--min-face", "30"],
            "--min-face is for --data; the protocol of WIDER FACE is fixed",
        ),
        (
            ["--predictions", "x"],
            "--predictions needs --ground-truth DIR, the folder with wider_face_val.mat",
        ),
    ],
)
def test_wrong_options(run_error, options, message):
    assert message in run_error("evaluate", *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--slice", "9:"], "has no photographs"),
        (
            ["--scales", "huge"],
            "scale 'huge'; expected native, short=SIDE, short=SIDE:LONGEST, long=SIDE or WIDTHxHEIGHT",
        ),
        (["--min-face", "30"], "--min-face is for mtcnn; --model is retinaface"),
        (["--model", "mtcnn", "--nms", "0.3"], "--nms is for retinaface; --model is mtcnn"),
        (
            ["--nms", "0.3", "--merge", "vote"],
            "--nms with --merge vote, which takes its place; expected --merge-iou",
        ),
        (["--ground-truth", "x", "--predictions", "y"], "expected one of the two"),
        (["--merge-iou", "0.3"], "--merge-iou changes nothing: a single view is not merged"),
        (
            ["--merge", "soft-gaussian", "--merge-iou", "0.3"],
            "--merge-iou changes nothing: soft-gaussian has no such threshold",
        ),
    ],
)
def test_options_that_do_not_go_together(run_error, album, options, message):
    assert message in run_error("evaluate", "--data", f"voc:{album}", *options)


def test_an_unreadable_photograph_stops_with_its_name(run_error, album, tmp_path):
    (album / "images/empty.png").write_bytes(b"no picture")
    assert "empty.png" in run_error("evaluate", "--data", f"voc:{album}")


# ---- WIDER FACE ------------------------------------------------------------------------------------


def cell(items):
    column = np.empty((len(items), 1), object)
    column[:, 0] = items
    return column


@pytest.fixture
def wider(group, tmp_path):
    """A tiny WIDER FACE: one event, one photograph of three faces, of which one counts as easy."""
    faces = minidet.detect(group)
    photograph = tmp_path / "images/0--Parade/a.png"
    photograph.parent.mkdir(parents=True)
    shutil.copy(group, photograph)
    annotation = Annotation(photograph, "0--Parade/a.png", np.round(faces.boxes))
    write_bbx_gt([annotation], tmp_path / "wider_face_val_bbx_gt.txt")
    boxes = np.round(faces.to_xywh()).astype(np.int32)
    lists = {
        "event_list": cell(["0--Parade"]),
        "file_list": cell([cell(["a"])]),
        "face_bbx_list": cell([cell([boxes])]),
    }
    folder = tmp_path / "ground_truth"
    folder.mkdir()
    savemat(folder / "wider_face_val.mat", lists)
    for subset, numbers in (("easy", [[1]]), ("medium", [[1], [2]]), ("hard", [[1], [2], [3]])):
        chosen = cell([cell([np.array(numbers, np.uint8)])])
        savemat(folder / f"wider_{subset}_val.mat", {**lists, "gt_list": chosen})
    return tmp_path


def test_widerface_with_a_detector_then_from_its_files(run, wider):
    data, truth = f"widerface:{wider / 'wider_face_val_bbx_gt.txt'}", wider / "ground_truth"
    status, out, err = run("evaluate", "--data", data, "--ground-truth", truth, "--save", wider / "out")
    assert (status, err) == (0, f"written to {wider / 'out'}\n")
    rows = [line for line in out.splitlines() if line.startswith("WIDER")]
    assert rows == [
        "WIDER FACE easy    1.0000 over 1 face",
        "WIDER FACE medium  1.0000 over 2 faces",
        "WIDER FACE hard    1.0000 over 3 faces",
    ]
    report = json.loads((wider / "out/report.json").read_text())
    assert report["widerface"]["easy"] == {"average_precision": 1.0, "faces": 1}
    assert (wider / "out/widerface_precision_recall.png").exists()

    files = wider / "out/widerface_predictions"
    assert (files / "0--Parade/a.txt").read_text().startswith("a.jpg\n")
    status, again, _ = run(
        "evaluate", "--predictions", files, "--ground-truth", truth, "--json", "--save", wider / "again"
    )
    assert json.loads(again)["widerface"] == report["widerface"]
    assert sorted(path.name for path in (wider / "again").iterdir()) == [
        "report.json",
        "widerface_precision_recall.png",
    ]


def test_another_ground_truth_is_told_before_anything_is_detected(run_error, wider, album, monkeypatch):
    def refuse(*_):
        raise AssertionError("detected")

    monkeypatch.setattr(minidet.RetinaFace, "detect", refuse)
    truth = wider / "ground_truth"
    message = run_error("evaluate", "--data", f"voc:{album}", "--ground-truth", truth)
    assert f"{truth} is the ground truth of 1 photographs, and voc:{album} holds 0 of them and 2" in message
