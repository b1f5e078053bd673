"""The swap: every layer of a network becomes its fast twin.

A layer stays the object it is, with its parameters, its buffers and its settings; its class changes to a
subclass that computes the same with other loops. So whoever holds the layer, one of its arrays or a name of
one, such as an optimiser or a file of weights, notices nothing.
"""

from __future__ import annotations

from typing import TypeVar

from minidet.fast.training.activation import FastLeakyReLU, FastPReLU, FastReLU
from minidet.fast.training.conv import FastConv2d
from minidet.fast.training.deform import FastDeformConv2d
from minidet.fast.training.depthwise import FastDepthwiseConv2d
from minidet.fast.training.fpn import FastFPN
from minidet.fast.training.heads import FastHeads
from minidet.fast.training.linear import FastLinear
from minidet.fast.training.norm import FastBatchNorm2d, FastConvBlock, FastDepthwiseBlock
from minidet.fast.training.pooling import FastMaxPool2d
from minidet.models.retinaface.blocks import ConvBlock, DepthwiseBlock
from minidet.models.retinaface.fpn import FPN
from minidet.models.retinaface.heads import Heads
from minidet.nn import (
    BatchNorm2d,
    Conv2d,
    DeformConv2d,
    DepthwiseConv2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Module,
    PReLU,
    ReLU,
)

Network = TypeVar("Network", bound=Module)

TWINS: dict[type[Module], type[Module]] = {
    BatchNorm2d: FastBatchNorm2d,
    Conv2d: FastConv2d,
    ConvBlock: FastConvBlock,
    DeformConv2d: FastDeformConv2d,
    DepthwiseBlock: FastDepthwiseBlock,
    DepthwiseConv2d: FastDepthwiseConv2d,
    FPN: FastFPN,
    Heads: FastHeads,
    LeakyReLU: FastLeakyReLU,
    Linear: FastLinear,
    MaxPool2d: FastMaxPool2d,
    PReLU: FastPReLU,
    ReLU: FastReLU,
}


def accelerate(model: Network) -> Network:
    """Let a network train with fast layers.

    The network is changed, not copied: its layers and some groups of layers become their fast twins, which
    share everything with what they were. Accelerating it again changes nothing.

    The twins take float32 inputs of float32 layers the fast way, with the threads of
    :func:`minidet.set_num_threads`, and everything else the way of the definition. On the fast way outputs
    and gradients have channels-last memory, in the shapes they always had.

    Parameters
    ----------
    model : Module
        A network or a layer.

    Returns
    -------
    model : Module
        The same.

    Notes
    -----
    Twin of the layers of :mod:`minidet.nn`. Each layer's output and gradients agree to 1e-5 in terms of
    max|difference| / max|reference| per tensor, and do not depend on the number of threads. A sum that is
    zero but for rounding, such as the gradient in front of a batch norm of two pixels, has no digits to agree
    in.

    Subclasses of a layer, which may compute something else, stay as they are.

    Examples
    --------
    >>> from minidet.models.mtcnn import PNet
    >>> network = accelerate(PNet())
    >>> type(network.conv1).__name__, sorted(network.state_dict()) == sorted(PNet().state_dict())
    ('FastConv2d', True)
    """
    layer: Module = model
    twin = TWINS.get(type(layer))
    if twin is not None:
        layer.__class__ = twin
    for _, part in model.parts():
        accelerate(part)
    return model
