r"""A fully connected layer: every output is a weighted sum of all inputs."""

from __future__ import annotations

from minidet._check import check_float, check_ndim
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.ops._check import check_channels


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
    >>> import numpy as np
    >>> linear_forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.5, 0.0]))
    array([[11.5, 17. ]])
    """
    check_float("linear", x=x, weight=weight, bias=bias)
    check_ndim("linear", "x", x, 2, "N, I")
    check_ndim("linear", "weight", weight, 2, "O, I")
    if weight.shape[1] != x.shape[1]:
        raise InputError(
            f"linear: `weight` expects {weight.shape[1]} inputs, `x` has {x.shape[1]} (shape {x.shape})"
        )
    y = x @ weight.T  # (N, I) @ (I, O) -> (N, O)
    if bias is None:
        return y
    check_channels("linear", "bias", bias, weight.shape[0])
    return y + bias
