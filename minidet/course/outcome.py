"""One run of a function on one input: what it returned, or how it failed."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidet.course.compare import same
from minidet.course.exercise import Case


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a run.

    Attributes
    ----------
    value : object
        What was returned; None after an exception.
    error : Exception or None
    changed : tuple of str
        The arguments that were changed in place.
    """

    value: Any
    error: Exception | None = None
    changed: tuple[str, ...] = ()

    def like(self, other: Outcome) -> bool:
        """Tell whether two functions did the same: returned the same, or raised the same type of error."""
        if self.error is not None or other.error is not None:
            return type(self.error) is type(other.error)
        return same(self.value, other.value)


def run(function: Callable[..., Any], case: Case) -> Outcome:
    """Call a function on copies of the arguments, by their names if it has these, else in their order.

    Examples
    --------
    >>> run(lambda a, b: a - b, {"b": 1, "a": 3}).value
    2
    >>> run(lambda first, second: first - second, {"b": 1, "a": 3}).value
    -2
    """
    given = {name: deepcopy(value) for name, value in case.items()}
    with np.errstate(all="ignore"):  # what is divided by zero is seen in the result
        try:
            value = function(**given) if _takes(function, (), given) else function(*given.values())
        except Exception as error:
            return Outcome(None, error)
    changed = tuple(name for name, value in case.items() if not _unchanged(given[name], value))
    return Outcome(_snapshot(value), changed=changed)


def accepts(function: Callable[..., Any], case: Case) -> bool:
    """Tell whether a function can be called with the arguments of a case, in one of both ways.

    Examples
    --------
    >>> accepts(lambda a: a, {"a": 1}), accepts(lambda: 0, {"a": 1})
    (True, False)
    """
    return _takes(function, (), case) or _takes(function, tuple(case.values()), {})


def place_of(error: Exception, function: Callable[..., Any]) -> str:
    """Say in which line of the student's file an exception arose; nothing if that is not known."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if not frames:
        return ""
    line = f": {frames[-1].line}" if frames[-1].line else ""
    return f" in line {frames[-1].lineno}{line}"


def _takes(function: Callable[..., Any], values: tuple[Any, ...], named: Case) -> bool:
    try:
        inspect.signature(function).bind(*values, **named)
    except TypeError:
        return False
    except ValueError:  # some functions written in C do not tell
        return not named
    return True


def _unchanged(after: Any, before: Any) -> bool:
    if isinstance(before, np.ndarray):
        # Bytes, so that a NaN is itself and 0 is not -0.
        return (
            after.shape == before.shape
            and after.dtype == before.dtype
            and after.tobytes() == before.tobytes()
        )
    return bool(after == before)


def _snapshot(value: Any) -> Any:
    """Copy arrays: a function may return the same buffer every time."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple):
        return type(value)(_snapshot(one) for one in value)
    return value
