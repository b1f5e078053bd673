"""Square crops with a margin: by hand, an exact slow twin, and what must hold for any box."""

import io
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import minidet
from minidet.boxes import mirror_boxes
from minidet.detections import Detections
from minidet.errors import InputError
from minidet.image import crop, resize_bilinear


def noise(H, W, seed=0):
    image = np.random.default_rng(seed).integers(0, 256, (H, W, 3), dtype=np.uint8)
    image.flags.writeable = False
    return image


NOISE = noise(24, 30)

# Boxes in quarters of a pixel, which floats hold exactly; they may reach outside an image of 24 x 30.
quarters = st.integers(-40, 160).map(lambda n: n / 4)
sides = st.integers(1, 120).map(lambda n: n / 4)
some_boxes = st.tuples(quarters, quarters, sides, sides).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
margins = st.sampled_from([0, 0.25, 0.5])


def overlap(a1, a2, b1, b2):
    return max(min(a2, b2) - max(a1, b1), Fraction(0))


def crop_by_definition(image, box, size, margin):
    """Grow, make square, then average areas (to shrink) or interpolate between centres (to enlarge)."""
    x1, y1, x2, y2 = map(Fraction, box)
    side = (1 + 2 * Fraction(margin)) * max(x2 - x1, y2 - y1)
    step = side / size

    def weights(start, length):
        table = []
        for j in range(size):
            if step >= 1:  # the share of the area
                row = [
                    overlap(start + j * step, start + (j + 1) * step, k, k + 1) / step for k in range(length)
                ]
            else:  # a tent of one pixel to each side of the output's centre
                centre = start + (j + Fraction(1, 2)) * step
                row = [max(1 - abs(centre - (k + Fraction(1, 2))), Fraction(0)) for k in range(length)]
            table.append([float(share) for share in row])
        return np.array(table)

    rows = weights((y1 + y2 - side) / 2, image.shape[0])
    columns = weights((x1 + x2 - side) / 2, image.shape[1])
    return np.einsum("iy,jx,yxc->ijc", rows, columns, image.astype(float))


@pytest.mark.parametrize("size", [1, 4, 9, 25])
@given(box=some_boxes, margin=margins)
def test_against_the_twin(size, box, margin):
    expected = crop_by_definition(NOISE, box, size, margin)
    assert np.abs(crop(NOISE, box, size, margin) - expected).max() < 0.5 + 1e-3  # rounded; float32 sums


# ---- By hand ---------------------------------------------------------------------------------------


def test_a_square_of_whole_pixels_at_its_own_size_is_a_slice():
    np.testing.assert_array_equal(crop(NOISE, (5, 7, 17, 19), 12, margin=0), NOISE[7:19, 5:17])


def test_the_margin_is_a_share_of_the_box_on_every_side():
    # 8 pixels and a quarter of them on each side: 12.
    np.testing.assert_array_equal(crop(NOISE, (7, 9, 15, 17), 12, margin=0.25), NOISE[7:19, 5:17])


@pytest.mark.parametrize("box", [(9, 7, 13, 19), (5, 11, 17, 15), (5, 7, 17, 7.25 + 11.75)])
def test_a_tall_or_a_wide_box_becomes_the_square_about_its_centre(box):
    np.testing.assert_array_equal(crop(NOISE, box, 12, margin=0), NOISE[7:19, 5:17])


def test_the_longer_side_counts_with_its_margin():
    # 4 x 8 and half of it on every side: 8 x 16, so a square of 16 about (11, 12).
    np.testing.assert_array_equal(crop(NOISE, (9, 8, 13, 16), 16, margin=0.5), NOISE[4:20, 3:19])


def test_by_default_160_pixels_and_a_tenth():
    expected = crop(NOISE, (9, 8, 21, 20), 160, 0)
    np.testing.assert_array_equal(minidet.crop(NOISE, (10, 9, 20, 19)), expected)
    assert expected.shape == (160, 160, 3)


@pytest.mark.parametrize("shift", [(-3, 0), (0, -5), (25, 0), (0, 20), (-4, -4), (25, 20)])
def test_outside_the_image_it_is_black(shift):
    x, y = shift
    framed = np.pad(NOISE, ((20, 20), (20, 20), (0, 0)))
    expected = framed[20 + y : 32 + y, 20 + x : 32 + x]
    np.testing.assert_array_equal(crop(NOISE, (x, y, x + 12, y + 12), 12, 0), expected)


@pytest.mark.parametrize(
    "box", [(-20, 0, -10, 10), (40, 0, 50, 10), (0, -20, 10, -10), (0, 30, 10, 40), (1e12, 1e12, 2e12, 2e12)]
)
@pytest.mark.parametrize("size", [3, 60])
def test_a_box_outside_the_image_is_all_black(box, size):
    assert crop(NOISE, box, size, 0).max() == 0


def test_shrinking_by_a_whole_factor_averages_blocks():
    blocks = NOISE[:, :24].reshape(8, 3, 8, 3, 3).mean(axis=(1, 3))
    assert np.abs(crop(NOISE, (0, 0, 24, 24), 8, 0) - blocks).max() <= 0.5 + 1e-3


def test_a_pixel_covered_by_half_counts_by_half():
    # Three columns onto two: (1 * 0 + 0.5 * 30) / 1.5 = 10, (0.5 * 30 + 1 * 90) / 1.5 = 70.
    image = np.repeat(np.array([[0, 30, 90]], np.uint8), 3, axis=0)
    assert crop(image, (0, 0, 3, 3), 2, 0)[0, :, 0].tolist() == [10, 70]


def test_enlarging_is_the_bilinear_resize_inside_the_image():
    expected = resize_bilinear(NOISE[4:20, 6:22], 40, 40)[2:-2, 2:-2]  # which repeats its outermost pixels
    assert np.abs(crop(NOISE, (6, 4, 22, 20), 40, 0)[2:-2, 2:-2] - expected).max() <= 0.5 + 1e-3


def test_a_window_of_no_whole_pixel():
    # The middle half of one pixel and less: only that pixel, until the neighbours' centres come nearer.
    assert crop(NOISE, (10.45, 5.45, 10.55, 5.55), 1, 0).tolist() == [[NOISE[5, 10].tolist()]]


def test_a_large_box_takes_no_memory():
    assert crop(NOISE, (-1e12, -1e12, 1e12, 1e12), 160).max() == 0
    assert crop(NOISE, (-1e300, -1e300, 1e300, 1e300), 16).max() == 0


# ---- Properties ------------------------------------------------------------------------------------


@given(box=some_boxes, margin=margins)
def test_a_margin_is_a_larger_box(box, margin):
    x1, y1, x2, y2 = box
    dx, dy = margin * (x2 - x1), margin * (y2 - y1)
    larger = (x1 - dx, y1 - dy, x2 + dx, y2 + dy)
    np.testing.assert_array_equal(crop(NOISE, box, 8, margin), crop(NOISE, larger, 8, 0))


@pytest.mark.parametrize("size", [6, 30])
@given(box=some_boxes, margin=margins)
def test_a_mirrored_image_gives_the_mirrored_crop(size, box, margin):
    mirrored_box = mirror_boxes(np.array([box]), 30)[0]
    mirrored = crop(NOISE[:, ::-1], mirrored_box, size, margin)
    assert np.abs(mirrored[:, ::-1].astype(int) - crop(NOISE, box, size, margin)).max() <= 1


@given(box=some_boxes, margin=margins)
def test_rows_and_columns_are_treated_alike(box, margin):
    x1, y1, x2, y2 = box
    turned = crop(NOISE.transpose(1, 0, 2), (y1, x1, y2, x2), 9, margin)
    assert np.abs(turned.transpose(1, 0, 2).astype(int) - crop(NOISE, box, 9, margin)).max() <= 1


@pytest.mark.parametrize("size", [1, 5, 16, 40])
@given(box=some_boxes)
def test_one_colour_stays_that_colour_inside_the_image(size, box):
    image = np.full((400, 400, 3), [255, 7, 0], np.uint8)
    inside = np.array(box) + 150
    assert (crop(image, inside, size) == [255, 7, 0]).all()


# ---- What it takes ---------------------------------------------------------------------------------


def test_everything_that_read_image_takes(tmp_path):
    box = (3, 4, 20, 19)
    expected = crop(NOISE, box)
    picture = Image.fromarray(NOISE)
    picture.save(tmp_path / "noise.png")
    encoded = io.BytesIO()
    picture.save(encoded, "png")
    for source in (picture, tmp_path / "noise.png", str(tmp_path / "noise.png"), encoded, encoded.getvalue()):
        np.testing.assert_array_equal(crop(source, box), expected)
    grey = crop(NOISE[:, :, 0], (0, 0, 24, 24), 24, 0)
    np.testing.assert_array_equal(grey, NOISE[:, :24, :1].repeat(3, axis=2))


def test_the_result_is_a_new_uint8_array_and_the_arguments_stay():
    image, box = NOISE.copy(), np.array([0.0, 0.0, 24.0, 24.0])
    result = crop(image, box, 24, 0)
    assert (result.dtype, result.shape, result.flags.c_contiguous) == (np.uint8, (24, 24, 3), True)
    result[:] = 0
    np.testing.assert_array_equal(image, NOISE)
    assert box.tolist() == [0, 0, 24, 24]


def test_a_face_of_detections_and_plain_lists():
    face = Detections([[3, 4, 20, 19]], [1.0], np.zeros((1, 5, 2)))[0]
    np.testing.assert_array_equal(crop(NOISE, face.box), crop(NOISE, [3, 4, 20, 19]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": [[0, 0, 9, 9]]}, "`box` has shape (1, 4); expected (4,), x1 y1 x2 y2 of one face"),
        ({"box": [0, 0, 9]}, "`box` has shape (3,); expected (4,), x1 y1 x2 y2 of one face"),
        ({"box": [0, 0, math.nan, 9]}, "`box` is not finite: [0.0, 0.0, nan, 9.0]"),
        ({"box": None}, "`box` has shape (); expected (4,), x1 y1 x2 y2 of one face"),
        ({"box": "face"}, "`box` is a str that holds no plain numbers"),
        ({"box": [9, 0, 9, 9]}, "`box` has no area: [9.0, 0.0, 9.0, 9.0]; expected x1 < x2 and y1 < y2"),
        ({"box": [0, 9, 9, 0]}, "`box` has no area: [0.0, 9.0, 9.0, 0.0]; expected x1 < x2 and y1 < y2"),
        ({"size": 0}, "size=0; expected a whole number from 1 up"),
        ({"size": (160, 160)}, "size=(160, 160); expected a whole number from 1 up"),
        ({"margin": -0.1}, "margin=-0.1; expected a number from 0 up"),
        ({"margin": math.nan}, "margin=nan; expected a number from 0 up"),
        ({"margin": "0.1"}, "margin='0.1'; expected a number from 0 up"),
        (
            {"margin": 1e308},
            "the square around [0.0, 0.0, 9.0, 9.0] with margin=1e+308 is too large",
        ),
    ],
)
def test_refused(change, message):
    with pytest.raises(InputError) as caught:
        crop(**({"image": NOISE, "box": [0, 0, 9, 9]} | change))
    assert str(caught.value) == f"crop: {message}"


def test_a_picture_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^read_image: no such file"):
        crop(tmp_path / "none.jpg", [0, 0, 9, 9])
