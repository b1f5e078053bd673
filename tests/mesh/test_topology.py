"""Edges and the Laplacian."""

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.mesh import Topology
from tests.check import assert_close
from tests.mesh.scenes import grid


def dense(matrix):
    """Return a sparse matrix as a full one."""
    V = len(matrix.starts) - 1
    full = np.zeros((V, V))
    for v in range(V):
        for entry in range(matrix.starts[v], matrix.starts[v + 1]):
            full[v, matrix.columns[entry]] += matrix.values[entry]
    return full


def laplacian_as_defined(topology):
    """D - E, scaled to eigenvalues from -1 to 1, triangle by triangle."""
    V = topology.vertex_count
    adjacent = np.zeros((V, V))
    for triangle in topology.triangles:
        for a in triangle:
            for b in triangle:
                adjacent[a, b] = a != b
    laplacian = np.diag(adjacent.sum(axis=0)) - adjacent
    return 2 * laplacian / np.linalg.eigvalsh(laplacian).max() - np.eye(V)


def test_every_edge_is_there_once():
    topology, _ = grid(3, 4)
    edges = topology.edges.tolist()
    assert len(edges) == 3 * 3 + 2 * 4 + 6  # along rows, along columns, across cells
    assert edges == sorted(edges)
    assert all(a < b for a, b in edges)
    assert len({tuple(edge) for edge in edges}) == len(edges)


def test_laplacian_is_the_scaled_one():
    topology, _ = grid(4, 5)
    assert_close(dense(topology.laplacian), laplacian_as_defined(topology), 1e-14)
    eigenvalues = np.linalg.eigvalsh(dense(topology.laplacian))
    np.testing.assert_allclose([eigenvalues[0], eigenvalues[-1]], [-1, 1], atol=1e-12)


def test_only_neighbours_are_stored():
    topology, _ = grid(10, 10)
    assert len(topology.laplacian.values) <= 100 + 2 * len(topology.edges)


def test_a_vertex_alone_has_no_neighbours():
    one = Topology(1, np.zeros((0, 3), np.intp), (0, 0, 0, 0, 0))
    assert dense(one.laplacian).tolist() == [[-1.0]]


def test_the_nose_is_the_third_landmark():
    assert Topology(9, np.array([[0, 1, 2]]), (8, 7, 6, 5, 4)).nose == 6


@pytest.mark.parametrize("triangle", [[0, 1, 3], [-1, 0, 1]])
def test_refuses_a_triangle_beyond_the_vertices(triangle):
    with pytest.raises(InputError, match=r"^Topology: `triangles` names vertex (3|-1); expected 0 to 2$"):
        Topology(3, np.array([triangle]), (0, 1, 2, 0, 1))


@pytest.mark.parametrize("landmarks", [(0, 1, 2, 0), (0, 1, 2, 0, 3), (0, 1, 2, 0, -1)])
def test_refuses_other_landmarks(landmarks):
    with pytest.raises(InputError, match="expected five vertices, 0 to 2"):
        Topology(3, np.array([[0, 1, 2]]), landmarks)
