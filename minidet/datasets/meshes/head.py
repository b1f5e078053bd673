r"""A coloured head from a code: ten numbers for the shape, eight for the colours, all from -1 to 1."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from minidet._typing import Float64Array
from minidet.datasets.synthetic.head import (
    LANDMARK_VERTICES,
    SHAPE_NAMES,
    VERTEX_COUNT,
    flat_coordinates,
    head_shape,
    head_triangles,
)
from minidet.errors import InputError
from minidet.mesh import Topology

COLOUR_NAMES = ("light skin", "rosy skin", "red lips", "dark brows", "dark eyes", "beard", "blush", "fringe")
"""What the colour numbers do where they are positive."""

SHAPE_SIZE = len(SHAPE_NAMES)
CODE_SIZE = SHAPE_SIZE + len(COLOUR_NAMES)
"""Numbers from which a head is made: those of its shape, then those of its colours."""


@lru_cache(maxsize=1)
def head_topology() -> Topology:
    """Return the topology of every head: 399 vertices, 720 triangles.

    Returns
    -------
    Topology

    Examples
    --------
    >>> head_topology().vertex_count, head_topology().triangles.shape, head_topology().nose
    (399, (720, 3), 237)
    """
    first, second, nose, left, right = LANDMARK_VERTICES
    return Topology(VERTEX_COUNT, head_triangles().astype(np.intp), (first, second, nose, left, right))


def coloured_head(code: ArrayLike) -> tuple[Float64Array, Float64Array]:
    r"""Make a head: every number of the code adds its own displacement or its own change of colour.

    Parameters
    ----------
    code : (18,) array-like
        The shape, in the order of ``minidet.datasets.synthetic.head.SHAPE_NAMES``, then the colours, in that
        of ``COLOUR_NAMES``.

    Returns
    -------
    vertices : (399, 3) float64 array
        Head coordinates.
    colours : (399, 3) float64 array
        Red, green, blue, about 0 to 1.

    Raises
    ------
    InputError
        If there are not 18 numbers.

    Examples
    --------
    >>> vertices, colours = coloured_head(np.zeros(18))
    >>> vertices.shape, bool(colours.min() > 0), bool(colours.max() < 1)
    ((399, 3), True, True)
    """
    numbers = np.asarray(code, np.float64)
    if numbers.shape != (CODE_SIZE,):
        raise InputError(f"coloured_head: `code` has shape {numbers.shape}; expected ({CODE_SIZE},)")
    mean, basis = _colours()
    colours = mean + np.tensordot(numbers[SHAPE_SIZE:], basis, axes=1)  # (V, 3)
    return head_shape(numbers[:SHAPE_SIZE]), colours


@lru_cache(maxsize=1)
def _colours() -> tuple[Float64Array, Float64Array]:
    """Return the mean (V, 3) and the change for each colour number (8, V, 3)."""
    x, y = flat_coordinates().T

    def spot(x0: float, y0: float, width: float, height: float) -> Float64Array:
        """Return 1 at (x0, y0) and its mirror image, less around them; (V, 1)."""
        return np.exp(-(((np.abs(x) - x0) / width) ** 2) - ((y - y0) / height) ** 2)[:, None]

    brows, lips = spot(0.3, -0.4, 0.17, 0.05), spot(0.0, 0.52, 0.17, 0.05)
    whites, iris = spot(0.3, -0.2, 0.12, 0.06), spot(0.3, -0.2, 0.04, 0.06)
    nostrils, mouth = spot(0.07, 0.3, 0.05, 0.04), spot(0.0, 0.52, 0.15, 0.02)
    beard = np.clip(spot(0.3, 0.85, 0.35, 0.3) + spot(0.0, 0.95, 0.4, 0.2), 0, 1)
    fringe = 1 / (1 + np.exp((y + 0.8) / 0.03))[:, None]
    cheeks = spot(0.42, 0.2, 0.2, 0.17)

    mean = np.full((VERTEX_COUNT, 3), [0.68, 0.5, 0.42])
    for share, colour in (
        (0.8 * brows, [0.25, 0.17, 0.12]),
        (0.75 * lips, [0.66, 0.3, 0.3]),
        (0.8 * whites, [0.85, 0.83, 0.8]),
        (0.9 * iris, [0.2, 0.16, 0.14]),
        (0.5 * nostrils, [0.25, 0.15, 0.12]),
        (0.5 * mouth, [0.3, 0.12, 0.12]),
    ):
        mean = mean + share * (np.array(colour) - mean)
    changes = [
        (1 - 0.8 * whites, [0.16, 0.16, 0.15]),
        (1 - 0.8 * whites, [0.04, -0.03, -0.06]),
        (lips, [0.08, -0.1, -0.08]),
        (brows, [-0.1, -0.08, -0.06]),
        (whites, [-0.1, -0.1, -0.08]),
        (beard, [-0.15, -0.12, -0.1]),
        (cheeks, [0.06, -0.06, -0.05]),
        (fringe, [-0.2, -0.15, -0.12]),
    ]
    return mean, np.stack([share * np.array(colour) for share, colour in changes])
