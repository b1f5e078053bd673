"""The layers beside convolution, forward."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray


def max_pool2d(x: FloatArray, kernel_size: int, stride: int) -> FloatArray:
    """Return (N, C, OH, OW): a last window may hang over the edge."""
    N, C, H, W = x.shape
    OH, OW = -(-(H - kernel_size) // stride) + 1, -(-(W - kernel_size) // stride) + 1
    # A window that starts outside sees nothing.
    OH, OW = OH - ((OH - 1) * stride >= H), OW - ((OW - 1) * stride >= W)
    y = np.empty((N, C, OH, OW), x.dtype)
    for oy in range(OH):
        for ox in range(OW):
            top, left = oy * stride, ox * stride
            y[:, :, oy, ox] = x[:, :, top : top + kernel_size, left : left + kernel_size].max(axis=(2, 3))
    return y


def prelu(x: FloatArray, slope: FloatArray) -> FloatArray:
    """Return an array like ``x``."""
    return np.where(x > 0, x, slope[:, None, None] * x)


def linear(x: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    """Return (N, O)."""
    return x @ weight.T + bias


def softmax(x: FloatArray) -> FloatArray:
    """Return scores (M, C) that sum to one in each row."""
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def batch_norm_training(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
    running_mean: FloatArray,
    running_var: FloatArray,
    momentum: float,
    eps: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return y (N, C, H, W) and the new running mean and variance (C,)."""
    count = x.size // x.shape[1]
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    y = batch_norm_inference(x, weight, bias, mean, var, eps)
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * var * count / (count - 1)
    return y, new_mean, new_var


def batch_norm_inference(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
    running_mean: FloatArray,
    running_var: FloatArray,
    eps: float,
) -> FloatArray:
    """Return y (N, C, H, W)."""
    scale = weight / np.sqrt(running_var + eps)  # (C,)
    return scale[:, None, None] * (x - running_mean[:, None, None]) + bias[:, None, None]


def fold_batch_norm(
    conv_weight: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
    running_mean: FloatArray,
    running_var: FloatArray,
    eps: float,
) -> tuple[FloatArray, FloatArray]:
    """Return filters (OC, IC, KH, KW) and a bias (OC,) for the convolution alone."""
    scale = weight / np.sqrt(running_var + eps)  # (OC,)
    return conv_weight * scale[:, None, None, None], bias - scale * running_mean
