"""Mirroring: by hand, by counting pixels, and back again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minidet.boxes import xyxy_to_xywh
from minidet.boxes.mirror import mirror_boxes, mirror_landmarks
from minidet.detections import LANDMARK_NAMES
from minidet.errors import InputError
from tests.check import FLOATS, LAYOUTS
from tests.oracles.cases import Numbers

# Quarters up to 4096: differences of them are exact in float32 and float64.
quarters = st.integers(-(2**14), 2**14).map(lambda n: n / 4)
widths = st.integers(1, 2**14).map(lambda n: n / 4)
some_boxes = arrays(np.float64, st.tuples(st.integers(0, 5), st.just(4)), elements=quarters)
some_landmarks = arrays(
    np.float64, st.tuples(st.integers(0, 5), st.just(5), st.just(2)), elements=quarters | st.just(np.nan)
)

BOXES = np.array([[0.0, 20.0, 30.0, 60.0], [-5.0, -1.0, 105.0, 2.5], [49.0, 0.0, 51.0, 1.0]])
MIRRORED_BOXES = [[70, 20, 100, 60], [-5, -1, 105, 2.5], [49, 0, 51, 1]]
FACE = np.array([[[10.0, 1.0], [30.0, 2.0], [20.0, 3.0], [12.0, 4.0], [28.0, 5.0]]])
MIRRORED_FACE = [[[70, 2], [90, 1], [80, 3], [72, 5], [88, 4]]]
EVERY = pytest.mark.parametrize(
    ("mirror", "array"), [(mirror_boxes, BOXES), (mirror_landmarks, FACE)], ids=["boxes", "landmarks"]
)


# ---- By hand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_boxes_by_hand(dtype):
    np.testing.assert_array_equal(mirror_boxes(BOXES.astype(dtype), 100), MIRRORED_BOXES)


@pytest.mark.parametrize("dtype", FLOATS)
def test_landmarks_by_hand(dtype):
    np.testing.assert_array_equal(mirror_landmarks(FACE.astype(dtype), 100), MIRRORED_FACE)


def test_every_face_of_an_array_is_mirrored_alike():
    faces = np.concatenate([FACE, FACE + 1, FACE * 2])
    for face, mirrored in zip(faces, mirror_landmarks(faces, 64), strict=True):
        np.testing.assert_array_equal(mirror_landmarks(face[None], 64)[0], mirrored)


def test_names_stay_true():
    # Of a face that looks at the camera, whatever is called left is left of what is called right, and the
    # mirror image is such a face too. Without the exchange of names it would not be.
    def left_and_right(landmarks):
        x = dict(zip(LANDMARK_NAMES, landmarks[0, :, 0], strict=True))
        return [(x[f"left {part}"], x[f"right {part}"]) for part in ("eye", "mouth corner")]

    assert all(left < right for left, right in left_and_right(FACE))
    assert all(left < right for left, right in left_and_right(mirror_landmarks(FACE, 100)))
    without_exchange = np.stack([100 - FACE[..., 0], FACE[..., 1]], axis=-1)
    assert not any(left < right for left, right in left_and_right(without_exchange))


# ---- By counting pixels ----------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 7, 8])
def test_a_box_covers_the_same_pixels_in_the_mirrored_image(width):
    for left in range(width):
        for right in range(left + 1, width + 1):
            image = np.zeros((3, width), int)
            image[1:3, left:right] = 1
            ((x1, y1, x2, y2),) = mirror_boxes(np.array([[left, 1.0, right, 3.0]]), width).astype(int)
            mirrored = np.zeros((3, width), int)
            mirrored[y1:y2, x1:x2] = 1
            np.testing.assert_array_equal(mirrored, image[:, ::-1])


@pytest.mark.parametrize("width", [5, 8])
def test_a_point_stays_on_its_pixel(width):
    # Five pixels of different brightness; a landmark is the centre of its pixel.
    image = np.zeros((4, width), int)
    rows, columns = [0, 0, 1, 2, 2], [0, 3, 2, 1, 4]
    image[rows, columns] = [1, 2, 3, 4, 5]
    centres = np.stack([columns, rows], axis=1)[None] + 0.5
    x, y = np.floor(mirror_landmarks(centres, width)[0]).astype(int).T
    assert image[:, ::-1][y, x].tolist() == [2, 1, 3, 5, 4]


# ---- Properties ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@given(boxes=some_boxes, width=widths)
def test_two_mirrors_show_the_boxes_themselves(dtype, boxes, width):
    boxes = boxes.astype(dtype)
    np.testing.assert_array_equal(mirror_boxes(mirror_boxes(boxes, width), width), boxes)


@pytest.mark.parametrize("dtype", FLOATS)
@given(landmarks=some_landmarks, width=widths)
def test_two_mirrors_show_the_landmarks_themselves(dtype, landmarks, width):
    landmarks = landmarks.astype(dtype)
    np.testing.assert_array_equal(mirror_landmarks(mirror_landmarks(landmarks, width), width), landmarks)


@given(boxes=some_boxes, width=widths)
def test_sizes_and_heights_stay(boxes, width):
    mirrored = mirror_boxes(boxes, width)
    np.testing.assert_array_equal(xyxy_to_xywh(mirrored)[:, 1:], xyxy_to_xywh(boxes)[:, 1:])


@given(boxes=some_boxes, width=widths)
def test_the_corners_of_a_box_are_points(boxes, width):
    # Top left, top right, centre, bottom left and bottom right are named like eyes, nose and mouth.
    def corners(boxes):
        x1, y1, x2, y2 = boxes.T
        centre = [(x1 + x2) / 2, (y1 + y2) / 2]
        return np.moveaxis(np.array([[x1, y1], [x2, y1], centre, [x1, y2], [x2, y2]]), 2, 0)

    np.testing.assert_array_equal(
        mirror_landmarks(corners(boxes), width), corners(mirror_boxes(boxes, width))
    )


def test_points_that_are_not_known_stay_so():
    landmarks = np.concatenate([FACE, np.full_like(FACE, np.nan)])
    mirrored = mirror_landmarks(landmarks, 100)
    np.testing.assert_array_equal(mirrored[:1], MIRRORED_FACE)
    assert np.isnan(mirrored[1]).all()


# ---- Types, layouts, refusals ----------------------------------------------------------------------


@pytest.mark.parametrize("width", [100, 100.0, np.float64(100), np.float32(100), np.int64(100)])
@pytest.mark.parametrize("dtype", FLOATS)
@EVERY
def test_the_float_type_is_that_of_the_array(mirror, array, dtype, width):
    mirrored = mirror(array.astype(dtype), width)
    assert mirrored.dtype == dtype
    np.testing.assert_array_equal(mirrored, mirror(array, 100))


@pytest.mark.parametrize("layout", LAYOUTS)
@EVERY
def test_any_layout_and_the_argument_is_not_changed(mirror, array, layout):
    argument = layout(array)
    mirrored = mirror(argument, 100)
    np.testing.assert_array_equal(mirrored, mirror(array, 100))
    assert not np.shares_memory(mirrored, argument)
    mirrored[...] = 0
    np.testing.assert_array_equal(argument, array)


@EVERY
def test_no_faces(mirror, array):
    assert mirror(array[:0], 100).shape == array[:0].shape


@pytest.mark.parametrize("shape", [(4,), (1, 5), (1, 1, 4)])
def test_boxes_of_another_shape_are_refused(shape):
    with pytest.raises(InputError) as caught:
        mirror_boxes(np.zeros(shape), 100)
    assert str(caught.value) == f"mirror_boxes: `boxes` has shape {shape}; expected (any number, 4)"


@pytest.mark.parametrize("shape", [(5, 2), (1, 10), (1, 2, 5), (1, 68, 2), (1, 5, 3)])
def test_landmarks_of_another_shape_are_refused(shape):
    with pytest.raises(InputError) as caught:
        mirror_landmarks(np.zeros(shape), 100)
    assert str(caught.value) == f"mirror_landmarks: `landmarks` has shape {shape}; expected (K, 5, 2)"


@EVERY
def test_whole_numbers_are_refused(mirror, array):
    name = mirror.__name__
    with pytest.raises(InputError) as caught:
        mirror(array.astype(np.int64), 100)
    assert str(caught.value) == (
        f"{name}: `{name.removeprefix('mirror_')}` is int64; expected float32 or float64"
    )


@pytest.mark.parametrize("width", [0, -3, 0.0, np.nan, np.inf, "100", None])
@EVERY
def test_a_width_that_is_none_is_refused(mirror, array, width):
    with pytest.raises(InputError) as caught:
        mirror(array, width)
    assert str(caught.value) == (
        f"{mirror.__name__}: width={width!r}; expected a finite number of pixels above 0"
    )


def test_random_numbers_come_back_up_to_rounding():
    boxes = Numbers("mirror").real(50, 4) * 1000
    np.testing.assert_allclose(mirror_boxes(mirror_boxes(boxes, 640.3), 640.3), boxes, atol=1e-11, rtol=0)
