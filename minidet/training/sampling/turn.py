r"""A photograph turned about a point: where things come to lie, and what a window of it shows then.

.. math:: p' = R (p - c) + c, \qquad
          R = \begin{pmatrix} \cos\alpha & -\sin\alpha \\ \sin\alpha & \cos\alpha \end{pmatrix}

y points down, so a positive angle turns clockwise as seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidet._typing import Float64Array, FloatArray, RGBImage
from minidet.image import resize_area
from minidet.image.warp import warp

ROUNDING = 1e-6
"""Pixels by which a corner may miss the photograph for rounding alone."""


def turn(points: FloatArray, centres: FloatArray, degrees: ArrayLike) -> Float64Array:
    """Turn the points of M faces, each face about its own centre by its own angle.

    Parameters
    ----------
    points : (M, P, 2) array
    centres : (M, 2) array
    degrees : (M,) array-like

    Returns
    -------
    (M, P, 2) float64 array

    Examples
    --------
    A quarter turn leads from the right of the centre to below it:

    >>> turn(np.array([[[3.0, 1.0]]]), np.array([[1.0, 1.0]]), [90]).round(9)
    array([[[1., 3.]]])
    """
    matrices = _rotations(degrees)  # (M, 2, 2)
    offsets = points.astype(np.float64) - centres[:, None]  # (M, P, 2)
    return offsets @ matrices.transpose(0, 2, 1) + centres[:, None]


def inside_turned(
    windows: FloatArray, centres: FloatArray, degrees: ArrayLike, width: int, height: int
) -> NDArray[np.bool_]:
    """Tell which windows of turned photographs show nothing from beyond their edges.

    Parameters
    ----------
    windows : (M, 4) array, x1 y1 x2 y2
        In the turned photograph.
    centres : (M, 2) array
    degrees : (M,) array-like
    width, height : int
        Of the photograph, in pixels.

    Returns
    -------
    (M,) bool array

    Examples
    --------
    The whole of a square photograph, turned by 90 degrees about its middle, and by 45:

    >>> whole, middle = np.array([[0.0, 0.0, 10.0, 10.0]] * 2), np.array([[5.0, 5.0]] * 2)
    >>> inside_turned(whole, middle, [90, 45], 10, 10)
    array([ True, False])
    """
    corners = windows[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
    back = turn(corners, centres, -np.asarray(degrees, np.float64))  # (M, 4, 2)
    x, y = back[..., 0], back[..., 1]  # (M, 4) each
    within = (x >= -ROUNDING) & (y >= -ROUNDING) & (x <= width + ROUNDING) & (y <= height + ROUNDING)
    return np.asarray(within.all(axis=1))


def cut_turned(
    image: RGBImage, window: FloatArray, centre: FloatArray, degrees: float, size: int
) -> NDArray[np.uint8]:
    """Cut a window of whole pixels out of a turned photograph.

    Only what the window shows is turned: every pixel of it looks back into the photograph and interpolates
    between the four nearest pixels. Then it is resized as any other crop.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
        Not turned.
    window : (4,) array, x1 y1 x2 y2
        In the turned photograph; a square.
    centre : (2,) array
        x and y of the point that stays where it is.
    degrees : float
    size : int
        Side of the crop, in pixels.

    Returns
    -------
    (size, size, 3) uint8 array
        Black where the photograph ends.

    Examples
    --------
    Half a turn about the middle:

    >>> image = np.array([[[1] * 3, [2] * 3], [[3] * 3, [4] * 3]], np.uint8)
    >>> cut_turned(image, np.array([0.0, 0.0, 2.0, 2.0]), np.array([1.0, 1.0]), 180, 2)[:, :, 0]
    array([[4, 3],
           [2, 1]], dtype=uint8)
    """
    side = round(float(window[2] - window[0]))
    # The first pixel of the window has its centre half a pixel from the corner, and so has the first pixel of
    # the photograph; `warp` counts centres in whole numbers.
    first = turn(window[None, None, :2] + 0.5, centre[None], [-degrees])[0, 0] - 0.5  # (2,)
    turned = warp(image, _rotations([-degrees])[0], first, side)
    return np.rint(resize_area(turned, size, size)).astype(np.uint8)


def _rotations(degrees: ArrayLike) -> Float64Array:
    """Return the matrices R (M, 2, 2)."""
    angles = np.radians(np.asarray(degrees, np.float64))
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([cos, -sin, sin, cos], axis=1).reshape(-1, 2, 2)
