r"""The parametric rectifier: a leaky one whose slope is learnt, one per channel (He et al. 2015, eq. 1)."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.ops._check import check_channels


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
    if x.ndim < 2:
        raise InputError(f"prelu: `x` has shape {x.shape}; expected (N, C) or (N, C, H, W)")
    check_channels("prelu", "slope", slope, x.shape[1])
    a = slope.reshape(1, -1, *([1] * (x.ndim - 2)))  # (1, C) or (1, C, 1, 1)
    return np.where(x > 0, x, a * x)
