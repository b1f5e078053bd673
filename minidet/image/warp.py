"""A square of an image seen through a linear map: turned, scaled, moved."""

from __future__ import annotations

import numpy as np

from minidet._jit import jit
from minidet._typing import FloatArray, RGBImage


def warp(image: RGBImage, back: FloatArray, origin: FloatArray, size: int) -> RGBImage:
    r"""Look back from every pixel of a square into the image; interpolate between the four nearest pixels.

    .. math::
        \begin{pmatrix} x \\ y \end{pmatrix} = B \begin{pmatrix} u \\ v \end{pmatrix} + o, \qquad
        \text{out}_{vu} = \sum_{i,k} \max(0, 1 - |y - i|) \, \max(0, 1 - |x - k|) \, \text{image}_{ik}

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    back : (2, 2) array
        B.
    origin : (2,) array
        o: where the first pixel of the square looks. Whole numbers are pixel centres.
    size : int
        Side of the square, in pixels.

    Returns
    -------
    (size, size, 3) uint8 array
        Black where the image ends.

    Notes
    -----
    Nothing is averaged: a square that shows much of the image in few pixels samples it at single places.

    Examples
    --------
    Half a pixel to the right: each pixel is the mean of two, and the last of one and of nothing.

    >>> image = np.repeat(np.array([[[10], [20]], [[30], [40]]], np.uint8), 3, axis=2)
    >>> warp(image, np.eye(2), np.array([0.5, 0.0]), 2)[:, :, 0]
    array([[15, 10],
           [35, 20]], dtype=uint8)
    """
    square = np.empty((size, size, 3), np.uint8)
    _warp_kernel(np.ascontiguousarray(image), back, origin, square)
    return square


@jit
def _warp_kernel(image: RGBImage, back: FloatArray, origin: FloatArray, square: RGBImage) -> None:
    H, W, C = image.shape
    for v in range(square.shape[0]):
        for u in range(square.shape[1]):
            x = back[0, 0] * u + back[0, 1] * v + origin[0]
            y = back[1, 0] * u + back[1, 1] * v + origin[1]
            square[v, u] = 0
            if not (-1 < x < W and -1 < y < H):  # before a place too large for an integer becomes one
                continue
            left, top = int(np.floor(x)), int(np.floor(y))
            for c in range(C):
                value = 0.0
                for i in range(max(top, 0), min(top + 2, H)):
                    for k in range(max(left, 0), min(left + 2, W)):
                        value += (1 - abs(y - i)) * (1 - abs(x - k)) * image[i, k, c]
                square[v, u, c] = np.uint8(np.rint(value))
