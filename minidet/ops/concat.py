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
    xs : sequence of arrays of any shape, float32 or float64
    axis : int
        1 joins the channels of (N, C, H, W) tensors.

    Returns
    -------
    y : array of the shape of the inputs, but for one side
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


def concat_backward(grad_output: FloatArray, sizes: Sequence[int], *, axis: int = 1) -> list[FloatArray]:
    r"""Cut the gradient apart where the tensors were joined.

    Parameters
    ----------
    grad_output : array of any shape, float32 or float64
        Gradient of the loss with respect to the output.
    sizes : sequence of int
        Length of each tensor along ``axis``.
    axis : int
        As in the forward pass.

    Returns
    -------
    grad_xs : list of arrays of any shape
        One for each tensor, in their order.

    Raises
    ------
    InputError
        If there is no such axis, or the sizes, at least one, do not add up to its length.

    Examples
    --------
    >>> concat_backward(np.array([[1.0, 2.0, 3.0]]), [2, 1])
    [array([[1., 2.]]), array([[3.]])]
    """
    check_float("concat", grad_output=grad_output)
    if not -grad_output.ndim <= axis < grad_output.ndim:
        raise InputError(f"concat: `grad_output` of shape {grad_output.shape} has no axis {axis}")
    if len(sizes) == 0:
        raise InputError("concat: `sizes` is empty; expected at least one")
    if min(sizes) < 0 or sum(sizes) != grad_output.shape[axis]:
        raise InputError(
            f"concat: sizes={list(sizes)}; expected to add up to {grad_output.shape[axis]}, "
            f"the length of `grad_output` along axis {axis}"
        )
    ends = np.cumsum(sizes)[:-1]
    return [part.copy() for part in np.split(grad_output, ends, axis=axis)]
