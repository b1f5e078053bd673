"""Checks that every operation makes before its kernel runs; kernels themselves check nothing."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.errors import InputError

FLOAT_TYPES = (np.dtype(np.float32), np.dtype(np.float64))


def check_float(op: str, **arrays: FloatArray | None) -> None:
    """Require float32 or float64 arrays, all of one type; ``None`` (an absent option) passes."""
    given = {name: array for name, array in arrays.items() if array is not None}
    first_name, first = next(iter(given.items()))
    for name, array in given.items():
        if array.dtype not in FLOAT_TYPES:
            raise InputError(f"{op}: `{name}` is {array.dtype}; expected float32 or float64")
        if array.dtype != first.dtype:
            raise InputError(
                f"{op}: `{name}` is {array.dtype}, `{first_name}` is {first.dtype}; cast one with .astype()"
            )


def check_ndim(op: str, name: str, array: FloatArray, ndim: int, letters: str) -> None:
    """Require ``ndim`` axes; ``letters`` names them in the message."""
    if array.ndim != ndim:
        raise InputError(f"{op}: `{name}` has shape {array.shape}; expected ({letters})")


def check_channels(op: str, name: str, array: FloatArray, channels: int) -> None:
    """Require one number per channel."""
    if array.shape != (channels,):
        raise InputError(f"{op}: `{name}` has shape {array.shape}; expected ({channels},), one per channel")


def check_stride(op: str, stride: int) -> None:
    """Require a step of at least one pixel, the same in both directions."""
    if not isinstance(stride, int | np.integer):
        raise InputError(f"{op}: stride={stride!r}; expected one whole number")
    if stride < 1:
        raise InputError(f"{op}: stride={stride}; expected at least 1")


def window_count(op: str, size: int, kernel_size: int, stride: int, padding: int) -> int:
    """Count the positions of a window of ``kernel_size`` along a side of ``size`` pixels."""
    if not isinstance(padding, int | np.integer):
        raise InputError(f"{op}: padding={padding!r}; expected one whole number")
    if padding < 0:
        raise InputError(f"{op}: padding={padding}; expected at least 0")
    check_stride(op, stride)
    room = size + 2 * padding - kernel_size
    if room < 0:
        raise InputError(
            f"{op}: a window of {kernel_size} does not fit a side of {size} + 2 * {padding} pixels"
        )
    return room // stride + 1
