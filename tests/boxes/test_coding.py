"""Box and landmark coding: hand values, there and back again, and what cannot be coded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minidet.boxes import (
    decode_boxes,
    decode_landmarks,
    encode_boxes,
    encode_landmarks,
    generate_anchors,
    match_anchors,
)
from minidet.errors import InputError
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import Numbers

ANCHOR = np.array([[0.0, 0.0, 10.0, 20.0]])  # centre (5, 10)
ROWS = 3

position, side = st.floats(-1000, 1000), st.floats(1, 1000)
proper_boxes = st.tuples(
    arrays(np.float64, (ROWS, 2), elements=position), arrays(np.float64, (ROWS, 2), elements=side)
).map(lambda parts: np.concatenate([parts[0], parts[0] + parts[1]], axis=1))
points = arrays(np.float64, (ROWS, 5, 2), elements=position)

# For the way from deltas to boxes and back, anchors of a thousandth to ten thousand pixels that lie within
# four sides of the origin: far from it, the corners of a tiny box are rounded to more than the box itself.
far_sides = st.tuples(
    arrays(np.float64, (ROWS, 1), elements=st.floats(-3, 4)).map(lambda power: 10**power),
    arrays(np.float64, (ROWS, 2), elements=st.floats(-4, 4)),
    arrays(np.float64, (ROWS, 2), elements=st.floats(0.5, 2)),
)
near_anchors = far_sides.map(
    lambda parts: parts[0] * np.concatenate([parts[1] - parts[2] / 2, parts[1] + parts[2] / 2], axis=1)
)
shifts = arrays(np.float64, (ROWS, 2), elements=st.floats(-20, 20))
log_factors = arrays(np.float64, (ROWS, 2), elements=st.floats(-15, 15))  # a twentieth to twenty times
some_box_deltas = st.tuples(shifts, log_factors).map(lambda parts: np.concatenate(parts, axis=1))
some_landmark_deltas = arrays(np.float64, (ROWS, 10), elements=st.floats(-20, 20))


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


# ---- There and back again --------------------------------------------------------------------------


def with_scale(array, value):
    """Add a row of ``value``: what is compared is then never all but zero, where nothing is relative to."""
    return np.concatenate([array, np.full((1, *array.shape[1:]), value)])


def in_type(dtype, *parts):
    """Cast every array."""
    return tuple(array.astype(dtype) for array in parts)


@pytest.mark.parametrize("dtype", FLOATS)
@given(boxes=proper_boxes, anchors=proper_boxes)
def test_boxes_to_deltas_and_back(dtype, boxes, anchors):
    scale = np.array([[-1000.0, -1000.0, 1000.0, 1000.0]])
    boxes, anchors = in_type(dtype, np.concatenate([boxes, scale]), np.concatenate([anchors, scale]))
    assert_close(decode_boxes(encode_boxes(boxes, anchors), anchors), boxes, OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@given(deltas=some_box_deltas, anchors=near_anchors)
def test_deltas_to_boxes_and_back(dtype, deltas, anchors):
    deltas, anchors = in_type(dtype, with_scale(deltas, 10.0), np.concatenate([anchors, ANCHOR]))
    assert_close(encode_boxes(decode_boxes(deltas, anchors), anchors), deltas, OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@given(landmarks=points, anchors=proper_boxes)
def test_landmarks_to_deltas_and_back(dtype, landmarks, anchors):
    landmarks, anchors = in_type(dtype, with_scale(landmarks, 1000.0), np.concatenate([anchors, ANCHOR]))
    back = decode_landmarks(encode_landmarks(landmarks, anchors), anchors)
    assert_close(back, landmarks, OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@given(deltas=some_landmark_deltas, anchors=near_anchors)
def test_deltas_to_landmarks_and_back(dtype, deltas, anchors):
    deltas, anchors = in_type(dtype, with_scale(deltas, 20.0), np.concatenate([anchors, ANCHOR]))
    back = encode_landmarks(decode_landmarks(deltas, anchors), anchors)
    assert_close(back, deltas, OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@given(seed=st.integers(0, 10_000), faces=st.integers(1, 12))
def test_what_matched_anchors_are_taught_decodes_to_their_faces(dtype, seed, faces):
    numbers = Numbers(seed)
    width = 14 * 15 ** (numbers.positive(faces, 1) - 0.5)  # 14 to 210 pixels
    sides = np.concatenate([width, width * (0.5 + numbers.positive(faces, 1))], axis=1)
    centres = numbers.whole(0, 2000, faces, 2) / 10
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    landmarks = centres[:, None] + sides[:, None] * numbers.real(faces, 5, 2) / 4
    boxes, landmarks, anchors = in_type(dtype, boxes, landmarks, generate_anchors(200, 200))

    match = match_anchors(anchors, boxes)
    anchors, face = anchors[match.positive], match.face[match.positive]
    assert len(anchors) > 0
    box_deltas = encode_boxes(boxes[face], anchors)
    assert_close(decode_boxes(box_deltas, anchors), boxes[face], OP_TOLERANCE[dtype])
    landmark_deltas = encode_landmarks(landmarks[face], anchors)
    assert_close(decode_landmarks(landmark_deltas, anchors), landmarks[face], OP_TOLERANCE[dtype])


# ---- Options, types, refusals ----------------------------------------------------------------------


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


nan, inf = np.nan, np.inf
NO_BOX = [
    ([3, 3, 3, 9], "has no area: [3. 3. 3. 9.]"),
    ([3, 3, 9, 3], "has no area: [3. 3. 9. 3.]"),
    ([9, 3, 3, 9], "has no area: [9. 3. 3. 9.]"),
    ([9, 9, 3, 3], "has no area: [9. 9. 3. 3.]"),  # two negative sides
    ([nan, 0, 1, 1], "is not finite: [nan  0.  1.  1.]"),
    ([0, 0, 1, inf], "is not finite: [ 0.  0.  1. inf]"),
    ([-inf, 0, 1, 1], "is not finite: [-inf   0.   1.   1.]"),
    ([0, inf, 1, inf], "is not finite: [ 0. inf  1. inf]"),
]


@pytest.mark.parametrize(("bad", "fault"), NO_BOX)
def test_what_is_no_box_is_refused_and_its_row_named(bad, fault):
    good = np.repeat(ANCHOR, 3, axis=0)
    rows = np.array([[0.0, 0.0, 1.0, 1.0], bad, [5.0, 5.0, 5.0, 5.0]])
    with pytest.raises(InputError) as caught:
        encode_boxes(rows, good)
    assert str(caught.value) == f"encode_boxes: box 1 {fault}; boxes are x1 y1 x2 y2; drop it before encoding"
    with pytest.raises(InputError) as caught:
        encode_boxes(good, rows)
    assert (
        str(caught.value) == f"encode_boxes: anchor 1 {fault}; boxes are x1 y1 x2 y2; drop it before encoding"
    )
    with pytest.raises(InputError) as caught:
        encode_landmarks(np.zeros((3, 5, 2)), rows)
    assert (
        str(caught.value)
        == f"encode_landmarks: anchor 1 {fault}; boxes are x1 y1 x2 y2; drop it before encoding"
    )


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_a_point_that_is_not_known_is_refused_and_named(value):
    landmarks = np.ones((4, 5, 2))
    landmarks[2, 3, 1] = landmarks[3, 0, 0] = value
    with pytest.raises(InputError) as caught:
        encode_landmarks(landmarks, np.repeat(ANCHOR, 4, axis=0))
    assert str(caught.value) == (
        f"encode_landmarks: point 3 of row 2 is not finite: {np.array([1.0, value])}; "
        "leave out faces whose points are not known"
    )


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
