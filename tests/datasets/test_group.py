"""The group picture: the same for the same seed, faces where they are said to be, mirrored and tinted."""

import numpy as np
import pytest

import minidet
from minidet.datasets import bundled_portrait_path, group_picture
from minidet.datasets.group import FLOOR, PEOPLE, WALL


def test_the_portrait_is_at_hand(portrait_path):
    assert bundled_portrait_path() == portrait_path


def test_the_detectors_find_most_of_its_faces_where_people_stand():
    image = group_picture()
    centres = np.array([(x * 900, y * 600) for x, y, _ in PEOPLE])
    sizes = np.array([size for *_, size in PEOPLE])
    for model, least in (("retinaface", 14), ("mtcnn", 17)):
        faces = minidet.detect(image, model)
        assert least <= len(faces) <= len(PEOPLE)
        found = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
        distance = np.linalg.norm(found[:, None] - centres, axis=2)
        nearest = distance.argmin(axis=1)
        assert len(set(nearest)) == len(faces)
        assert (distance.min(axis=1) < 0.2 * sizes[nearest]).all()
    heights = faces.to_xywh()[:, 3]
    assert heights.max() > 8 * heights.min()


def test_every_second_one_is_mirrored():
    """Of a portrait with a bright left half, the bright half is on the left, on the right, and so on."""
    half = np.zeros((600, 512, 3), np.uint8)
    half[:, :256] = 255
    image = group_picture(half).astype(float).mean(axis=2)
    for number in (1, 2, 5, 10, 11, 14):
        x, y, size = PEOPLE[number]
        row, column, reach = round(y * 600), round(x * 900), round(size / 8)
        brighter_left = image[row, column - reach] > image[row, column + reach]
        assert brighter_left == (number % 2 == 0)


def test_each_has_a_tint_of_its_own():
    image = group_picture(np.full((600, 512, 3), 200, np.uint8))
    colours = [image[round(y * 600), round(x * 900)] / 200 for x, y, _ in PEOPLE]
    ratios = np.array([colour[[0, 2]] / colour[1] for colour in colours])
    assert len(np.unique(ratios.round(2), axis=0)) == len(PEOPLE)


def test_the_background_goes_from_wall_to_floor():
    image = group_picture().astype(float)
    assert np.abs(image[:3].mean(axis=(0, 1)) - WALL).max() < 3
    assert np.abs(image[-3:].mean(axis=(0, 1)) - FLOOR).max() < 3
    assert 0.5 < image[:20, :, 0].std(axis=1).mean() < 4


def test_equal_seeds_give_equal_pictures():
    assert np.array_equal(
        group_picture(seed=3, width=300, height=200), group_picture(seed=3, width=300, height=200)
    )
    assert not np.array_equal(group_picture(seed=3), group_picture(seed=4))


@pytest.mark.parametrize(("width", "height"), [(64, 64), (300, 200), (200, 300)])
def test_other_sizes(width, height):
    assert group_picture(width=width, height=height).shape == (height, width, 3)


def test_a_portrait_of_one_pixel_does():
    assert group_picture(np.full((1, 1, 3), 9, np.uint8), width=90, height=64).shape == (64, 90, 3)


@pytest.mark.parametrize("options", [{"width": 63}, {"height": 1.5}, {"seed": -1}])
def test_errors(options):
    (name, value) = next(iter(options.items()))
    with pytest.raises(minidet.InputError, match=f"group_picture: {name}={value}"):
        group_picture(**options)
