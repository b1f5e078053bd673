r"""The parametric rectifier: a leaky one whose slope is learnt, one per channel (He et al. 2015, eq. 1)."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_shape
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.ops._check import check_channels
from minidet.ops._sum import sum_per_channel


def prelu_forward(x: FloatArray, slope: FloatArray) -> FloatArray:
    r"""Multiply the negative values of channel c by ``slope[c]``.

    .. math:: y_{n,c} = x_{n,c} \text{ if } x_{n,c} > 0 \text{ else } a_c \, x_{n,c}

    MTCNN's released slopes run from -1.28 to 1.30, so the shorter :math:`\max(x, a x)`, which is the same
    for slopes between 0 and 1, would be wrong here.

    Parameters
    ----------
    x : (N, C) or (N, C, H, W) array, float32 or float64
        Channels are axis 1.
    slope : (C,) array of the same type

    Returns
    -------
    y : array like ``x``

    Raises
    ------
    InputError
        If types disagree or there is not one slope per channel.

    Examples
    --------
    >>> prelu_forward(np.array([[-2.0, -2.0, 2.0]]), np.array([0.25, 1.5, 0.25]))
    array([[-0.5, -3. ,  2. ]])
    """
    check_float("prelu", x=x, slope=slope)
    a = _per_channel(slope, x)
    return np.where(x > 0, x, a * x)


def prelu_backward(
    grad_output: FloatArray, x: FloatArray, slope: FloatArray
) -> tuple[FloatArray, FloatArray]:
    r"""Send the gradient back to the input and to the slopes.

    On the negative side :math:`y = a x`, so the gradient goes to x times a, and to a times x; on the positive
    side it goes to x as it is. A slope serves all pixels of its channel, so their shares add up
    (He et al. 2015, eqs. 2 and 3).

    .. math::
        \frac{\partial L}{\partial x_{n,c}} =
            \frac{\partial L}{\partial y_{n,c}} \cdot (1 \text{ if } x_{n,c} > 0 \text{ else } a_c), \qquad
        \frac{\partial L}{\partial a_c} =
            \sum_{x_{n,c} \le 0} \frac{\partial L}{\partial y_{n,c}} \, x_{n,c}

    Parameters
    ----------
    grad_output : (N, C) or (N, C, H, W) array, float32 or float64
        Gradient of the loss with respect to the output.
    x : array of the same shape and type
    slope : (C,) array of the same type
        What the forward pass was given.

    Returns
    -------
    grad_x : array like ``x``
    grad_slope : (C,) array

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    >>> x, slope = np.array([[-2.0, -2.0, 2.0]]), np.array([0.25, 1.5, 0.25])
    >>> prelu_backward(np.array([[10.0, 100.0, 1000.0]]), x, slope)
    (array([[   2.5,  150. , 1000. ]]), array([ -20., -200.,    0.]))
    """
    check_float("prelu", grad_output=grad_output, x=x, slope=slope)
    check_shape("prelu", "grad_output", grad_output, x.shape, "the shape of `x`")
    a = _per_channel(slope, x)
    grad_x = np.where(x > 0, grad_output, a * grad_output)
    shares = np.where(x > 0, x.dtype.type(0), grad_output * x)
    return grad_x, sum_per_channel(shares)


def _per_channel(slope: FloatArray, x: FloatArray) -> FloatArray:
    if x.ndim < 2:
        raise InputError(f"prelu: `x` has shape {x.shape}; expected (N, C) or (N, C, H, W)")
    check_channels("prelu", "slope", slope, x.shape[1])
    return slope.reshape(1, -1, *([1] * (x.ndim - 2)))  # (1, C) or (1, C, 1, 1)
