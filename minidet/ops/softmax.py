r"""Softmax: any numbers in, positive numbers that sum to one out."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float
from minidet._typing import FloatArray


def softmax_forward(x: FloatArray, *, axis: int = -1) -> FloatArray:
    r"""Turn logits into scores that sum to one along ``axis``.

    .. math:: y_i = \frac{e^{x_i}}{\sum_j e^{x_j}} = \frac{e^{x_i - m}}{\sum_j e^{x_j - m}}, \quad m = \max_j
    x_j

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
