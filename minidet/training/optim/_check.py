"""Checks that optimisers, clipping and schedules have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from minidet._check import FLOAT_TYPES
from minidet._typing import FloatArray
from minidet.errors import InputError, is_number
from minidet.nn.parameter import Parameter


def check_parameters(function: str, parameters: Mapping[str, Parameter]) -> None:
    """Require arrays of float32 or float64 with at least one axis, each under one name only."""
    first_name: dict[int, str] = {}
    for name, parameter in parameters.items():
        if parameter.data.dtype not in FLOAT_TYPES:
            raise InputError(f"{function}: `{name}` is {parameter.data.dtype}; expected float32 or float64")
        if parameter.data.ndim == 0:  # NumPy would turn it into a scalar, and in version 1 into a float64
            raise InputError(
                f"{function}: `{name}` has no axis; expected an array, of shape (1,) for one number"
            )
        if id(parameter) in first_name:
            raise InputError(
                f"{function}: `{first_name[id(parameter)]}` and `{name}` are one parameter; expected it once"
            )
        first_name[id(parameter)] = name


def check_gradient(function: str, name: str, data: FloatArray, grad: FloatArray) -> None:
    """Require a gradient of the shape and the type of the values, without NaN or infinity."""
    if grad.shape != data.shape or grad.dtype != data.dtype:
        raise InputError(
            f"{function}: the gradient of `{name}` is {grad.dtype} {grad.shape}; "
            f"expected {data.dtype} {data.shape}, as its values"
        )
    check_finite_numbers(function, f"the gradient of `{name}`", grad)


def check_finite_numbers(function: str, what: str, array: FloatArray) -> None:
    """Require numbers, not NaN or infinity, and name the first element that is none."""
    finite = np.isfinite(array)
    if not finite.all():
        at = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise InputError(f"{function}: {what} is {array[at]} at {list(at)}; expected finite numbers")


def check_at_least_zero(function: str, name: str, value: float) -> None:
    """Require a finite number that is not negative."""
    if not is_number(value) or not 0 <= value < math.inf:
        raise InputError(f"{function}: {name}={value!r}; expected a finite number, at least 0")


def check_above_zero(function: str, name: str, value: float) -> None:
    """Require a finite number that is positive."""
    if not is_number(value) or not 0 < value < math.inf:
        raise InputError(f"{function}: {name}={value!r}; expected a finite number above 0")


def check_below_one(function: str, name: str, value: float) -> None:
    """Require a share that something keeps of itself at every step: one would keep everything for ever."""
    if not is_number(value) or not 0 <= value < 1:
        raise InputError(f"{function}: {name}={value!r}; expected at least 0 and below 1")
