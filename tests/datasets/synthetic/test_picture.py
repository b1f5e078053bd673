"""Pixels: looks, the drawing of a face, backgrounds, who stands before whom, the camera."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from minidet.datasets.synthetic import background, picture
from minidet.datasets.synthetic.head import LANDMARK_VERTICES, head_shape
from minidet.datasets.synthetic.light import Light
from minidet.datasets.synthetic.look import COVERINGS, HAIRS, draw_look, head_solids
from minidet.datasets.synthetic.pose import Pose
from minidet.datasets.synthetic.render import solid_box
from minidet.datasets.synthetic.scene import HAIR_ABOVE, HAIR_BESIDE, Person
from minidet.datasets.synthetic.settings import SyntheticSettings
from minidet.datasets.synthetic.texture import face_texture, texture_points

LIGHT = Light(np.array([0.0, 0, -1]), np.full(3, 0.5), np.full(3, 0.5))
LOOKS = [draw_look(np.random.default_rng(seed)) for seed in range(400)]
PLAIN = replace(
    LOOKS[0],
    hair="bald",
    covering="none",
    fringe=0.0,
    beard=0.0,
    moustache=0.0,
    freckles=0.0,
    lids=1.0,
    gaze=0.0,
)


def test_looks_are_drawn_as_often_as_stated():
    assert sum(HAIRS.values()) == pytest.approx(1)
    assert sum(COVERINGS.values()) == pytest.approx(1)
    for shares, found in (
        (HAIRS, Counter(look.hair for look in LOOKS)),
        (COVERINGS, Counter(look.covering for look in LOOKS)),
    ):
        for name, share in shares.items():
            assert found[name] / 400 == pytest.approx(share, abs=0.06)
            assert found[name] > 0


def test_colours_are_colours():
    for look in LOOKS:
        for color in (look.skin, look.hair_color, look.brow, look.lips, look.iris, look.clothes, look.cloth):
            assert len(color) == 3
            assert all(0 <= value <= 1 for value in color)
    assert np.std([look.skin for look in LOOKS], axis=0).min() > 0.1


def test_hair_stays_within_what_scenes_leave_room_for():
    """Except for a bun and an afro, which reach a little further."""
    face = head_shape(np.zeros(10))
    (x1, y1), (x2, y2) = face[:, :2].min(axis=0), face[:, :2].max(axis=0)
    for hair in HAIRS:
        solids = head_solids(replace(PLAIN, hair=hair))
        boxes = np.array([solid_box(solid, Pose(0, 0, 0, 1.0, 0.0, 0.0)) for solid in solids])
        more = 0.25 if hair in ("bun", "afro") else 0.03
        assert boxes[:, 0].min() > x1 - (HAIR_BESIDE + more) * (x2 - x1)
        assert boxes[:, 1].min() > y1 - (HAIR_ABOVE + more) * (y2 - y1)


def color_at(texture, point):
    x, y = point
    return texture[int(y), int(x)]


def test_landmarks_are_on_what_they_are_called():
    resolution = 100.0
    texture = face_texture(PLAIN, resolution)
    points = texture_points(resolution)[list(LANDMARK_VERTICES)]
    for eye in points[:2]:
        assert color_at(texture, eye).max() < 0.15  # the pupil
        for side in (-1, 1):
            assert color_at(texture, eye + np.array([side * 8.5, 1])).min() > 0.8  # the white
    for corner, inwards in zip(points[3:], (1, -1), strict=True):
        lips = [color_at(texture, corner + np.array([inwards * step, 3])) for step in (2, 4, 6)]
        away = color_at(texture, corner - [inwards * 9, 0])
        assert np.abs(np.mean(lips, axis=0) - away).max() > 0.04


@pytest.mark.parametrize("covering", COVERINGS)
def test_covering(covering):
    resolution = 100.0
    texture, bare = (face_texture(replace(PLAIN, covering=one), resolution) for one in (covering, "none"))
    changed = np.abs(texture - bare).max(axis=2) > 0.05
    eyes, mouth = changed[65:110].mean(), changed[140:170].mean()
    expected = {
        "none": (False, False),
        "glasses": (True, False),
        "sunglasses": (True, False),
        "mask": (False, True),
    }
    assert (eyes > 0.1, mouth > 0.1) == expected[covering]


@pytest.mark.parametrize(
    ("option", "value", "rows"),
    [
        ("beard", 1.0, (150, 205)),
        ("moustache", 1.0, (135, 150)),
        ("fringe", 0.4, (0, 40)),
        ("freckles", 1.0, (90, 145)),
    ],
)
def test_option_changes_its_part_of_the_face(option, value, rows):
    texture, bare = face_texture(replace(PLAIN, **{option: value}), 100.0), face_texture(PLAIN, 100.0)
    changed = np.abs(texture - bare).max(axis=2) > 0.03
    top, bottom = rows
    assert changed[top:bottom].mean() > 0.02
    assert changed[top:bottom].sum() > 0.5 * changed.sum()


@pytest.mark.parametrize("pattern", background.PATTERNS)
def test_patterns_have_both_colours(pattern):
    """Over several draws: shares of the second colour from 0 to 1."""
    shares = [pattern(40, 60, np.random.default_rng(seed)) for seed in range(8)]
    assert all(share.shape == (40, 60) and share.dtype == np.float32 for share in shares)
    assert min(share.min() for share in shares) < 0.2
    assert max(share.max() for share in shares) > 0.8
    assert (shares[0] != shares[1]).mean() > 0.9


@pytest.mark.parametrize("negative", background.NEGATIVES)
def test_things_that_resemble_faces_are_drawn(negative):
    canvas = np.full((100, 120, 3), 2.0, np.float32)  # no colour is 2
    negative(canvas, 60.0, 50.0, 15.0, LIGHT, np.random.default_rng(1))
    changed = (canvas != 2).any(axis=2)
    assert changed[50, 60]
    assert 0.05 < changed.mean() < 0.6


def test_number_of_negatives():
    def drawn(negatives):
        return background.draw_background(80, 60, LIGHT, negatives, np.random.default_rng(2))

    assert drawn(0).shape == (60, 80, 3)
    assert (drawn(0) == drawn(0)).all()
    first = (drawn(1) != drawn(0)).mean()
    assert 0 < first < 1
    assert (drawn(9) != drawn(0)).mean() > first


def test_backgrounds_vary_and_stay_colours():
    canvases = [
        background.draw_background(64, 48, LIGHT, 1, np.random.default_rng(seed)) for seed in range(40)
    ]
    means = np.array([canvas.mean(axis=(0, 1)) for canvas in canvases])
    assert means.std(axis=0).min() > 0.08
    assert min(canvas.min() for canvas in canvases) >= 0
    assert max(canvas.max() for canvas in canvases) <= 1


def person(x, y):
    pose = Pose(0, 0, 0, 20.0, x, y)
    return Person(pose, pose.place(head_shape(np.zeros(10))))


def test_the_lower_stands_before_the_higher(monkeypatch):
    """Whatever their order in the list: the neck of one does not cover the forehead of the other."""
    settings = SyntheticSettings(size=(96, 128), negatives=0)
    higher, lower = person(48.0, 40.0), person(48.0, 76.0)
    red, blue = replace(PLAIN, skin=(0.9, 0.1, 0.1)), replace(PLAIN, skin=(0.1, 0.1, 0.9))
    for people, looks in (([higher, lower], [red, blue]), ([lower, higher], [blue, red])):
        order = iter(looks)
        monkeypatch.setattr(picture, "draw_look", lambda rng, order=order: next(order))
        image = picture.draw_picture(people, settings, np.random.default_rng(1))
        forehead = image[59:62, 44:52].reshape(-1, 3).mean(axis=0)  # of the lower; the neck of the higher
        assert forehead[2] > 2 * forehead[0]
        cheek = image[43:46, 34:37].reshape(-1, 3).mean(axis=0)  # of the higher
        assert cheek[0] > 2 * cheek[2]


def test_bodies_hide_nobody(monkeypatch):
    """A small face before the chest of a large one stays whole."""
    settings = SyntheticSettings(size=(128, 128), negatives=0)
    large = Person(
        Pose(0, 0, 0, 30.0, 64.0, 40.0), Pose(0, 0, 0, 30.0, 64.0, 40.0).place(head_shape(np.zeros(10)))
    )
    small = person(30.0, 100.0)
    for people in ([large, small], [small, large]):
        monkeypatch.setattr(
            picture, "draw_look", lambda rng: replace(PLAIN, skin=(0.9, 0.2, 0.2), clothes=(0, 1, 0))
        )
        image = picture.draw_picture(people, settings, np.random.default_rng(1)).astype(float)
        x1, y1, x2, y2 = small.box.astype(int)
        middle = image[y1 + 8 : y2 - 8, x1 + 8 : x2 - 8]
        assert (middle[..., 0] > middle[..., 1]).mean() > 0.9


def test_camera_clips():
    for value, low, high in ((0.0, 0, 60), (1.0, 100, 255), (0.5, 30, 230)):
        for seed in range(20):
            canvas = np.full((20, 20, 3), value, np.float32)
            image = picture._photograph(canvas, np.random.default_rng(seed))
            assert image.dtype == np.uint8
            assert image.min() >= low
            assert image.max() <= high


def test_camera_varies():
    canvas = np.full((20, 20, 3), 0.5, np.float32)
    images = [picture._photograph(canvas, np.random.default_rng(seed)).astype(float) for seed in range(30)]
    assert np.std([image.mean() for image in images]) > 5  # exposure
    assert np.std([image[..., 0].mean() - image[..., 2].mean() for image in images]) > 3  # colour
    noise = [image.std(axis=(0, 1)).mean() for image in images]
    assert min(noise) < 3
    assert max(noise) > 8


def test_blur_is_a_mean_of_neighbours():
    canvas = np.random.default_rng(5).random((7, 9, 3)).astype(np.float32)
    padded = np.pad(canvas, ((1, 1), (1, 1), (0, 0)), mode="edge").astype(np.float64)
    for softness in (0.0, 0.3, 1.0):
        kernel = np.array([softness / 4, 1 - softness / 2, softness / 4])
        expected = np.zeros(canvas.shape)
        for i in range(3):
            for j in range(3):
                expected += kernel[i] * kernel[j] * padded[i : i + 7, j : j + 9]
        np.testing.assert_allclose(picture._blurred(canvas, softness), expected, atol=1e-6)
