"""Checks that every box function makes on its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_float
from minidet._typing import FloatArray
from minidet.errors import InputError


def check_rows(function: str, name: str, array: NDArray[Any], columns: int) -> None:
    """Require an (any, ``columns``) array of floats: integers would cut a threshold to 0, unsigned wrap."""
    if array.ndim != 2 or array.shape[1] != columns:
        raise InputError(f"{function}: `{name}` has shape {array.shape}; expected (any number, {columns})")
    check_float(function, **{name: array})


def check_area(function: str, kind: str, boxes: FloatArray, before: str) -> None:
    """Require finite boxes that have an area; name the first that is not, as ``kind`` and its row."""
    with np.errstate(over="ignore", invalid="ignore"):
        sides = boxes[:, 2:] - boxes[:, :2]  # (any, 2); infinite or NaN if a coordinate is
    proper = (np.isfinite(sides) & (sides > 0)).all(axis=1)
    if not proper.all():
        row = int(np.argmin(proper))
        fault = "has no area" if np.isfinite(sides[row]).all() else "is not finite"
        raise InputError(
            f"{function}: {kind} {row} {fault}: {boxes[row]}; boxes are x1 y1 x2 y2; drop it before {before}"
        )
