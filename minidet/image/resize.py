r"""Resizing an image: by averaging areas (to shrink) and by bilinear interpolation (to enlarge)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit
from minidet._typing import Float32Array
from minidet.errors import InputError


# Compat: windows of whole pixels, as facenet-pytorch resizes; docs/compat.md "Area resize".
def resize_area(image: NDArray[Any], height: int, width: int) -> Float32Array:
    r"""Average the pixels that every output pixel covers, wholly or in part.

    .. math:: y_{i,j} = \text{mean of } x_{\lfloor iH/h \rfloor \,..\, \lceil (i+1)H/h \rceil - 1,\;
                                           \lfloor jW/w \rfloor \,..\, \lceil (j+1)W/w \rceil - 1}

    A pixel that an output covers only in part counts in full, so neighbouring outputs may share it: this is
    "adaptive average pooling", and what PyTorch calls ``interpolate(mode="area")``. OpenCV's INTER_AREA
    weighs such pixels by their share and gives slightly different values.

    Parameters
    ----------
    image : (H, W, C) array, uint8 or float32
    height, width : int
        Of the result, at least 1; it may be larger than the image, whose pixels are then repeated.

    Returns
    -------
    (height, width, C) float32 array

    Raises
    ------
    InputError
        If the image is not (H, W, C) of uint8 or float32, or a side is below 1.

    Examples
    --------
    Five pixels onto two: the middle one belongs to both.

    >>> resize_area(np.array([[[1], [2], [3], [4], [5]]], np.uint8), 1, 2).ravel()
    array([2., 4.], dtype=float32)
    """
    check_resize("resize_area", image, height, width)
    out = np.empty((height, width, image.shape[2]), np.float32)
    _resize_area_kernel(np.ascontiguousarray(image), out)
    return out


@jit
def _resize_area_kernel(image: NDArray[Any], out: Float32Array) -> None:
    H, W, C = image.shape
    height, width, _ = out.shape
    total = np.empty(C, np.float32)
    for i in range(height):
        top, bottom = i * H // height, ((i + 1) * H + height - 1) // height
        for j in range(width):
            left, right = j * W // width, ((j + 1) * W + width - 1) // width
            total[:] = 0
            for y in range(top, bottom):
                for x in range(left, right):
                    for c in range(C):
                        total[c] += np.float32(image[y, x, c])
            for c in range(C):
                out[i, j, c] = total[c] / np.float32(bottom - top) / np.float32(right - left)


def resize_bilinear(image: NDArray[Any], height: int, width: int) -> Float32Array:
    r"""Interpolate between the four nearest pixels.

    Output pixel j has its centre at :math:`x = (j + 0.5) W / w - 0.5` in units of input pixels. With
    :math:`k = \lfloor x \rfloor` and :math:`f = x - k` a row gives

    .. math:: y_j = (1 - f) \, p_k + f \, p_{k+1}

    and likewise from row to row. Beyond the outermost centres the edge pixel is repeated. There is no
    smoothing: to shrink by much, use :func:`resize_area`.

    Parameters
    ----------
    image : (H, W, C) array, uint8 or float32
    height, width : int
        Of the result, at least 1.

    Returns
    -------
    (height, width, C) float32 array

    Raises
    ------
    InputError
        If the image is not (H, W, C) of uint8 or float32, or a side is below 1.

    Examples
    --------
    >>> resize_bilinear(np.array([[[0], [100]]], np.uint8), 1, 4).ravel()
    array([  0.,  25.,  75., 100.], dtype=float32)
    """
    check_resize("resize_bilinear", image, height, width)
    y0, y1, fy = neighbours(image.shape[0], height)
    x0, x1, fx = neighbours(image.shape[1], width)
    fx = fx[:, None]  # (width, 1), for all channels
    fy = fy[:, None, None]  # (height, 1, 1)
    pixels = image.astype(np.float32)
    top = (1 - fx) * pixels[y0][:, x0] + fx * pixels[y0][:, x1]  # (height, width, C)
    bottom = (1 - fx) * pixels[y1][:, x0] + fx * pixels[y1][:, x1]
    return (1 - fy) * top + fy * bottom


def neighbours(size: int, new_size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Float32Array]:
    """Name the two input pixels around each output centre, and how far it is from the first to the second."""
    centre = (np.arange(new_size) + 0.5) * size / new_size - 0.5
    centre = np.clip(centre, 0, size - 1)
    first = np.floor(centre).astype(np.intp)
    second = np.minimum(first + 1, size - 1)
    return first, second, (centre - first).astype(np.float32)


def check_resize(function: str, image: NDArray[Any], height: int, width: int) -> None:
    """Require an (H, W, C) image of uint8 or float32, and sides of at least one pixel."""
    if image.ndim != 3 or 0 in image.shape or image.dtype not in (np.uint8, np.float32):
        raise InputError(
            f"{function}: image of shape {image.shape} and type {image.dtype}; "
            "expected (H, W, C) of uint8 or float32"
        )
    if height < 1 or width < 1:
        raise InputError(f"{function}: size {height} x {width}; expected sides of at least 1 pixel")
