"""The shape of a face: a mesh of 399 points whose triangles never change, bent by a few numbers.

The face is a sheet of 21 rows from the forehead down to the chin and 19 columns from ear to ear, wrapped
round the front of a head::

    column   0 . . . . . 9 . . . . . 18
    row  0     . . . . . . . . . . .         y = -1, hairline
         8   .   . o . . . . . o .   .       y = -0.2, o the eyes
        12   .   . . . . o . . . .   .       y = 0.2, the tip of the nose
        15     . . . o . . . o . . .         y = 0.5, the corners of the mouth
        20         . . . . . . .             y = 1, chin

Head coordinates: x to the right as seen by the viewer, y down, z away from the viewer, so that the three form
a right-handed system. The unit is half the height of the face.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidet._typing import Float64Array
from minidet.errors import InputError

ROWS, COLUMNS = 21, 19
VERTEX_COUNT = ROWS * COLUMNS

EYE_ROW, NOSE_ROW, MOUTH_ROW = 8, 12, 15
MIDDLE = COLUMNS // 2
EYE_COLUMNS = (MIDDLE - 4, MIDDLE + 4)
MOUTH_COLUMNS = (MIDDLE - 3, MIDDLE + 3)

LANDMARK_VERTICES: tuple[int, ...] = (
    EYE_ROW * COLUMNS + EYE_COLUMNS[0],
    EYE_ROW * COLUMNS + EYE_COLUMNS[1],
    NOSE_ROW * COLUMNS + MIDDLE,
    MOUTH_ROW * COLUMNS + MOUTH_COLUMNS[0],
    MOUTH_ROW * COLUMNS + MOUTH_COLUMNS[1],
)
"""Which vertices are the five landmarks, in the order of ``minidet.detections.LANDMARK_NAMES``."""

SHAPE_NAMES = (
    "wide",
    "wide jaw",
    "long chin",
    "large nose",
    "wide nose",
    "strong brow",
    "full cheeks",
    "eyes apart",
    "wide mouth",
    "smile",
)
"""What the shape numbers do where they are positive; at 0 all together give the mean face."""

EDGE_ANGLE = np.deg2rad(85.0)
"""How far round the head the outermost columns are; at 90 degrees they would be in line with the ears."""


def head_shape(shape: ArrayLike) -> Float64Array:
    r"""Bend the mean face: every shape number adds its own displacement of all vertices.

    .. math:: v = m + \sum_k s_k \, b_k

    Parameters
    ----------
    shape : (10,) array-like
        In the order of ``SHAPE_NAMES``; between -1 and 1 faces look natural.

    Returns
    -------
    vertices : (399, 3) float64 array
        x y z in head coordinates, row by row.

    Raises
    ------
    InputError
        If there are not ten numbers.

    Examples
    --------
    The tip of the nose of a mean face is on the axis, and of all its points the nearest to the viewer:

    >>> vertices = head_shape(np.zeros(10))
    >>> x, y, z = vertices[LANDMARK_VERTICES[2]]
    >>> (float(x), round(float(y), 3)), bool(z == vertices[:, 2].min())
    ((0.0, 0.2), True)
    """
    weights = np.asarray(shape, np.float64)
    if weights.shape != (len(SHAPE_NAMES),):
        raise InputError(f"head_shape: `shape` has shape {weights.shape}; expected ({len(SHAPE_NAMES)},)")
    mean, basis = _model()
    return mean + np.tensordot(weights, basis, axes=1)  # (V, 3)


@lru_cache(maxsize=1)
def head_triangles() -> NDArray[np.int32]:
    """Return the triangles of every face, two to each cell of the sheet.

    Returns
    -------
    triangles : (720, 3) int32 array, not writable
        Numbers of vertices. Seen from outside the head they run clockwise on the screen, where y points down.

    Examples
    --------
    >>> head_triangles().shape, head_triangles()[:2].tolist()
    ((720, 3), [[0, 1, 19], [1, 20, 19]])
    """
    row, column = np.mgrid[: ROWS - 1, : COLUMNS - 1]
    corner = (row * COLUMNS + column).ravel()  # (cells,), upper left
    right, below = corner + 1, corner + COLUMNS
    upper = np.stack([corner, right, below], axis=1)
    lower = np.stack([right, below + 1, below], axis=1)
    triangles = np.stack([upper, lower], axis=1).reshape(-1, 3).astype(np.int32)
    triangles.flags.writeable = False
    return triangles


def flat_coordinates() -> Float64Array:
    """Return x, y of the mean face's vertices, (399, 2): where each is in a flat drawing of the face."""
    return _model()[0][:, :2]


@lru_cache(maxsize=1)
def _model() -> tuple[Float64Array, Float64Array]:
    """Return the mean (V, 3) and the displacement for each shape number (10, V, 3)."""
    y = np.repeat(np.linspace(-1, 1, ROWS), COLUMNS)
    s = np.tile(np.linspace(-1, 1, COLUMNS), ROWS)
    angle = EDGE_ANGLE * (0.55 * s + 0.45 * s**3)  # columns are closer together where the features are
    x = _half_width(y) * np.sin(angle)
    z = -_depth(y) * np.cos(angle)

    def bump(x0: float, y0: float, width: float, height: float) -> Float64Array:
        """Return a hill of height 1; off the axis it has a twin on the other side."""
        side = np.exp(-(((x - x0) / width) ** 2) - ((y - y0) / height) ** 2)
        return side if x0 == 0 else side + np.exp(-(((x + x0) / width) ** 2) - ((y - y0) / height) ** 2)

    nose = 0.09 * bump(0, -0.1, 0.09, 0.2) + 0.2 * bump(0, 0.2, 0.11, 0.16)
    wings = bump(0.12, 0.22, 0.07, 0.07)
    brow, cheeks = bump(0.3, -0.38, 0.22, 0.09), bump(0.4, 0.12, 0.2, 0.22)
    relief = nose + 0.06 * wings + 0.05 * brow + 0.05 * cheeks
    relief += 0.05 * bump(0.3, -0.2, 0.1, 0.07) - 0.1 * bump(0.3, -0.2, 0.18, 0.12)  # eyeball, socket
    relief += 0.06 * bump(0, 0.5, 0.25, 0.15) + 0.03 * bump(0, 0.58, 0.14, 0.06)  # mouth, lower lip
    relief += 0.07 * bump(0, 0.85, 0.2, 0.12) - 0.04 * bump(0, 0.68, 0.18, 0.06)  # chin, the groove above it
    mean = np.stack([x, y, z - relief], axis=1)  # (V, 3)

    none = np.zeros_like(x)
    lower = np.clip(y, 0, None)
    eyes, corners = np.sign(x) * bump(0.3, -0.2, 0.2, 0.2), np.sign(x) * bump(0.2, 0.5, 0.14, 0.14)
    displacements = [
        (0.1 * x, none, none),
        (0.2 * x * lower, none, none),
        (none, 0.08 * lower, none),
        (none, 0.03 * bump(0, 0.2, 0.2, 0.15), -0.4 * nose),
        (0.25 * x * bump(0, 0.2, 0.2, 0.15), none, -0.03 * wings),
        (none, none, -0.05 * brow),
        (0.05 * np.sign(x) * cheeks, none, -0.05 * cheeks),
        (0.03 * eyes, none, none),
        (0.04 * corners, none, none),
        (0.02 * corners, -0.05 * bump(0.2, 0.5, 0.12, 0.1), -0.02 * cheeks),
    ]
    return mean, np.stack([np.stack(one, axis=1) for one in displacements])


def _half_width(y: Float64Array) -> Float64Array:
    """Return half the breadth of the face at height y: the outline seen from the front."""
    above = np.sqrt(1 - (np.clip(-0.1 - y, 0, None) / 1.2) ** 2)
    below = np.sqrt(1 - (np.clip(y + 0.1, 0, None) / 1.13) ** 2.3)
    return 0.74 * above * below


def _depth(y: Float64Array) -> Float64Array:
    """Return how far the middle of the face is in front of the ears: the outline seen from the side."""
    above = np.sqrt(1 - (np.clip(-0.2 - y, 0, None) / 0.95) ** 3)
    below = np.sqrt(1 - (np.clip(y + 0.2, 0, None) / 1.25) ** 8)
    return 0.82 * above * below
