"""Feature pyramid: fine maps learn what the coarse ones know (Lin et al. 2017, figure 3).

::

    C5 ──1x1──▶ P5
                 │ upsample
    C4 ──1x1──▶ (+) ──3x3──▶ P4
                              │ upsample
    C3 ──1x1───────────────▶ (+) ──3x3──▶ P3
"""

from __future__ import annotations

from collections.abc import Sequence

from minidet._typing import FloatArray
from minidet.models.retinaface.blocks import ConvBlock, MakesConv, leaky_slope
from minidet.nn import Conv2d, Module
from minidet.ops import upsample_nearest2d_backward, upsample_nearest2d_forward


class FPN(Module):
    """Brings three maps to one number of channels and adds each coarser one to the next finer.

    Parameters
    ----------
    in_channels : three ints
        Channels of C3, C4, C5.
    out_channels : int
    conv : class or function
        Makes the 3x3 convolutions between the levels, as in :class:`Context`: deformable in the paper.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int, *, conv: MakesConv = Conv2d) -> None:
        c3, c4, c5 = in_channels
        slope = leaky_slope(out_channels)
        self.lateral3 = ConvBlock(c3, out_channels, 1, negative_slope=slope)
        self.lateral4 = ConvBlock(c4, out_channels, 1, negative_slope=slope)
        self.lateral5 = ConvBlock(c5, out_channels, 1, negative_slope=slope)
        self.merge3 = ConvBlock(out_channels, out_channels, 3, negative_slope=slope, conv=conv)
        self.merge4 = ConvBlock(out_channels, out_channels, 3, negative_slope=slope, conv=conv)

    def forward(
        self, c3: FloatArray, c4: FloatArray, c5: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute P3, P4, P5, each of the size of its C and with ``out_channels`` channels."""
        p5 = self.lateral5.forward(c5)
        sum4 = self.lateral4.forward(c4) + upsample_nearest2d_forward(p5, _plane(c4))
        p4 = self.merge4.forward(sum4)
        sum3 = self.lateral3.forward(c3) + upsample_nearest2d_forward(p4, _plane(c3))
        p3 = self.merge3.forward(sum3)
        self.keep_for_backward((p4.shape, p5.shape))
        return p3, p4, p5

    def backward(
        self, grad_p3: FloatArray, grad_p4: FloatArray, grad_p5: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Go back through :meth:`forward`, line by line, to the gradients of C3, C4, C5.

        A sum hands its gradient on to both of its terms.
        """
        p4_shape, p5_shape = self.kept()
        grad_sum3 = self.merge3.backward(grad_p3)
        # p4 is used twice, as an output and for the finer level, so the gradients add.
        grad_p4 = grad_p4 + upsample_nearest2d_backward(grad_sum3, p4_shape)
        grad_c3 = self.lateral3.backward(grad_sum3)
        grad_sum4 = self.merge4.backward(grad_p4)
        # p5 is used twice as well.
        grad_p5 = grad_p5 + upsample_nearest2d_backward(grad_sum4, p5_shape)
        grad_c4 = self.lateral4.backward(grad_sum4)
        grad_c5 = self.lateral5.backward(grad_p5)
        return grad_c3, grad_c4, grad_c5


class FivePyramid(Module):
    """P2 to P6: one level finer, for small faces, and one coarser, for large ones.

    ::

        C5 ──3x3, stride 2──▶ P6
        C5 ──1x1──▶ P5
                     │ upsample
        C4 ──1x1──▶ (+) ──3x3──▶ P4        and so on down to P2, as in FPN

    The paper lists no batch norms; here every convolution of the pyramid is a block, P6's too.

    Parameters
    ----------
    in_channels : four ints
        Channels of C2, C3, C4, C5.
    out_channels : int
    conv : class or function
        Makes the 3x3 convolutions between the levels, as in :class:`Context`: deformable in the paper.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int, *, conv: MakesConv = Conv2d) -> None:
        c2, c3, c4, c5 = in_channels
        slope = leaky_slope(out_channels)
        self.lateral2 = ConvBlock(c2, out_channels, 1, negative_slope=slope)
        self.lateral3 = ConvBlock(c3, out_channels, 1, negative_slope=slope)
        self.lateral4 = ConvBlock(c4, out_channels, 1, negative_slope=slope)
        self.lateral5 = ConvBlock(c5, out_channels, 1, negative_slope=slope)
        self.coarser6 = ConvBlock(c5, out_channels, 3, stride=2, negative_slope=slope)
        self.merge2 = ConvBlock(out_channels, out_channels, 3, negative_slope=slope, conv=conv)
        self.merge3 = ConvBlock(out_channels, out_channels, 3, negative_slope=slope, conv=conv)
        self.merge4 = ConvBlock(out_channels, out_channels, 3, negative_slope=slope, conv=conv)

    def forward(
        self, c2: FloatArray, c3: FloatArray, c4: FloatArray, c5: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Compute P2 to P6; P6 is half as high and wide as C5, rounded up, the others are as their C."""
        p6 = self.coarser6.forward(c5)
        p5 = self.lateral5.forward(c5)
        sum4 = self.lateral4.forward(c4) + upsample_nearest2d_forward(p5, _plane(c4))
        p4 = self.merge4.forward(sum4)
        sum3 = self.lateral3.forward(c3) + upsample_nearest2d_forward(p4, _plane(c3))
        p3 = self.merge3.forward(sum3)
        sum2 = self.lateral2.forward(c2) + upsample_nearest2d_forward(p3, _plane(c2))
        p2 = self.merge2.forward(sum2)
        self.keep_for_backward((p3.shape, p4.shape, p5.shape))
        return p2, p3, p4, p5, p6

    def backward(
        self,
        grad_p2: FloatArray,
        grad_p3: FloatArray,
        grad_p4: FloatArray,
        grad_p5: FloatArray,
        grad_p6: FloatArray,
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Go back through :meth:`forward`, line by line, to the gradients of C2, C3, C4, C5.

        A sum hands its gradient on to both of its terms.
        """
        p3_shape, p4_shape, p5_shape = self.kept()
        grad_sum2 = self.merge2.backward(grad_p2)
        # p3 is used twice, as an output and for the finer level, so the gradients add.
        grad_p3 = grad_p3 + upsample_nearest2d_backward(grad_sum2, p3_shape)
        grad_c2 = self.lateral2.backward(grad_sum2)
        grad_sum3 = self.merge3.backward(grad_p3)
        # p4 and p5 are used twice as well.
        grad_p4 = grad_p4 + upsample_nearest2d_backward(grad_sum3, p4_shape)
        grad_c3 = self.lateral3.backward(grad_sum3)
        grad_sum4 = self.merge4.backward(grad_p4)
        grad_p5 = grad_p5 + upsample_nearest2d_backward(grad_sum4, p5_shape)
        grad_c4 = self.lateral4.backward(grad_sum4)
        # c5 is used twice, for P5 and for P6.
        grad_c5 = self.lateral5.backward(grad_p5)
        grad_c5 = grad_c5 + self.coarser6.backward(grad_p6)
        return grad_c2, grad_c3, grad_c4, grad_c5


def _plane(x: FloatArray) -> tuple[int, int]:
    return x.shape[2], x.shape[3]
