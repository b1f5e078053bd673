"""Who is where: numbers, heights, places."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from minidet.boxes import iou, mirror_landmarks
from minidet.datasets.synthetic.head import head_shape
from minidet.datasets.synthetic.pose import Pose
from minidet.datasets.synthetic.scene import Person, _place, draw_scene
from minidet.datasets.synthetic.settings import SyntheticSettings

SETTINGS = SyntheticSettings(size=(240, 180), faces=(0, 4), face_heights=(20.0, 90.0))


def scenes(count, settings):
    return [draw_scene(np.random.default_rng(seed), settings) for seed in range(count)]


@pytest.fixture(scope="module")
def many():
    return scenes(300, SETTINGS)


def test_every_number_of_faces_occurs(many):
    counts = np.bincount([len(people) for people in many], minlength=5)
    assert len(counts) == 5
    assert counts.min() > 30  # of 60 on average


def test_one_number_of_faces():
    settings = SyntheticSettings(size=(240, 180), faces=(2, 2), face_heights=(20.0, 60.0))
    assert {len(people) for people in scenes(50, settings)} == {2}


def test_heights(many):
    heights = np.array([p.box[3] - p.box[1] for people in many for p in people])
    assert heights.min() >= 20 - 1e-9
    assert heights.max() <= 90 + 1e-9
    assert np.median(heights) == pytest.approx(np.sqrt(20 * 90), rel=0.12)  # every doubling equally often
    assert heights.max() > 80
    assert heights.min() < 22


def test_poses_reach_their_limits(many):
    for name, limit in (("yaw", 50), ("pitch", 25), ("roll", 25)):
        angles = np.array([getattr(p.pose, name) for people in many for p in people])
        assert abs(angles).max() <= limit
        assert angles.min() < -0.9 * limit
        assert angles.max() > 0.9 * limit


def test_faces_lie_inside(many):
    for people in many:
        for person in people:
            x1, y1, x2, y2 = person.box
            assert x1 >= -1e-9
            assert y1 >= -1e-9
            assert x2 <= 240 + 1e-9
            assert y2 <= 180 + 1e-9


def test_faces_go_everywhere(many):
    middles = np.array([(p.box[:2] + p.box[2:]) / 2 for people in many for p in people])
    assert (middles.min(axis=0) < [25, 25]).all()
    assert (middles.max(axis=0) > [215, 155]).all()


def test_heads_hardly_overlap():
    """Boxes grown for hair have at most a tenth of the smaller one in common; faces even less."""
    crowded = SyntheticSettings(size=(200, 200), faces=(8, 8), face_heights=(20.0, 120.0))
    largest, together = 0.0, 0
    for people in scenes(60, crowded):
        boxes = np.array([p.box for p in people])
        together += len(boxes)
        assert (boxes[:, 3] - boxes[:, 1]).min() >= 20 - 1e-9  # made smaller to fit, but not too small
        for i in range(len(boxes)):
            for j in range(i):
                a, b = ([x1 - (x2 - x1) / 4, y1 - 0.35 * (y2 - y1), x2 + (x2 - x1) / 4, y2]
                        for x1, y1, x2, y2 in (boxes[i], boxes[j]))  # fmt: skip
                width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
                smaller = min((q[2] - q[0]) * (q[3] - q[1]) for q in (a, b))
                share = max(width, 0) * max(height, 0) / smaller
                assert share <= 0.1 + 1e-9
                largest = max(largest, share)
        assert (np.triu(iou(boxes, boxes), 1) < 0.06).all()
    assert largest > 0.08  # the limit is used
    assert together > 60 * 5  # room is found for most


def test_the_nearer_is_larger(many):
    """Faces are drawn far to near, and the list begins with the nearest; a shrunk one may be smaller."""
    ordered = [a.pose.scale >= b.pose.scale for people in many for a, b in pairwise(people)]
    assert np.mean(ordered) > 0.9


def test_a_wide_face_fits_a_narrow_picture():
    settings = SyntheticSettings(size=(40, 400), faces=(1, 1), face_heights=(30.0, 400.0))
    for people in scenes(50, settings):
        for person in people:
            assert person.box[0] >= -1e-9
            assert person.box[2] <= 40 + 1e-9


def test_no_place_for_what_is_wider_than_the_picture():
    flat = np.array([[0.0, 0, 0], [3, 0, 0], [0, 1, 0]])
    wide = Person(Pose(0, 0, 0, 1.0, 0.0, 0.0), flat)
    rng = np.random.default_rng(1)
    assert _place(wide, 70.0, [], rng, SETTINGS).box[2] <= 240
    assert _place(wide, 81.0, [], rng, SETTINGS) is None


def test_box_and_landmarks_are_projected_by_hand():
    """Person by person: the pose applied to head coordinates gives back the vertices."""
    for people in scenes(30, SETTINGS):
        for person in people:
            head = (person.vertices - [person.pose.x, person.pose.y, 0]) @ person.pose.rotation()
            head /= person.pose.scale
            np.testing.assert_allclose(person.pose.place(head), person.vertices, atol=1e-9)
            assert abs(head[:, 0]).max() < 1.0  # upright and frontal it is a face of the usual size
            assert head[:, 1].min() == pytest.approx(-1, abs=0.1)
            assert head[:, 1].max() == pytest.approx(1, abs=0.12)
            xs, ys = person.vertices[:, 0].tolist(), person.vertices[:, 1].tolist()
            assert person.box.tolist() == [min(xs), min(ys), max(xs), max(ys)]


def test_mirror():
    """The mirrored pose has the mirrored points: left and right change places."""
    shape = np.random.default_rng(4).uniform(-1, 1, 10)
    pose = Pose(yaw=35, pitch=12, roll=-20, scale=30.0, x=70.0, y=80.0)
    mirrored = Pose(yaw=-35, pitch=12, roll=20, scale=30.0, x=200.0 - 70.0, y=80.0)
    one, other = (Person(p, p.place(head_shape(shape))) for p in (pose, mirrored))
    np.testing.assert_allclose(mirror_landmarks(one.landmarks[None], 200)[0], other.landmarks)
    x1, y1, x2, y2 = one.box
    np.testing.assert_allclose(other.box, [200 - x2, y1, 200 - x1, y2])


def test_left_is_left_in_every_pose():
    for yaw in (-50, 0, 50):
        for pitch in (-25, 0, 25):
            for roll in (-25, 0, 25):
                pose = Pose(yaw, pitch, roll, 1.0, 0.0, 0.0)
                points = Person(pose, pose.place(head_shape(np.zeros(10)))).landmarks
                assert points[0, 0] < points[1, 0]
                assert points[3, 0] < points[4, 0]
                assert points[:2, 1].mean() < points[2, 1] < points[3:, 1].mean()
