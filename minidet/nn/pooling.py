"""Pooling layer."""

from __future__ import annotations

from minidet._typing import FloatArray
from minidet.nn.module import Layer
from minidet.ops import max_pool2d_backward, max_pool2d_forward


class MaxPool2d(Layer):
    """The largest value of each window.

    Parameters
    ----------
    kernel_size, stride : int
    padding : int
    ceil_mode : bool
        As in :func:`minidet.ops.max_pool2d_forward`.
    """

    def __init__(self, kernel_size: int, stride: int, *, padding: int = 0, ceil_mode: bool = False) -> None:
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.ceil_mode = ceil_mode

    def forward(self, x: FloatArray) -> FloatArray:
        """Pool (N, C, H, W) to (N, C, OH, OW)."""
        y, argmax = max_pool2d_forward(
            x,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            ceil_mode=self.ceil_mode,
        )
        self.keep_for_backward((argmax, x.shape))
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        argmax, input_shape = self.kept()
        return max_pool2d_backward(grad_output, argmax, input_shape)
