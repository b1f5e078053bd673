"""Backward passes, and the judge of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minidet._typing import Float64Array, FloatArray


def numerical_gradient(
    function: Callable[[Float64Array], float], x: Float64Array, step: float
) -> Float64Array:
    """Return the gradient of ``function`` at ``x`` by central differences."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += step
        below[index] -= step
        gradient[index] = (function(above) - function(below)) / (2 * step)
    return gradient


def linear_backward(
    grad_output: FloatArray, x: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return grad_x (N, I), grad_weight (O, I), grad_bias (O,)."""
    return grad_output @ weight, grad_output.T @ x, grad_output.sum(axis=0)


def prelu_backward(
    grad_output: FloatArray, x: FloatArray, slope: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return grad_x like ``x`` and grad_slope (C,)."""
    grad_x = np.where(x > 0, grad_output, slope[:, None, None] * grad_output)
    grad_slope = np.where(x > 0, 0, grad_output * x).sum(axis=(0, 2, 3))
    return grad_x, grad_slope


def max_pool2d_backward(grad_output: FloatArray, x: FloatArray, kernel_size: int, stride: int) -> FloatArray:
    """Return grad_x like ``x``."""
    grad_x = np.zeros_like(x)
    for n, c, oy, ox in np.ndindex(grad_output.shape):
        top, left = oy * stride, ox * stride
        window = x[n, c, top : top + kernel_size, left : left + kernel_size]
        ky, kx = np.unravel_index(window.argmax(), window.shape)  # argmax takes the first of equals
        grad_x[n, c, top + ky, left + kx] += grad_output[n, c, oy, ox]
    return grad_x


def conv2d_backward(
    grad_output: FloatArray, x: FloatArray, weight: FloatArray, stride: int, padding: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return grad_x (N, IC, H, W), grad_weight (OC, IC, KH, KW), grad_bias (OC,)."""
    KH, KW = weight.shape[2:]
    H, W = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    grad_padded, grad_weight = np.zeros_like(padded), np.zeros_like(weight)
    for n, oc, oy, ox in np.ndindex(grad_output.shape):
        rows = slice(oy * stride, oy * stride + KH)
        columns = slice(ox * stride, ox * stride + KW)
        grad_padded[n, :, rows, columns] += weight[oc] * grad_output[n, oc, oy, ox]
        grad_weight[oc] += padded[n, :, rows, columns] * grad_output[n, oc, oy, ox]
    grad_x = grad_padded[:, :, padding : padding + H, padding : padding + W]
    return grad_x, grad_weight, grad_output.sum(axis=(0, 2, 3))


def batch_norm_backward(
    grad_output: FloatArray, x: FloatArray, weight: FloatArray, eps: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return grad_x (N, C, H, W), grad_weight (C,), grad_bias (C,) of a batch norm in training."""
    axes = (0, 2, 3)
    std = np.sqrt(x.var(axis=axes, keepdims=True) + eps)  # (1, C, 1, 1)
    x_hat = (x - x.mean(axis=axes, keepdims=True)) / std
    through_mean = grad_output.mean(axis=axes, keepdims=True)
    through_var = x_hat * (grad_output * x_hat).mean(axis=axes, keepdims=True)
    grad_x = weight[:, None, None] / std * (grad_output - through_mean - through_var)
    return grad_x, (grad_output * x_hat).sum(axis=axes), grad_output.sum(axis=axes)
