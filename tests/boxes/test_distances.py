"""From locations to boxes and landmarks and back; centre-ness."""

import math

import numpy as np
import pytest

from minidet.boxes import (
    centre_ness,
    decode_distances,
    decode_points,
    encode_distances,
    encode_points,
)
from minidet.errors import InputError
from tests.check import FLOATS
from tests.oracles.cases import Numbers

POINTS = np.array([[20.0, 12.0], [40.0, 8.0]])
STRIDES = np.array([8.0, 16.0])


@pytest.mark.parametrize("dtype", FLOATS)
def test_boxes_by_hand(dtype):
    distances = np.array([[1, 0.5, 2, 0.25], [0.5, 1, 1.5, 2]], dtype)
    boxes = decode_distances(distances, POINTS.astype(dtype), STRIDES.astype(dtype))
    assert boxes.dtype == dtype
    assert boxes.tolist() == [[12, 8, 36, 14], [32, -8, 64, 40]]
    back = encode_distances(boxes, POINTS.astype(dtype), STRIDES.astype(dtype))
    assert back.dtype == dtype
    assert back.tolist() == distances.tolist()


@pytest.mark.parametrize("dtype", FLOATS)
def test_landmarks_by_hand(dtype):
    """A quarter of a stride is 2 pixels for the first, 4 for the second."""
    deltas = np.array([[1, 0, 0, 1, -1, -2, 0, 0, 3, 4], [0.5, 0, 0, 0.25, 0, 0, 0, 0, 0, 0]], dtype)
    landmarks = decode_points(deltas, POINTS.astype(dtype), STRIDES.astype(dtype))
    assert landmarks.dtype == dtype
    assert landmarks[0].tolist() == [[22, 12], [20, 14], [18, 8], [20, 12], [26, 20]]
    assert landmarks[1, :2].tolist() == [[42, 8], [40, 9]]
    back = encode_points(landmarks, POINTS.astype(dtype), STRIDES.astype(dtype))
    assert back.dtype == dtype
    assert back.tolist() == deltas.tolist()


def test_there_and_back():
    numbers = Numbers("there and back")
    points, strides = 100 * numbers.real(9, 2), 8 * numbers.positive(9)
    distances, deltas = numbers.positive(9, 4), numbers.real(9, 10)
    boxes = decode_distances(distances, points, strides)
    np.testing.assert_allclose(encode_distances(boxes, points, strides), distances, rtol=1e-9, atol=1e-12)
    landmarks = decode_points(deltas, points, strides)
    np.testing.assert_allclose(encode_points(landmarks, points, strides), deltas, rtol=1e-9, atol=1e-9)


def test_centre_ness_by_hand():
    distances = np.array(
        [[1, 1, 1, 1], [1, 3, 4, 3], [4, 3, 1, 3], [3, 1, 3, 4], [3, 4, 3, 1], [1, 2, 4, 18.0]]
    )
    np.testing.assert_allclose(centre_ness(distances), [1, 0.5, 0.5, 0.5, 0.5, 1 / 6])


def test_centre_ness_is_that_of_the_paper():
    for left, top, right, bottom in Numbers("paper").positive(20, 4):
        wanted = math.sqrt(min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom))
        (found,) = centre_ness(np.array([[left, top, right, bottom]]))
        assert found == pytest.approx(wanted, rel=1e-12)
        assert 0 < found <= 1


def test_nothing():
    nothing = np.zeros((0, 4)), np.zeros((0, 2)), np.zeros(0)
    assert decode_distances(*nothing).shape == encode_distances(*nothing).shape == (0, 4)
    assert decode_points(np.zeros((0, 10)), *nothing[1:]).shape == (0, 5, 2)
    assert encode_points(np.zeros((0, 5, 2)), *nothing[1:]).shape == (0, 10)
    assert centre_ness(nothing[0]).shape == (0,)


@pytest.mark.parametrize(
    "box", [[20, 0, 40, 20], [0, 12, 40, 20], [0, 0, 20, 20], [0, 0, 40, 12], [0, 0, 5, 5]]
)
def test_a_point_has_to_be_inside_its_box(box):
    boxes = np.array([[0, 0, 40, 20], box], float)
    points = np.array([[20.0, 12.0]] * 2)
    with pytest.raises(InputError, match=r"point 1, .* is not inside its box"):
        encode_distances(boxes, points, STRIDES)


@pytest.mark.parametrize(
    ("function", "array"),
    [
        (decode_distances, np.ones((2, 4))),
        (encode_distances, np.array([[0, 0, 100, 100.0]] * 2)),
        (decode_points, np.ones((2, 10))),
        (encode_points, np.ones((2, 5, 2))),
    ],
)
def test_refuses(function, array):
    name = function.__name__
    function(array, POINTS, STRIDES)
    with pytest.raises(InputError, match=f"{name}: .*has shape"):
        function(array[:, :-1], POINTS, STRIDES)
    with pytest.raises(InputError, match=f"{name}: `points` has shape"):
        function(array, POINTS[:1], STRIDES)
    with pytest.raises(InputError, match=f"{name}: `strides` has shape"):
        function(array, POINTS, STRIDES[:1])
    with pytest.raises(InputError, match=f"{name}: .*float32"):
        function(array, POINTS.astype(np.float32), STRIDES)


def test_refuses_unknown_landmarks():
    landmarks = np.ones((2, 5, 2))
    landmarks[1, 3] = np.nan
    with pytest.raises(InputError, match="`landmarks` is not finite in row 1, point 3"):
        encode_points(landmarks, POINTS, STRIDES)


@pytest.mark.parametrize("distance", [0.0, -1.0, np.nan])
def test_centre_ness_refuses_a_location_outside(distance):
    distances = np.ones((3, 4))
    distances[2, 1] = distance
    with pytest.raises(InputError, match="centre_ness: distances 2 are"):
        centre_ness(distances)
