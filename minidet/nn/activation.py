"""Activation layers."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.nn.module import Layer
from minidet.nn.parameter import Parameter
from minidet.ops import (
    leaky_relu_backward,
    leaky_relu_forward,
    prelu_backward,
    prelu_forward,
    relu_backward,
    relu_forward,
)


class ReLU(Layer):
    """Negative values become zero."""

    def forward(self, x: FloatArray) -> FloatArray:
        """Rectify an array of any shape."""
        self.keep_for_backward(x)
        return relu_forward(x)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        x = self.kept()
        return relu_backward(grad_output, x)


class LeakyReLU(Layer):
    """Negative values are multiplied by a fixed slope.

    Parameters
    ----------
    negative_slope : float
    """

    def __init__(self, negative_slope: float) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: FloatArray) -> FloatArray:
        """Rectify an array of any shape."""
        self.keep_for_backward(x)
        return leaky_relu_forward(x, self.negative_slope)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        x = self.kept()
        return leaky_relu_backward(grad_output, x, self.negative_slope)


class PReLU(Layer):
    """Negative values are multiplied by a learnt slope, one per channel, 0.25 to begin with.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        self.weight = Parameter(np.full(channels, 0.25, np.float32))

    def forward(self, x: FloatArray) -> FloatArray:
        """Rectify (N, channels) or (N, channels, H, W)."""
        self.keep_for_backward(x)
        return prelu_forward(x, self.weight.data)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        x = self.kept()
        grad_x, grad_slope = prelu_backward(grad_output, x, self.weight.data)
        self.weight.accumulate(grad_slope)
        return grad_x
