"""Context module: each position looks further around before the heads judge it.

The name and shape come from SSH (Najibi et al. 2017, figure 3): two and three 3x3 convolutions in a row see
as far as one 5x5 and one 7x7, for fewer parameters; the first of the row serves both::

    P ──3x3──────────────────────────▶ c/2 ┐
      └─3x3──▶ c/4 ─┬─3x3────────────▶ c/4 ├─ concat ── ReLU
                    └─3x3──▶ ──3x3───▶ c/4 ┘

In RetinaFace's paper all five are deformable: each of their taps looks where the map itself tells it to, so
that a view can be as large and as bent as the face. That is the same module made of another convolution,
``Context(channels, conv=DeformConv2d)``; the lines of forward and backward are the same.
"""

from __future__ import annotations

from minidet._typing import FloatArray
from minidet.models.retinaface.blocks import ConvBlock, MakesConv, leaky_slope
from minidet.nn import Conv2d, Layer, ReLU
from minidet.ops import concat_backward, concat_forward


class Context(Layer):
    """Three views of 3x3, 5x5 and 7x7 pixels, side by side.

    Parameters
    ----------
    channels : int
        Of the input and of the output; a multiple of four.
    conv : class or function
        Makes the five convolutions: :class:`minidet.nn.Conv2d` for the plain module,
        :class:`minidet.nn.DeformConv2d` for the deformable one, and
        ``functools.partial(DeformConv2d, modulated=True)`` for that with masks.

    Examples
    --------
    >>> from functools import partial
    >>> from minidet.nn import DeformConv2d
    >>> [Context(64, conv=conv).parameter_count() for conv in (Conv2d, DeformConv2d)]
    [34752, 63354]
    >>> Context(64, conv=partial(DeformConv2d, modulated=True)).parameter_count()
    77655
    """

    def __init__(self, channels: int, *, conv: MakesConv = Conv2d) -> None:
        slope = leaky_slope(channels)
        half, quarter = channels // 2, channels // 4
        self.view3 = ConvBlock(channels, half, 3, negative_slope=None, conv=conv)
        self.shared = ConvBlock(channels, quarter, 3, negative_slope=slope, conv=conv)
        self.view5 = ConvBlock(quarter, quarter, 3, negative_slope=None, conv=conv)
        self.middle7 = ConvBlock(quarter, quarter, 3, negative_slope=slope, conv=conv)
        self.view7 = ConvBlock(quarter, quarter, 3, negative_slope=None, conv=conv)
        self.activation = ReLU()

    def forward(self, x: FloatArray) -> FloatArray:
        """(N, channels, H, W) to the same shape."""
        view3 = self.view3.forward(x)  # (N, channels / 2, H, W)
        shared = self.shared.forward(x)  # (N, channels / 4, H, W)
        view5 = self.view5.forward(shared)  # (N, channels / 4, H, W)
        middle7 = self.middle7.forward(shared)
        view7 = self.view7.forward(middle7)  # (N, channels / 4, H, W)
        views = concat_forward([view3, view5, view7], axis=1)  # (N, channels, H, W)
        self.keep_for_backward([view.shape[1] for view in (view3, view5, view7)])
        return self.activation.forward(views)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line."""
        channels = self.kept()
        grad_views = self.activation.backward(grad_output)  # (N, channels, H, W)
        grad_view3, grad_view5, grad_view7 = concat_backward(grad_views, channels, axis=1)
        grad_middle7 = self.view7.backward(grad_view7)
        # shared is used twice, so the gradients add.
        grad_shared = self.middle7.backward(grad_middle7) + self.view5.backward(grad_view5)
        # x is used twice, so the gradients add.
        return self.shared.backward(grad_shared) + self.view3.backward(grad_view3)
