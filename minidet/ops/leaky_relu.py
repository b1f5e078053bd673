r"""The leaky rectifier: negative inputs are scaled down instead of cut off."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float
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
