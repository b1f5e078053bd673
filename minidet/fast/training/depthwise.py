"""Fast twin of the depthwise convolution layer."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_shape
from minidet._typing import Float32Array, FloatArray
from minidet.fast.team import run_plan
from minidet.fast.training.conv import Kept, is_map
from minidet.fast.training.kernels.depthwise import ROWS, depthwise_input_gradient_plan, depthwise_plan
from minidet.fast.training.kernels.depthwise_weight_gradient import depthwise_weight_gradient_plan
from minidet.fast.training.kernels.windows import Windows
from minidet.fast.training.maps import SMALL, memory_of, new_map, padded
from minidet.nn import DepthwiseConv2d

MOST_CHUNKS = 16
"""Parts that a weight gradient is summed in."""


class FastDepthwiseConv2d(DepthwiseConv2d):
    """Twin of :class:`minidet.nn.DepthwiseConv2d` on channels-last maps.

    float32 inputs of float32 layers take the fast way, everything else the definition's. Results agree to
    1e-5 per tensor, in terms of max|difference| / max|reference|, and do not depend on the number of threads.
    """

    def forward(self, x: FloatArray) -> FloatArray:
        """Convolve each channel: (N, channels, H, W) to (N, channels, OH, OW)."""
        s = self._windows(x)
        if s is None:
            return super().forward(x)
        memory = memory_of(x)
        out, y = new_map(s.N, x.shape[1], s.OH, s.OW)
        run_plan(depthwise_plan, memory, _pack(self.weight.data, s.C), out, s, steps=1, alone=_is_small(s))
        self.keep_for_backward(Kept(memory, s, x.shape))
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        if not isinstance(self._kept, Kept):
            return super().backward(grad_output)
        s, (N, C, H, W) = self._kept.windows, self._kept.shape
        weight = self.weight.data
        check_float("depthwise_conv2d", grad_output=grad_output, weight=weight)
        expected = (N, C, s.OH, s.OW)
        check_shape("depthwise_conv2d", "grad_output", grad_output, expected, "the shape of the output")
        x = self.kept().x
        grad_y = memory_of(grad_output)

        chunks = min(MOST_CHUNKS, N * -(-s.OH // ROWS))
        partial = np.empty((chunks, s.size * s.size, s.C), np.float64)
        grad_weight = np.empty(weight.shape, np.float32)
        run_plan(
            depthwise_weight_gradient_plan,
            x,
            grad_y,
            partial,
            s,
            grad_weight,
            steps=2,
            alone=_is_small(s),
        )
        self.weight.accumulate(grad_weight)

        memory, grad_x = new_map(N, C, H, W)
        if s.stride == 1 and s.padding < s.size:
            back = Windows(N, s.OH, s.OW, s.C, H, W, s.C, s.size, 1, s.size - 1 - s.padding)
            flipped = _pack(weight[:, :, ::-1, ::-1], s.C)
            run_plan(depthwise_plan, grad_y, flipped, memory, back, steps=1, alone=_is_small(s))
        else:
            packed = _pack(weight, s.C)
            run_plan(depthwise_input_gradient_plan, grad_y, packed, memory, s, steps=1, alone=_is_small(s))
        return grad_x

    def _windows(self, x: FloatArray) -> Windows | None:
        """Return the geometry, or None if the definition is to see to it, if only to refuse."""
        weight, stride, padding = self.weight.data, self.stride, self.padding
        if not (is_map(x) and weight.dtype == np.float32 and weight.shape[:2] == (x.shape[1], 1)):
            return None
        if not (isinstance(stride, int) and isinstance(padding, int) and stride > 0 and padding >= 0):
            return None
        N, C, H, W = x.shape
        size = weight.shape[2]
        rooms = [side + 2 * padding - size for side in (H, W)]
        if min(rooms) < 0:
            return None
        OH, OW = (room // stride + 1 for room in rooms)
        return Windows(N, H, W, padded(C), OH, OW, padded(C), size, stride, padding)


def _pack(weight: Float32Array, channels: int) -> Float32Array:
    """Lay out filters (C, 1, size, size) as (size * size * channels,), zeros behind C."""
    C, _, KH, KW = weight.shape
    packed = np.zeros((KH, KW, channels), np.float32)
    packed[:, :, :C] = weight[:, 0].transpose(1, 2, 0)
    return packed.reshape(-1)


def _is_small(s: Windows) -> bool:
    return s.N * s.OH * s.OW * s.C < SMALL
