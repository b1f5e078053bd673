r"""Batch normalisation: every channel is brought to mean 0 and variance 1, then to a learnt mean and spread.

Ioffe & Szegedy 2015, algorithm 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minidet._check import check_float, check_ndim
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.ops._check import check_channels


class BatchNormCache(NamedTuple):
    """What :func:`batch_norm2d_forward` leaves behind for the backward pass and the layer.

    Attributes
    ----------
    x_hat : (N, C, H, W) array
        The normalised input, before ``weight`` and ``bias``.
    inv_std : (C,) array
        1 / sqrt(variance + eps), of the variance that was used.
    running_mean, running_var : (C,) arrays
        The statistics to keep from now on: updated when training, the given ones otherwise.
    training : bool
        Whether the statistics came from this batch, so that gradients flow through them.
    """

    x_hat: FloatArray
    inv_std: FloatArray
    running_mean: FloatArray
    running_var: FloatArray
    training: bool


def batch_norm2d_forward(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
    running_mean: FloatArray,
    running_var: FloatArray,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[FloatArray, BatchNormCache]:
    r"""Normalise every channel of ``x``.

    .. math:: \hat x = \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}}, \qquad y = \gamma_c \, \hat x + \beta_c

    In training :math:`\mu_c, \sigma_c^2` are the mean and variance of this batch over N, H and W, and the
    running statistics move towards them by the share ``momentum``; otherwise they *are* the running
    statistics.

    Parameters
    ----------
    x : (N, C, H, W) array, float32 or float64
    weight, bias : (C,) arrays of the same type
        :math:`\gamma` and :math:`\beta`.
    running_mean, running_var : (C,) arrays of the same type
        Never written to: the updated ones come back in the cache.
    training : bool
    momentum : float
        Share of the new value in the running statistics (PyTorch's meaning; Keras means the old one's).
    eps : float
        Keeps a channel of constant value from dividing by zero.

    Returns
    -------
    y : (N, C, H, W) array
    cache : BatchNormCache

    Raises
    ------
    InputError
        If types or shapes disagree, or a batch to learn from has a single value per channel.

    Notes
    -----
    As in PyTorch, the batch is normalised with the variance divided by the count n, while the running
    variance learns the unbiased one, divided by n - 1.

    Examples
    --------
    One channel holding 1 and 3 has mean 2 and variance 1:

    >>> x = np.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    >>> one, zero = np.ones(1), np.zeros(1)
    >>> y, cache = batch_norm2d_forward(x, one, zero, zero, one, training=True, eps=0.0)
    >>> y.ravel(), cache.running_mean, cache.running_var
    (array([-1.,  1.]), array([0.2]), array([1.1]))
    """
    check_float(
        "batch_norm2d", x=x, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var
    )
    check_ndim("batch_norm2d", "x", x, 4, "N, C, H, W")
    C = x.shape[1]
    check_channels("batch_norm2d", "weight", weight, C)
    check_channels("batch_norm2d", "bias", bias, C)
    check_channels("batch_norm2d", "running_mean", running_mean, C)
    check_channels("batch_norm2d", "running_var", running_var, C)

    momentum, eps = float(momentum), float(eps)  # a np.float64 would turn float32 into float64
    if training:
        count = x.size // C
        if count < 2:
            raise InputError(
                f"batch_norm2d: `x` of shape {x.shape} has one value per channel; training needs two"
            )
        mean = x.mean(axis=(0, 2, 3))  # (C,)
        var = x.var(axis=(0, 2, 3))  # (C,)
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var * (count / (count - 1))
    else:
        mean, var = running_mean, running_var

    inv_std = 1 / np.sqrt(var + eps)  # (C,)
    x_hat = (x - per_channel(mean)) * per_channel(inv_std)
    y = per_channel(weight) * x_hat + per_channel(bias)
    return y, BatchNormCache(x_hat, inv_std, running_mean, running_var, training)


def per_channel(values: FloatArray) -> FloatArray:
    """Lay (C,) values along axis 1 of an (N, C, H, W) tensor."""
    return values[None, :, None, None]  # (1, C, 1, 1)
