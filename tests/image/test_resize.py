"""Resizing by areas and bilinearly: slow twins, PyTorch's values, and what must hold for any image."""

import math
from pathlib import Path

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.image import resize_area, resize_bilinear

ORACLE = Path(__file__).parent.parent / "oracles" / "resize.npz"
RESIZES = [resize_area, resize_bilinear]
# (H, W) and (height, width): down, up, both at once, by whole factors, to and from one pixel.
SIZES = [
    *[
        ((7, 5), (3, 2)),
        ((7, 5), (6, 4)),
        ((5, 7), (12, 9)),
        ((4, 9), (9, 4)),
        ((6, 8), (3, 2)),
        ((3, 2), (6, 8)),
    ],
    *[((1, 1), (1, 1)), ((1, 1), (4, 3)), ((6, 5), (1, 1)), ((1, 9), (5, 2)), ((31, 20), (24, 24))],
]


def random_image(H, W, dtype=np.uint8, channels=3):
    values = np.random.default_rng(H * 1000 + W).integers(0, 256, (H, W, channels))
    return values.astype(dtype) if dtype == np.uint8 else (values + 0.25).astype(dtype)


def area_by_definition(image, height, width):
    """The mean over the pixels from floor(start) to ceil(end) of each output pixel."""
    H, W, C = image.shape
    out = np.empty((height, width, C))
    for i in range(height):
        rows = slice(math.floor(i * H / height), math.ceil((i + 1) * H / height))
        for j in range(width):
            columns = slice(math.floor(j * W / width), math.ceil((j + 1) * W / width))
            out[i, j] = image[rows, columns].astype(float).mean(axis=(0, 1))
    return out


def bilinear_by_definition(image, height, width):
    """Between the pixel centres that surround an output centre; edge pixels go on for ever."""
    H, W, C = image.shape

    def pixel(y, x):
        return image[min(max(y, 0), H - 1), min(max(x, 0), W - 1)].astype(float)

    out = np.empty((height, width, C))
    for i in range(height):
        y = (i + 0.5) * H / height - 0.5
        y0 = math.floor(y)
        for j in range(width):
            x = (j + 0.5) * W / width - 0.5
            x0 = math.floor(x)
            upper = (x0 + 1 - x) * pixel(y0, x0) + (x - x0) * pixel(y0, x0 + 1)
            lower = (x0 + 1 - x) * pixel(y0 + 1, x0) + (x - x0) * pixel(y0 + 1, x0 + 1)
            out[i, j] = (y0 + 1 - y) * upper + (y - y0) * lower
    return out


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("from_size", "to_size"), SIZES)
def test_area_against_its_definition(from_size, to_size, dtype):
    image = random_image(*from_size, dtype)
    np.testing.assert_allclose(resize_area(image, *to_size), area_by_definition(image, *to_size), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("from_size", "to_size"), SIZES)
def test_bilinear_against_its_definition(from_size, to_size, dtype):
    image = random_image(*from_size, dtype)
    expected = bilinear_by_definition(image, *to_size)
    np.testing.assert_allclose(resize_bilinear(image, *to_size), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("case", range(7))
@pytest.mark.parametrize(("resize", "name"), [(resize_area, "area"), (resize_bilinear, "bilinear")])
def test_against_torch(resize, name, case):
    with np.load(ORACLE) as oracle:
        image, expected = oracle[f"image_{case}"], oracle[f"{name}_{case}"]
    difference = np.abs(resize(image, *expected.shape[:2]) - expected).max()
    assert difference / expected.max() < 3e-6  # PyTorch computes the positions in float32


@pytest.mark.parametrize(("from_size", "to_size"), SIZES)
@pytest.mark.parametrize("resize", RESIZES)
def test_one_colour_stays_that_colour(resize, from_size, to_size):
    image = np.full((*from_size, 3), [255, 7, 0], np.uint8)
    expected = np.full((*to_size, 3), [255, 7, 0], np.float32)
    np.testing.assert_allclose(resize(image, *to_size), expected, rtol=1e-6)


@pytest.mark.parametrize("resize", RESIZES)
def test_the_same_size_gives_the_image(resize):
    image = random_image(6, 9)
    np.testing.assert_array_equal(resize(image, 6, 9), image)


@pytest.mark.parametrize("resize", RESIZES)
def test_a_mirrored_image_gives_the_mirrored_result(resize):
    image = random_image(9, 7)
    np.testing.assert_allclose(resize(image[::-1, ::-1], 4, 10), resize(image, 4, 10)[::-1, ::-1], rtol=1e-5)


def test_area_by_a_whole_factor_averages_blocks():
    image = random_image(6, 8)
    blocks = image.reshape(3, 2, 2, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_area(image, 3, 2), blocks, rtol=1e-6)


def test_area_enlarging_by_a_whole_factor_repeats_pixels():
    image = random_image(2, 3)
    np.testing.assert_array_equal(resize_area(image, 6, 12), image.repeat(3, axis=0).repeat(4, axis=1))


def test_a_pixel_covered_in_part_counts_in_full():
    # Three pixels onto two: the first covers pixels 0 to 1.5. By share it would be (0 + 30 / 2) / 1.5 = 10.
    image = np.array([[[0], [30], [90]]], np.uint8)
    assert resize_area(image, 1, 2).ravel().tolist() == [15, 60]


def test_bilinear_keeps_a_slope():
    slope = np.arange(8, dtype=np.float32).reshape(1, 8, 1)
    out = resize_bilinear(slope, 1, 16).ravel()
    np.testing.assert_allclose(
        out, [0, *np.arange(0.25, 7, 0.5), 7], rtol=1e-6
    )  # flat beyond the last centres


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels_each_on_its_own(resize, channels):
    image = random_image(7, 6, channels=channels)
    out = resize(image, 3, 8)
    assert out.shape == (3, 8, channels)
    last = image[:, :, -1:]
    np.testing.assert_array_equal(out[:, :, -1:], resize(last, 3, 8))


@pytest.mark.parametrize("resize", RESIZES)
def test_float32_comes_out(resize):
    assert resize(random_image(4, 4), 3, 3).dtype == np.float32
    assert resize(random_image(4, 4, np.float32), 3, 3).dtype == np.float32


@pytest.mark.parametrize("resize", RESIZES)
def test_the_result_is_not_a_view_of_the_image(resize):
    image = random_image(4, 4, np.float32)
    before = image.copy()
    resize(image, 4, 4)[:] = -1
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("resize", RESIZES)
def test_strided_and_read_only_images(resize):
    image = random_image(8, 10)
    image.flags.writeable = False
    view = image[::2, ::-1]
    np.testing.assert_array_equal(resize(view, 3, 3), resize(view.copy(), 3, 3))
    np.testing.assert_array_equal(resize(image, 3, 3), resize(image.copy(), 3, 3))


@pytest.mark.parametrize(
    ("shape", "dtype", "size", "message"),
    [
        (
            (4, 4),
            "uint8",
            (2, 2),
            "image of shape (4, 4) and type uint8; expected (H, W, C) of uint8 or float32",
        ),
        (
            (4, 4, 3),
            "int64",
            (2, 2),
            "image of shape (4, 4, 3) and type int64; expected (H, W, C) of uint8 or float32",
        ),
        ((4, 4, 3), "float64", (2, 2), "type float64; expected (H, W, C) of uint8 or float32"),
        ((0, 4, 3), "uint8", (2, 2), "image of shape (0, 4, 3) and type uint8"),
        ((4, 4, 3), "uint8", (0, 2), "size 0 x 2; expected sides of at least 1 pixel"),
        ((4, 4, 3), "uint8", (2, -1), "size 2 x -1; expected sides of at least 1 pixel"),
    ],
)
@pytest.mark.parametrize("resize", RESIZES)
def test_refused(resize, shape, dtype, size, message):
    with pytest.raises(InputError) as caught:
        resize(np.zeros(shape, dtype), *size)
    assert str(caught.value).startswith(f"{resize.__name__}: ")
    assert message in str(caught.value)
