"""Convolution layers."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.nn.module import Layer
from minidet.nn.parameter import Parameter
from minidet.ops import (
    conv2d_backward,
    conv2d_forward,
    depthwise_conv2d_backward,
    depthwise_conv2d_forward,
)


class Conv2d(Layer):
    """A convolution with its weight and bias; both start at zero, to be loaded or initialised.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int
        Side of the square filter.
    stride, padding : int
        As in :func:`minidet.ops.conv2d_forward`.
    bias : bool
        Whether there is a bias; a convolution before a batch norm needs none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        self.weight = Parameter(np.zeros((out_channels, in_channels, kernel_size, kernel_size), np.float32))
        self.bias = Parameter(np.zeros(out_channels, np.float32)) if bias else None
        self.stride = stride
        self.padding = padding

    def forward(self, x: FloatArray) -> FloatArray:
        """Convolve: (N, in_channels, H, W) to (N, out_channels, OH, OW)."""
        self.keep_for_backward(x)
        bias = self.bias.data if self.bias else None
        return conv2d_forward(x, self.weight.data, bias, stride=self.stride, padding=self.padding)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        x = self.kept()
        grad_x, grad_weight, grad_bias = conv2d_backward(
            grad_output, x, self.weight.data, stride=self.stride, padding=self.padding
        )
        self.weight.accumulate(grad_weight)
        if self.bias:
            self.bias.accumulate(grad_bias)
        return grad_x


class DepthwiseConv2d(Layer):
    """A convolution with one filter per channel and no bias (a batch norm always follows it).

    Parameters
    ----------
    channels : int
    kernel_size : int
        Side of the square filters.
    stride, padding : int
        As in :func:`minidet.ops.depthwise_conv2d_forward`.
    """

    def __init__(self, channels: int, kernel_size: int, *, stride: int = 1, padding: int = 0) -> None:
        self.weight = Parameter(np.zeros((channels, 1, kernel_size, kernel_size), np.float32))
        self.stride = stride
        self.padding = padding

    def forward(self, x: FloatArray) -> FloatArray:
        """Convolve each channel: (N, channels, H, W) to (N, channels, OH, OW)."""
        self.keep_for_backward(x)
        return depthwise_conv2d_forward(x, self.weight.data, stride=self.stride, padding=self.padding)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        x = self.kept()
        grad_x, grad_weight, _ = depthwise_conv2d_backward(
            grad_output, x, self.weight.data, stride=self.stride, padding=self.padding
        )
        self.weight.accumulate(grad_weight)
        return grad_x
