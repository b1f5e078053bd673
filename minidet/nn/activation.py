"""Activation layers."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.nn.module import Layer
from minidet.nn.parameter import Parameter
from minidet.ops import leaky_relu_forward, prelu_forward, relu_forward


class ReLU(Layer):
    """Negative values become zero."""

    def forward(self, x: FloatArray) -> FloatArray:
        """Rectify an array of any shape."""
        return relu_forward(x)


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
        return leaky_relu_forward(x, self.negative_slope)


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
        return prelu_forward(x, self.weight.data)
