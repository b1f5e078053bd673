r"""The rectifier: negative inputs become zero."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float
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
