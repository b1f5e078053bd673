"""Fast twins of batch norm, and of the blocks that end in one and a rectifier."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_float, check_shape
from minidet._typing import Float32Array, FloatArray
from minidet.fast.team import run_plan
from minidet.fast.training.conv import is_map
from minidet.fast.training.kernels.batch_norm import (
    SLOPE,
    batch_norm_backward_plan,
    batch_norm_plan,
    block_count,
)
from minidet.fast.training.maps import SMALL, memory_of, new_map, padded
from minidet.models.retinaface.blocks import ConvBlock, DepthwiseBlock
from minidet.nn import BatchNorm2d


class Kept(NamedTuple):
    """What a fast forward pass leaves for the way back.

    Attributes
    ----------
    x : flat array
        The input's memory.
    constants : (4 * C,) array
    inv_std : (channels,) array
    learns : bool
    shape : (N, channels, H, W)
    """

    x: Float32Array
    constants: Float32Array
    inv_std: NDArray[np.float64]
    learns: bool
    shape: tuple[int, ...]


class FastBatchNorm2d(BatchNorm2d):
    """Twin of :class:`minidet.nn.BatchNorm2d` on channels-last maps.

    float32 inputs of float32 layers take the fast way, everything else the definition's. Results agree to
    1e-5 per tensor, in terms of max|difference| / max|reference|, and do not depend on the number of threads.
    """

    def forward(self, x: FloatArray) -> FloatArray:
        """Normalise (N, channels, H, W)."""
        result = normalise(self, x, 1.0)
        if result is None:
            return super().forward(x)
        y, kept = result
        self.keep_for_backward(kept)
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        if not isinstance(self._kept, Kept):
            return super().backward(grad_output)
        _check_gradient(self, grad_output, self._kept.shape)
        return normalise_backward(self, grad_output, self.kept())


class FastConvBlock(ConvBlock):
    """Twin of ConvBlock: its batch norm and its rectifier are one pass; nothing is kept between the two.

    Agrees like :class:`FastBatchNorm2d`.
    """

    def forward(self, x: FloatArray) -> FloatArray:
        """(N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        x = self.conv.forward(x)
        result = normalise(self.norm, x, self.activation.negative_slope if self.activation else 1.0)
        if result is not None:
            y, kept = result
            self.keep_for_backward(kept)
            return y
        x = self.norm.forward(x)
        return self.activation.forward(x) if self.activation else x

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line."""
        if not isinstance(self._kept, Kept):
            return super().backward(grad_output)
        _check_gradient(self.norm, grad_output, self._kept.shape)
        grad_x = normalise_backward(self.norm, grad_output, self.kept())
        return self.conv.backward(grad_x)


class FastDepthwiseBlock(DepthwiseBlock):
    """Twin of DepthwiseBlock, as :class:`FastConvBlock` of ConvBlock."""

    def forward(self, x: FloatArray) -> FloatArray:
        """(N, channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        x = self.conv.forward(x)
        result = normalise(self.norm, x, self.activation.negative_slope)
        if result is not None:
            y, kept = result
            self.keep_for_backward(kept)
            return y
        return self.activation.forward(self.norm.forward(x))

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line."""
        if not isinstance(self._kept, Kept):
            return super().backward(grad_output)
        _check_gradient(self.norm, grad_output, self._kept.shape)
        grad_x = normalise_backward(self.norm, grad_output, self.kept())
        return self.conv.backward(grad_x)


def normalise(norm: BatchNorm2d, x: FloatArray, slope: float) -> tuple[FloatArray, Kept] | None:
    """Normalise and rectify, and let ``norm`` learn its statistics if it is to.

    Returns
    -------
    y : (N, C, H, W) array
    kept : Kept
        Or None for both, and nothing done, if the definition is to see to it, if only to refuse.
    """
    arrays = (norm.weight.data, norm.bias.data, norm.running_mean.data, norm.running_var.data)
    learns = norm.training and not norm.frozen
    if not is_map(x) or any(array.dtype != np.float32 or array.shape != (x.shape[1],) for array in arrays):
        return None
    N, channels, H, W = x.shape
    count, C = N * H * W, padded(channels)
    if learns and count < 2:
        return None
    weight, bias, running_mean, running_var = arrays
    mean, variance = running_mean.astype(np.float64), running_var.astype(np.float64)
    memory = memory_of(x)
    constants = np.empty(4 * C, np.float32)
    constants[SLOPE * C :] = slope
    partial = np.empty((block_count(memory, C), 2, C), np.float64)
    out, y = new_map(N, channels, H, W)
    run_plan(
        batch_norm_plan,
        memory,
        weight,
        bias,
        float(norm.eps),
        learns,
        mean,
        variance,
        partial,
        constants,
        out,
        steps=3,
        alone=x.size < SMALL,
    )
    if learns:
        if not np.isfinite(variance).all():
            return None
        momentum = float(norm.momentum)
        unbiased = variance * (count / (count - 1))
        norm.running_mean.data = ((1 - momentum) * running_mean + momentum * mean).astype(np.float32)
        norm.running_var.data = ((1 - momentum) * running_var + momentum * unbiased).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):  # as the definition: 1 / 0 is infinity
        inv_std = 1 / np.sqrt(variance + float(norm.eps))
    return y, Kept(memory, constants, inv_std, learns, x.shape)


def normalise_backward(norm: BatchNorm2d, grad_output: FloatArray, kept: Kept) -> FloatArray:
    """Go back through :func:`normalise`, and add to the gradients of ``norm``."""
    N, channels, H, W = kept.shape
    C = padded(channels)
    grad_y = memory_of(grad_output)
    partial = np.empty((block_count(grad_y, C), 2, C), np.float64)
    grad_weight, grad_bias = np.empty(channels, np.float32), np.empty(channels, np.float32)
    memory, grad_x = new_map(N, channels, H, W)
    run_plan(
        batch_norm_backward_plan,
        grad_y,
        kept.x,
        kept.constants,
        kept.inv_std,
        kept.learns,
        partial,
        np.empty(2 * C, np.float32),
        grad_weight,
        grad_bias,
        memory,
        steps=3,
        alone=grad_output.size < SMALL,
    )
    norm.weight.accumulate(grad_weight)
    norm.bias.accumulate(grad_bias)
    return grad_x


def _check_gradient(norm: BatchNorm2d, grad_output: FloatArray, shape: tuple[int, ...]) -> None:
    check_float("batch_norm2d", grad_output=grad_output, weight=norm.weight.data)
    check_shape("batch_norm2d", "grad_output", grad_output, shape, "the shape of the output")
