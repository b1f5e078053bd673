"""Square crops of 1-based inclusive boxes: which pixels, at the border, and which boxes have none."""

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.image import crop_squares, resize_area
from minidet.image.crop_squares import pixel_windows

# Four rows of six pixels; the pixel in row i, column j is 10 i + j + 100 in every channel.
IMAGE = np.repeat((10 * np.arange(4)[:, None] + np.arange(6) + 100)[:, :, None], 3, axis=2).astype(np.uint8)
IMAGE.flags.writeable = False


def crop(box, size, border="clip"):
    """The first channel of the crop of one box."""
    crops, kept = crop_squares(IMAGE, np.array([box], float), size, border=border)
    assert kept.tolist() == [0]
    return crops[0, :, :, 0].tolist()


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ((1, 1, 1, 1), (0, 0, 1, 1)),  # the first pixel
        ((3, 2, 5, 4), (2, 1, 5, 4)),
        ((3.99, 2.01, 5.99, 4.5), (2, 1, 5, 4)),  # fractions are cut off
        ((0.9, 0.1, 2, 2), (-1, -1, 2, 2)),
        ((-0.9, -0.1, 2, 2), (-1, -1, 2, 2)),  # towards zero, not down
        ((-3.7, -1.2, -0.5, 2), (-4, -2, 0, 2)),
    ],
)
def test_window(box, window):
    assert pixel_windows(np.array([box])).tolist() == [list(window)]


def test_windows_of_no_boxes():
    assert pixel_windows(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("border", ["clip", "zero"])
def test_a_box_inside_the_image(border):
    assert crop((2, 2, 4, 4), 3, border) == [[111, 112, 113], [121, 122, 123], [131, 132, 133]]


@pytest.mark.parametrize("border", ["clip", "zero"])
def test_a_box_of_one_pixel_is_repeated(border):
    assert crop((6, 4, 6, 4), 2, border) == [[135, 135], [135, 135]]


def test_at_the_border_clip_stretches_what_is_left():
    assert crop((-1, 1, 2, 4), 2) == [[105, 106], [125, 126]]  # columns 0 and 1 one each, rows in pairs


def test_at_the_border_zero_fills_with_black():
    assert crop((-1, 1, 2, 4), 4, "zero") == [
        [0, 0, 100, 101],
        [0, 0, 110, 111],
        [0, 0, 120, 121],
        [0, 0, 130, 131],
    ]


def test_zero_fills_on_all_four_sides():
    framed = np.pad(IMAGE[:, :, 0], ((2, 4), (1, 3)))  # 10 x 10
    assert crop((0, -1, 9, 8), 10, "zero") == framed.tolist()


def test_crops_are_area_resized():
    crops, _ = crop_squares(IMAGE, np.array([[1.0, 1.0, 6.0, 4.0], [2.0, 1.0, 6.0, 3.0]]), 3)
    np.testing.assert_array_equal(crops[0], resize_area(IMAGE, 3, 3))
    np.testing.assert_array_equal(crops[1], resize_area(IMAGE[0:3, 1:6], 3, 3))


@pytest.mark.parametrize("border", ["clip", "zero"])
@pytest.mark.parametrize(
    "outside",
    [
        (-5, 1, 0, 4),  # left: pixel 0 is one before the first
        (7, 1, 9, 4),  # right
        (1, -5, 4, 0),  # above
        (1, 5, 4, 9),  # below
        (4, 2, 3, 4),  # inside out
    ],
)
def test_a_box_without_pixels_has_no_crop_and_kept_says_so(outside, border):
    boxes = np.array([[1, 1, 4, 4], outside, [5, 3, 6, 4]], float)
    crops, kept = crop_squares(IMAGE, boxes, 5, border=border)
    assert kept.tolist() == [0, 2]
    assert crops.shape == (2, 5, 5, 3)
    assert crops[1].max() == 135  # of the third box, not of the second


@pytest.mark.parametrize("boxes", [np.zeros((0, 4)), np.array([[50.0, 50.0, 60.0, 60.0]])])
def test_no_crops_at_all(boxes):
    crops, kept = crop_squares(IMAGE, boxes, 24)
    assert crops.shape == (0, 24, 24, 3)
    assert crops.dtype == np.float32
    assert kept.shape == (0,)


def test_float32_and_three_different_channels():
    image = np.stack([IMAGE[:, :, 0], IMAGE[:, :, 0] + 50, IMAGE[:, :, 0] + 100], axis=2)
    crops, _ = crop_squares(image, np.array([[1.0, 1.0, 2.0, 2.0]]), 2)
    assert crops.dtype == np.float32
    np.testing.assert_array_equal(crops[0], image[:2, :2])


def test_another_border_is_refused():
    with pytest.raises(InputError, match=r"^crop_squares: border='edge'; expected 'clip' or 'zero'$"):
        crop_squares(IMAGE, np.ones((1, 4)), 24, border="edge")
