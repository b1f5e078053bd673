"""Fast twins of the rectifiers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minidet._check import check_float, check_shape
from minidet._typing import Float32Array, FloatArray
from minidet.fast.team import run_plan
from minidet.fast.training.kernels.rectify import block_count, rectify_backward_plan, rectify_plan
from minidet.fast.training.maps import SMALL, memory_of, new_map, padded
from minidet.nn import LeakyReLU, PReLU, ReLU


class Kept(NamedTuple):
    """What a fast forward pass leaves for the way back.

    Attributes
    ----------
    x : flat array
        The input's memory.
    slope : (C,) array
    shape : tuple of int
        Of the input.
    """

    x: Float32Array
    slope: Float32Array
    shape: tuple[int, ...]


class FastReLU(ReLU):
    """Twin of :class:`minidet.nn.ReLU` for float32 (N, C) and (N, C, H, W), exact."""

    def forward(self, x: FloatArray) -> FloatArray:
        """Rectify an array of any shape."""
        if not _is_fast(x):
            return super().forward(x)
        y, kept = rectify(x, np.zeros(x.shape[1], np.float32))
        self.keep_for_backward(kept)
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        if not isinstance(self._kept, Kept):
            return super().backward(grad_output)
        _check_gradient("relu", grad_output, self._kept)
        return rectify_backward(grad_output, self.kept())[0]


class FastLeakyReLU(LeakyReLU):
    """Twin of :class:`minidet.nn.LeakyReLU` for float32 (N, C) and (N, C, H, W), exact."""

    def forward(self, x: FloatArray) -> FloatArray:
        """Rectify an array of any shape."""
        if not _is_fast(x):
            return super().forward(x)
        y, kept = rectify(x, np.full(x.shape[1], self.negative_slope, np.float32))
        self.keep_for_backward(kept)
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        if not isinstance(self._kept, Kept):
            return super().backward(grad_output)
        _check_gradient("leaky_relu", grad_output, self._kept)
        return rectify_backward(grad_output, self.kept())[0]


class FastPReLU(PReLU):
    """Twin of :class:`minidet.nn.PReLU` for float32; exact but for the gradient of the slopes, 1e-5."""

    def forward(self, x: FloatArray) -> FloatArray:
        """Rectify (N, channels) or (N, channels, H, W)."""
        slope = self.weight.data
        if not (_is_fast(x) and slope.dtype == np.float32 and slope.shape == (x.shape[1],)):
            return super().forward(x)
        y, kept = rectify(x, slope)
        self.keep_for_backward(kept)
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        if not isinstance(self._kept, Kept):
            return super().backward(grad_output)
        _check_gradient("prelu", grad_output, self._kept)
        grad_x, grad_slope = rectify_backward(grad_output, self.kept())
        self.weight.accumulate(grad_slope)
        return grad_x


def rectify(x: Float32Array, slope: Float32Array) -> tuple[Float32Array, Kept]:
    """Multiply what is negative by its channel's slope; (N, C) or (N, C, H, W)."""
    N, channels, H, W = (*x.shape, 1, 1)[:4]
    slopes = np.zeros(padded(channels), np.float32)
    slopes[:channels] = slope
    memory = memory_of(x if x.ndim == 4 else x[:, :, None, None])
    out, y = new_map(N, channels, H, W)
    run_plan(rectify_plan, memory, slopes, out, steps=1, alone=x.size < SMALL)
    return (y if x.ndim == 4 else y[:, :, 0, 0]), Kept(memory, slopes, x.shape)


def rectify_backward(grad_output: Float32Array, kept: Kept) -> tuple[Float32Array, Float32Array]:
    """Return the gradients of the input and of the slopes."""
    two = grad_output.ndim == 2
    g = grad_output[:, :, None, None] if two else grad_output
    N, channels, H, W = g.shape
    grad_y = memory_of(g)
    partial = np.empty((block_count(grad_y, len(kept.slope)), len(kept.slope)), np.float64)
    memory, grad_x = new_map(N, channels, H, W)
    run_plan(
        rectify_backward_plan, grad_y, kept.x, kept.slope, partial, memory, steps=1, alone=g.size < SMALL
    )
    return (grad_x[:, :, 0, 0] if two else grad_x), partial.sum(axis=0)[:channels].astype(np.float32)


def _is_fast(x: FloatArray) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == np.float32 and x.ndim in (2, 4) and x.size > 0


def _check_gradient(function: str, grad_output: FloatArray, kept: Kept) -> None:
    check_float(function, grad_output=grad_output, x=kept.x)
    check_shape(function, "grad_output", grad_output, kept.shape, "the shape of `x`")
