"""What makes a test case one line: the measure of agreement, and awkward copies of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOATS = ("float64", "float32")

# How far a result may be from the reference, relative to the reference's largest value. The two add up the
# same products in another order, so a few times the rounding of the type (1e-16 and 6e-8) is all there is.
OP_TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
NETWORK_TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


def disagreement(actual: NDArray, reference: NDArray) -> float:
    """Return max|actual - reference| / max|reference| over a whole tensor.

    Never element by element: an output that happens to be the small difference of large products is as
    inexact as they are, and that is no mistake. NaN and infinity must be met exactly and do not count as
    values; anything else in their place is an infinite disagreement.
    """
    actual, reference = np.asarray(actual, np.float64), np.asarray(reference, np.float64)
    finite = np.isfinite(reference)
    if not np.array_equal(actual[~finite], reference[~finite], equal_nan=True):
        return np.inf
    difference = np.max(np.abs(actual[finite] - reference[finite]), initial=0.0)
    largest = np.max(np.abs(reference[finite]), initial=0.0)
    if np.isnan(difference):
        return np.inf
    if difference == 0:
        return 0.0
    return float(difference / largest) if largest > 0 else np.inf


def assert_close(actual: NDArray, reference: NDArray, tolerance: float) -> None:
    """Require the shape and the type of ``reference``, and its values up to ``tolerance`` of the largest."""
    assert isinstance(actual, np.ndarray), f"{type(actual).__name__} instead of an array"
    assert actual.shape == reference.shape, f"shape {actual.shape}, expected {reference.shape}"
    assert actual.dtype == reference.dtype, f"{actual.dtype}, expected {reference.dtype}"
    figure = disagreement(actual, reference)
    report = f"disagreement {figure:.2e}, allowed {tolerance:.0e}: {actual.dtype} {actual.shape}"
    print(report)
    assert figure <= tolerance, report


# ---- The same numbers, laid out in memory in other ways --------------------------------------------


def columns_first(array: NDArray) -> NDArray:
    """Copy with the first axis the fastest in memory, as in Fortran."""
    return array.copy(order="F")


def every_other(array: NDArray) -> NDArray:
    """Copy into every other place along the last axis of a larger array; NaN in between."""
    larger = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    larger[..., ::2] = array
    return larger[..., ::2]


def backwards(array: NDArray) -> NDArray:
    """Copy stored in reverse and seen through negative strides."""
    return np.flip(np.flip(array).copy())


def read_only(array: NDArray) -> NDArray:
    """Copy that cannot be written to."""
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = (columns_first, every_other, backwards, read_only)
