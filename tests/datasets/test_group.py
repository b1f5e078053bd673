"""The group picture: the same for the same seed, faces where they are said to be, mirrored and tinted."""

import numpy as np
import pytest

import minidet
from minidet.boxes import iou
from minidet.datasets import bundled_portrait_path, group_faces, group_picture
from minidet.datasets.group import FACE, FLOOR, PEOPLE, PORTRAIT_SIZE, WALL


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


def test_the_face_of_the_portrait_is_where_retinaface_sees_it():
    portrait = minidet.read_image(bundled_portrait_path())
    assert portrait.shape[1::-1] == PORTRAIT_SIZE
    np.testing.assert_allclose(minidet.detect(portrait).boxes, [FACE], atol=0.6)


@pytest.mark.parametrize(("width", "height"), [(900, 600), (640, 600), (1200, 500)])
def test_what_retinaface_finds_lies_on_the_faces(width, height):
    found = minidet.detect(group_picture(width=width, height=height)).boxes
    faces = group_faces(width=width, height=height)
    assert (faces.shape, faces.dtype) == ((19, 4), np.float32)
    overlap = iou(faces, found)
    tall = faces[:, 3] - faces[:, 1] >= 30
    assert tall.sum() >= 9
    assert (overlap[tall].max(axis=1) >= 0.5).all()
    assert (np.median(overlap[tall].max(axis=1))) >= 0.85
    assert len(set(overlap[tall].argmax(axis=1))) == tall.sum()


def test_faces_are_pasted_where_they_are_said_to_be():
    """Of a portrait that is black but for a white face, only the insides of the boxes are bright."""
    x1, y1, x2, y2 = FACE
    portrait = np.zeros((600, 512, 3), np.uint8)
    portrait[y1:y2, x1:x2] = 255
    for width, height in ((900, 600), (450, 600), (700, 300)):
        image = group_picture(portrait, width=width, height=height).max(axis=2)
        for fx1, fy1, fx2, fy2 in group_faces(width=width, height=height)[10:15].tolist():
            inside = image[round(fy1) + 3 : round(fy2) - 3, round(fx1) + 3 : round(fx2) - 3]
            assert inside.mean() > 150
            above = image[round(fy1) - 6 : round(fy1) - 3, round(fx1) : round(fx2)]
            left = image[round(fy1) : round(fy2), round(fx1) - 6 : round(fx1) - 3]
            assert max(above.mean(), left.mean()) < 40


def test_faces_of_mirrored_heads_are_measured_from_the_right():
    """The twelfth head, 173 of 369 pixels wide, begins at 215; its face begins 272 from the right."""
    x1, _, x2, _ = group_faces()[11]
    assert x1 == pytest.approx(215 + (369 - 272) * 173 / 369, abs=1e-3)
    assert x2 == pytest.approx(215 + (369 - 96) * 173 / 369, abs=1e-3)


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
    if name != "seed":
        with pytest.raises(minidet.InputError, match=f"group_faces: {name}={value}"):
            group_faces(**options)
