"""Boxes derived from landmarks, and what tells a face from five points that are none."""

from __future__ import annotations

import numpy as np
import pytest

from minidet.datasets.mean_face import box_from_landmarks, face_misfit
from minidet.errors import InputError
from minidet.image import ARCFACE_TEMPLATE, similarity_transform

TEMPLATE_BOX = [56.0 - 41.7, 63.6 - 55.4, 56.0 + 41.7, 63.6 + 55.4]


def turned(points, degrees, scale=1.0, shift=(0.0, 0.0)):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return scale * np.asarray(points) @ np.array([[c, s], [-s, c]]) + shift


def test_the_template_has_its_own_box():
    (box,) = box_from_landmarks(ARCFACE_TEMPLATE[None])
    np.testing.assert_allclose(box, TEMPLATE_BOX, atol=2e-3)  # the template's nose is 0.001 off its axis


def test_the_box_moves_and_grows_with_the_face():
    (box,) = box_from_landmarks([0.5 * ARCFACE_TEMPLATE + [100, -20]])
    np.testing.assert_allclose(box, 0.5 * np.array(TEMPLATE_BOX) + [100, -20, 100, -20], atol=2e-3)


@pytest.mark.parametrize("degrees", [15, 90, 180, -120])
def test_a_turned_face_keeps_an_upright_box(degrees):
    (box,) = box_from_landmarks([turned(ARCFACE_TEMPLATE, degrees, 2.0, (7, 9))])
    np.testing.assert_allclose(box[2:] - box[:2], [2 * 83.4, 2 * 110.8])
    expected = turned([[56.0, 63.6]], degrees, 2.0, (7, 9))[0]
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, expected, atol=4e-3)


def test_the_fit_is_that_of_similarity_transform():
    """Without an offset of the nose, which moves the box besides."""
    rng = np.random.default_rng(3)
    noisy = 3 * ARCFACE_TEMPLATE + rng.normal(0, 8, (20, 5, 2))
    for points in noisy:
        matrix = similarity_transform(ARCFACE_TEMPLATE, points)
        scale = np.hypot(matrix[0, 0], matrix[1, 0])
        back = np.linalg.inv(matrix[:, :2]) @ (points - matrix[:, 2]).T  # (2, 5), in the template's pixels
        offset = back[0, 2] - back[0, [0, 1, 3, 4]].mean()
        x, y = matrix[:, :2] @ [56.0 - 1.2 * offset, 63.6] + matrix[:, 2]
        half_width, half_height = scale * 83.4 / 2, scale * 110.8 / 2
        expected = [x - half_width, y - half_height, x + half_width, y + half_height]
        np.testing.assert_allclose(box_from_landmarks(points[None])[0], expected, rtol=1e-9)


def test_a_head_turned_to_the_right_has_its_box_to_the_left():
    right = ARCFACE_TEMPLATE.copy()
    right[2, 0] += 10
    mirrored = (112 - right[:, 0])[[1, 0, 2, 4, 3]]
    left = np.stack([mirrored, right[[1, 0, 2, 4, 3], 1]], axis=1)
    (to_left,), (to_right,) = box_from_landmarks([right]), box_from_landmarks([left])
    assert to_left[0] < TEMPLATE_BOX[0] - 8
    np.testing.assert_allclose(
        to_right[[0, 2]], 112 - to_left[[2, 0]], atol=0.3
    )  # the template is nearly even


def test_many_faces_at_once():
    faces = np.stack([turned(ARCFACE_TEMPLATE, degrees) for degrees in (0, 10, 20)])
    boxes = box_from_landmarks(faces)
    one_by_one = np.concatenate([box_from_landmarks(face[None]) for face in faces])
    np.testing.assert_allclose(boxes, one_by_one, rtol=1e-12)
    assert box_from_landmarks(np.empty((0, 5, 2))).shape == (0, 4)


def test_no_face_no_box():
    missing = ARCFACE_TEMPLATE.copy()
    missing[1] = np.nan
    boxes = box_from_landmarks([missing, np.full((5, 2), 7.0)])
    assert np.isnan(boxes[0]).all()
    np.testing.assert_array_equal(boxes[1], [7, 7, 7, 7])


@pytest.mark.parametrize("shape", [(5, 2), (1, 10), (1, 2, 5), (2, 4, 2)])
def test_another_shape(shape):
    with pytest.raises(InputError, match=r"box_from_landmarks: landmarks of shape .* expected \(G, 5, 2\)"):
        box_from_landmarks(np.zeros(shape))


def test_misfit():
    face = turned(ARCFACE_TEMPLATE, 40, 0.3, (5, 5))
    in_rows = ARCFACE_TEMPLATE.T.reshape(5, 2)
    perfect, wrong, point = face_misfit(np.stack([face, in_rows, np.ones((5, 2))]))
    assert perfect == pytest.approx(0, abs=1e-12)
    assert 0.3 < wrong <= 1
    assert point == 1
