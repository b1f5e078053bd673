"""CelebA's lists: the original photographs, the aligned ones, and lists that are broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minidet.datasets.celeba import read_celeba
from minidet.datasets.mean_face import box_from_landmarks
from minidet.errors import InputError

BOXES = """\
3
image_id x_1 y_1 width height
000001.jpg    95  71 226 313
000002.jpg    72  94 221 306
000003.jpg     0   0   0   0
"""

LANDMARKS = """\
3
lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y
000001.jpg 165  184  244  176  196  249  194  271  266  260
000002.jpg 140  204  220  204  168  254  146  289  226  289
000003.jpg 244  104  264  105  263  121  235  134  251  140
"""

FIRST = [[165, 184], [244, 176], [196, 249], [194, 271], [266, 260]]


def make(folder: Path, *, images="img_celeba", lists="", boxes=BOXES, landmarks=LANDMARKS) -> Path:
    photographs, where = folder / images, folder / lists
    photographs.mkdir(parents=True)
    where.mkdir(parents=True, exist_ok=True)
    for width, name in enumerate(("000001.jpg", "000002.jpg", "000003.jpg"), 40):
        Image.new("RGB", (width, 50)).save(photographs / name)
    if "align" in images:
        (where / "list_landmarks_align_celeba.txt").write_text(landmarks)
    else:
        (where / "list_bbox_celeba.txt").write_text(boxes)
        (where / "list_landmarks_celeba.txt").write_text(landmarks)
    return folder


@pytest.mark.parametrize(("images", "lists"), [("img_celeba", ""), ("Img/img_celeba", "Anno")])
def test_original_photographs(tmp_path, images, lists):
    dataset = read_celeba(make(tmp_path, images=images, lists=lists))

    assert dataset.source == f"celeba:{tmp_path}"
    assert not dataset.exhaustive
    assert [annotation.name for annotation in dataset.annotations] == [
        "000001.jpg",
        "000002.jpg",
        "000003.jpg",
    ]
    first, _, third = dataset.annotations
    np.testing.assert_array_equal(first.boxes, [[95, 71, 321, 384]])
    np.testing.assert_array_equal(first.landmarks, [FIRST])
    np.testing.assert_array_equal(third.boxes, [[0, 0, 0, 0]])  # CelebA has such; a sample leaves them out
    assert [sample.image.shape for sample in dataset] == [(50, 40, 3), (50, 41, 3), (50, 42, 3)]
    assert [len(sample.boxes) for sample in dataset] == [1, 1, 0]


@pytest.mark.parametrize(("images", "lists"), [("img_align_celeba", ""), ("Img/img_align_celeba", "Anno")])
def test_aligned_photographs(tmp_path, images, lists):
    dataset = read_celeba(make(tmp_path, images=images, lists=lists))

    assert not dataset.exhaustive
    first = dataset.annotations[0]
    assert first.path == tmp_path / images / "000001.jpg"
    np.testing.assert_array_equal(first.landmarks, [FIRST])
    np.testing.assert_allclose(first.boxes, box_from_landmarks([FIRST]), rtol=1e-6)


def test_original_photographs_go_first(tmp_path):
    make(tmp_path)
    make(tmp_path, images="img_align_celeba")
    assert read_celeba(tmp_path).annotations[0].path == tmp_path / "img_celeba/000001.jpg"


def test_windows_line_ends_and_byte_order_mark(tmp_path):
    make(tmp_path)
    for name, text in (("list_bbox_celeba.txt", BOXES), ("list_landmarks_celeba.txt", LANDMARKS)):
        (tmp_path / name).write_bytes(("\ufeff" + text.replace("\n", " \r\n") + "\r\n").encode())
    np.testing.assert_array_equal(read_celeba(tmp_path).annotations[0].landmarks, [FIRST])


def fails(folder: Path, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_celeba(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("3\nimage_id", "4\nimage_id", 1, "4 photographs are announced, but 3 lines follow the header"),
        ("3\nimage_id", "2\nimage_id", 1, "2 photographs are announced, but 3 lines follow the header"),
        ("3\nimage_id", "three\nimage_id", 1, "the number of photographs is 'three'"),
        (
            "x_1 y_1 width height",
            "x_1 y_1 x_2 y_2",
            2,
            "the columns are 'image_id x_1 y_1 x_2 y_2'; expected x_1 y_1 width",
        ),
        ("95  71 226 313", "95  71 226", 3, "3 columns behind the name; expected 4, x_1 y_1 width height"),
        ("95  71 226 313", "95  71 226 313 1", 3, "5 columns behind the name; expected 4"),
        ("72  94", "72  9A", 4, "y_1 is '9A'; expected a number"),
        ("72  94", "72  nan", 4, "y_1 is 'nan'; expected a number"),
    ],
)
def test_broken_boxes(tmp_path, old, new, line, message):
    assert BOXES.count(old) == 1
    make(tmp_path, boxes=BOXES.replace(old, new))
    fails(tmp_path, f"{tmp_path / 'list_bbox_celeba.txt'} line {line}: {message}")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("3\nlefteye_x", "5\nlefteye_x", 1, "5 photographs are announced, but 3 lines follow the header"),
        ("lefteye_x lefteye_y ", "", 2, "the columns are 'righteye_x"),
        ("266  260", "266", 3, "9 columns behind the name; expected 10, lefteye_x lefteye_y"),
        ("244  176", "244  -", 3, "righteye_y is '-'; expected a number"),
    ],
)
@pytest.mark.parametrize("images", ["img_celeba", "img_align_celeba"])
def test_broken_landmarks(tmp_path, images, old, new, line, message):
    assert LANDMARKS.count(old) == 1
    make(tmp_path, images=images, landmarks=LANDMARKS.replace(old, new))
    name = "list_landmarks_align_celeba.txt" if "align" in images else "list_landmarks_celeba.txt"
    fails(tmp_path, f"{tmp_path / name} line {line}: {message}")


def test_lists_in_different_order(tmp_path):
    *head, second, third = LANDMARKS.splitlines()
    make(tmp_path, landmarks="\n".join([*head, third, second]))
    fails(tmp_path, "photograph 2 is 000003.jpg, but 000002.jpg in list_bbox_celeba.txt")


def test_lists_of_different_length(tmp_path):
    make(tmp_path, landmarks="2" + LANDMARKS[1:].rsplit("000003", 1)[0])
    fails(tmp_path, "list_landmarks_celeba.txt has 2 photographs, but list_bbox_celeba.txt has 3")


@pytest.mark.parametrize("text", ["", "3\n"])
def test_list_without_header(tmp_path, text):
    make(tmp_path, boxes=text)
    fails(tmp_path, "list_bbox_celeba.txt has no header")


@pytest.mark.parametrize("name", ["list_bbox_celeba.txt", "list_landmarks_celeba.txt"])
def test_missing_list(tmp_path, name):
    make(tmp_path)
    (tmp_path / name).unlink()
    fails(tmp_path, f"{tmp_path} has no {name}; expected it there or in its subfolder Anno")


def test_no_celeba(tmp_path):
    fails(tmp_path, "has neither img_celeba nor img_align_celeba")
    fails(tmp_path / "nowhere", "does not exist")
