"""Where training crops are cut: random squares, squares that touch a face, squares close around one.

A window is x1 y1 x2 y2 in continuous pixels of the photograph. Those that are drawn here are squares of whole
pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float64Array, FloatArray
from minidet.image.pyramid import CELL_SIZE

JITTER_SIDES = (0.8, 1.25)
"""Smallest side of a jittered window in shorter sides of the face, largest in longer sides."""
JITTER_SHIFT = 0.2
"""How far its centre may be from the centre of the face, in widths and heights of the face."""
NEAR_SIDES = (0.5, 2.0)
"""Smallest and largest side of a square near a face, in longer sides of the face."""


def random_squares(rng: np.random.Generator, width: int, height: int, count: int) -> Float64Array:
    """Draw squares anywhere inside a photograph.

    The logarithm of the side is uniform, from what P-Net looks at to the shorter side of the photograph:
    each octave of sizes is as frequent as any other, as the levels of the detector's pyramid are.

    Parameters
    ----------
    rng : numpy Generator
    width, height : int
        Of the photograph, in pixels.
    count : int

    Returns
    -------
    (count, 4) array
        None if the photograph is smaller than 12 pixels.

    Examples
    --------
    Only one square of at least 12 pixels fits into a photograph of 12 x 12:

    >>> random_squares(np.random.default_rng(0), 12, 12, 2)
    array([[ 0.,  0., 12., 12.],
           [ 0.,  0., 12., 12.]])
    """
    if min(width, height) < CELL_SIZE:
        return np.empty((0, 4))
    sides = np.floor(_log_uniform(rng, CELL_SIZE, min(width, height) + 1, count))  # (count,)
    sides = np.minimum(sides, min(width, height))
    corners = np.floor(rng.random((count, 2)) * (np.array([width, height]) - sides[:, None] + 1))
    return _squares(corners, sides)


def squares_near(rng: np.random.Generator, boxes: FloatArray, count: int) -> Float64Array:
    """Draw squares that touch a face: pieces of it, its edges, and the face with much around it.

    Parameters
    ----------
    rng : numpy Generator
    boxes : (G, 4) array, x1 y1 x2 y2
    count : int
        Squares per face.

    Returns
    -------
    (G * count, 4) array
        Those of the first face come first. Some may reach outside the photograph.

    Examples
    --------
    A face of 40 x 40: sides from 20 to 80, so the first begin at 50 - 80 and the last end at 90 + 80.

    >>> windows = squares_near(np.random.default_rng(0), np.array([[50.0, 50.0, 90.0, 90.0]]), 1000)
    >>> sides = windows[:, 2] - windows[:, 0]
    >>> print(sides.min(), sides.max(), windows.min() >= -30, windows.max() <= 170)
    20.0 80.0 True True
    """
    faces = np.repeat(boxes.astype(np.float64), count, axis=0)  # (G * count, 4)
    sides = _log_uniform(rng, *NEAR_SIDES, len(faces)) * longer_sides(faces)
    sides = np.maximum(np.rint(sides), CELL_SIZE)  # (G * count,)
    # From "ends where the face begins" to "begins where the face ends".
    first = faces[:, :2] - sides[:, None]
    corners = np.rint(first + rng.random((len(faces), 2)) * (faces[:, 2:] - first))
    return _squares(corners, sides)


def jitters(rng: np.random.Generator, boxes: FloatArray, count: int) -> Float64Array:
    """Draw squares close around faces, as a detector might place them that is nearly right.

    The side is uniform from 0.8 of the shorter to 1.25 of the longer side of the face, 12 pixels or more. The
    centre is off by up to a fifth of its width and height.

    Parameters
    ----------
    rng : numpy Generator
    boxes : (G, 4) array, x1 y1 x2 y2
    count : int
        Squares per face.

    Returns
    -------
    (G * count, 4) array
        Those of the first face come first. Some may reach outside the photograph.

    Examples
    --------
    A face of 40 x 40 with its centre at 70, 70: sides from 32 to 50, centres from 62 to 78.

    >>> windows = jitters(np.random.default_rng(0), np.array([[50.0, 50.0, 90.0, 90.0]]), 1000)
    >>> sides, centres = windows[:, 2] - windows[:, 0], (windows[:, :2] + windows[:, 2:]) / 2
    >>> print(sides.min(), sides.max(), centres.min(), centres.max())
    32.0 50.0 62.0 78.0
    """
    faces = np.repeat(boxes.astype(np.float64), count, axis=0)  # (G * count, 4)
    extent = faces[:, 2:] - faces[:, :2]  # (G * count, 2)
    smallest, largest = JITTER_SIDES[0] * extent.min(axis=1), JITTER_SIDES[1] * extent.max(axis=1)
    sides = np.maximum(np.rint(smallest + rng.random(len(faces)) * (largest - smallest)), CELL_SIZE)
    shifts = rng.uniform(-JITTER_SHIFT, JITTER_SHIFT, (len(faces), 2)) * extent
    centres = (faces[:, :2] + faces[:, 2:]) / 2 + shifts
    return _squares(np.rint(centres - sides[:, None] / 2), sides)


def longer_sides(boxes: FloatArray) -> FloatArray:
    """Return the larger of width and height of boxes (G, 4) as (G,).

    Examples
    --------
    >>> longer_sides(np.array([[10.0, 10.0, 30.0, 50.0]]))
    array([40.])
    """
    return np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def inside(windows: FloatArray, width: int, height: int) -> NDArray[np.bool_]:
    """Tell which windows (M, 4) lie wholly inside a photograph.

    Examples
    --------
    >>> inside(np.array([[0.0, 0.0, 20.0, 20.0], [1.0, 0.0, 21.0, 20.0]]), 20, 20)
    array([ True, False])
    """
    x1, y1, x2, y2 = windows.T  # (M,) each
    return (x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height)


def windows_of_boxes(boxes: FloatArray) -> Float64Array:
    """Turn MTCNN's boxes (P, 4), whose pixels count from 1, into windows: the first pixel begins at 0.

    Examples
    --------
    Pixels 1 to 12 are the first 12 pixels:

    >>> windows_of_boxes(np.array([[1.0, 1.0, 12.0, 12.0]]))
    array([[ 0., 0., 12., 12.]])
    """
    return boxes.astype(np.float64) - np.array([1, 1, 0, 0])


def boxes_of_windows(windows: FloatArray) -> Float64Array:
    """Undo :func:`windows_of_boxes`.

    Examples
    --------
    >>> boxes_of_windows(np.array([[0.0, 0.0, 12.0, 12.0]]))
    array([[ 1., 1., 12., 12.]])
    """
    return windows.astype(np.float64) + np.array([1, 1, 0, 0])


def _log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Float64Array:
    return np.exp(rng.uniform(np.log(low), np.log(high), count))


def _squares(corners: Float64Array, sides: Float64Array) -> Float64Array:
    return np.concatenate([corners, corners + sides[:, None]], axis=1)
