"""When two results are the same, and if they are not, what the difference is in one sentence."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-6
"""Largest difference over largest number of an array. In float64 no order of summation comes near it, and no
mistake stays below it."""
TOLERANCE_FLOAT32 = 1e-5
"""float32 has 7 digits, and a sum loses some."""


def difference(returned: Any, expected: Any) -> str | None:
    """Say how a result differs from the expected one; None if it does not.

    Parameters
    ----------
    returned : object
        Anything a function may return.
    expected : array, tuple of results, list of numbers, float or int
        The type says what is accepted: for an array one of its shape and type (integers of any size), for a
        tuple as many results, for a list any sequence of numbers, for an int only a whole number.

    Examples
    --------
    >>> difference(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    'At [1] stands 2.0; expected 3.0. 1 of 2 numbers differs.'
    >>> difference([1.0, 2.0], np.array([1.0, 2.0]))
    'It is a list; expected an array: np.array(...) makes one.'
    >>> difference(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None
    True
    """
    if returned is None:
        return "It is None; is there a `return` at the end?"
    if isinstance(expected, np.ndarray):
        return _difference_of_arrays(returned, expected)
    if isinstance(expected, tuple):
        return _difference_of_tuples(returned, expected)
    if isinstance(expected, list):
        return _difference_of_lists(returned, expected)
    return _difference_of_numbers(returned, expected)


def same(a: Any, b: Any) -> bool:
    """Tell whether a result is what was expected."""
    return difference(a, b) is None


def _difference_of_arrays(returned: Any, expected: NDArray[Any]) -> str | None:
    if not isinstance(returned, np.ndarray):
        if isinstance(returned, list | tuple):
            return f"It is a {type(returned).__name__}; expected an array: np.array(...) makes one."
        kind = "number" if isinstance(returned, numbers.Number) else type(returned).__name__
        return f"It is a {kind}; expected an array of shape {expected.shape}."
    if returned.shape != expected.shape:
        return f"The shape is {returned.shape}; expected {expected.shape}."
    if expected.dtype.kind in "iu" and returned.dtype.kind in "iu":
        pass  # an index is an index, whatever its size
    elif returned.dtype != expected.dtype:
        wanted = "integers" if expected.dtype.kind in "iu" else str(expected.dtype)
        return f"The type is {returned.dtype}; expected {wanted}."
    return _difference_of_values(returned, expected)


def _difference_of_values(returned: NDArray[Any], expected: NDArray[Any]) -> str | None:
    differs = _differs(returned, expected)
    if not differs.any():
        return None
    if np.isnan(returned.astype(np.float64)).any() and not np.isnan(expected.astype(np.float64)).any():
        at = _first(np.isnan(returned))
        return f"At {at} stands NaN: something was divided by zero, or overflowed."
    at = _first(differs)
    found, wanted = returned[tuple(at)].item(), expected[tuple(at)].item()
    digits = 6 if f"{found:.6g}" != f"{wanted:.6g}" else 17
    numbers_there = (
        f"{found}; expected {wanted}"
        if expected.dtype.kind in "iub"
        else f"{_short(found, digits)}; expected {_short(wanted, digits)}"
    )
    if differs.size == 1:
        return f"At {at} stands {numbers_there}."
    verb = "differs" if differs.sum() == 1 else "differ"
    return f"At {at} stands {numbers_there}. {differs.sum()} of {differs.size} numbers {verb}."


def _differs(returned: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.bool_]:
    if expected.dtype.kind != "f":
        return np.asarray(returned != expected)
    # One measure for the whole array: what cancels to nearly zero is not held to more digits than the rest.
    finite = np.isfinite(expected)
    scale = float(np.abs(expected[finite]).max(initial=0.0)) or 1.0
    limit = scale * (TOLERANCE_FLOAT32 if expected.dtype.itemsize < 8 else TOLERANCE)
    with np.errstate(all="ignore"):
        near = np.abs(returned - expected) <= limit
    alike = (returned == expected) | (np.isnan(returned) & np.isnan(expected))  # infinities, NaN
    return ~np.where(finite, near, alike)


def _difference_of_tuples(returned: Any, expected: tuple[Any, ...]) -> str | None:
    if not isinstance(returned, tuple | list):
        return f"It is one {type(returned).__name__}; expected {len(expected)} results: return a, b, ..."
    if len(returned) != len(expected):
        return f"It holds {_count(len(returned), 'result')}; expected {len(expected)}."
    for number, (one, wanted) in enumerate(zip(returned, expected, strict=True), start=1):
        sentence = difference(one, wanted)
        if sentence is not None:
            return f"Result {number} of {len(expected)}: {sentence[0].lower()}{sentence[1:]}"
    return None


def _difference_of_lists(returned: Any, expected: list[float]) -> str | None:
    if not isinstance(returned, list | tuple | np.ndarray):
        return f"It is a {type(returned).__name__}; expected a list of numbers."
    if np.ndim(returned) != 1 or not all(isinstance(value, numbers.Real) for value in returned):
        return "It does not hold single numbers; expected a list of numbers."
    if len(returned) != len(expected):
        return f"It holds {_count(len(returned), 'number')}; expected {len(expected)}."
    return _difference_of_values(np.array(returned, np.float64), np.array(expected, np.float64))


def _difference_of_numbers(returned: Any, expected: float) -> str | None:
    value = returned.item() if isinstance(returned, np.ndarray) and returned.ndim == 0 else returned
    if isinstance(value, np.ndarray):
        return f"It is an array of shape {value.shape}; expected one number."
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        return f"It is a {type(value).__name__}; expected one number."
    if isinstance(expected, int) and not isinstance(value, numbers.Integral):
        return f"The number is {float(value)}; expected a whole one, such as // returns."
    if isinstance(expected, int):
        return None if value == expected else f"The number is {value}; expected {expected}."
    if np.isnan(float(value)) and not np.isnan(expected):
        return "The number is NaN: something was divided by zero, or overflowed."
    if not _differs(np.array(float(value)), np.array(float(expected))).any():
        return None
    return f"The number is {_short(float(value), 6)}; expected {_short(float(expected), 6)}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _short(value: float, digits: int) -> str:
    return repr(float(f"{value:.{digits}g}"))


def _first(mask: NDArray[np.bool_]) -> list[int]:
    return [int(i) for i in np.argwhere(mask)[0]]
