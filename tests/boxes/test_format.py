"""Box formats: hand values, and back again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minidet.boxes import centre_to_corners, corners_to_centre, xywh_to_xyxy, xyxy_to_xywh
from minidet.errors import InputError

CONVERSIONS = [xyxy_to_xywh, xywh_to_xyxy, corners_to_centre, centre_to_corners]

# Quarters up to 4096: sums, differences and halves of them are exact in float32 and float64.
quarters = st.integers(-(2**14), 2**14).map(lambda n: n / 4)
some_boxes = arrays(np.float64, st.tuples(st.integers(0, 5), st.just(4)), elements=quarters)


@pytest.mark.parametrize(
    ("convert", "expected"),
    [
        (xyxy_to_xywh, [10, 20, 20, 20]),
        (xywh_to_xyxy, [10, 20, 40, 60]),
        (corners_to_centre, [20, 30, 20, 20]),
        (centre_to_corners, [-5, 0, 25, 40]),
    ],
)
def test_hand_value(convert, expected):
    np.testing.assert_array_equal(convert(np.array([[10.0, 20.0, 30.0, 40.0]])), [expected])


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (xyxy_to_xywh, xywh_to_xyxy),
        (xywh_to_xyxy, xyxy_to_xywh),
        (corners_to_centre, centre_to_corners),
        (centre_to_corners, corners_to_centre),
    ],
)
@given(boxes=some_boxes)
def test_there_and_back_again(there, back, boxes):
    np.testing.assert_array_equal(back(there(boxes)), boxes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("convert", CONVERSIONS)
def test_the_float_type_is_kept(convert, dtype):
    assert convert(np.ones((2, 4), dtype)).dtype == dtype


@pytest.mark.parametrize("convert", CONVERSIONS)
def test_the_argument_is_not_changed(convert):
    boxes = np.array([[1.0, 2.0, 3.0, 5.0]])
    convert(boxes)[:] = 99
    assert boxes.tolist() == [[1, 2, 3, 5]]


@pytest.mark.parametrize("shape", [(4,), (1, 5), (1, 1, 4)])
@pytest.mark.parametrize("convert", CONVERSIONS)
def test_another_shape_is_refused(convert, shape):
    with pytest.raises(InputError) as caught:
        convert(np.zeros(shape))
    assert str(caught.value) == f"{convert.__name__}: `boxes` has shape {shape}; expected (any number, 4)"
