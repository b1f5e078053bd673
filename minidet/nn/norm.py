"""Batch normalisation layer."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.nn.module import Layer
from minidet.nn.parameter import Buffer, Parameter
from minidet.ops import batch_norm2d_forward


class BatchNorm2d(Layer):
    """Normalisation per channel; in training mode it keeps running statistics.

    A new layer has weight 1, bias 0, running mean 0 and running variance 1.

    Parameters
    ----------
    channels : int
    momentum, eps : float
        As in :func:`minidet.ops.batch_norm2d_forward`.
    """

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        self.weight = Parameter(np.ones(channels, np.float32))
        self.bias = Parameter(np.zeros(channels, np.float32))
        self.running_mean = Buffer(np.zeros(channels, np.float32))
        self.running_var = Buffer(np.ones(channels, np.float32))
        self.momentum = momentum
        self.eps = eps

    def forward(self, x: FloatArray) -> FloatArray:
        """Normalise (N, channels, H, W)."""
        y, cache = batch_norm2d_forward(
            x,
            self.weight.data,
            self.bias.data,
            self.running_mean.data,
            self.running_var.data,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
        if self.training:  # inference must not write: threads share the layer
            self.running_mean.data = cache.running_mean
            self.running_var.data = cache.running_var
        return y
