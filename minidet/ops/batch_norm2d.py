r"""Batch normalisation: every channel is brought to mean 0 and variance 1, then to a learnt mean and spread.

Ioffe & Szegedy 2015, algorithm 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minidet._check import check_float, check_ndim, check_shape
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.ops._check import check_channels
from minidet.ops._sum import sum_per_channel


class BatchNormCache(NamedTuple):
    """What :func:`batch_norm2d_forward` leaves behind for the backward pass and the layer.

    Attributes
    ----------
    x_hat : (N, C, H, W) array
        The normalised input, before ``weight`` and ``bias``.
    weight : (C,) array
        The one that was given.
    inv_std : (C,) array
        1 / sqrt(variance + eps), of the variance that was used.
    running_mean, running_var : (C,) arrays
        The statistics to keep from now on: updated when training, the given ones otherwise.
    training : bool
        Whether the statistics came from this batch, so that gradients flow through them.
    """

    x_hat: FloatArray
    weight: FloatArray
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
        If types or shapes disagree, or a batch to learn from has a single value per channel, or one that is
        not finite: it would spoil the running statistics for good.

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
        count = x.size // max(C, 1)
        if count < 2:
            raise InputError(
                f"batch_norm2d: `x` of shape {x.shape} has {count} value(s) per channel; training needs two"
            )
        # In float64: a channel far from zero would lose most digits of its spread in float32.
        mean = x.mean(axis=(0, 2, 3), dtype=np.float64)  # (C,)
        with np.errstate(over="ignore", invalid="ignore"):  # reported below
            var = np.square(x - per_channel(mean)).mean(axis=(0, 2, 3))  # (C,)
        if not np.isfinite(var).all():
            c = int(np.argmin(np.isfinite(var)))
            raise InputError(f"batch_norm2d: `x` holds NaN, infinity or too large a number in channel {c}")
        running_mean = ((1 - momentum) * running_mean + momentum * mean).astype(x.dtype)
        running_var = ((1 - momentum) * running_var + momentum * var * (count / (count - 1))).astype(x.dtype)
        inv_std = 1 / np.sqrt(var + eps)  # (C,)
    else:
        mean = running_mean
        inv_std = (1 / np.sqrt(running_var.astype(np.float64) + eps)).astype(x.dtype)  # (C,)

    x_hat = ((x - per_channel(mean)) * per_channel(inv_std)).astype(x.dtype)
    y = per_channel(weight) * x_hat + per_channel(bias)
    return y, BatchNormCache(x_hat, weight, inv_std.astype(x.dtype), running_mean, running_var, training)


def batch_norm2d_backward(
    grad_output: FloatArray, cache: BatchNormCache
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Send the gradient of a batch norm's output back to its input, its weight and its bias.

    With g for :math:`\partial L / \partial y` and sums and means over N, H and W of one channel:

    .. math::
        \frac{\partial L}{\partial \beta} = \sum g, \qquad
        \frac{\partial L}{\partial \gamma} = \sum g \, \hat x, \qquad
        \frac{\partial L}{\partial x} = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}
            \left( g - \overline{g} - \hat x \; \overline{g \, \hat x} \right)

    The bracket has three terms because an input moves the outputs in three ways. Directly: g. Through the
    mean: raising one x raises :math:`\mu` by 1/n, which lowers all n outputs alike, hence minus the mean of
    g. Through the variance: raising x widens :math:`\sigma` in proportion to its :math:`\hat x / n`, which
    shrinks every output in proportion to its own :math:`\hat x`, hence minus :math:`\hat x` times the mean
    of :math:`g \hat x`. Statistics that did not come from this batch are constants: then only the first term
    is left.

    Parameters
    ----------
    grad_output : (N, C, H, W) array, float32 or float64
        Gradient of the loss with respect to the output.
    cache : BatchNormCache
        Second result of the forward pass; its ``training`` decides between the two cases.

    Returns
    -------
    grad_x : (N, C, H, W) array
    grad_weight, grad_bias : (C,) arrays

    Raises
    ------
    InputError
        If types or shapes disagree.

    Notes
    -----
    The running statistics are kept beside the loss, not part of it: they have no gradient.

    Examples
    --------
    In a batch of two values, normalising makes -1 and 1 of whatever comes in, so no input matters:

    >>> x = np.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    >>> one, zero = np.ones(1), np.zeros(1)
    >>> _, cache = batch_norm2d_forward(x, one, zero, zero, one, training=True, eps=0.0)
    >>> grad_y = np.array([5.0, 7.0]).reshape(2, 1, 1, 1)
    >>> grad_x, grad_weight, grad_bias = batch_norm2d_backward(grad_y, cache)
    >>> grad_x.ravel(), grad_weight, grad_bias
    (array([0., 0.]), array([2.]), array([12.]))
    """
    x_hat = cache.x_hat
    check_float("batch_norm2d", grad_output=grad_output, x_hat=x_hat)
    check_shape("batch_norm2d", "grad_output", grad_output, x_hat.shape, "the shape of the output")
    grad_bias = sum_per_channel(grad_output)
    grad_weight = sum_per_channel(grad_output * x_hat)

    scale = per_channel(cache.weight * cache.inv_std)
    if not cache.training:
        return scale * grad_output, grad_weight, grad_bias
    count = x_hat.size // x_hat.shape[1]
    through_mean = per_channel(grad_bias / count)
    through_var = x_hat * per_channel(grad_weight / count)
    grad_x = scale * (grad_output - through_mean - through_var)
    return grad_x, grad_weight, grad_bias


def per_channel(values: FloatArray) -> FloatArray:
    """Lay (C,) values along axis 1 of an (N, C, H, W) tensor."""
    return values[None, :, None, None]  # (1, C, 1, 1)
