"""Checks that functions of pixels make on places given by hand or by a detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet._check import check_finite
from minidet._typing import Float64Array
from minidet.errors import InputError


def as_points(function: str, name: str, values: ArrayLike) -> Float64Array:
    """Return finite numbers as a float64 array of shape (any number, 2)."""
    points = _as_numbers(function, name, values)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"{function}: `{name}` has shape {points.shape}; expected (any number, 2)")
    check_finite(function, name, points)
    return points


def as_one_face(
    function: str, name: str, values: ArrayLike, shape: tuple[int, ...], what: str
) -> Float64Array:
    """Return finite numbers as a float64 array of ``shape``; ``what`` says in the message what they are."""
    numbers = _as_numbers(function, name, values)
    if numbers.shape != shape:
        raise InputError(f"{function}: `{name}` has shape {numbers.shape}; expected {shape}, {what}")
    if not np.isfinite(numbers).all():
        raise InputError(f"{function}: `{name}` is not finite: {numbers.tolist()}")
    return numbers


def _as_numbers(function: str, name: str, values: ArrayLike) -> Float64Array:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{function}: `{name}` is a {type(values).__name__} that holds no plain numbers"
        ) from None
