"""Checks that several losses make on their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_float, check_shape
from minidet._typing import FloatArray, IntArray
from minidet.errors import InputError, is_number


def check_pair(
    function: str, predictions: FloatArray, targets: FloatArray, *, name: str = "predictions"
) -> None:
    """Require two (M, ...) arrays of one float type and one shape, without NaN or infinity."""
    check_float(function, **{name: predictions, "targets": targets})
    if predictions.ndim == 0:
        raise InputError(f"{function}: `{name}` has shape (); expected (M, ...)")
    check_shape(function, "targets", targets, predictions.shape, f"that of `{name}`")
    M = len(predictions)
    if predictions.size > 0:
        check_finite(function, name, predictions.reshape(M, -1), "sample", "element")
        check_finite(function, "targets", targets.reshape(M, -1), "sample", "element")


def check_indices(function: str, name: str, array: NDArray[Any], count: int, row: str) -> IntArray:
    """Require whole numbers from 0 to ``count`` - 1 and return them in the type of indices.

    Booleans are refused, as by PyTorch: to NumPy an array of them is no index but a choice of rows.
    """
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"{function}: `{name}` is {array.dtype}; expected whole numbers, cast with .astype(int)"
        )
    outside = (array < 0) | (array >= count)
    if outside.any():
        at = tuple(np.argwhere(outside)[0])
        expected = "0 or 1" if count == 2 else f"0 to {count - 1}"
        raise InputError(f"{function}: `{name}` is {array[at]} in {row} {at[0]}; expected {expected}")
    return array.astype(np.intp)


def check_not_negative(function: str, name: str, value: float, dtype: np.dtype[Any]) -> None:
    """Require a number of at least 0 that ``dtype`` can hold."""
    largest = float(np.finfo(dtype).max)
    if not (is_number(value) and 0 <= value <= largest):
        raise InputError(f"{function}: {name}={value!r}; expected a number from 0 to {largest:.1e}")
