"""ResNet-50 and ResNet-152: RetinaFace's large backbones (He et al. 2015, table 1), named as in torchvision.

Every block adds something to what it is given, instead of replacing it::

    x ●── 1x1, fewer channels ── 3x3 ── 1x1, four times as many ──▶ (+) ── ReLU ──▶ y
      └────────── as it is, or a 1x1 where the shape changes ────────┘
"""

from __future__ import annotations

from typing import Literal

from minidet._typing import FloatArray
from minidet.nn import BatchNorm2d, Conv2d, Layer, MaxPool2d, Module, ReLU, Sequential


class Bottleneck(Layer):
    """Three convolutions around a narrow middle, and a way past them.

    The stride is that of the 3x3 convolution, as in torchvision; the paper has it in the first 1x1, which
    throws three quarters of the pixels away unseen.

    Parameters
    ----------
    in_channels : int
    channels : int
        Of the narrow middle; the output has four times as many.
    stride : int
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1) -> None:
        out_channels = 4 * channels
        self.conv1 = Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = BatchNorm2d(channels)
        self.relu1 = ReLU()
        self.conv2 = Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = BatchNorm2d(channels)
        self.relu2 = ReLU()
        self.conv3 = Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = BatchNorm2d(out_channels)
        self.downsample: Sequential | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = Sequential(
                Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), BatchNorm2d(out_channels)
            )
        self.relu3 = ReLU()

    def forward(self, x: FloatArray) -> FloatArray:
        """(N, in_channels, H, W) to (N, 4 * channels, ceil(H / stride), ceil(W / stride))."""
        y = self.relu1.forward(self.bn1.forward(self.conv1.forward(x)))
        y = self.relu2.forward(self.bn2.forward(self.conv2.forward(y)))
        y = self.bn3.forward(self.conv3.forward(y))
        shortcut = self.downsample.forward(x) if self.downsample else x
        return self.relu3.forward(y + shortcut)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line."""
        grad_sum = self.relu3.backward(grad_output)
        # A sum hands its gradient on to both of its terms.
        grad_shortcut = self.downsample.backward(grad_sum) if self.downsample else grad_sum
        grad_y = self.conv3.backward(self.bn3.backward(grad_sum))
        grad_y = self.conv2.backward(self.bn2.backward(self.relu2.backward(grad_y)))
        grad_x = self.conv1.backward(self.bn1.backward(self.relu1.backward(grad_y)))
        # x is used twice, so the gradients add.
        return grad_x + grad_shortcut


class ResNet(Module):
    """The backbone up to C5, without the classifier.

    Parameters
    ----------
    blocks : (int, int, int, int)
        Bottlenecks in each of the four layers: :data:`RESNET50` or :data:`RESNET152`.
    finest : 2 or 3
        The first map that is handed out: C2 for a pyramid of five levels, C3 for one of three.

    Attributes
    ----------
    channels : tuple of int
        Channels of the maps that are handed out.
    """

    def __init__(self, blocks: tuple[int, int, int, int], *, finest: Literal[2, 3] = 3) -> None:
        self.finest = finest
        self.channels = (256, 512, 1024, 2048)[finest - 2 :]
        self.conv1 = Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = BatchNorm2d(64)
        self.relu = ReLU()
        self.maxpool = MaxPool2d(3, 2, padding=1)
        self.layer1 = _layer(64, 64, blocks[0], stride=1)
        self.layer2 = _layer(256, 128, blocks[1], stride=2)
        self.layer3 = _layer(512, 256, blocks[2], stride=2)
        self.layer4 = _layer(1024, 512, blocks[3], stride=2)

    def forward(self, x: FloatArray) -> tuple[FloatArray, ...]:
        """Compute C2 (unless ``finest`` is 3), C3, C4, C5 of an image batch (N, 3, H, W).

        They have the strides 4, 8, 16 and 32, rounded up, and 256, 512, 1024 and 2048 channels.
        """
        x = self.relu.forward(self.bn1.forward(self.conv1.forward(x)))  # stride 2
        x = self.maxpool.forward(x)  # 4
        c2 = self.layer1.forward(x)  # 4
        c3 = self.layer2.forward(c2)  # 8
        c4 = self.layer3.forward(c3)  # 16
        c5 = self.layer4.forward(c4)  # 32
        return (c2, c3, c4, c5) if self.finest == 2 else (c3, c4, c5)

    def backward(self, *grad_maps: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line, to the gradient of the image batch (N, 3, H, W).

        Parameters
        ----------
        *grad_maps : arrays
            Gradients of the maps that ``forward`` returned, in their order.
        """
        *grad_c2, grad_c3, grad_c4, grad_c5 = grad_maps  # the first is there if C2 was handed out
        # c4 is used twice, by layer 4 and by whoever takes the output, so the gradients add.
        grad_c4 = grad_c4 + self.layer4.backward(grad_c5)
        # c3 is used twice as well.
        grad_c3 = grad_c3 + self.layer3.backward(grad_c4)
        # So is c2, if it was handed out.
        grad_layer2 = self.layer2.backward(grad_c3)
        grad_x = self.layer1.backward(grad_c2[0] + grad_layer2 if grad_c2 else grad_layer2)
        grad_x = self.maxpool.backward(grad_x)
        return self.conv1.backward(self.bn1.backward(self.relu.backward(grad_x)))


RESNET50 = (3, 4, 6, 3)
"""Bottlenecks of ResNet-50: three convolutions in each, one before them and a classifier make fifty."""

RESNET152 = (3, 8, 36, 3)
"""Bottlenecks of ResNet-152, the backbone of Deng et al. 2019."""


def _layer(in_channels: int, channels: int, blocks: int, *, stride: int) -> Sequential:
    first = Bottleneck(in_channels, channels, stride=stride)
    return Sequential(first, *(Bottleneck(4 * channels, channels) for _ in range(blocks - 1)))
