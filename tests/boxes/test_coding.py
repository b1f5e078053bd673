"""Box and landmark coding: hand values, and back again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minidet.boxes import decode_boxes, decode_landmarks, encode_boxes, encode_landmarks
from minidet.errors import InputError

ANCHOR = np.array([[0.0, 0.0, 10.0, 20.0]])  # centre (5, 10)
ROWS = 3

position, side = st.floats(-1000, 1000), st.floats(1, 1000)
proper_boxes = st.tuples(
    arrays(np.float64, (ROWS, 2), elements=position), arrays(np.float64, (ROWS, 2), elements=side)
).map(lambda parts: np.concatenate([parts[0], parts[0] + parts[1]], axis=1))
points = arrays(np.float64, (ROWS, 5, 2), elements=position)


@pytest.mark.parametrize(
    ("deltas", "box"),
    [
        ([0, 0, 0, 0], [0, 0, 10, 20]),
        ([5, 0, 0, 0], [5, 0, 15, 20]),  # 0.1 * 5 * 10 = 5 pixels to the right
        ([0, 5, 0, 0], [0, 10, 10, 30]),  # 0.1 * 5 * 20 = 10 pixels down
        ([0, 0, 5 * np.log(2), 0], [-5, 0, 15, 20]),  # exp(0.2 * 5 ln 2) = 2 times as wide
        ([0, 0, 0, -5 * np.log(2)], [0, 5, 10, 15]),  # half as high
        ([-10, 10, 5 * np.log(3), 0], [-20, 20, 10, 40]),  # centre (-5, 30), 30 wide
    ],
)
def test_boxes_by_hand(deltas, box):
    deltas, box = np.array([deltas], float), np.array([box], float)
    np.testing.assert_allclose(decode_boxes(deltas, ANCHOR), box, atol=1e-12)
    np.testing.assert_allclose(encode_boxes(box, ANCHOR), deltas, atol=1e-12)


def test_landmarks_by_hand():
    # The corners of the anchor and its centre: +-5 half-widths, since 0.1 * 5 * 10 = 5 and 0.1 * 5 * 20 = 10.
    landmarks = np.array([[[0.0, 0.0], [10.0, 0.0], [5.0, 10.0], [0.0, 20.0], [10.0, 20.0]]])
    deltas = np.array([[-5.0, -5.0, 5.0, -5.0, 0.0, 0.0, -5.0, 5.0, 5.0, 5.0]])
    np.testing.assert_allclose(decode_landmarks(deltas, ANCHOR), landmarks, atol=1e-12)
    np.testing.assert_allclose(encode_landmarks(landmarks, ANCHOR), deltas, atol=1e-12)


@given(boxes=proper_boxes, anchors=proper_boxes)
def test_boxes_there_and_back_again(boxes, anchors):
    np.testing.assert_allclose(decode_boxes(encode_boxes(boxes, anchors), anchors), boxes, atol=1e-6)


@given(landmarks=points, anchors=proper_boxes)
def test_landmarks_there_and_back_again(landmarks, anchors):
    back = decode_landmarks(encode_landmarks(landmarks, anchors), anchors)
    np.testing.assert_allclose(back, landmarks, atol=1e-6)


@given(boxes=proper_boxes, anchors=proper_boxes)
def test_larger_variances_make_smaller_deltas(boxes, anchors):
    expected = encode_boxes(boxes, anchors) * [0.1, 0.1, 0.2, 0.2]
    np.testing.assert_allclose(encode_boxes(boxes, anchors, (1.0, 1.0)), expected, rtol=1e-9, atol=1e-9)


def test_variances_are_undone_by_the_same_variances():
    boxes, variances = np.array([[3.0, -4.0, 8.0, 90.0]]), (0.3, 0.7)
    deltas = encode_boxes(boxes, ANCHOR, variances)
    np.testing.assert_allclose(decode_boxes(deltas, ANCHOR, variances), boxes, atol=1e-12)
    landmarks = np.arange(10.0).reshape(1, 5, 2)
    deltas = encode_landmarks(landmarks, ANCHOR, variances)
    np.testing.assert_allclose(decode_landmarks(deltas, ANCHOR, variances), landmarks, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_float_type_is_kept(dtype):
    anchors = ANCHOR.astype(dtype)
    assert decode_boxes(np.zeros((1, 4), dtype), anchors).dtype == dtype
    assert encode_boxes(anchors, anchors).dtype == dtype
    assert decode_landmarks(np.zeros((1, 10), dtype), anchors).dtype == dtype
    assert encode_landmarks(np.zeros((1, 5, 2), dtype), anchors).dtype == dtype


def test_no_anchors():
    none = np.zeros((0, 4))
    assert decode_boxes(none, none).shape == (0, 4)
    assert encode_boxes(none, none).shape == (0, 4)
    assert decode_landmarks(np.zeros((0, 10)), none).shape == (0, 5, 2)
    assert encode_landmarks(np.zeros((0, 5, 2)), none).shape == (0, 10)


@pytest.mark.parametrize("flat", [[3, 3, 3, 9], [3, 3, 9, 3], [9, 3, 3, 9]])
def test_a_box_without_area_is_refused_and_its_row_named(flat):
    boxes = np.array([[0.0, 0.0, 1.0, 1.0], flat, [5.0, 5.0, 5.0, 5.0]])
    with pytest.raises(
        InputError, match=r"^encode_boxes: box 1 has no area: \[.*\]; drop it before encoding$"
    ):
        encode_boxes(boxes, np.repeat(ANCHOR, 3, axis=0))


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (
            decode_boxes,
            [(2, 5), (2, 4)],
            "decode_boxes: `box_deltas` has shape (2, 5); expected (any number, 4)",
        ),
        (
            decode_boxes,
            [(2, 4), (2, 3)],
            "decode_boxes: `anchors` has shape (2, 3); expected (any number, 4)",
        ),
        (decode_boxes, [(2, 4), (1, 4)], "decode_boxes: `box_deltas` has 2 rows, `anchors` has 1"),
        (encode_boxes, [(4,), (1, 4)], "encode_boxes: `boxes` has shape (4,); expected (any number, 4)"),
        (encode_boxes, [(1, 4), (3, 4)], "encode_boxes: `boxes` has 1 rows, `anchors` has 3"),
        (
            decode_landmarks,
            [(2, 5, 2), (2, 4)],
            "decode_landmarks: `landmark_deltas` has shape (2, 5, 2); expected (any number, 10)",
        ),
        (
            decode_landmarks,
            [(2, 10), (5, 4)],
            "decode_landmarks: `landmark_deltas` has 2 rows, `anchors` has 5",
        ),
        (
            encode_landmarks,
            [(2, 10), (2, 4)],
            "encode_landmarks: `landmarks` has shape (2, 10); expected (A, 5, 2)",
        ),
        (encode_landmarks, [(2, 5, 2), (5, 4)], "encode_landmarks: `landmarks` has 2 rows, `anchors` has 5"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(function, arguments, message):
    with pytest.raises(InputError) as caught:
        function(*(np.ones(shape) for shape in arguments))
    assert str(caught.value) == message
