"""Fast twins of the convolution layers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minidet._check import check_float, check_shape
from minidet._typing import Float32Array, FloatArray
from minidet.fast.simd import LANES
from minidet.fast.team import run_plan
from minidet.fast.training.kernels.convolve import convolve_plan
from minidet.fast.training.kernels.pack import pack, pack_backward, pack_scatter
from minidet.fast.training.kernels.scatter_gradient import scatter_gradient_plan
from minidet.fast.training.kernels.weight_gradient import weight_gradient_plan
from minidet.fast.training.kernels.windows import Windows
from minidet.fast.training.kernels.winograd import pack_winograd, winograd_plan
from minidet.fast.training.maps import borrow, memory_of, new_map, padded, pixels_of
from minidet.fast.workspace import aligned_empty, workspaces
from minidet.nn import Conv2d, DeformConv2d

ALONE = 1_000_000
"""Multiply-adds that are done before another thread is awake."""

LEAST_WINOGRAD = 1024
"""Output pixels from which on transforming the filters pays."""

MOST_CHUNKS, LEAST_PIXELS = 8, 192
"""Parts that a weight gradient is summed in, and pixels of a part."""


class Kept(NamedTuple):
    """What a fast forward pass leaves for the way back.

    Attributes
    ----------
    x : flat array
        The input's memory.
    windows : Windows
    shape : (N, IC, H, W)
        Of the input.
    """

    x: Float32Array
    windows: Windows
    shape: tuple[int, ...]


class FastConv2d(Conv2d):
    """Twin of :class:`minidet.nn.Conv2d` on channels-last maps.

    float32 inputs of float32 layers take the fast way, everything else the definition's. Results agree to
    1e-5 per tensor, in terms of max|difference| / max|reference|, and do not depend on the number of threads.
    """

    def forward(self, x: FloatArray) -> FloatArray:
        """Convolve: (N, in_channels, H, W) to (N, out_channels, OH, OW)."""
        windows = windows_of(x, self)
        if windows is None:
            return super().forward(x)
        y, memory = convolve(x, self.weight.data, self.bias.data if self.bias else None, windows)
        self.keep_for_backward(Kept(memory, windows, x.shape))
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        if not isinstance(self._kept, Kept):
            return super().backward(grad_output)
        s, shape = self._kept.windows, self._kept.shape
        check_float("conv2d", grad_output=grad_output, weight=self.weight.data)
        output_shape = (s.N, len(self.weight.data), s.OH, s.OW)
        check_shape("conv2d", "grad_output", grad_output, output_shape, "the shape of the output")
        x = self.kept().x
        grad_y = memory_of(grad_output)
        grad_weight, grad_bias = weight_gradients(x, grad_y, self.weight.data.shape, s)
        self.weight.accumulate(grad_weight)
        if self.bias:
            self.bias.accumulate(grad_bias)
        return input_gradient(grad_y, self.weight.data, s, shape[1])


def windows_of(x: FloatArray, layer: Conv2d | DeformConv2d) -> Windows | None:
    """Return the geometry, or None if the definition is to see to it, if only to refuse."""
    weight, stride, padding = layer.weight.data, layer.stride, layer.padding
    if not (is_map(x) and x.shape[1] == weight.shape[1] and weight.dtype == np.float32):
        return None
    if not (isinstance(stride, int) and isinstance(padding, int) and stride > 0 and padding >= 0):
        return None
    if layer.bias and (layer.bias.data.dtype != np.float32 or layer.bias.data.shape != weight.shape[:1]):
        return None
    N, C, H, W = x.shape
    size = weight.shape[2]
    rooms = [side + 2 * padding - size for side in (H, W)]
    if min(rooms) < 0:
        return None
    OH, OW = (room // stride + 1 for room in rooms)
    return Windows(N, H, W, map_channels(C), OH, OW, padded(len(weight)), size, stride, padding)


def is_map(x: FloatArray) -> bool:
    """Return whether ``x`` is a float32 array (N, C, H, W) with something in it."""
    return isinstance(x, np.ndarray) and x.dtype == np.float32 and x.ndim == 4 and x.size > 0


def map_channels(C: int) -> int:
    """Return the numbers per pixel of a convolution's input: a few channels, an image's, are not padded."""
    return C if 4 * C <= LANES else padded(C)


def input_memory(x: Float32Array) -> Float32Array:
    """Return the memory of a convolution's input."""
    return pixels_of(x) if 4 * x.shape[1] <= LANES else memory_of(x)


def convolve(
    x: Float32Array, weight: Float32Array, bias: Float32Array | None, s: Windows
) -> tuple[Float32Array, Float32Array]:
    """Return the output, and the memory of the input."""
    memory = input_memory(x)
    padded_bias = np.zeros(s.OC, np.float32)
    if bias is not None:
        padded_bias[: len(bias)] = bias
    out, y = new_map(s.N, len(weight), s.OH, s.OW)
    weight = np.ascontiguousarray(weight)
    if _pays_winograd(s):
        packed = aligned_empty(16 * s.C * s.OC)
        pack_winograd(weight, s.C, s.OC, packed)
        run_plan(winograd_plan, memory, packed, padded_bias, out, s, steps=1)
    else:
        packed = aligned_empty(s.size * s.size * s.C * s.OC)
        pack(weight, s.C, s.OC, packed)
        in_place = s.is_pixel()
        run_plan(convolve_plan, memory, packed, padded_bias, out, s, in_place, steps=1, alone=_is_small(s))
    return y, memory


def weight_gradients(
    x: Float32Array, grad_y: Float32Array, shape: tuple[int, ...], s: Windows
) -> tuple[Float32Array, Float32Array]:
    """Return the gradients of the filters, of ``shape``, and of the bias."""
    K = padded(s.size * s.size * s.C)
    chunks = min(max(s.N * s.OH * s.OW // LEAST_PIXELS, 1), MOST_CHUNKS)
    grad_weight, grad_bias = np.empty(shape, np.float32), np.empty(shape[0], np.float32)
    sums = chunks * K * s.OC
    with workspaces.borrow(2 * (sums + chunks * s.OC)) as scratch:
        doubles = scratch.view(np.float64)
        run_plan(
            weight_gradient_plan,
            x,
            grad_y,
            doubles[:sums].reshape(chunks, K, s.OC),
            doubles[sums : sums + chunks * s.OC].reshape(chunks, s.OC),
            s,
            chunks,
            s.is_pixel() and s.C % LANES == 0,
            grad_weight,
            grad_bias,
            steps=2,
            alone=_is_small(s),
        )
    return grad_weight, grad_bias


def input_gradient(grad_y: Float32Array, weight: Float32Array, s: Windows, channels: int) -> Float32Array:
    """Return the gradient of the input with its ``channels``."""
    weight = np.ascontiguousarray(weight)
    back = Windows(s.N, s.OH, s.OW, s.OC, s.H, s.W, s.C, s.size, 1, s.size - 1 - s.padding)
    # Gathering visits every input pixel, scattering every output pixel, but in fewer blocks.
    gathers = s.stride == 1 and s.C % LANES == 0 and s.padding < s.size
    if gathers and (_pays_winograd(back) or 4 * s.H * s.W <= 5 * s.OH * s.OW):
        memory, grad_x = new_map(s.N, channels, s.H, s.W)
        no_bias = np.zeros(s.C, np.float32)
        if _pays_winograd(back):
            packed = aligned_empty(16 * s.OC * s.C)
            flipped = np.ascontiguousarray(weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])
            pack_winograd(flipped, s.OC, s.C, packed)
            run_plan(winograd_plan, grad_y, packed, no_bias, memory, back, steps=1)
            return grad_x
        packed = aligned_empty(s.size * s.size * s.OC * s.C)
        pack_backward(weight, s.C, s.OC, packed)
        run_plan(
            convolve_plan,
            grad_y,
            packed,
            no_bias,
            memory,
            back,
            back.is_pixel(),
            steps=1,
            alone=_is_small(s),
        )
        return grad_x
    side = padded(s.size * s.C)
    packed = aligned_empty(s.size * side * s.OC)
    pack_scatter(weight, s.C, s.OC, side, packed)
    if s.C % LANES == 0:
        memory, grad_x = new_map(s.N, channels, s.H, s.W)
    else:
        memory = borrow(s.N * s.H * s.W * s.C)
        grad_x = memory.reshape(s.N, s.H, s.W, s.C).transpose(0, 3, 1, 2)
    run_plan(scatter_gradient_plan, grad_y, packed, memory, s, side, steps=1, alone=_is_small(s))
    return grad_x


def _pays_winograd(s: Windows) -> bool:
    """Return whether Winograd's convolution is possible, and saves more products than its transforms cost."""
    is_3x3 = s.size == 3 and s.stride == 1 and s.C % LANES == 0
    return is_3x3 and min(s.C, s.OC) >= 32 and s.N * s.OH * s.OW >= LEAST_WINOGRAD


def _is_small(s: Windows) -> bool:
    return s.N * s.OH * s.OW * s.size * s.size * s.C * s.OC < ALONE
