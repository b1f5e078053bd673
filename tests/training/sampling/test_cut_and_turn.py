import numpy as np
import pytest

from minidet.image import crop_squares
from minidet.training.sampling.cut import cut
from minidet.training.sampling.turn import cut_turned, inside_turned, turn
from tests.training.sampling.photos import photo


def test_a_crop_is_what_the_detector_shows_but_for_the_rounding():
    image = photo().image
    boxes = np.array(
        [[5.0, 7.0, 40.0, 42.0], [-9.3, 20.7, 30.2, 60.2], [150.0, 100.0, 190.0, 140.0]]
    )  # from 1
    crops, kept = cut(image, boxes - np.array([1, 1, 0, 0]), 24)
    shown, _ = crop_squares(image, boxes, 24)
    assert crops.dtype == np.uint8
    assert kept.tolist() == [0, 1, 2]
    assert np.abs(crops - shown).max() <= 0.5


def test_whole_windows_are_averaged_by_hand():
    image = photo().image
    crops, _ = cut(image, np.array([[10.0, 20.0, 34.0, 44.0]]), 12)
    blocks = image[20:44, 10:34].reshape(12, 2, 12, 2, 3).mean(axis=(1, 3))
    assert np.abs(crops[0] - blocks).max() <= 0.5


def test_windows_without_a_pixel_are_left_out():
    crops, kept = cut(photo().image, np.array([[-30.0, 0.0, 0.0, 30.0], [0.0, 0.0, 30.0, 30.0]]), 12)
    assert kept.tolist() == [1]
    assert crops.shape == (1, 12, 12, 3)
    assert cut(photo().image, np.empty((0, 4)), 12)[0].shape == (0, 12, 12, 3)


def test_turn_is_a_product_of_complex_numbers():
    rng = np.random.default_rng(0)
    points, centres, degrees = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 2)), rng.uniform(-180, 180, 4)
    turned = turn(points, centres, degrees)
    for face, centre, angle, result in zip(points, centres, degrees, turned, strict=True):
        z, c = face @ [1, 1j], centre @ [1, 1j]
        expected = (z - c) * np.exp(1j * np.pi * angle / 180) + c
        np.testing.assert_allclose(result @ [1, 1j], expected)


def test_a_turn_by_nothing_is_the_plain_crop():
    image = photo().image
    window, centre = np.array([10.0, 20.0, 43.0, 53.0]), np.array([31.0, 35.5])
    np.testing.assert_array_equal(
        cut_turned(image, window, centre, 0.0, 24), cut(image, window[None], 24)[0][0]
    )


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_move_whole_pixels(quarters):
    image = photo(40, 40).image
    window, middle = np.array([4.0, 6.0, 28.0, 30.0]), np.array([20.0, 20.0])
    turned = np.ascontiguousarray(np.rot90(image, -quarters))  # clockwise
    crop = cut_turned(image, window, middle, 90.0 * quarters, 24)
    np.testing.assert_array_equal(crop, cut(turned, window[None], 24)[0][0])


@pytest.mark.parametrize("degrees", [-20.0, -5.0, 5.0, 33.0])
def test_a_dot_is_found_where_it_was_turned_to(degrees):
    y, x = np.mgrid[:120, :120] + 0.5
    dot = 255 * np.exp(
        -((x - 71.5) ** 2 + (y - 41.5) ** 2) / 50
    )  # soft, so that its place is no matter of pixels
    image = np.rint(dot).astype(np.uint8)[..., None].repeat(3, axis=2)
    centre, window = np.array([58.0, 62.0]), np.array([20.0, 20.0, 116.0, 116.0])
    crop = cut_turned(image, window, centre, degrees, 48)[:, :, 0].astype(float)
    rows, columns = np.mgrid[:48, :48] + 0.5
    found = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum() * 2 + 20
    np.testing.assert_allclose(
        found, turn(np.array([[[71.5, 41.5]]]), centre[None], [degrees])[0, 0], atol=0.05
    )


def test_inside_turned_looks_at_all_corners():
    middle = np.array([[50.0, 30.0]])
    for window, inside in (
        ([0.0, 0.0, 100.0, 60.0], True),
        ([-1.0, 0.0, 99.0, 60.0], False),
        ([0.0, -1.0, 100.0, 59.0], False),
        ([1.0, 0.0, 101.0, 60.0], False),
        ([0.0, 1.0, 100.0, 61.0], False),
    ):
        for degrees in (0, 180):
            assert inside_turned(np.array([window]), middle, [degrees], 100, 60).tolist() == [inside]
    # a square of 40 that stands on its tip reaches 28.3 up from the middle, and 30 are there
    square = np.array([[30.0, 10.0, 70.0, 50.0]])
    assert inside_turned(square, middle, [45], 100, 60).tolist() == [True]
    assert inside_turned(square + np.array([-2, -2, 2, 2]), middle, [45], 100, 60).tolist() == [False]


@pytest.mark.parametrize(
    ("corner", "degrees"), [([20, 20], 10), ([140, 20], 10), ([20, 100], 10), ([140, 100], 10)]
)
def test_what_is_inside_shows_no_black(corner, degrees):
    """On a white photograph."""
    image = np.full((120, 160, 3), 255, np.uint8)
    centre, verdicts = np.array([float(v) for v in corner]), []
    for shift in range(-12, 13, 3):
        window = np.concatenate([centre - 12 + shift, centre + 12 + shift])
        inside = bool(inside_turned(window[None], centre[None], [degrees], 160, 120)[0])
        whole = cut_turned(image, window, centre, float(degrees), 24)
        assert inside <= (whole[1:-1, 1:-1] == 255).all()
        verdicts.append(inside)
    assert any(verdicts)
    assert not all(verdicts)
