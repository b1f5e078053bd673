"""Numba's ``intrinsic``, with a type that a type checker can follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from numba.extending import intrinsic as numba_intrinsic


def intrinsic(definition: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of compiled code out of one that writes its instructions.

    The definition is called with Numba's typing context and the types of the arguments, whole numbers as
    literals where they are known, and returns the signature and the writer of the instructions.
    """
    return cast(Callable[..., Any], numba_intrinsic(prefer_literal=True)(definition))
