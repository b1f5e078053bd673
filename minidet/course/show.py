"""Arguments and results as text that can be pasted back into Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet.course.exercise import Case

LINE = 100
"""Characters."""
MOST_NUMBERS = 200
"""Of an array; the inputs of all exercises have fewer."""
MOST_LINES = 40
"""Of one value; what a wrong answer returns may be of any size."""


def show(value: Any) -> str:
    """Write a value in at most ``MOST_LINES`` lines.

    Examples
    --------
    >>> show(np.array([0.5, 2.0])), show(np.float64(0.1)), show([1 / 3, 2]), show(np.maximum)
    ('array([0.5, 2. ])', '0.1', '[0.333333, 2]', 'maximum')
    """
    if isinstance(value, np.generic):
        value = value.item()
    if callable(value):
        return str(getattr(value, "__name__", type(value).__name__))
    if type(value) is float:
        return repr(float(f"{value:.6g}"))
    if type(value) is list and len(value) <= MOST_NUMBERS:
        return f"[{', '.join(show(one) for one in value)}]"
    if type(value) is tuple:
        text = "(" + ",\n ".join(indent(show(one), " ") for one in value) + ")"
    else:
        with np.printoptions(precision=5, suppress=True, linewidth=LINE, threshold=MOST_NUMBERS):
            text = repr(value)
    lines = [line for line in text.splitlines() if line.strip()]  # NumPy leaves lines empty between matrices
    return "\n".join(lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], "..."])


def show_case(case: Case) -> str:
    """Write the arguments of a case, a line or more for each.

    Examples
    --------
    >>> print(show_case({"a": np.zeros((2, 1)), "stride": 2}))
    a = array([[0.],
               [0.]])
    stride = 2
    """
    return "\n".join(f"{name} = {indent(show(value), ' ' * (len(name) + 3))}" for name, value in case.items())


def indent(text: str, margin: str) -> str:
    """Put a margin before every line but the first."""
    return text.replace("\n", "\n" + margin)
