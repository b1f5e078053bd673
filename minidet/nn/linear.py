"""Fully connected layer."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.nn.module import Layer
from minidet.nn.parameter import Parameter
from minidet.ops import linear_backward, linear_forward


class Linear(Layer):
    """A weight matrix and a bias; both start at zero, to be loaded or initialised.

    Parameters
    ----------
    in_features, out_features : int
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        self.weight = Parameter(np.zeros((out_features, in_features), np.float32))
        self.bias = Parameter(np.zeros(out_features, np.float32))

    def forward(self, x: FloatArray) -> FloatArray:
        """Multiply: (N, in_features) to (N, out_features)."""
        self.keep_for_backward(x)
        return linear_forward(x, self.weight.data, self.bias.data)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        x = self.kept()
        grad_x, grad_weight, grad_bias = linear_backward(grad_output, x, self.weight.data)
        self.weight.accumulate(grad_weight)
        self.bias.accumulate(grad_bias)
        return grad_x
