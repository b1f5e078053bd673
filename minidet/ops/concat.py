r"""Concatenation: several tensors side by side in one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minidet._check import check_float
from minidet._typing import FloatArray
from minidet.errors import InputError


def concat_forward(xs: Sequence[FloatArray], *, axis: int = 1) -> FloatArray:
    r"""Join tensors along ``axis``; all their other sides must agree.

    Parameters
    ----------
    xs : sequence of arrays, float32 or float64
    axis : int
        1 joins the channels of (N, C, H, W) tensors.

    Returns
    -------
    y : array
        Its side along ``axis`` is the sum of theirs.

    Raises
    ------
    InputError
        If there is nothing to join, there is no such axis, or types or the other sides disagree.

    Examples
    --------
    >>> concat_forward([np.array([[1.0, 2.0]]), np.array([[3.0]])])
    array([[1., 2., 3.]])
    """
    if len(xs) == 0:
        raise InputError("concat: `xs` is empty; expected at least one array")
    check_float("concat", **{f"xs[{i}]": x for i, x in enumerate(xs)})
    try:
        return np.concatenate(xs, axis=axis)
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in xs)
        raise InputError(f"concat: shapes {shapes} cannot be joined along axis {axis}") from None
