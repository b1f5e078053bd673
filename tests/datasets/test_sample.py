"""Annotations: their shapes, what they refuse, and which of their boxes can be used."""

from pathlib import Path

import numpy as np
import pytest

from minidet.datasets import Annotation
from minidet.errors import InputError

BOXES = [[0, 0, 10, 10], [5.5, 1, 7, 9]]
POINTS = np.arange(20.0).reshape(2, 5, 2)


# ---- What is kept ----------------------------------------------------------------------------------


def test_boxes_alone():
    annotation = Annotation("photos/a.jpg", "a.jpg", BOXES)
    assert annotation.path == Path("photos/a.jpg")
    assert annotation.name == "a.jpg"
    assert annotation.size is None
    np.testing.assert_array_equal(annotation.boxes, np.float32(BOXES))
    assert annotation.boxes.dtype == annotation.landmarks.dtype == np.float32
    assert annotation.landmarks.shape == (2, 5, 2)
    assert np.isnan(annotation.landmarks).all()
    assert annotation.landmark_mask.tolist() == annotation.ignore.tolist() == [False, False]
    assert annotation.landmark_mask.dtype == annotation.ignore.dtype == np.bool_


def test_everything():
    annotation = Annotation(Path("a.jpg"), "a.jpg", BOXES, POINTS, [1, 0], (40, 30))
    np.testing.assert_array_equal(annotation.landmarks, np.float32(POINTS))
    assert annotation.landmark_mask.tolist() == [True, True]
    assert annotation.ignore.tolist() == [True, False]
    assert annotation.size == (40, 30)


def test_landmarks_are_there_or_not():
    points = POINTS.copy()
    points[0] = np.nan
    assert Annotation("a", "a", BOXES, points).landmark_mask.tolist() == [False, True]
    points = POINTS.copy()
    points[1, 3, 0] = np.nan  # four and a half points are no landmarks
    assert Annotation("a", "a", BOXES, points).landmark_mask.tolist() == [True, False]
    points[1, 3, 0] = np.inf
    assert Annotation("a", "a", BOXES, points).landmark_mask.tolist() == [True, False]


@pytest.mark.parametrize("boxes", [[], (), np.zeros((0, 4)), np.zeros(0)])
@pytest.mark.parametrize("rest", [(), ([], []), (np.zeros((0, 5, 2)), np.zeros(0, bool))])
def test_a_photograph_without_faces(boxes, rest):
    for annotation in (Annotation("a", "a", boxes, *rest), Annotation("a", "a", boxes, *rest).usable()):
        assert annotation.boxes.shape == (0, 4)
        assert annotation.landmarks.shape == (0, 5, 2)
        assert annotation.landmark_mask.shape == annotation.ignore.shape == (0,)


# ---- What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "boxes",
    [[1, 2, 3, 4], [[1, 2, 3]], [[1, 2], [3, 4]], np.ones((4, 5)), np.ones((2, 8)), np.ones((1, 1, 4)), 7],
)
def test_boxes_of_another_shape(boxes):
    with pytest.raises(InputError, match=r"^Annotation: boxes of shape \(.*\); expected \(G, 4\)$"):
        Annotation("a", "a", boxes)


@pytest.mark.parametrize(
    ("landmarks", "ignore", "expected"),
    [
        (POINTS[:1], None, r"\(1, 5, 2\) beside 2 boxes; expected \(2, 5, 2\)"),
        (POINTS.reshape(2, 10), None, r"\(2, 10\) beside 2 boxes; expected \(2, 5, 2\)"),
        ([], None, r"\(0,\) beside 2 boxes; expected \(2, 5, 2\)"),
        (None, [False], r"\(1,\) beside 2 boxes; expected \(2,\)"),
        (None, True, r"\(\) beside 2 boxes; expected \(2,\)"),
        (None, [], r"\(0,\) beside 2 boxes; expected \(2,\)"),
    ],
)
def test_shapes_that_disagree(landmarks, ignore, expected):
    with pytest.raises(InputError, match=rf"^Annotation: an array of shape {expected}$"):
        Annotation("a", "a", BOXES, landmarks, ignore)


def test_landmarks_without_boxes():
    with pytest.raises(InputError, match="beside 0 boxes"):
        Annotation("a", "a", [], POINTS)


# ---- Which boxes can be used -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        [3, 3, 3, 9],  # no width
        [3, 3, 9, 3],  # no height
        [9, 3, 3, 9],  # right of left
        [3, 9, 9, 3],
        [9, 9, 3, 3],  # both: its area would be positive
        [np.nan, 3, 9, 9],
        [3, 3, np.nan, 9],
        [3, 3, 9, np.inf],
        [-np.inf, 3, 9, 9],
    ],
)
def test_boxes_without_an_area_go_with_all_that_belongs_to_them(bad):
    boxes = [BOXES[0], bad, BOXES[1]]
    points = np.arange(30.0).reshape(3, 5, 2)
    points[2] = np.nan
    annotation = Annotation("p/a.jpg", "a.jpg", boxes, points, [True, True, False], (40, 30))
    usable = annotation.usable()
    np.testing.assert_array_equal(usable.boxes, np.float32(BOXES))
    np.testing.assert_array_equal(usable.landmarks, np.float32(points[[0, 2]]))
    assert usable.landmark_mask.tolist() == [True, False]
    assert usable.ignore.tolist() == [True, False]
    assert (usable.path, usable.name, usable.size) == (Path("p/a.jpg"), "a.jpg", (40, 30))
    assert len(annotation.boxes) == 3  # which itself stays as it was


def test_boxes_outside_are_usable():
    boxes = [[-50, -50, -40, -40], [0, 0, 1e6, 1e6]]
    assert len(Annotation("a", "a", boxes, size=(10, 10)).usable().boxes) == 2
