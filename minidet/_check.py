"""Checks that operations, losses, box functions and training have in common."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._typing import FloatArray
from minidet.errors import InputError

FLOAT_TYPES = (np.dtype(np.float32), np.dtype(np.float64))


def check_float(function: str, **arrays: FloatArray | None) -> None:
    """Require float32 or float64 arrays, all of one type; ``None`` (an absent option) passes."""
    given = {name: array for name, array in arrays.items() if array is not None}
    first_name, first = next(iter(given.items()))
    for name, array in given.items():
        if not isinstance(array, np.ndarray):
            raise InputError(f"{function}: `{name}` is a {type(array).__name__}; expected an array")
        if array.dtype not in FLOAT_TYPES:
            raise InputError(f"{function}: `{name}` is {array.dtype}; expected float32 or float64")
        if array.dtype != first.dtype:
            raise InputError(
                f"{function}: `{name}` is {array.dtype}, `{first_name}` is {first.dtype}; "
                "cast one with .astype()"
            )


def check_ndim(function: str, name: str, array: NDArray[Any], ndim: int, letters: str) -> None:
    """Require ``ndim`` axes; ``letters`` names them in the message."""
    if array.ndim != ndim:
        raise InputError(f"{function}: `{name}` has shape {array.shape}; expected ({letters})")


def check_shape(function: str, name: str, array: NDArray[Any], shape: tuple[int, ...], why: str) -> None:
    """Require exactly ``shape``; ``why`` says in the message where it comes from."""
    if array.shape != shape:
        raise InputError(f"{function}: `{name}` has shape {array.shape}; expected {shape}, {why}")


def check_finite(function: str, name: str, array: NDArray[Any], *axes: str) -> None:
    """Require numbers, not NaN or infinity, and show the first place that has one.

    ``axes`` are the names of the leading axes by which the place is told, "row" if there are none.
    """
    finite = np.isfinite(array)
    if not finite.all():
        axes = axes or ("row",)
        index = tuple(int(i) for i in np.argwhere(~finite)[0][: len(axes)])
        place = ", ".join(f"{axis} {i}" for axis, i in zip(axes, index, strict=True))
        raise InputError(f"{function}: `{name}` is not finite in {place}: {array[index]}")


def check_whole(function: str, name: str, value: object, *, least: int) -> None:
    """Require a whole number from ``least`` up."""
    if not isinstance(value, numbers.Integral) or value < least:
        raise InputError(f"{function}: {name}={value!r}; expected a whole number from {least} up")
