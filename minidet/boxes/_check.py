"""Checks that every box function makes on its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.errors import InputError


def check_rows(function: str, name: str, array: NDArray[Any], columns: int) -> None:
    """Require an (any, ``columns``) array of floats."""
    if array.ndim != 2 or array.shape[1] != columns:
        raise InputError(f"{function}: `{name}` has shape {array.shape}; expected (any number, {columns})")
    check_floats(function, name, array)


def check_floats(function: str, name: str, array: NDArray[Any]) -> None:
    """Require float32 or float64: an integer type cuts a threshold to 0, unsigned ones wrap."""
    if array.dtype not in (np.float32, np.float64):
        raise InputError(f"{function}: `{name}` is {array.dtype}; expected float32 or float64")


def check_finite(function: str, name: str, array: NDArray[Any]) -> None:
    """Require numbers, not NaN or infinity, and name the first row that has one."""
    finite = np.isfinite(array)
    if not finite.all():
        row = int(np.argwhere(~finite)[0][0])
        raise InputError(f"{function}: `{name}` is not finite in row {row}: {array[row]}")
