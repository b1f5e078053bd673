r"""What all meshes of one kind have in common: which vertices there are, and how triangles join them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from minidet._typing import Float64Array, IntArray
from minidet.errors import InputError
from minidet.mesh._check import check_triangles


class SparseMatrix(NamedTuple):
    """A square matrix of which only the numbers that are not 0 are kept, row by row.

    Attributes
    ----------
    starts : (V + 1,) array
        Row v has the entries from ``starts[v]`` to ``starts[v + 1]``.
    columns : (entries,) array
    values : (entries,) float64 array
    """

    starts: IntArray
    columns: IntArray
    values: Float64Array


@dataclass(frozen=True, eq=False)
class Topology:
    """The vertices of a face by number, and its triangles; where the vertices are is said elsewhere.

    Attributes
    ----------
    vertex_count : int
    triangles : (T, 3) integer array
        Seen from outside they run clockwise on the screen, where y points down.
    landmarks : five int
        The vertices that are the eyes, the tip of the nose and the corners of the mouth.

    Raises
    ------
    InputError
        If a triangle or a landmark names a vertex that is not there.

    Examples
    --------
    >>> square = Topology(4, np.array([[0, 1, 3], [1, 2, 3]]), landmarks=(0, 1, 2, 3, 3))
    >>> square.edges.tolist()
    [[0, 1], [0, 3], [1, 2], [1, 3], [2, 3]]
    """

    vertex_count: int
    triangles: IntArray
    landmarks: tuple[int, int, int, int, int]

    def __post_init__(self) -> None:
        check_triangles("Topology", self.triangles, self.vertex_count)
        if len(self.landmarks) != 5 or not all(0 <= v < self.vertex_count for v in self.landmarks):
            raise InputError(
                f"Topology: landmarks={self.landmarks}; expected five vertices, 0 to {self.vertex_count - 1}"
            )

    @property
    def nose(self) -> int:
        """The vertex from which depths are counted."""
        return self.landmarks[2]

    @cached_property
    def edges(self) -> IntArray:
        """(E, 2): every pair of vertices that a triangle joins, once, the smaller number first."""
        pairs = np.concatenate(
            [self.triangles[:, [0, 1]], self.triangles[:, [1, 2]], self.triangles[:, [2, 0]]]
        )
        return np.unique(np.sort(pairs, axis=1), axis=0).astype(np.intp)

    @cached_property
    def laplacian(self) -> SparseMatrix:
        r"""The Laplacian, scaled so that its eigenvalues are between -1 and 1.

        .. math:: \hat L = \frac{2}{\lambda_\text{max}} (D - E) - I

        E has a 1 for every two neighbours, D the number of neighbours on its diagonal.
        """
        V = self.vertex_count
        neighbours = np.zeros((V, V))
        a, b = self.edges.T
        neighbours[a, b] = neighbours[b, a] = 1
        laplacian = np.diag(neighbours.sum(axis=1)) - neighbours
        largest = np.linalg.eigvalsh(laplacian)[-1]
        scaled = (2 / largest if largest > 0 else 0.0) * laplacian - np.eye(V)
        rows, columns = np.nonzero(scaled)
        starts = np.searchsorted(rows, np.arange(V + 1))
        return SparseMatrix(starts.astype(np.intp), columns.astype(np.intp), scaled[rows, columns])
