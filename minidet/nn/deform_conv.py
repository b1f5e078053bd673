"""Deformable convolution layer: a convolution that computes from its input where to look.

::

    x ─┬─ conv_offset_mask ──▶ offset, mask ─┐
       └─────────────────────────────────────┴─▶ deformable convolution ──▶ y
"""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.nn.conv import Conv2d
from minidet.nn.module import Layer
from minidet.nn.parameter import Parameter
from minidet.ops import (
    concat_forward,
    deform_conv2d_backward,
    deform_conv2d_forward,
    sigmoid_backward,
    sigmoid_forward,
)


class DeformConv2d(Layer):
    """A deformable convolution and the plain one that predicts its offsets; takes the place of Conv2d.

    All starts at zero, and the predictor stays there when :func:`minidet.nn.initialise` fills the weights:
    offsets of zero make a plain convolution, and what is learnt are the deviations from it. The masks are
    sigmoids, so they begin with 1/2 and halve the output, which a batch norm behind undoes (Zhu et al. 2019,
    section 3.2; they let the predictor learn at a tenth of the rate, which an optimiser of its own does).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int
        Side of the square filter.
    stride, padding : int
        As in :func:`minidet.ops.deform_conv2d_forward`.
    bias : bool
        Whether there is a bias; a convolution before a batch norm needs none.
    modulated : bool
        Whether a mask is predicted, too: version 2. Without it, version 1, as in the paper of RetinaFace.
    offset_groups : int
        How many groups of input channels have offsets of their own. A divisor of ``in_channels``.

    Attributes
    ----------
    conv_offset_mask : Conv2d
        Of the same window, with a bias. Of its output channels, G K² pairs (y, x) of offsets come first and
        with ``modulated`` G K² masks before their sigmoid follow, as in the code of version 2.

    Raises
    ------
    InputError
        If ``offset_groups`` does not divide ``in_channels``.

    Examples
    --------
    >>> layer = DeformConv2d(4, 8, 3, padding=1, modulated=True)
    >>> layer.forward(np.ones((1, 4, 5, 6), np.float32)).shape
    (1, 8, 5, 6)
    >>> {name: array.shape for name, array in layer.state_dict().items() if "offset" in name}
    {'conv_offset_mask.weight': (27, 4, 3, 3), 'conv_offset_mask.bias': (27,)}
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
        modulated: bool = False,
        offset_groups: int = 1,
    ) -> None:
        if offset_groups < 1 or in_channels % offset_groups:
            raise InputError(
                f"DeformConv2d: offset_groups={offset_groups}; expected a divisor of the number of channels, "
                f"{in_channels}"
            )
        self.weight = Parameter(np.zeros((out_channels, in_channels, kernel_size, kernel_size), np.float32))
        self.bias = Parameter(np.zeros(out_channels, np.float32)) if bias else None
        self.stride = stride
        self.padding = padding
        self.modulated = modulated
        self.samples = offset_groups * kernel_size**2
        self.conv_offset_mask = Conv2d(
            in_channels,
            (3 if modulated else 2) * self.samples,
            kernel_size,
            stride=stride,
            padding=padding,
        )
        self.conv_offset_mask.weight.starts_at_zero = True

    def forward(self, x: FloatArray) -> FloatArray:
        """Look where the input says: (N, in_channels, H, W) to (N, out_channels, OH, OW)."""
        offset, mask = self.predict(x)
        self.keep_for_backward((x, offset, mask))
        bias = self.bias.data if self.bias else None
        return deform_conv2d_forward(
            x, offset, self.weight.data, bias, stride=self.stride, padding=self.padding, mask=mask
        )

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray | None]:
        """Compute where each tap looks and, if modulated, how much its sample counts.

        For pictures of them switch to inference first: in training it counts as a part of ``forward``.

        Parameters
        ----------
        x : (N, in_channels, H, W) array

        Returns
        -------
        offset : (N, 2 * G * K * K, OH, OW) array
            Pixels, ordered as in :func:`minidet.ops.deform_conv2d_forward`.
        mask : (N, G * K * K, OH, OW) array or None
            From 0 to 1; None if not modulated.
        """
        predicted = self.conv_offset_mask.forward(x)
        if not self.modulated:
            return predicted, None
        return predicted[:, : 2 * self.samples], sigmoid_forward(predicted[:, 2 * self.samples :])

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        x, offset, mask = self.kept()
        grad_x, grad_offset, grad_weight, grad_bias, grad_mask = deform_conv2d_backward(
            grad_output, x, offset, self.weight.data, stride=self.stride, padding=self.padding, mask=mask
        )
        self.weight.accumulate(grad_weight)
        if self.bias:
            self.bias.accumulate(grad_bias)
        grad_predicted = grad_offset
        if grad_mask is not None:
            grad_predicted = concat_forward([grad_offset, sigmoid_backward(grad_mask, mask)], axis=1)
        # x is used twice, for the offsets and for the samples, so the gradients add.
        return grad_x + self.conv_offset_mask.backward(grad_predicted)
