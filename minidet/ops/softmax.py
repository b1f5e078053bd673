r"""Softmax: any numbers in, positive numbers that sum to one out."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_shape
from minidet._typing import FloatArray
from minidet.errors import InputError


def softmax_forward(x: FloatArray, *, axis: int = -1) -> FloatArray:
    r"""Turn logits into scores that sum to one along ``axis``.

    .. math::
        y_i = \frac{e^{x_i}}{\sum_j e^{x_j}} = \frac{e^{x_i - m}}{\sum_j e^{x_j - m}}, \quad m = \max_j x_j

    The second form cannot overflow: its largest exponent is zero.

    Parameters
    ----------
    x : array of any shape, float32 or float64
    axis : int
        The axis of the classes.

    Returns
    -------
    y : array like ``x``

    Raises
    ------
    InputError
        If ``x`` is not floating point.

    Examples
    --------
    Two classes whose logits differ by ln 3 share the probability one to three:

    >>> softmax_forward(np.array([[0.0, np.log(3.0)]])).round(6)
    array([[0.25, 0.75]])
    """
    check_float("softmax", x=x)
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


def softmax_backward(grad_output: FloatArray, y: FloatArray, *, axis: int = -1) -> FloatArray:
    r"""Send the gradient of the scores back to the logits.

    Raising one logit raises its own score and lowers all others, since they share one sum:
    :math:`\partial y_j / \partial x_i = y_j (\delta_{ij} - y_i)`. Summed over j:

    .. math::
        \frac{\partial L}{\partial x_i} =
            y_i \left( \frac{\partial L}{\partial y_i} - \sum_j \frac{\partial L}{\partial y_j} y_j \right)

    A loss that begins with a softmax does not come this way: :func:`minidet.losses.softmax_cross_entropy`
    takes both steps at once, which is shorter and cannot overflow.

    Parameters
    ----------
    grad_output : array of any shape, float32 or float64
        Gradient of the loss with respect to the scores.
    y : array of the same shape and type
        The scores: the *result* of the forward pass.
    axis : int
        The axis of the classes.

    Returns
    -------
    grad_x : array like ``y``
        Sums to zero along ``axis``: adding the same number to all logits changes nothing.

    Raises
    ------
    InputError
        If types or shapes disagree, or there is no such axis.

    Examples
    --------
    >>> softmax_backward(np.array([[0.0, 1.0]]), np.array([[0.25, 0.75]]))
    array([[-0.1875,  0.1875]])
    """
    check_float("softmax", grad_output=grad_output, y=y)
    check_shape("softmax", "grad_output", grad_output, y.shape, "the shape of `y`")
    if not -y.ndim <= axis < y.ndim:
        raise InputError(f"softmax: `y` of shape {y.shape} has no axis {axis}")
    return y * (grad_output - (grad_output * y).sum(axis=axis, keepdims=True))
