"""What a network costs: the multiplications of a forward pass."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minidet.errors import InputError
from minidet.nn.conv import Conv2d, DepthwiseConv2d
from minidet.nn.linear import Linear
from minidet.nn.module import Module


def multiply_adds(network: Module, height: int, width: int) -> int:
    """Count the multiply-adds of convolutions and linear layers for one image; all else is small beside them.

    The count grows with the area of the maps: where every stride divides the image, 64 x 64 pixels cost
    exactly a hundredth of 640 x 640, and are counted much faster.

    Parameters
    ----------
    network : Module
        Takes (N, 3, height, width) arrays; it is left as it is. Not accelerated yet.
    height, width : int
        Of the image, in pixels.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If the network is accelerated, or has no such layer.

    Examples
    --------
    27 products for each of 8 channels of 2 x 3 pixels:

    >>> multiply_adds(Conv2d(3, 8, 3, stride=2, padding=1), 4, 6)
    1296
    """
    network = copy.deepcopy(network).train()
    network.forward(np.zeros((2, 3, height, width), np.float32))  # type: ignore[attr-defined]
    layers = list(_layers(network))
    if not layers:
        raise InputError(f"multiply_adds: {type(network).__name__} has no convolution or linear layer")
    return sum(_of_layer(layer) for layer in layers) // 2  # of two images, since batch norms need two values


def _layers(module: Module) -> Any:
    if isinstance(module, Conv2d | DepthwiseConv2d | Linear):
        yield module
    for _, part in module.parts():
        yield from _layers(part)


def _of_layer(layer: Any) -> int:
    """Return the products for the input that the layer has kept."""
    x = layer._kept
    if not isinstance(x, np.ndarray):
        raise InputError(
            f"multiply_adds: a {type(layer).__name__} kept no input; is the network accelerated?"
        )
    outputs = len(x)
    if not isinstance(layer, Linear):
        size = layer.weight.data.shape[2]
        for side in x.shape[2:]:
            outputs *= (side + 2 * layer.padding - size) // layer.stride + 1
    return int(outputs * layer.weight.data.size)
