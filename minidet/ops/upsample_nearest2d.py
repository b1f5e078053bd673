r"""Nearest-neighbour upsampling: every output pixel copies the input pixel it falls on."""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_ndim
from minidet._typing import FloatArray, IntArray
from minidet.errors import InputError
from minidet.ops._check import check_input_shape


def upsample_nearest2d_forward(x: FloatArray, size: tuple[int, int]) -> FloatArray:
    r"""Resize every plane of ``x`` to ``size`` by copying.

    .. math:: y_{n,c,oy,ox} = x_{n,\,c,\,\lfloor oy \, H / OH \rfloor,\,\lfloor ox \, W / OW \rfloor}

    A feature pyramid gives the size of the level below, not a factor of two: a level of 15 rows meets one of
    30 or of 29, whichever the image has (RetinaFace's reference code does the same).

    Parameters
    ----------
    x : (N, C, H, W) array, float32 or float64
    size : (OH, OW)
        Rows and columns of the output.

    Returns
    -------
    y : (N, C, OH, OW) array

    Raises
    ------
    InputError
        If ``x`` is not (N, C, H, W) floating point, or a side of ``size`` is below one.

    Examples
    --------
    >>> upsample_nearest2d_forward(np.array([[[[1.0, 2.0]]]]), (1, 3))
    array([[[[1., 1., 2.]]]])
    """
    check_float("upsample_nearest2d", x=x)
    check_ndim("upsample_nearest2d", "x", x, 4, "N, C, H, W")
    OH, OW = size
    if OH < 1 or OW < 1:
        raise InputError(f"upsample_nearest2d: size={size}; expected two sides of at least one pixel")
    H, W = x.shape[2:]
    if H < 1 or W < 1:
        raise InputError(f"upsample_nearest2d: `x` has shape {x.shape}; expected sides of at least one pixel")
    rows = nearest_index(H, OH)  # (OH,)
    columns = nearest_index(W, OW)  # (OW,)
    return x[:, :, rows[:, None], columns]  # (N, C, OH, OW)


def upsample_nearest2d_backward(grad_output: FloatArray, input_shape: tuple[int, ...]) -> FloatArray:
    r"""Send the gradient of every copy back to the pixel it was copied from.

    .. math::
        \frac{\partial L}{\partial x_{n,c,iy,ix}} =
            \sum_{oy,ox:\; \lfloor oy H / OH \rfloor = iy,\; \lfloor ox W / OW \rfloor = ix}
            \frac{\partial L}{\partial y_{n,c,oy,ox}}

    Parameters
    ----------
    grad_output : (N, C, OH, OW) array, float32 or float64
        Gradient of the loss with respect to the output.
    input_shape : (N, C, H, W)
        Shape of the input.

    Returns
    -------
    grad_x : (N, C, H, W) array

    Raises
    ------
    InputError
        If shapes disagree.

    Examples
    --------
    The first pixel of the forward example was copied twice:

    >>> upsample_nearest2d_backward(np.array([[[[1.0, 10.0, 100.0]]]]), (1, 1, 1, 2))
    array([[[[ 11., 100.]]]])
    """
    check_float("upsample_nearest2d", grad_output=grad_output)
    check_ndim("upsample_nearest2d", "grad_output", grad_output, 4, "N, C, OH, OW")
    N, C, OH, OW = grad_output.shape
    check_input_shape("upsample_nearest2d", input_shape, N, C)
    H, W = input_shape[2:]
    grad_x = np.zeros((H, W, N, C), np.float64)  # float32 would lose digits over many copies
    rows = nearest_index(H, OH)  # (OH,)
    columns = nearest_index(W, OW)  # (OW,)
    # Unlike grad_x[rows, columns] += ..., this adds once for every time that a pixel is named.
    np.add.at(grad_x, (rows[:, None], columns), grad_output.transpose(2, 3, 0, 1))
    return grad_x.transpose(2, 3, 0, 1).astype(grad_output.dtype, order="C")  # (N, C, H, W)


def nearest_index(size: int, new_size: int) -> IntArray:
    """Name for each of ``new_size`` output pixels the input pixel it copies.

    Whole-number arithmetic, so the floor is exact. PyTorch multiplies by H / OH in float32, which lands one
    pixel lower for a few ratios (26 to 44 is the first); for the ratios of a feature pyramid, n to 2n or
    2n - 1, the two agree at every size.
    """
    return np.arange(new_size) * size // new_size
