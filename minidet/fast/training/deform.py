"""Fast twin of the deformable convolution layer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minidet._check import check_finite, check_float, check_shape
from minidet._typing import Float32Array, FloatArray
from minidet.fast.team import run_plan
from minidet.fast.training.conv import input_gradient, weight_gradients, windows_of
from minidet.fast.training.kernels.deform import deform_plan, sample_plan, share_out_plan
from minidet.fast.training.kernels.pack import pack
from minidet.fast.training.kernels.windows import Windows
from minidet.fast.training.maps import borrow, memory_of, new_map, padded
from minidet.fast.workspace import aligned_empty
from minidet.nn import DeformConv2d
from minidet.ops import concat_forward, sigmoid_backward


class Kept(NamedTuple):
    """What a fast forward pass leaves for the way back.

    Attributes
    ----------
    x : flat array
        The input's memory.
    offset, mask : (N, OH, OW, K * K, 2 | 1) arrays
    windows : Windows
    channels : int
        Of the input.
    """

    x: Float32Array
    offset: Float32Array
    mask: Float32Array
    windows: Windows
    channels: int


class FastDeformConv2d(DeformConv2d):
    """Twin of :class:`minidet.nn.DeformConv2d` on channels-last maps.

    float32 inputs of float32 layers with one group of offsets take the fast way, everything else the
    definition's. Results agree to 1e-5 per tensor, in terms of max|difference| / max|reference|, and do not
    depend on the number of threads.
    """

    def forward(self, x: FloatArray) -> FloatArray:
        """Look where the input says: (N, in_channels, H, W) to (N, out_channels, OH, OW)."""
        s = self._windows(x)
        if s is None:
            return super().forward(x)
        offset, mask = self.predict(x)
        check_finite("deform_conv2d", "offset", offset, "image", "channel", "row", "column")
        per_tap = self._per_tap(offset, mask, s)
        weight = np.ascontiguousarray(self.weight.data)
        packed = aligned_empty(s.size * s.size * s.C * s.OC)
        pack(weight, s.C, s.OC, packed)
        bias = np.zeros(s.OC, np.float32)
        if self.bias:
            bias[: len(weight)] = self.bias.data
        memory = memory_of(x)
        out, y = new_map(s.N, len(weight), s.OH, s.OW)
        run_plan(deform_plan, memory, *(one.reshape(-1) for one in per_tap), packed, bias, out, s, steps=1)
        self.keep_for_backward(Kept(memory, *per_tap, s, x.shape[1]))
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        if not isinstance(self._kept, Kept):
            return super().backward(grad_output)
        s, weight = self._kept.windows, self.weight.data
        check_float("deform_conv2d", grad_output=grad_output, weight=weight)
        output_shape = (s.N, len(weight), s.OH, s.OW)
        check_shape("deform_conv2d", "grad_output", grad_output, output_shape, "the shape of the output")
        x, offset, mask, s, channels = self.kept()
        taps = s.size * s.size
        K = taps * s.C

        # What the windows see, as a map of its own: the rest is a convolution of its pixels.
        samples = borrow(s.N * s.OH * s.OW * K)
        run_plan(sample_plan, x, offset.reshape(-1), mask.reshape(-1), samples, s, steps=1)
        pointwise = Windows(s.N, s.OH, s.OW, K, s.OH, s.OW, s.OC, 1, 1, 0)
        grad_y = memory_of(grad_output)
        filters = self._filters_of_samples(s)  # (OC, K, 1, 1)
        grad_filters, grad_bias = weight_gradients(samples, grad_y, filters.shape, pointwise)
        by_tap = grad_filters.reshape(len(weight), s.size, s.size, s.C)[..., :channels]
        self.weight.accumulate(np.ascontiguousarray(by_tap.transpose(0, 3, 1, 2)))
        if self.bias:
            self.bias.accumulate(grad_bias)
        grad_samples = input_gradient(grad_y, filters, pointwise, K)  # (N, K, OH, OW)

        memory, grad_x = new_map(s.N, channels, s.H, s.W)
        grad_offset, grad_mask = np.empty_like(offset), np.empty_like(mask)
        run_plan(
            share_out_plan,
            x,
            offset.reshape(-1),
            mask.reshape(-1),
            memory_of(grad_samples),
            memory,
            grad_offset.reshape(-1),
            grad_mask.reshape(-1),
            s,
            steps=1,
        )
        grad_predicted = _per_channel(grad_offset)
        if self.modulated:
            of_mask = sigmoid_backward(_per_channel(grad_mask), _per_channel(mask))
            grad_predicted = concat_forward([grad_predicted, of_mask], axis=1)
        # x is used twice, for the offsets and for the samples, so the gradients add.
        return grad_x + self.conv_offset_mask.backward(grad_predicted)

    def _windows(self, x: FloatArray) -> Windows | None:
        """Return the geometry, or None if the definition is to see to it, if only to refuse."""
        s = windows_of(x, self)
        if s is None or self.samples != s.size * s.size:  # groups of channels have offsets of their own
            return None
        if any(one.data.dtype != np.float32 for one in self.conv_offset_mask.parameters().values()):
            return None
        return s._replace(C=padded(x.shape[1]))

    def _per_tap(
        self, offset: FloatArray, mask: FloatArray | None, s: Windows
    ) -> tuple[Float32Array, Float32Array]:
        """Copy offsets and masks window after window, tap after tap; without masks all are 1."""
        taps = s.size * s.size
        pairs = offset.transpose(0, 2, 3, 1).reshape(s.N, s.OH, s.OW, taps, 2)
        if mask is None:
            factors = np.ones((s.N, s.OH, s.OW, taps, 1), np.float32)
        else:
            factors = mask.transpose(0, 2, 3, 1).reshape(s.N, s.OH, s.OW, taps, 1)
        return np.ascontiguousarray(pairs), np.ascontiguousarray(factors)

    def _filters_of_samples(self, s: Windows) -> Float32Array:
        """Return the filters as those of a convolution of single pixels: (OC, K * K * C, 1, 1)."""
        OC, channels = self.weight.data.shape[:2]
        filters = np.zeros((OC, s.size, s.size, s.C), np.float32)
        filters[..., :channels] = self.weight.data.transpose(0, 2, 3, 1)
        return filters.reshape(OC, -1, 1, 1)


def _per_channel(of_taps: Float32Array) -> Float32Array:
    """Turn (N, OH, OW, K * K, numbers) into a map (N, K * K * numbers, OH, OW)."""
    N, OH, OW = of_taps.shape[:3]
    return of_taps.reshape(N, OH, OW, -1).transpose(0, 3, 1, 2)
