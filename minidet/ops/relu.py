r"""The rectifier: negative inputs become zero."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_shape
from minidet._typing import FloatArray


def relu_forward(x: FloatArray) -> FloatArray:
    r"""Replace negative values by zero.

    .. math:: y = \max(x, 0)

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
    >>> relu_forward(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    check_float("relu", x=x)
    return np.maximum(x, x.dtype.type(0))


def relu_backward(grad_output: FloatArray, x: FloatArray) -> FloatArray:
    r"""Send the gradient back where the input was positive.

    .. math:: \frac{\partial L}{\partial x} = \frac{\partial L}{\partial y} \text{ if } x > 0 \text{ else } 0

    At the kink, x = 0, any slope from 0 to 1 would do; as in PyTorch it is 0.

    Parameters
    ----------
    grad_output : array of any shape, float32 or float64
        Gradient of the loss with respect to the output.
    x : array of the same shape and type
        What the forward pass was given.

    Returns
    -------
    grad_x : array like ``x``

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    >>> relu_backward(np.array([5.0, 6.0, 7.0]), np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 7.])
    """
    check_float("relu", grad_output=grad_output, x=x)
    check_shape("relu", "grad_output", grad_output, x.shape, "the shape of `x`")
    return np.where(x > 0, grad_output, x.dtype.type(0))
