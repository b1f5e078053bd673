"""Batch normalisation layer."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.nn.module import Layer, Module
from minidet.nn.parameter import Buffer, Parameter
from minidet.ops import batch_norm2d_backward, batch_norm2d_forward


class BatchNorm2d(Layer):
    """Normalisation per channel; in training mode it keeps running statistics.

    A new layer has weight 1, bias 0, running mean 0 and running variance 1.

    Parameters
    ----------
    channels : int
    momentum, eps : float
        As in :func:`minidet.ops.batch_norm2d_forward`.

    Attributes
    ----------
    frozen : bool
        Whether training, too, uses the running statistics and leaves them alone; see
        :func:`freeze_batch_norms`.
    """

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        self.weight = Parameter(np.ones(channels, np.float32))
        self.bias = Parameter(np.zeros(channels, np.float32))
        self.running_mean = Buffer(np.zeros(channels, np.float32))
        self.running_var = Buffer(np.ones(channels, np.float32))
        self.momentum = momentum
        self.eps = eps
        self.frozen = False

    def forward(self, x: FloatArray) -> FloatArray:
        """Normalise (N, channels, H, W)."""
        learns_statistics = self.training and not self.frozen
        y, cache = batch_norm2d_forward(
            x,
            self.weight.data,
            self.bias.data,
            self.running_mean.data,
            self.running_var.data,
            training=learns_statistics,
            momentum=self.momentum,
            eps=self.eps,
        )
        if learns_statistics:  # inference must not write: threads share the layer
            self.running_mean.data = cache.running_mean
            self.running_var.data = cache.running_var
        self.keep_for_backward(cache)
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        cache = self.kept()
        grad_x, grad_weight, grad_bias = batch_norm2d_backward(grad_output, cache)
        self.weight.accumulate(grad_weight)
        self.bias.accumulate(grad_bias)
        return grad_x


def freeze_batch_norms(module: Module) -> None:
    """Let every batch norm in ``module`` train with its running statistics, and keep them as they are.

    For fine-tuning on batches too small to tell a mean and a variance. Weight and bias still learn; leave
    them out of the optimiser's parameters if they should not.

    Parameters
    ----------
    module : Module
        Changed in place.
    """
    if isinstance(module, BatchNorm2d):
        module.frozen = True
    for _, part in module.parts():
        freeze_batch_norms(part)
