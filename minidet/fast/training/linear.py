"""Fast twin of the fully connected layer: a convolution of images of one pixel."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_shape
from minidet._typing import FloatArray
from minidet.fast.training.conv import (
    Kept,
    convolve,
    input_gradient,
    map_channels,
    weight_gradients,
)
from minidet.fast.training.kernels.windows import Windows
from minidet.fast.training.maps import memory_of, padded
from minidet.nn import Linear


class FastLinear(Linear):
    """Twin of :class:`minidet.nn.Linear`.

    float32 inputs of float32 layers take the fast way, everything else the definition's. Results agree to
    1e-5 per tensor, in terms of max|difference| / max|reference|, and do not depend on the number of threads.
    """

    def forward(self, x: FloatArray) -> FloatArray:
        """Multiply: (N, in_features) to (N, out_features)."""
        weight, bias = self.weight.data, self.bias.data
        if not (
            isinstance(x, np.ndarray)
            and x.dtype == weight.dtype == bias.dtype == np.float32
            and x.ndim == 2
            and x.size > 0
            and weight.shape == (len(bias), x.shape[1])
        ):
            return super().forward(x)
        N, inputs = x.shape
        s = Windows(N, 1, 1, map_channels(inputs), 1, 1, padded(len(weight)), 1, 1, 0)
        y, memory = convolve(x[:, :, None, None], weight[:, :, None, None], bias, s)
        self.keep_for_backward(Kept(memory, s, x.shape))
        return y[:, :, 0, 0]

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        if not isinstance(self._kept, Kept):
            return super().backward(grad_output)
        s, (N, inputs), weight = self._kept.windows, self._kept.shape, self.weight.data
        check_float("linear", grad_output=grad_output, weight=weight)
        check_shape("linear", "grad_output", grad_output, (N, len(weight)), "the shape of the output")
        x = self.kept().x
        grad_y = memory_of(grad_output[:, :, None, None])
        filters = weight[:, :, None, None]
        grad_weight, grad_bias = weight_gradients(x, grad_y, filters.shape, s)
        self.weight.accumulate(grad_weight[:, :, 0, 0])
        self.bias.accumulate(grad_bias)
        return input_gradient(grad_y, filters, s, inputs)[:, :, 0, 0]
