"""WIDER FACE's lists, RetinaFace's list and the ground truth of the evaluation: read, written, broken."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from minidet.datasets import Annotation
from minidet.datasets.widerface import (
    read_widerface,
    read_widerface_ground_truth,
    write_bbx_gt,
    write_label_txt,
)
from minidet.errors import InputError

NAMES = ["0--Parade/a.jpg", "0--Parade/b.jpg", "1--Handshaking/c d.jpg"]

BBX_GT = """\
0--Parade/a.jpg
2
10 20 30 40 0 0 0 0 0 0
5 6 7 8 2 0 0 1 1 0
0--Parade/b.jpg
0
0 0 0 0 0 0 0 0 0 0
1--Handshaking/c d.jpg
1
1 2 3 4 1 0 1 0 2 1
"""

LABEL_TXT = """\
# 0--Parade/a.jpg
10 20 30 40 18.5 33 0.0 31.5 33 1.0 25 41 0.0 19 50 0.0 30 50 1.0 0.82
5 6 7 8 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 0.1
11 20 30 40 18.5 33 0.0 31.5 33 -1.0 25 41 0.0 19 50 0.0 30 50 1.0 0.82
# 0--Parade/b.jpg
# 1--Handshaking/c d.jpg
1 2 3 4
"""

POINTS = [[18.5, 33], [31.5, 33], [25, 41], [19, 50], [30, 50]]


def save_photographs(folder: Path) -> None:
    for width, name in enumerate(NAMES, 60):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, 70)).save(folder / name)


def save(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def fails(path: Path, *parts: str) -> None:
    """Require one line that names the path (or what stands for it) and says all of ``parts``."""
    with pytest.raises(InputError) as caught:
        read_widerface(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def assert_same(ours, theirs) -> None:
    assert [a.name for a in ours] == [a.name for a in theirs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.boxes, b.boxes, rtol=0, atol=2e-6)
        np.testing.assert_allclose(a.landmarks, b.landmarks, rtol=0, atol=2e-6)
        np.testing.assert_array_equal(a.ignore, b.ignore)


# ---- the benchmark's own list ----


def test_bbx_gt(tmp_path):
    path = save(tmp_path / "wider_face_split/wider_face_val_bbx_gt.txt", BBX_GT)
    save_photographs(tmp_path / "WIDER_val/images")

    dataset = read_widerface(path)

    assert dataset.source == f"widerface:{path}"
    assert dataset.exhaustive
    assert [annotation.name for annotation in dataset.annotations] == NAMES
    a, b, c = dataset.annotations
    np.testing.assert_array_equal(a.boxes, [[10, 20, 40, 60], [5, 6, 12, 14]])
    np.testing.assert_array_equal(a.ignore, [False, True])
    assert not a.landmark_mask.any()
    assert b.boxes.shape == (0, 4)
    np.testing.assert_array_equal(c.boxes, [[1, 2, 4, 6]])
    assert [sample.image.shape for sample in dataset] == [(70, 60, 3), (70, 61, 3), (70, 62, 3)]


def test_bbx_gt_without_the_line_of_zeros(tmp_path):
    path = save(tmp_path / "list.txt", BBX_GT.replace("0 0 0 0 0 0 0 0 0 0\n1--", "1--"))
    assert [len(annotation.boxes) for annotation in read_widerface(path).annotations] == [2, 0, 1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\n\n") + "\n",
        lambda text: text.replace("\n", "  \t\n"),
        lambda text: text.replace("Parade/", "Parade\\").replace("shaking/", "shaking\\"),
    ],
    ids=["windows line ends", "byte order mark", "blank lines", "trailing spaces", "backslashes"],
)
@pytest.mark.parametrize("text", [BBX_GT, LABEL_TXT], ids=["bbx_gt", "label"])
def test_harmless_differences(tmp_path, text, damage):
    plain = read_widerface(save(tmp_path / "plain.txt", text)).annotations
    path = tmp_path / "damaged.txt"
    path.write_bytes(damage(text).encode())
    assert_same(read_widerface(path).annotations, plain)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("split/wider_face_val_bbx_gt.txt", "WIDER_val/images"),
        ("split/wider_face_train_bbx_gt.txt", "WIDER_train/images"),
        ("wider_face_train_bbx_gt.txt", "WIDER_train/images"),
        ("wider_face_val_bbx_gt.txt", "images"),
        ("faces.txt", "images"),
    ],
)
def test_where_photographs_are_found(tmp_path, name, folder):
    path = save(tmp_path / name, BBX_GT)
    save_photographs(tmp_path / folder)
    assert read_widerface(path).annotations[0].path == tmp_path / folder / NAMES[0]


def test_photographs_beside_the_list_go_first(tmp_path):
    path = save(tmp_path / "split/wider_face_val_bbx_gt.txt", BBX_GT)
    save_photographs(tmp_path / "WIDER_val/images")
    save_photographs(tmp_path / "split/images")
    assert read_widerface(path).annotations[0].path == tmp_path / "split/images" / NAMES[0]


def test_missing_photographs_are_no_error(tmp_path):
    path = save(tmp_path / "split/wider_face_val_bbx_gt.txt", BBX_GT)
    assert read_widerface(path).annotations[0].path == tmp_path / "WIDER_val/images" / NAMES[0]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("a.jpg\n2\n", "a.jpg\ntwo\n", 2, "the number of faces of 0--Parade/a.jpg is 'two'"),
        ("a.jpg\n2\n", "a.jpg\n1.5\n", 2, "is '1.5'; expected a whole number"),
        ("a.jpg\n2\n", "a.jpg\n-1\n", 2, "is -1; expected 0 or more"),
        (
            "a.jpg\n2\n",
            "a.jpg\n3\n",
            5,
            "'0--Parade/b.jpg' stands where face 3 of 3 of 0--Parade/a.jpg should",
        ),
        ("a.jpg\n2\n", "a.jpg\n1\n", 4, "'5 6 7 8 2 0 0 1 1 0' stands where the name of an image should"),
        ("a.jpg\n2\n", "a.jpg\n0\n", 3, "'10 20 30 40 0 0 0 0 0 0' stands where the name of an image should"),
        ("0--Parade/a.jpg\n2\n", "", 1, "'10 20 30 40 0 0 0 0 0 0' stands where the name of an image should"),
        ("10 20 30 40 0 0 0 0 0 0", "10 20 30 40", 3, "expected ten numbers, x y w h blur"),
        ("10 20 30 40 0 0 0 0 0 0", "10 20 30 40 0 0 0 0 0 0 0", 3, "expected ten numbers, x y w h blur"),
        ("10 20 30", "10 2o 30", 3, "y is '2o'; expected a number"),
        ("10 20 30", "10 20 nan", 3, "w is 'nan'; expected a number"),
        ("10 20 30", "inf 20 30", 3, "x is 'inf'; expected a number"),
        (
            "jpg\n1\n1 2 3 4 1 0 1 0 2 1\n",
            "jpg\n1\n",
            9,
            "ends here; expected face 1 of 1 of 1--Handshaking/c d.jpg",
        ),
        (
            "jpg\n1\n1 2 3 4 1 0 1 0 2 1\n",
            "jpg\n",
            8,
            "ends here; expected the number of faces of 1--Handshaking",
        ),
    ],
)
def test_broken_bbx_gt(tmp_path, old, new, line, message):
    assert BBX_GT.count(old) == 1
    path = save(tmp_path / "wider_face_val_bbx_gt.txt", BBX_GT.replace(old, new))
    fails(path, f"{path} line {line}: ", message)


# ---- RetinaFace's list ----


def test_label_txt(tmp_path):
    save_photographs(tmp_path / "images")
    path = save(tmp_path / "label.txt", LABEL_TXT)

    dataset = read_widerface(path)

    assert [annotation.name for annotation in dataset.annotations] == NAMES
    a, b, c = dataset.annotations
    np.testing.assert_array_equal(a.boxes, [[10, 20, 40, 60], [5, 6, 12, 14], [11, 20, 41, 60]])
    np.testing.assert_array_equal(a.landmark_mask, [True, False, False])  # of the third, one point is missing
    np.testing.assert_array_equal(a.landmarks[0], np.float32(POINTS))
    assert np.isnan(a.landmarks[1:]).all()
    assert not a.ignore.any()
    assert b.boxes.shape == (0, 4)
    np.testing.assert_array_equal(c.boxes, [[1, 2, 4, 6]])
    assert not c.landmark_mask.any()
    assert [sample.image.shape for sample in dataset] == [(70, 60, 3), (70, 61, 3), (70, 62, 3)]


def test_a_point_at_minus_one_is_missing_whatever_its_flag(tmp_path):
    line = "10 20 30 40 18 33 0 31 33 0 -1 -1 0 19 50 0 30 50 0 1"
    path = save(tmp_path / "label.txt", f"# a.jpg\n{line}\n{line.replace('-1 -1', '-1 41')}\n")
    np.testing.assert_array_equal(read_widerface(path).annotations[0].landmark_mask, [False, True])


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("# 0--Parade/a.jpg", "0--Parade/a.jpg", 1, "'0--Parade/a.jpg' stands before any image"),
        ("# 0--Parade/a.jpg\n", "", 1, "stands before any image; expected '# event/name.jpg' first"),
        ("# 0--Parade/b.jpg", "#", 5, "'#' without the name of an image"),
        ("# 0--Parade/b.jpg", "0--Parade/b.jpg", 5, "1 columns; expected 4, x y w h, or 20"),
        (" 0.82\n5", "\n5", 2, "19 columns; expected 4, x y w h, or 20"),
        ("1 2 3 4\n", "1 2 3\n", 7, "3 columns; expected 4, x y w h, or 20"),
        ("1 2 3 4\n", "1 2 3 4x\n", 7, "column 4 is '4x'; expected a number"),
        ("18.5 33 0.0 31.5 33 1.0", "NaN 33 0.0 31.5 33 1.0", 2, "column 5 is 'NaN'; expected a number"),
    ],
)
def test_broken_label_txt(tmp_path, old, new, line, message):
    assert LABEL_TXT.count(old) == 1
    path = save(tmp_path / "label.txt", LABEL_TXT.replace(old, new))
    fails(path, f"{path} line {line}: ", message)


# ---- any of them ----


@pytest.mark.parametrize("name", ["wider_face_val_bbx_gt.txt", "label.txt"])
def test_empty_file(tmp_path, name):
    path = save(tmp_path / name, "\n  \n")
    fails(path, f"{path} is empty")


def test_missing_file(tmp_path):
    fails(tmp_path / "label.txt", f"{tmp_path / 'label.txt'} does not exist")


def test_something_else(tmp_path):
    (tmp_path / "label.txt").write_bytes(b"\xff\xd8\xff\xe0")
    fails(tmp_path / "label.txt", f"{tmp_path / 'label.txt'} is not a text file")


def test_a_folder_of_something_else(tmp_path):
    fails(tmp_path, str(tmp_path), "label.txt or wider_easy_val.mat; expected WIDER FACE as downloaded")


def test_a_folder_with_label_txt(tmp_path):
    save(tmp_path / "label.txt", LABEL_TXT)
    assert len(read_widerface(tmp_path)) == 3


def test_the_folder_as_downloaded(tmp_path):
    save(tmp_path / "wider_face_split/wider_face_train_bbx_gt.txt", BBX_GT)
    save(tmp_path / "wider_face_split/wider_face_val_bbx_gt.txt", BBX_GT.replace("a.jpg", "v.jpg"))
    fails(tmp_path, "has no photographs", "WIDER_val/images", "WIDER_train/images")

    save_photographs(tmp_path / "WIDER_train/images")
    first = read_widerface(tmp_path).annotations[0]
    assert first.path == tmp_path / "WIDER_train/images/0--Parade/a.jpg"

    save_photographs(tmp_path / "WIDER_val/images")
    for folder in (tmp_path, tmp_path / "wider_face_split"):
        first = read_widerface(folder).annotations[0]
        assert first.path == tmp_path / "WIDER_val/images/0--Parade/v.jpg"


# ---- written ----


def annotated(*, ignore=(False, False), folder=Path("somewhere")):
    boxes = [[10.3, 20.1, 40.75, 60.5], [-5.25, 6, 1000.123, 14]]
    landmarks = [np.array(POINTS) + 0.125, np.full((5, 2), np.nan)]
    return [
        Annotation(folder / NAMES[0], NAMES[0], boxes, landmarks, ignore),
        Annotation(folder / NAMES[1], NAMES[1], []),
        Annotation(folder / NAMES[2], NAMES[2], [[1, 2, 3, 2]]),  # a box without an area stays
    ]


def test_bbx_gt_round_trip(tmp_path):
    path = tmp_path / "new/list.txt"
    write_bbx_gt(annotated(ignore=[False, True]), path)

    text = path.read_text()
    assert text.startswith("0--Parade/a.jpg\n2\n10.3 20.1 30.45 40.4 0 0 0 0 0 0\n-5.25 6 1005.372986 8 0")
    assert "0--Parade/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n" in text
    expected = annotated(ignore=[False, True])
    expected[0].landmarks[:] = np.nan  # the list has no place for them
    again = read_widerface(path).annotations
    assert_same(again, expected)
    assert again[0].path == tmp_path / "new/images" / NAMES[0]


def test_label_txt_round_trip(tmp_path):
    path = tmp_path / "new/label.txt"
    write_label_txt(annotated(), path)
    assert path.read_text().startswith(
        "# 0--Parade/a.jpg\n10.3 20.1 30.45 40.4 18.625 33.125 0 31.625 33.125 0 "
    )
    assert_same(read_widerface(path).annotations, annotated())


@pytest.mark.parametrize("write", [write_bbx_gt, write_label_txt])
def test_copied_photographs(tmp_path, write):
    save_photographs(tmp_path / "old")
    write(annotated(folder=tmp_path / "old"), tmp_path / "new/label.txt", copy_images=True)
    assert sorted(path.name for path in (tmp_path / "new/images").rglob("*.jpg")) == [
        "a.jpg",
        "b.jpg",
        "c d.jpg",
    ]


def test_label_txt_cannot_ignore(tmp_path):
    with pytest.raises(InputError, match=r"'0--Parade/a.jpg' has ignored faces, which this list cannot say"):
        write_label_txt(annotated(ignore=[True, False]), tmp_path / "label.txt")
    assert not (tmp_path / "label.txt").exists()


@pytest.mark.parametrize("write", [write_bbx_gt, write_label_txt])
def test_boxes_that_cannot_be_written(tmp_path, write):
    with pytest.raises(InputError, match=r"'a.jpg' has the box .*inf.*; expected finite numbers"):
        write([Annotation("a.jpg", "a.jpg", [[0, 0, np.inf, 9]])], tmp_path / "label.txt")


# ---- the ground truth of the evaluation ----


def column(values) -> np.ndarray:
    """A MATLAB cell array of one column; lists in it become cell arrays too."""
    cell = np.empty((len(values), 1), object)
    for row, value in enumerate(values):
        cell[row, 0] = column(value) if isinstance(value, list) else value
    return cell


FILES = [["0_a", "0_b"], ["1_c"]]
BOXES = [
    [np.array([[10, 20, 30, 40], [5, 6, 7, 8]], np.int32), np.zeros((0, 0), np.int32)],
    [np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 9, 9]], np.int32)],
]
INDICES = {
    "easy": [[np.zeros((0, 0), np.uint8), np.zeros((0, 1), np.uint8)], [np.array([[2]], np.uint8)]],
    "medium": [[np.array([[1]], np.uint8), np.zeros((0, 0), np.uint8)], [np.array([[2]], np.uint8)]],
    "hard": [[np.array([[1]], np.uint16), np.zeros((1, 0), np.uint8)], [np.array([[3], [2]], np.uint8)]],
}


def save_ground_truth(
    folder: Path, *, events=("0--E", "1--F"), files=FILES, boxes=BOXES, indices=INDICES
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    common = {"event_list": column(events), "file_list": column(files)}
    savemat(folder / "wider_face_val.mat", {**common, "face_bbx_list": column(boxes)})
    for subset, lists in indices.items():
        savemat(folder / f"wider_{subset}_val.mat", {**common, "gt_list": column(lists)})
    return folder


def test_ground_truth(tmp_path):
    images = read_widerface_ground_truth(save_ground_truth(tmp_path))

    assert [(image.event, image.name) for image in images] == [
        ("0--E", "0_a"),
        ("0--E", "0_b"),
        ("1--F", "1_c"),
    ]
    a, b, c = images
    assert a.xywh.dtype == np.float64
    np.testing.assert_array_equal(a.xywh, [[10, 20, 30, 40], [5, 6, 7, 8]])
    assert {subset: list(counted) for subset, counted in a.counted.items()} == {
        "easy": [False, False],
        "medium": [True, False],
        "hard": [True, False],
    }
    assert b.xywh.shape == (0, 4)
    assert [len(counted) for counted in b.counted.values()] == [0, 0, 0]
    assert {subset: list(counted) for subset, counted in c.counted.items()} == {
        "easy": [False, True, False],
        "medium": [False, True, False],
        "hard": [False, True, True],
    }


@pytest.mark.parametrize("part", ["", "wider_face_val.mat", "wider_hard_val.mat"])
def test_ground_truth_as_a_data_set(tmp_path, part):
    save_ground_truth(tmp_path / "ground_truth")
    (tmp_path / "WIDER_val/images").mkdir(parents=True)

    a, b, c = read_widerface(tmp_path / "ground_truth" / part).annotations

    assert (a.name, b.name, c.name) == ("0--E/0_a.jpg", "0--E/0_b.jpg", "1--F/1_c.jpg")
    assert a.path == tmp_path / "WIDER_val/images/0--E/0_a.jpg"
    np.testing.assert_array_equal(a.boxes, [[10, 20, 40, 60], [5, 6, 12, 14]])
    np.testing.assert_array_equal(a.ignore, [False, True])  # not in the hard subset
    np.testing.assert_array_equal(c.ignore, [True, False, False])


def replaced(lists, event, image, values):
    copy = [list(inner) for inner in lists]
    copy[event][image] = np.asarray(values)
    return copy


def with_hard(event, image, values):
    return {**INDICES, "hard": replaced(INDICES["hard"], event, image, values)}


@pytest.mark.parametrize(
    ("change", "file", "message"),
    [
        (
            {"indices": with_hard(0, 0, [[3]])},
            "hard",
            "0--E/0_a: gt_list has face 3; expected whole numbers from 1 to 2",
        ),
        ({"indices": with_hard(0, 0, [[0]])}, "hard", "0--E/0_a: gt_list has face 0"),
        ({"indices": with_hard(0, 0, [[1.5]])}, "hard", "0--E/0_a: gt_list has face 1.5"),
        (
            {"indices": with_hard(0, 1, [[1]])},
            "hard",
            "0--E/0_b: gt_list has face 1; expected whole numbers from 1 to 0",
        ),
        (
            {"indices": {**INDICES, "hard": [INDICES["hard"][0][:1], INDICES["hard"][1]]}},
            "hard",
            "gt_list has 1 images in event 0--E, file_list has 2",
        ),
        (
            {"indices": {**INDICES, "hard": INDICES["hard"][:1]}},
            "hard",
            "gt_list has 1 events, where event_list has 2 and file_list 2",
        ),
        (
            {"boxes": [BOXES[0][:1], BOXES[1]]},
            "face",
            "face_bbx_list has 1 images in event 0--E, file_list has 2",
        ),
        (
            {"boxes": replaced(BOXES, 0, 0, [[1, 2, 3]])},
            "face",
            "0--E/0_a: face_bbx_list is int64 of shape (1, 3); expected (G, 4) numbers",
        ),
        (
            {"boxes": replaced(BOXES, 0, 0, [[1, 2, 3, np.nan]])},
            "face",
            "0--E/0_a: face_bbx_list holds a number that is not finite",
        ),
        (
            {"boxes": replaced(BOXES, 0, 0, [[1, 2, 3, 1e300]])},
            "face",
            "0--E/0_a: face_bbx_list holds a number that is not finite, or too large",
        ),
        (
            {"boxes": replaced(BOXES, 0, 0, [[1, 2, 3, 4j]])},
            "face",
            "0--E/0_a: face_bbx_list is complex128 of shape (1, 4); expected (G, 4) numbers",
        ),
        ({"boxes": [np.eye(2), BOXES[1]]}, "face", "face_bbx_list is no cell array"),
        ({"indices": with_hard(0, 0, "ab")}, "hard", "0--E/0_a: gt_list is <U2; expected whole numbers"),
        ({"files": [["0_a", 5], ["1_c"]]}, "face", "file_list holds array([[5]]); expected names"),
    ],
)
def test_broken_ground_truth(tmp_path, change, file, message):
    save_ground_truth(tmp_path, **change)
    fails(tmp_path, f"{tmp_path / f'wider_{file}_val.mat'}: {message}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"events": ["0--E", "2--G"]}, "its event_list is not that of wider_face_val.mat"),
        ({"files": [["0_a", "0_z"], ["1_c"]]}, "file_list of event 0--E is not that of wider_face_val.mat"),
    ],
)
def test_subsets_of_other_photographs(tmp_path, change, message):
    save_ground_truth(tmp_path / "others", **change)
    save_ground_truth(tmp_path)
    (tmp_path / "others/wider_medium_val.mat").replace(tmp_path / "wider_medium_val.mat")
    fails(tmp_path, f"{tmp_path / 'wider_medium_val.mat'}: {message}")


@pytest.mark.parametrize("name", ["wider_face_val.mat", "wider_medium_val.mat"])
def test_missing_mat(tmp_path, name):
    save_ground_truth(tmp_path)
    (tmp_path / name).unlink()
    fails(tmp_path, f"{tmp_path / name}: no such file")


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_mat_cut_short(tmp_path, keep):
    path = save_ground_truth(tmp_path) / "wider_face_val.mat"
    path.write_bytes(path.read_bytes()[:keep])
    fails(tmp_path, f"{path}: ")


def test_another_mat(tmp_path):
    save_ground_truth(tmp_path)
    savemat(tmp_path / "wider_face_val.mat", {"event_list": column(["a"]), "file_list": column(["b"])})
    fails(
        tmp_path,
        "wider_face_val.mat: has no face_bbx_list; expected a file of the WIDER FACE evaluation tools",
    )


@pytest.mark.skipif("MINIDET_DATA" not in os.environ, reason="the ground truth itself is in $MINIDET_DATA")
def test_the_real_ground_truth():
    folder = Path(os.environ["MINIDET_DATA"]) / "widerface_gt"
    images = read_widerface_ground_truth(folder)

    counts = {
        subset: sum(int(image.counted[subset].sum()) for image in images) for subset in images[0].counted
    }
    assert len(images) == 3226
    assert sum(len(image.xywh) for image in images) == 39708
    assert counts == {"easy": 7211, "medium": 13319, "hard": 31958}
    assert (images[0].event, images[0].name) == ("0--Parade", "0_Parade_marchingband_1_465")
    for image in images:
        assert (image.counted["easy"] <= image.counted["medium"]).all()
        assert (image.counted["medium"] <= image.counted["hard"]).all()
    assert sum(int((~annotation.ignore).sum()) for annotation in read_widerface(folder).annotations) == 31958
