"""Small scenes for the tests of the mesh operations."""

import numpy as np

from minidet.mesh import Topology
from tests.oracles.cases import Numbers


def grid(rows, columns):
    """A sheet of rows x columns vertices: its topology, and places in the square from -1 to 1, z = 0."""
    row, column = np.mgrid[: rows - 1, : columns - 1]
    corner = (row * columns + column).ravel()
    right, below = corner + 1, corner + columns
    triangles = np.concatenate(
        [np.stack([corner, right, below], axis=1), np.stack([right, below + 1, below], axis=1)]
    )
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(rows * columns)], axis=1)
    return Topology(rows * columns, triangles, (0, 1, 2, 3, 4)), vertices


def head(N=2, rows=4, columns=5, seed="head"):
    """N curved sheets with colours, cameras and lights: all that a picture is made of."""
    topology, flat = grid(rows, columns)
    numbers = Numbers(seed)
    vertices = np.repeat(flat[None], N, axis=0)
    vertices[..., 2] = 0.4 * (flat[:, 0] ** 2 + flat[:, 1] ** 2)
    vertices += 0.03 * numbers.real(*vertices.shape)
    colours = 0.5 + 0.1 * numbers.real(*vertices.shape)
    camera = np.array([0.1, -0.05, 6.0, 0.3, -0.2, 0.15, 5.0]) + 0.02 * numbers.real(N, 7)
    light = np.array([1.0, -2.0, 2.0, 0.6, 0.5, 0.4, 0.3, 0.35, 0.4]) + 0.02 * numbers.real(N, 9)
    return topology, vertices, colours, camera, light
