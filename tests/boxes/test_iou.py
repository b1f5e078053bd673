"""Intersection over union: hand values, torchvision's values, and what must hold for any boxes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.boxes import iou
from minidet.boxes.iou import area
from minidet.errors import InputError

ORACLE = Path(__file__).parent.parent / "oracles" / "torchvision_boxes.npz"

small = st.integers(0, 20)
proper_box = st.tuples(small, small, st.integers(1, 20), st.integers(1, 20)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


def one(a, b):
    """The IoU of two boxes."""
    return iou(np.array([a], float), np.array([b], float))[0, 0]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7),
        ((0, 0, 4, 4), (1, 1, 3, 3), 4 / 16),  # one inside the other
        ((0, 0, 2, 2), (2, 0, 4, 2), 0),  # edge to edge
        ((0, 0, 2, 2), (2, 2, 4, 4), 0),  # corner to corner
        ((0, 0, 2, 2), (5, 0, 7, 2), 0),  # apart in x only
        ((0, 0, 2, 2), (3, 3, 9, 9), 0),  # apart in x and y: two negative sides are no area
        ((0, 0, 4, 1), (0, 0, 1, 4), 1 / 7),  # a cross
        ((-3, -3, -1, -1), (-2, -2, 0, 0), 1 / 7),  # left of and above the image
        ((1, 1, 1, 5), (0, 0, 9, 9), 0),  # a box without width
        ((1, 1, 1, 1), (1, 1, 1, 1), 0),  # two points: 0 / 0
    ],
)
def test_hand_value(a, b, expected):
    assert one(a, b) == pytest.approx(expected, abs=1e-15)


def test_against_torchvision():
    with np.load(ORACLE) as oracle:
        boxes, expected = oracle["nms_boxes"], oracle["iou_64x80"]
    assert np.count_nonzero(expected) > 50
    np.testing.assert_allclose(iou(boxes[:64], boxes[64:144]), expected, rtol=1e-6, atol=1e-7)


@given(proper_box, proper_box)
def test_the_order_does_not_matter(a, b):
    assert one(a, b) == one(b, a)


@given(proper_box, proper_box)
def test_between_zero_and_one_and_one_only_for_equal_boxes(a, b):
    value = one(a, b)
    assert 0 <= value <= 1
    assert (value == 1) == (a == b)


@given(proper_box, proper_box, st.integers(-50, 50), st.sampled_from([0.5, 2.0, 64.0]))
def test_moving_and_scaling_both_boxes_changes_nothing(a, b, shift, scale):
    moved = (scale * (np.array(box) + shift) for box in (a, b))
    assert one(*moved) == one(a, b)


def test_rows_are_a_and_columns_are_b():
    a = np.array([[0.0, 0.0, 2.0, 2.0], [8.0, 8.0, 9.0, 9.0]])
    b = np.array([[8.0, 8.0, 9.0, 9.0], [50.0, 50.0, 51.0, 51.0], [0.0, 0.0, 2.0, 2.0]])
    np.testing.assert_array_equal(iou(a, b), [[0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (0, 0)])
def test_no_boxes(rows, columns):
    assert iou(np.ones((rows, 4)), np.ones((columns, 4))).shape == (rows, columns)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_float_type_is_kept(dtype):
    assert iou(np.ones((1, 4), dtype), np.ones((2, 4), dtype)).dtype == dtype


def test_area():
    np.testing.assert_array_equal(area(np.array([[1.0, 2.0, 4.0, 7.0], [3.0, 3.0, 3.0, 8.0]])), [15, 0])


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float16"])
def test_other_types_are_refused(dtype):
    with pytest.raises(InputError, match=f"^iou: `a` is {dtype}; expected float32 or float64$"):
        iou(np.ones((1, 4), dtype), np.ones((1, 4)))


@pytest.mark.parametrize(("bad", "name"), [(0, "a"), (1, "b")])
def test_another_shape_is_refused_and_named(bad, name):
    arguments = [np.zeros((1, 4)), np.zeros((1, 4))]
    arguments[bad] = np.zeros((2, 3))
    with pytest.raises(InputError, match=rf"^iou: `{name}` has shape \(2, 3\); expected \(any number, 4\)$"):
        iou(*arguments)
