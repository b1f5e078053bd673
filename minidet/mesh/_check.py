"""Checks that the operations on meshes make on their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_float, check_shape
from minidet._typing import FloatArray, IntArray
from minidet.errors import InputError


def check_vertices(function: str, **arrays: FloatArray) -> tuple[int, int]:
    """Require (N, V, 3) arrays of one shape and one float type; return N and V."""
    check_float(function, **arrays)
    first = next(iter(arrays))
    N, V, _ = shape = _three_axes(function, first, arrays[first])
    if shape[2] != 3:
        raise InputError(f"{function}: `{first}` has shape {shape}; expected (N, V, 3)")
    for name, array in arrays.items():
        check_shape(function, name, array, shape, f"that of `{first}`")
    return N, V


def check_values(function: str, name: str, array: FloatArray) -> tuple[int, int, int]:
    """Require an (N, V, C) array of floats; return its shape."""
    check_float(function, **{name: array})
    return _three_axes(function, name, array)


def check_triangles(function: str, triangles: NDArray[np.integer[Any]], V: int) -> IntArray:
    """Require (T, 3) whole numbers from 0 to V - 1, and return them in the type of indices."""
    if triangles.ndim != 2 or triangles.shape[1] != 3 or not np.issubdtype(triangles.dtype, np.integer):
        raise InputError(
            f"{function}: `triangles` is {triangles.dtype} {triangles.shape}; expected whole numbers (T, 3)"
        )
    if triangles.size and not (triangles.min() >= 0 and triangles.max() < V):
        outside = triangles[(triangles < 0) | (triangles >= V)][0]
        raise InputError(f"{function}: `triangles` names vertex {outside}; expected 0 to {V - 1}")
    return np.ascontiguousarray(triangles, np.intp)


def _three_axes(function: str, name: str, array: FloatArray) -> tuple[int, int, int]:
    if array.ndim != 3:
        raise InputError(f"{function}: `{name}` has shape {array.shape}; expected (N, V, 3)")
    N, V, C = array.shape
    return N, V, C
