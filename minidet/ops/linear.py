r"""A fully connected layer: every output is a weighted sum of all inputs."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_ndim, check_shape
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.ops._check import check_channels
from minidet.ops._sum import sum_per_channel


def linear_forward(x: FloatArray, weight: FloatArray, bias: FloatArray | None = None) -> FloatArray:
    r"""Multiply ``x`` by the transposed weight matrix.

    .. math:: y_{n,o} = b_o + \sum_i w_{o,i} \, x_{n,i}

    Parameters
    ----------
    x : (N, I) array, float32 or float64
    weight : (O, I) array of the same type
    bias : (O,) array, optional

    Returns
    -------
    y : (N, O) array

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    >>> linear_forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.5, 0.0]))
    array([[11.5, 17. ]])
    """
    check_float("linear", x=x, weight=weight, bias=bias)
    _check_pair(x, weight)
    y = _matmul(x, weight.T)  # (N, I) @ (I, O) -> (N, O)
    if bias is None:
        return y
    check_channels("linear", "bias", bias, weight.shape[0])
    return y + bias


def linear_backward(
    grad_output: FloatArray, x: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Send the gradient of a linear layer's output back to its input, its weight and its bias.

    Every product :math:`w_{o,i} \, x_{n,i}` hands the gradient of its output on to both factors, times the
    other one. Summed over all the outputs that an input feeds, and over all the samples that a weight serves:

    .. math::
        \frac{\partial L}{\partial x_{n,i}} = \sum_o \frac{\partial L}{\partial y_{n,o}} \, w_{o,i}, \qquad
        \frac{\partial L}{\partial w_{o,i}} = \sum_n \frac{\partial L}{\partial y_{n,o}} \, x_{n,i}, \qquad
        \frac{\partial L}{\partial b_o} = \sum_n \frac{\partial L}{\partial y_{n,o}}

    Parameters
    ----------
    grad_output : (N, O) array, float32 or float64
        Gradient of the loss with respect to the output.
    x : (N, I) array of the same type
    weight : (O, I) array of the same type
        What the forward pass was given.

    Returns
    -------
    grad_x : (N, I) array
    grad_weight : (O, I) array
    grad_bias : (O,) array

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    >>> x, weight = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])
    >>> grad_x, grad_weight, grad_bias = linear_backward(np.array([[1.0, 10.0]]), x, weight)
    >>> grad_x.tolist(), grad_weight.tolist(), grad_bias.tolist()
    ([[53.0, 64.0]], [[1.0, 2.0], [10.0, 20.0]], [1.0, 10.0])
    """
    check_float("linear", grad_output=grad_output, x=x, weight=weight)
    _check_pair(x, weight)
    check_shape("linear", "grad_output", grad_output, (len(x), len(weight)), "the shape of the output")
    grad_x = _matmul(grad_output, weight)  # (N, O) @ (O, I) -> (N, I)
    grad_weight = _matmul(grad_output.T, x)  # (O, N) @ (N, I) -> (O, I)
    grad_bias = sum_per_channel(grad_output)  # (O,)
    return grad_x, grad_weight, grad_bias


def _matmul(a: FloatArray, b: FloatArray) -> FloatArray:
    # In float64, since float32 would lose digits over the many terms of a sum.
    return np.matmul(a, b, dtype=np.float64).astype(a.dtype)


def _check_pair(x: FloatArray, weight: FloatArray) -> None:
    check_ndim("linear", "x", x, 2, "N, I")
    check_ndim("linear", "weight", weight, 2, "O, I")
    if weight.shape[1] != x.shape[1]:
        raise InputError(
            f"linear: `weight` expects {weight.shape[1]} inputs, `x` has {x.shape[1]} (shape {x.shape})"
        )
