"""A convolution, its batch norm and its activation: the brick that RetinaFace is built of."""

from __future__ import annotations

from typing import Protocol

from minidet._typing import FloatArray
from minidet.nn import BatchNorm2d, Conv2d, DeformConv2d, DepthwiseConv2d, Layer, LeakyReLU


class MakesConv(Protocol):
    """What makes the convolution of a block: :class:`minidet.nn.Conv2d`, or a class that takes its place."""

    def __call__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int,
        padding: int,
        bias: bool,
    ) -> Conv2d | DeformConv2d:
        """Make a layer of these measures."""


class ConvBlock(Layer):
    """Convolution, batch norm, leaky ReLU; padded so that stride 1 keeps the size.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int
    stride : int
    negative_slope : float or None
        Of the leaky ReLU; None for no activation.
    conv : class or function
        Makes the convolution: :class:`minidet.nn.Conv2d`, or :class:`minidet.nn.DeformConv2d` for one that
        looks where the input tells it to.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        negative_slope: float | None = 0.1,
        conv: MakesConv = Conv2d,
    ) -> None:
        self.conv = conv(
            in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
        )
        self.norm = BatchNorm2d(out_channels)
        self.activation = None if negative_slope is None else LeakyReLU(negative_slope)

    def forward(self, x: FloatArray) -> FloatArray:
        """(N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        x = self.conv.forward(x)
        x = self.norm.forward(x)
        return self.activation.forward(x) if self.activation else x

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line."""
        grad_x = self.activation.backward(grad_output) if self.activation else grad_output
        grad_x = self.norm.backward(grad_x)
        return self.conv.backward(grad_x)


class DepthwiseBlock(Layer):
    """Depthwise 3x3 convolution, batch norm, leaky ReLU.

    Parameters
    ----------
    channels : int
    stride : int
    """

    def __init__(self, channels: int, *, stride: int) -> None:
        self.conv = DepthwiseConv2d(channels, 3, stride=stride, padding=1)
        self.norm = BatchNorm2d(channels)
        self.activation = LeakyReLU(0.1)

    def forward(self, x: FloatArray) -> FloatArray:
        """(N, channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        x = self.conv.forward(x)
        x = self.norm.forward(x)
        return self.activation.forward(x)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line."""
        grad_x = self.activation.backward(grad_output)
        grad_x = self.norm.backward(grad_x)
        return self.conv.backward(grad_x)


# Compat: biubug6/Pytorch_Retinaface, docs/compat.md "Slopes".
def leaky_slope(channels: int) -> float:
    """Return the slope of the pyramid's activations: 0.1 in narrow networks, 0 (plain ReLU) in wide ones."""
    return 0.1 if channels <= 64 else 0.0
