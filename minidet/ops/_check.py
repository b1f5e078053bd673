"""Checks of the operations' own arguments, made before a kernel runs; kernels themselves check nothing."""

from __future__ import annotations

import numpy as np

from minidet._check import check_ndim
from minidet._typing import FloatArray
from minidet.errors import InputError


def check_channels(op: str, name: str, array: FloatArray, channels: int) -> None:
    """Require one number per channel."""
    if array.shape != (channels,):
        raise InputError(f"{op}: `{name}` has shape {array.shape}; expected ({channels},), one per channel")


def check_input_shape(op: str, input_shape: tuple[int, ...], N: int, C: int) -> None:
    """Require the shape of an input that a gradient of N images with C channels can belong to."""
    if len(input_shape) != 4 or tuple(input_shape[:2]) != (N, C) or min(input_shape[2:]) < 1:
        raise InputError(f"{op}: input_shape={tuple(input_shape)}; expected ({N}, {C}, H, W)")


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


def convolution_shape(
    op: str, x: FloatArray, weight: FloatArray, stride: int, padding: int
) -> tuple[int, int, int, int]:
    """Require an input and filters that fit each other, and return the shape of the output."""
    check_ndim(op, "x", x, 4, "N, C, H, W")
    check_ndim(op, "weight", weight, 4, "OC, IC, KH, KW")
    N, IC, H, W = x.shape
    OC, weight_channels, KH, KW = weight.shape
    if weight_channels != IC:
        raise InputError(
            f"{op}: `weight` expects {weight_channels} input channels, `x` has {IC} (shape {x.shape})"
        )
    return N, OC, window_count(op, H, KH, stride, padding), window_count(op, W, KW, stride, padding)
