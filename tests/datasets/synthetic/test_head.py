"""The mesh of a face: its topology, and what the shape numbers do."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from minidet.datasets.synthetic.head import (
    COLUMNS,
    LANDMARK_VERTICES,
    ROWS,
    SHAPE_NAMES,
    VERTEX_COUNT,
    flat_coordinates,
    head_shape,
    head_triangles,
)
from minidet.errors import InputError

MEAN = np.zeros(len(SHAPE_NAMES))
SHAPES = np.random.default_rng(1).uniform(-1, 1, (20, len(SHAPE_NAMES)))


def edges(triangles):
    return [(a, b) for i, j, k in triangles.tolist() for a, b in ((i, j), (j, k), (k, i))]


def test_every_vertex_is_in_a_triangle():
    assert set(head_triangles().ravel().tolist()) == set(range(VERTEX_COUNT))


def test_the_surface_is_one_sheet():
    """Every edge borders one or two triangles, and Euler's number of a disc is 1."""
    triangles = head_triangles()
    count = Counter(tuple(sorted(edge)) for edge in edges(triangles))
    assert set(count.values()) == {1, 2}
    assert VERTEX_COUNT - len(count) + len(triangles) == 1
    assert list(count.values()).count(1) == 2 * (ROWS - 1) + 2 * (COLUMNS - 1)  # the rim


def test_triangles_run_the_same_way():
    """Two triangles that share an edge go along it in opposite directions."""
    assert max(Counter(edges(head_triangles())).values()) == 1


@pytest.mark.parametrize("shape", [MEAN, *SHAPES[:5]])
def test_triangles_face_outwards(shape):
    vertices = head_shape(shape)
    a, b, c = (vertices[head_triangles()[:, corner]] for corner in range(3))
    outwards = np.cross(c - a, b - a)  # clockwise with y down and z away: towards the viewer is -z
    middles = (a + b + c) / 3
    share = (np.sum(outwards * (middles - [0, 0, 0.2]), axis=1) > 0).mean()
    assert share > 0.97  # the lower side of the nose may look inwards


def test_triangles_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        head_triangles()[0] = 0


def test_mean_face_is_symmetric():
    grid = head_shape(MEAN).reshape(ROWS, COLUMNS, 3)
    np.testing.assert_allclose(grid[:, ::-1] * [-1, 1, 1], grid, atol=1e-15)


@pytest.mark.parametrize("shape", SHAPES[:5])
def test_no_shape_number_makes_it_lopsided(shape):
    grid = head_shape(shape).reshape(ROWS, COLUMNS, 3)
    np.testing.assert_allclose(grid[:, ::-1] * [-1, 1, 1], grid, atol=1e-15)


def test_landmarks_are_where_the_drawing_has_them():
    points = flat_coordinates()[list(LANDMARK_VERTICES)]
    expected = [[-0.3, -0.2], [0.3, -0.2], [0, 0.2], [-0.19, 0.5], [0.19, 0.5]]
    np.testing.assert_allclose(points, expected, atol=0.012)
    np.testing.assert_allclose(points[:, 1], np.array(expected)[:, 1], atol=1e-12)


def test_nose_is_nearest():
    for shape in SHAPES:
        vertices = head_shape(shape)
        assert np.argmin(vertices[:, 2]) // COLUMNS in (11, 12, 13)
        assert vertices[LANDMARK_VERTICES[2], 2] < vertices[list(LANDMARK_VERTICES), 2].mean() - 0.1


def test_shape_is_linear():
    a, b = SHAPES[:2]
    np.testing.assert_allclose(
        head_shape(a + b) - head_shape(b), head_shape(a) - head_shape(MEAN), atol=1e-14
    )


def change(name, weight=1.0):
    shape = MEAN.copy()
    shape[SHAPE_NAMES.index(name)] = weight
    return (head_shape(shape) - head_shape(MEAN)).reshape(ROWS, COLUMNS, 3)


def test_what_the_numbers_do():
    """By their names: the sign of the change at the place where it is largest."""
    assert change("wide")[8, -1, 0] > 0.05
    assert change("wide jaw")[16, -1, 0] > 0.04
    assert abs(change("wide jaw")[:10]).max() == 0
    assert change("long chin")[20, 9, 1] > 0.05
    assert change("large nose")[12, 9, 2] < -0.05
    assert change("wide nose")[12, 11, 0] > 0.01
    assert change("strong brow")[6, 13, 2] < -0.03
    assert change("full cheeks")[11, 14, 2] < -0.03
    assert change("eyes apart")[8, 13, 0] > 0.02
    assert change("eyes apart")[8, 5, 0] < -0.02
    assert change("wide mouth")[15, 12, 0] > 0.02
    assert change("smile")[15, 12, 1] < -0.03


def test_rejects_another_number_of_numbers():
    with pytest.raises(InputError, match=r"^head_shape: `shape` has shape \(9,\); expected \(10,\)$"):
        head_shape(np.zeros(9))
