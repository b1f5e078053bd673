"""What the values of options are read as; each refuses with what it has expected."""

from __future__ import annotations

import argparse
import math
from typing import Any


def share(text: str) -> float:
    """Read a number from 0 to 1."""
    return number(text, 0, 1, "a number from 0 to 1")


def share_above_zero(text: str) -> float:
    """Read a number above 0 and up to 1, for an overlap: any two boxes reach 0."""
    return number(text, math.ulp(0), 1, "a number above 0 and up to 1")


def pixels(text: str) -> float:
    """Read a length of at least a pixel."""
    return number(text, 1, math.inf, "a number of pixels, at least 1")


def pixels_from_zero(text: str) -> float:
    """Read a length, which may be 0."""
    return number(text, 0, math.inf, "a number of pixels from 0 up")


def number(text: str, least: float, most: float, expected: str) -> float:
    """Read a finite number from ``least`` to ``most``; ``expected`` says so in the error."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan  # lies in no range
    if not least <= value <= most or math.isinf(value):
        raise argparse.ArgumentTypeError(f"{text!r}; expected {expected}")
    return value


def count(text: str) -> int:
    """Read a whole number from 1 up."""
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number from 1 up")
    return int(text)


def add_model_options(group: Any) -> None:
    """Add the options that say which detector looks at annotated photographs."""
    group.add_argument(
        "--model", choices=("retinaface", "mtcnn"), default="retinaface", help="(default: %(default)s)"
    )
    group.add_argument(
        "--weights",
        metavar="NAME|PATH",
        help="a name from `minidet weights list`, or a file (default: the model's own)",
    )
    group.add_argument(
        "--backend", choices=("fast", "readable"), help="what computes the networks (default: fast)"
    )


def add_jobs_option(group: Any) -> None:
    """Add the option that says how many photographs are worked on at a time."""
    group.add_argument(
        "--jobs",
        type=count,
        metavar="N",
        help="photographs at a time (default: as many as there are processors)",
    )
