"""The pose: what each angle does to a face, and how points reach the picture."""

from __future__ import annotations

import numpy as np
import pytest

from minidet.datasets.synthetic.pose import Pose, rotation


def test_rotation_is_a_rotation():
    matrix = rotation(31, -17, 23)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_angles_turn_as_described():
    nose, top = np.array([0.0, 0, -1]), np.array([0.0, -1, 0])
    assert (rotation(30, 0, 0) @ nose)[0] == pytest.approx(0.5)  # to the right
    assert (rotation(0, 30, 0) @ nose)[1] == pytest.approx(0.5)  # down
    assert (rotation(0, 0, 30) @ top)[0] == pytest.approx(0.5)  # clockwise: the top goes right


def test_order_of_turns():
    expected = rotation(0, 0, 20) @ rotation(0, 15, 0) @ rotation(40, 0, 0)
    np.testing.assert_allclose(rotation(40, 15, 20), expected, atol=1e-15)


def test_place():
    points = np.random.default_rng(2).normal(size=(7, 3))
    pose = Pose(yaw=20, pitch=-10, roll=5, scale=3.0, x=40.0, y=50.0)
    placed = pose.place(points)
    for point, pixel in zip(points, placed, strict=True):
        turned = rotation(20, -10, 5) @ point
        np.testing.assert_allclose(pixel, [40 + 3 * turned[0], 50 + 3 * turned[1], 3 * turned[2]])
