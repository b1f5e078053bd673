r"""The leaky rectifier: negative inputs are scaled down instead of cut off."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_shape
from minidet._typing import FloatArray


def leaky_relu_forward(x: FloatArray, negative_slope: float) -> FloatArray:
    r"""Multiply negative values by ``negative_slope``.

    .. math:: y = x \text{ if } x > 0 \text{ else } a \, x

    Parameters
    ----------
    x : array of any shape, float32 or float64
    negative_slope : float
        The :math:`a` above; 0.1 throughout RetinaFace's MobileNet.

    Returns
    -------
    y : array like ``x``

    Raises
    ------
    InputError
        If ``x`` is not floating point.

    Examples
    --------
    >>> leaky_relu_forward(np.array([-2.0, 0.0, 3.0]), 0.1)
    array([-0.2,  0. ,  3. ])
    """
    check_float("leaky_relu", x=x)
    return np.where(x > 0, x, x.dtype.type(negative_slope) * x)


def leaky_relu_backward(grad_output: FloatArray, x: FloatArray, negative_slope: float) -> FloatArray:
    r"""Send the gradient back whole where the input was positive, scaled down elsewhere.

    .. math:: \frac{\partial L}{\partial x} =
        \frac{\partial L}{\partial y} \cdot (1 \text{ if } x > 0 \text{ else } a)

    At the kink, x = 0, the slope is that of the negative side, as in PyTorch.

    Parameters
    ----------
    grad_output : array of any shape, float32 or float64
        Gradient of the loss with respect to the output.
    x : array of the same shape and type
    negative_slope : float
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
    >>> leaky_relu_backward(np.array([5.0, 6.0, 7.0]), np.array([-2.0, 0.0, 3.0]), 0.1)
    array([0.5, 0.6, 7. ])
    """
    check_float("leaky_relu", grad_output=grad_output, x=x)
    check_shape("leaky_relu", "grad_output", grad_output, x.shape, "the shape of `x`")
    return np.where(x > 0, grad_output, x.dtype.type(negative_slope) * grad_output)
