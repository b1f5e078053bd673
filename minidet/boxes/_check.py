"""Checks that every box function makes on its arguments."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from minidet._check import check_float
from minidet.errors import InputError


def check_rows(function: str, name: str, array: NDArray[Any], columns: int) -> None:
    """Require an (any, ``columns``) array of floats: integers would cut a threshold to 0, unsigned wrap."""
    if array.ndim != 2 or array.shape[1] != columns:
        raise InputError(f"{function}: `{name}` has shape {array.shape}; expected (any number, {columns})")
    check_float(function, **{name: array})
