"""Locations, and which face each of them is to find."""

import math

import numpy as np
import pytest

from minidet.boxes import LocationSettings, assign_locations, generate_anchors
from minidet.errors import InputError
from tests.check import FLOATS

SETTINGS = LocationSettings()
ONE_LEVEL = LocationSettings(strides=(8,), centre_radius=100)


def slow_assign(height, width, boxes, settings):
    """Location by location and face by face, as the rules are written down."""
    found = []
    for level, stride in enumerate(settings.strides):
        for row in range(math.ceil(height / stride)):
            for column in range(math.ceil(width / stride)):
                x, y = stride * column + stride / 2, stride * row + stride / 2
                best = -1
                for g, (x1, y1, x2, y2) in enumerate(boxes):
                    left, top, right, bottom = x - x1, y - y1, x2 - x, y2 - y
                    if min(left, top, right, bottom) <= 0:
                        continue
                    reach = settings.centre_radius * stride
                    if abs(right - left) / 2 >= reach or abs(bottom - top) / 2 >= reach:
                        continue
                    farthest = max(left, top, right, bottom)
                    if level > 0 and farthest <= settings.reach * settings.strides[level - 1]:
                        continue
                    if level + 1 < len(settings.strides) and farthest > settings.reach * stride:
                        continue
                    if best < 0 or area(boxes[g]) < area(boxes[best]):
                        best = g
                found.append(best)
    return found


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def some_boxes(seed, height, width, count):
    """Whole numbers, so that points on borders and equal areas are among them."""
    rng = np.random.default_rng(seed)
    sides = np.round(rng.uniform(4, 1.2 * max(height, width), (count, 1)) * rng.uniform(0.7, 1.4, (count, 2)))
    corners = np.round(rng.uniform(-10, [width, height], (count, 2)))
    return np.concatenate([corners, corners + np.maximum(sides, 4)], axis=1)


# ---- Where they are --------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(64, 96), (33, 50), (1, 1), (100, 7)])
@pytest.mark.parametrize("strides", [(8, 16, 32), (4, 8, 16, 32, 64)])
def test_they_are_the_centres_of_the_anchors(height, width, strides):
    locations = LocationSettings(strides=strides).lay(height, width)
    anchors = generate_anchors(height, width, strides=strides, sizes=[[2.0]] * len(strides))
    np.testing.assert_array_equal(locations.points, (anchors[:, :2] + anchors[:, 2:]) / 2)
    assert all(array.dtype == np.float32 for array in locations)
    assert {len(array) for array in locations} == {len(anchors)}


def test_every_level_takes_up_where_the_one_before_ends():
    locations = LocationSettings(strides=(4, 8, 16), reach=3).lay(16, 16)
    assert locations.strides.tolist() == [4] * 16 + [8] * 4 + [16]
    assert locations.least.tolist() == [0] * 16 + [12] * 4 + [24]
    assert locations.most.tolist() == [12] * 16 + [24] * 4 + [np.inf]


def test_half_as_many_as_anchors():
    assert len(SETTINGS.lay(640, 640).points) == 8400
    assert len(generate_anchors(640, 640)) == 16800
    assert len(LocationSettings(strides=(4, 8, 16, 32, 64)).lay(640, 640).points) == 34_100  # of 102,300


# ---- Which face ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("settings", [SETTINGS, LocationSettings((4, 8, 16, 32, 64), 3.0, 2.5), ONE_LEVEL])
@pytest.mark.parametrize("seed", range(6))
def test_equals_the_slow_twin(seed, settings, dtype):
    height, width = 96 + 8 * seed, 150 - 11 * seed
    boxes = some_boxes(seed, height, width, 1 + 3 * seed)
    face = assign_locations(settings.lay(height, width), boxes.astype(dtype), settings)
    assert face.tolist() == slow_assign(height, width, boxes.tolist(), settings)
    assert (face >= 0).any()


def test_the_twin_meets_every_rule():
    """Without one of the rules, other locations would be positive in the cases above."""
    kinds = set()
    for seed in range(6):
        boxes = some_boxes(seed, 96 + 8 * seed, 150 - 11 * seed, 1 + 3 * seed)
        usual = slow_assign(96 + 8 * seed, 150 - 11 * seed, boxes.tolist(), SETTINGS)
        for kind, other in {
            "radius": LocationSettings(centre_radius=1e3),
            "levels": LocationSettings(reach=1e3),
        }.items():
            if slow_assign(96 + 8 * seed, 150 - 11 * seed, boxes.tolist(), other) != usual:
                kinds.add(kind)
    assert kinds == {"radius", "levels"}


def test_of_two_faces_the_smaller_gets_the_location():
    locations = ONE_LEVEL.lay(8, 8)
    large, small = [0.0, 0.0, 8.0, 8.0], [1.0, 1.0, 7.0, 8.0]
    assert assign_locations(locations, np.array([large, small]), ONE_LEVEL).tolist() == [1]
    assert assign_locations(locations, np.array([small, large]), ONE_LEVEL).tolist() == [0]
    # Smaller is less area, not a shorter side; and of equal ones the first.
    flat = [-20.0, 1.0, 20.0, 7.0]
    assert assign_locations(locations, np.array([flat, large]), ONE_LEVEL).tolist() == [1]
    assert assign_locations(locations, np.array([large, large]), ONE_LEVEL).tolist() == [0]


def test_a_location_on_the_border_is_outside():
    locations = ONE_LEVEL.lay(8, 8)  # (4, 4)
    for box in ([4, 0, 9, 9], [0, 4, 9, 9], [0, 0, 4, 9], [0, 0, 9, 4]):
        assert assign_locations(locations, np.array([box], float), ONE_LEVEL).tolist() == [-1]
        moved = np.array([box]) + np.array([-0.5, -0.5, 0.5, 0.5])
        assert assign_locations(locations, moved, ONE_LEVEL).tolist() == [0]


def test_the_levels_share_the_limit_without_a_gap_or_an_overlap():
    settings = LocationSettings(strides=(8, 16), centre_radius=1e3)
    locations = settings.lay(64, 64)
    fine = slice(0, 64)
    at = int(np.flatnonzero((locations.points[fine] == 28).all(axis=1))[0])
    for farthest, positive in ((32.0, True), (32.001, False)):
        box = np.array([[28 - 20, 28 - 20, 28 + farthest, 28 + 20]])
        assert (assign_locations(locations, box, settings)[at] == 0) == positive
    at = 64 + int(np.flatnonzero((locations.points[64:] == 24).all(axis=1))[0])
    for farthest, positive in ((32.0, False), (32.001, True)):
        box = np.array([[24 - 20, 24 - 20, 24 + farthest, 24 + 20]])
        assert (assign_locations(locations, box, settings)[at] == 0) == positive


def test_the_radius_is_measured_from_the_centre_of_the_box_in_strides():
    settings = LocationSettings(strides=(8,), centre_radius=1.0)
    locations = settings.lay(40, 40)
    # Centre (20, 20), where a point is; its neighbours are exactly one stride away, and so not nearer.
    face = assign_locations(locations, np.array([[2.0, 2.0, 38.0, 38.0]]), settings)
    assert np.flatnonzero(face == 0).tolist() == [12]
    # Centre (19, 20): the left neighbour is 7 away.
    face = assign_locations(locations, np.array([[0.0, 2.0, 38.0, 38.0]]), settings)
    assert np.flatnonzero(face == 0).tolist() == [11, 12]
    # In y the same.
    face = assign_locations(locations, np.array([[2.0, 0.0, 38.0, 38.0]]), settings)
    assert np.flatnonzero(face == 0).tolist() == [7, 12]


@pytest.mark.parametrize("shape", [(1.0, 1.0), (1.0, 1.4), (1.4, 1.0)])
def test_no_face_of_more_than_a_stride_is_left_out(shape):
    rng = np.random.default_rng(5)
    locations = SETTINGS.lay(640, 640)
    for side in np.geomspace(8.01, 400, 40):
        size = side * np.array(shape)
        for corner in rng.uniform(0, 640 - size, (6, 2)):
            box = np.concatenate([corner, corner + size])[None]
            count = (assign_locations(locations, box) == 0).sum()
            assert 1 <= count <= 18  # nine of a level, and two levels near a limit


def test_a_tiny_face_between_the_points_is_left_out():
    locations = SETTINGS.lay(64, 64)
    assert (assign_locations(locations, np.array([[5.0, 5.0, 11.0, 11.0]])) == -1).all()
    assert (assign_locations(locations, np.array([[3.0, 3.0, 9.0, 9.0]])) == 0).sum() == 1


def test_without_faces_all_are_negative():
    face = assign_locations(SETTINGS.lay(32, 32), np.zeros((0, 4)))
    assert face.tolist() == [-1] * 21
    assert face.dtype == np.intp


# ---- Refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": ()}, "strides=(); expected"),
        ({"strides": (8, 8)}, "strides=(8, 8); expected"),
        ({"strides": (0, 8)}, "strides=(0, 8); expected"),
        ({"strides": (16, 8)}, "strides=(16, 8); expected"),
        ({"reach": 0}, "reach=0; expected a number above 0"),
        ({"reach": math.inf}, "reach=inf; expected a number above 0"),
        ({"centre_radius": -1.0}, "centre_radius=-1.0; expected a number above 0"),
    ],
)
def test_unfit_settings(changes, message):
    with pytest.raises(InputError) as caught:
        LocationSettings(**changes)
    assert str(caught.value).startswith(f"LocationSettings: {message}")


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0)])
def test_no_image(height, width):
    with pytest.raises(InputError, match=f"image of {height} x {width}; expected sides of at least 1"):
        SETTINGS.lay(height, width)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (np.zeros((1, 5)), "`boxes` has shape"),
        (np.array([[0.0, 0.0, 5.0, 0.0]]), "box 0 has no area"),
        (np.array([[0.0, 0.0, 5.0, 5.0], [0.0, 0.0, np.nan, 4.0]]), "box 1 is not finite"),
    ],
)
def test_unfit_boxes(boxes, message):
    with pytest.raises(InputError, match=message):
        assign_locations(SETTINGS.lay(8, 8), boxes)
