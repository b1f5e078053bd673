"""MobileNetV1 with a quarter of the channels: RetinaFace's small backbone (Howard et al. 2017, table 1)."""

from __future__ import annotations

from minidet._typing import FloatArray
from minidet.models.retinaface.blocks import ConvBlock, DepthwiseBlock
from minidet.nn import Layer, Module, Sequential


class DepthwiseSeparable(Layer):
    """A depthwise block that looks around, then a 1x1 block that mixes the channels.

    Parameters
    ----------
    in_channels, out_channels : int
    stride : int
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        self.depthwise = DepthwiseBlock(in_channels, stride=stride)
        self.pointwise = ConvBlock(in_channels, out_channels, 1)

    def forward(self, x: FloatArray) -> FloatArray:
        """(N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        x = self.depthwise.forward(x)
        return self.pointwise.forward(x)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line."""
        grad_x = self.pointwise.backward(grad_output)
        return self.depthwise.backward(grad_x)


class MobileNetV1(Module):
    """The backbone, cut into three stages; each ends where the feature pyramid taps it.

    Attributes
    ----------
    channels : (int, int, int)
        Channels of C3, C4, C5.
    """

    channels = (64, 128, 256)

    def __init__(self) -> None:
        self.stage1 = Sequential(*_to_stride_4(), *_to_stride_8())
        self.stage2 = Sequential(*_to_stride_16())
        self.stage3 = Sequential(*_to_stride_32())

    def forward(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute C3, C4, C5 of an image batch (N, 3, H, W): maps of strides 8, 16 and 32."""
        c3 = self.stage1.forward(x)  # (N, 64, ceil(H / 8), ceil(W / 8))
        c4 = self.stage2.forward(c3)  # (N, 128, ceil(H / 16), ceil(W / 16))
        c5 = self.stage3.forward(c4)  # (N, 256, ceil(H / 32), ceil(W / 32))
        return c3, c4, c5

    def backward(self, grad_c3: FloatArray, grad_c4: FloatArray, grad_c5: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line, to the gradient of the image batch (N, 3, H, W)."""
        # c4 is used twice, by stage 3 and by whoever takes the output, so the gradients add.
        grad_c4 = grad_c4 + self.stage3.backward(grad_c5)
        # c3 is used twice as well.
        grad_c3 = grad_c3 + self.stage2.backward(grad_c4)
        return self.stage1.backward(grad_c3)


class FourStageMobileNetV1(Module):
    """The same layers cut into four stages, so that C2 can be tapped as well.

    Attributes
    ----------
    channels : (int, int, int, int)
        Channels of C2, C3, C4, C5.
    """

    channels = (32, 64, 128, 256)

    def __init__(self) -> None:
        self.stage1 = Sequential(*_to_stride_4())
        self.stage2 = Sequential(*_to_stride_8())
        self.stage3 = Sequential(*_to_stride_16())
        self.stage4 = Sequential(*_to_stride_32())

    def forward(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Compute C2 to C5 of an image batch (N, 3, H, W): maps of strides 4, 8, 16 and 32."""
        c2 = self.stage1.forward(x)  # (N, 32, ceil(H / 4), ceil(W / 4))
        c3 = self.stage2.forward(c2)  # (N, 64, ceil(H / 8), ceil(W / 8))
        c4 = self.stage3.forward(c3)  # (N, 128, ceil(H / 16), ceil(W / 16))
        c5 = self.stage4.forward(c4)  # (N, 256, ceil(H / 32), ceil(W / 32))
        return c2, c3, c4, c5

    def backward(
        self, grad_c2: FloatArray, grad_c3: FloatArray, grad_c4: FloatArray, grad_c5: FloatArray
    ) -> FloatArray:
        """Go back through :meth:`forward`, line by line, to the gradient of the image batch (N, 3, H, W)."""
        # c4, c3 and c2 are used twice, by the next stage and by whoever takes them: the gradients add.
        grad_c4 = grad_c4 + self.stage4.backward(grad_c5)
        grad_c3 = grad_c3 + self.stage3.backward(grad_c4)
        grad_c2 = grad_c2 + self.stage2.backward(grad_c3)
        return self.stage1.backward(grad_c2)


def _to_stride_4() -> list[Layer]:
    return [
        ConvBlock(3, 8, 3, stride=2),  # stride 2 in all
        DepthwiseSeparable(8, 16),
        DepthwiseSeparable(16, 32, stride=2),  # 4
        DepthwiseSeparable(32, 32),
    ]


def _to_stride_8() -> list[Layer]:
    return [DepthwiseSeparable(32, 64, stride=2), DepthwiseSeparable(64, 64)]


def _to_stride_16() -> list[Layer]:
    return [DepthwiseSeparable(64, 128, stride=2), *(DepthwiseSeparable(128, 128) for _ in range(5))]


def _to_stride_32() -> list[Layer]:
    return [DepthwiseSeparable(128, 256, stride=2), DepthwiseSeparable(256, 256)]
