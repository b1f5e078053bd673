r"""The logistic function: any number in, a number from 0 to 1 out."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_shape
from minidet._typing import FloatArray


def sigmoid_forward(x: FloatArray) -> FloatArray:
    r"""Squash every number into the range from 0 to 1.

    .. math:: y = \frac{1}{1 + e^{-x}} = \frac{e^x}{1 + e^x}

    Of the two forms, each number takes the one whose exponential cannot overflow.

    Parameters
    ----------
    x : array of any shape, float32 or float64

    Returns
    -------
    y : array like ``x``

    Raises
    ------
    InputError
        If ``x`` is not floating point.

    Examples
    --------
    >>> sigmoid_forward(np.array([-np.log(3.0), 0.0, np.log(3.0)])).round(6)
    array([0.25, 0.5 , 0.75])
    """
    check_float("sigmoid", x=x)
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def sigmoid_backward(grad_output: FloatArray, y: FloatArray) -> FloatArray:
    r"""Send the gradient back; the slope is steepest, 1/4, where the output is 1/2.

    .. math:: \frac{\partial L}{\partial x} = y \, (1 - y) \, \frac{\partial L}{\partial y}

    Parameters
    ----------
    grad_output : array of any shape, float32 or float64
        Gradient of the loss with respect to the output.
    y : array of the same shape and type
        The *result* of the forward pass.

    Returns
    -------
    grad_x : array like ``y``

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    >>> sigmoid_backward(np.array([16.0, 16.0]), np.array([0.25, 0.5]))
    array([3., 4.])
    """
    check_float("sigmoid", grad_output=grad_output, y=y)
    check_shape("sigmoid", "grad_output", grad_output, y.shape, "the shape of `y`")
    return y * (1 - y) * grad_output
