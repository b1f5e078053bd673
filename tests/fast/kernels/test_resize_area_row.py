import numpy as np
import pytest

from minidet.fast.arguments import frozen
from minidet.fast.kernels.resize_area import RowLayout, Window, area_edges, resize_area_row, sums_size
from minidet.image import mtcnn_input, resize_area
from tests.fast.kernels.arena import NONSENSE

CHANNELS_LAST = RowLayout(6, 3, 1)
SPARE = 8


def pixels(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def resize(image, window, height, width, layout, size):
    """Return the rows (height, size), each as it lies in the target, and require that nothing else is
    written."""
    edges = area_edges(window.right - window.left, width)
    sums = np.full(sums_size(window.right - window.left), NONSENSE)
    target = np.full((height, size + SPARE), NONSENSE)
    for row in range(height):
        at = row * (size + SPARE)
        resize_area_row(frozen(image), window, row, height, edges, sums, target.reshape(-1), at, layout)
    assert (target[:, size:] == NONSENSE).all()
    return target[:, :size]


def definition(image, window, height, width):
    """Return the resized window (height, width, 3), with black where it reaches outside of the image."""
    canvas = np.zeros((600, 600, 3), np.uint8)  # the image begins at (200, 200)
    canvas[200 : 200 + image.shape[0], 200 : 200 + image.shape[1]] = image
    left, top, right, bottom = (edge + 200 for edge in window)
    resized = resize_area(canvas[top:bottom, left:right], height, width)
    return mtcnn_input(resized[None])[0].transpose(1, 2, 0)


@pytest.mark.parametrize("target", [(1, 1), (2, 3), (7, 5), (24, 24), (40, 61)], ids=str)
@pytest.mark.parametrize("source", [(1, 1), (1, 7), (5, 1), (24, 24), (37, 53), (160, 99)], ids=str)
def test_a_whole_image(source, target):
    image = pixels(*source)
    window = Window(0, 0, source[1], source[0])
    got = resize(image, window, *target, CHANNELS_LAST, 3 * target[1]).reshape(*target, 3)
    assert np.abs(got - definition(image, window, *target)).max() < 1e-6


@pytest.mark.parametrize(
    "window",
    [
        (3, 5, 30, 20),
        (-4, 2, 11, 30),  # over the left edge
        (20, -7, 60, 20),  # the upper and the right one
        (-9, -9, 70, 50),  # all
        (0, 33, 5, 60),  # the lower one
        (-30, 5, -2, 20),  # beyond
        (5, 90, 9, 100),
        (31, 12, 32, 13),  # one pixel
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [1, 24, 48])
def test_outside_of_the_image_all_is_black(window, size):
    image = pixels(40, 50)
    got = resize(image, Window(*window), size, size, CHANNELS_LAST, 3 * size).reshape(size, size, 3)
    assert np.abs(got - definition(image, Window(*window), size, size)).max() < 1e-6


@pytest.mark.parametrize("width", [1, 2, 9, 20])
def test_even_and_odd_columns_apart_and_channels_too(width):
    image, window, half = pixels(21, 33), Window(0, 0, 33, 21), (width + 1) // 2
    got = resize(image, window, 10, width, RowLayout(1, 3 * half, half), 6 * half).reshape(10, 2, 3, half)
    expected = definition(image, window, 10, width)
    for x in range(width):
        assert np.abs(got[:, x % 2, :, x // 2] - expected[:, x]).max() < 1e-6
