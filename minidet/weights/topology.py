"""The topology of a network's meshes, in the same file as its weights: without it nobody could draw them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.errors import InputError
from minidet.mesh import Topology

TRIANGLES = "topology.triangles"
LANDMARKS = "topology.landmarks"


def with_topology(state: Mapping[str, NDArray[Any]], topology: Topology) -> dict[str, NDArray[Any]]:
    """Add a topology to a state dict, as two arrays of whole numbers, for :func:`save_npz`.

    Parameters
    ----------
    state : mapping of name to array
        Of a network with a mesh branch.
    topology : Topology
        Of its meshes.

    Returns
    -------
    dict of name to array

    Examples
    --------
    >>> triangle = Topology(3, np.array([[0, 1, 2]]), landmarks=(0, 1, 2, 2, 2))
    >>> sorted(with_topology({"weight": np.zeros(2)}, triangle))
    ['topology.landmarks', 'topology.triangles', 'weight']
    """
    return {
        **state,
        TRIANGLES: topology.triangles.astype(np.int32),
        LANDMARKS: np.array(topology.landmarks, np.int32),
    }


def split_topology(
    state: Mapping[str, NDArray[Any]], vertex_count: int
) -> tuple[dict[str, NDArray[Any]], Topology]:
    """Undo :func:`with_topology`.

    Parameters
    ----------
    state : mapping of name to array
        As it has been saved.
    vertex_count : int
        Which the network says.

    Returns
    -------
    state : dict of name to array
        Without the topology.
    topology : Topology

    Raises
    ------
    InputError
        If it has no topology, or not one of so many vertices.

    Examples
    --------
    >>> triangle = Topology(3, np.array([[0, 1, 2]]), landmarks=(0, 1, 2, 2, 2))
    >>> state, topology = split_topology(with_topology({}, triangle), 3)
    >>> state, topology.triangles.tolist(), topology.nose
    ({}, [[0, 1, 2]], 2)
    """
    rest = dict(state)
    triangles, landmarks = rest.pop(TRIANGLES, None), rest.pop(LANDMARKS, None)
    if triangles is None or landmarks is None:
        raise InputError(f"weights: they are for meshes, but have no `{TRIANGLES}` or no `{LANDMARKS}`")
    if landmarks.shape != (5,) or landmarks.dtype.kind not in "iu":
        raise InputError(
            f"weights: `{LANDMARKS}` is {landmarks.dtype} {landmarks.shape}; expected five whole numbers"
        )
    left_eye, right_eye, nose, left_mouth, right_mouth = landmarks.tolist()
    if triangles.dtype.kind in "iu":  # else the next line says what is wrong
        triangles = triangles.astype(np.intp)
    return rest, Topology(vertex_count, triangles, (left_eye, right_eye, nose, left_mouth, right_mouth))
