"""Folding: a batch norm in inference is a factor and a term, which the convolution before it can absorb."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minidet._typing import Float64Array
from minidet.errors import InputError
from minidet.models.retinaface.blocks import ConvBlock, DepthwiseBlock
from minidet.nn import DeformConv2d


class Folded(NamedTuple):
    """A convolution, its batch norm and its activation as three arrays.

    Attributes
    ----------
    weight : (OC, IC, KH, KW) float64 array
    bias : (OC,) float64 array
    slope : (OC,) float64 array
        What a negative output is multiplied by.
    """

    weight: Float64Array
    bias: Float64Array
    slope: Float64Array


def fold(block: ConvBlock | DepthwiseBlock) -> Folded:
    r"""Absorb a block's batch norm in its convolution.

    .. math::
        \frac{w * x - \mu}{\sqrt{\sigma^2 + \epsilon}} \gamma + \beta
            = (w s) * x + (\beta - \mu s), \qquad s = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}

    Computed in float64, so that folding costs one rounding. A deformable convolution, which has other taps at
    every place, is no array of weights, and refused.
    """
    if isinstance(block.conv, DeformConv2d):
        raise InputError(
            "fast.compile: no plan has a DeformConv2d; use fast.accelerate, which makes each layer fast"
        )
    norm = block.norm
    scale = norm.weight.data / np.sqrt(norm.running_var.data.astype(np.float64) + norm.eps)  # (OC,)
    weight = block.conv.weight.data * scale[:, None, None, None]
    bias = norm.bias.data - norm.running_mean.data * scale
    slope = 1.0 if block.activation is None else block.activation.negative_slope
    return Folded(weight, bias, np.full(len(bias), slope))


def side_by_side(*blocks: Folded) -> Folded:
    """Join convolutions of the same input into one with the outputs of all."""
    return Folded(*(np.concatenate(arrays) for arrays in zip(*blocks, strict=True)))
