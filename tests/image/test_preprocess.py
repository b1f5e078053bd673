"""What the networks are given: values and layout, by hand."""

import numpy as np
import pytest

from minidet.image import mtcnn_input, retinaface_input


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255])
def test_mtcnn_value(value):
    x = mtcnn_input(np.full((1, 1, 1, 3), value, np.uint8))
    np.testing.assert_array_equal(x, np.full((1, 3, 1, 1), (value - 127.5) / 128, np.float32))


def test_mtcnn_takes_fractions():
    x = mtcnn_input(np.full((1, 1, 1, 3), 31.5, np.float32))
    np.testing.assert_array_equal(x, np.full((1, 3, 1, 1), -0.75, np.float32))


def test_mtcnn_layout():
    images = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    x = mtcnn_input(images)
    assert x.shape == (2, 3, 4, 5)
    for n, c, i, j in [(0, 0, 0, 0), (0, 2, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0), (1, 1, 3, 4)]:
        assert x[n, c, i, j] == (images[n, i, j, c] - 127.5) / 128


def test_retinaface_values_and_channel_order():
    red_green_blue = np.array([[[200, 120, 50]]], np.uint8)
    x = retinaface_input(red_green_blue)
    assert x[0, :, 0, 0].tolist() == [50 - 104, 120 - 117, 200 - 123]


def test_retinaface_layout():
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    x = retinaface_input(image)
    assert x.shape == (1, 3, 4, 5)
    assert x[0, 0, 3, 1] == image[3, 1, 2] - 104.0  # blue
    assert x[0, 1, 0, 4] == image[0, 4, 1] - 117.0  # green
    assert x[0, 2, 2, 0] == image[2, 0, 0] - 123.0  # red


def test_retinaface_takes_fractions():
    assert retinaface_input(np.full((1, 1, 3), 104.5, np.float32))[0, 0, 0, 0] == 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_float32_in_row_major_order(dtype):
    for x in (mtcnn_input(np.ones((2, 3, 4, 3), dtype)), retinaface_input(np.ones((3, 4, 3), dtype))):
        assert x.dtype == np.float32
        assert x.flags.c_contiguous


def test_the_image_is_not_changed():
    image = np.full((2, 2, 3), 9, np.float32)
    mtcnn_input(image[None])[:] = -1
    retinaface_input(image)[:] = -1
    assert (image == 9).all()


def test_no_images():
    assert mtcnn_input(np.zeros((0, 24, 24, 3), np.float32)).shape == (0, 3, 24, 24)
