r"""Locations: the points that a detector without anchors answers for, and which face each is to find.

On every position of a map of stride s stands one point, in the middle of the s x s pixels it answers for.
A point that lies in a face says how far away the four sides are::

    .───────────────.
    │       t       │
    │ l ─── + ───── │ r      l + r is the width of the face, t + b its height
    │       b       │
    '───────────────'

There is no size to start from, so there are no sizes to choose. In their place stand two rules. A face
belongs to the level whose points are not too near to its farthest side and not too far from it, and there to
the points near its centre. Where that leaves two faces to one point, the smaller one gets it: the larger has
others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minidet._typing import Float32Array, FloatArray, IntArray
from minidet.boxes._check import check_area, check_rows
from minidet.errors import InputError, is_number


class Locations(NamedTuple):
    """The points of all levels of an image, level by level, row by row, column by column.

    Attributes
    ----------
    points : (L, 2) float32 array, x y, pixels
    strides : (L,) float32 array, pixels
        Of the level of each.
    least, most : (L,) float32 arrays, pixels
        The farthest side of a face of this level is farther away than ``least``, and at most ``most``.
    """

    points: Float32Array
    strides: Float32Array
    least: Float32Array
    most: Float32Array


@dataclass(frozen=True)
class LocationSettings:
    """Where the locations of a network are, and which faces they are for.

    Attributes
    ----------
    strides : tuple of int
        One per level, in pixels, from fine to coarse.
    reach : float
        So many strides is the farthest side of a face away at most; of the coarsest level it may be at any
        distance. 4 puts a face of n pixels where the anchors of about n pixels stand. FCOS has 8, for objects
        of all kinds; half of it leaves fewer faces to the finest level, which sees the least around it.
    centre_radius : float
        A location may be so many strides from the centre of a face, in x and in y. 1.5, as in FCOS, makes up
        to three by three.

    Raises
    ------
    InputError
        If a number is not positive, there is no level, or strides do not grow.

    Examples
    --------
    >>> settings = LocationSettings(strides=(8, 16))
    >>> locations = settings.lay(8, 16)
    >>> locations.points
    array([[ 4.,  4.],
           [12.,  4.],
           [ 8.,  8.]], dtype=float32)
    >>> locations.least.tolist(), locations.most.tolist()
    ([0.0, 0.0, 32.0], [32.0, 32.0, inf])
    """

    strides: tuple[int, ...] = (8, 16, 32)
    reach: float = 4.0
    centre_radius: float = 1.5

    def __post_init__(self) -> None:
        growing = all(a < b for a, b in zip((0, *self.strides), self.strides, strict=False))
        if not self.strides or not growing:
            raise InputError(
                f"LocationSettings: strides={self.strides!r}; expected whole numbers from 1 up, each larger"
            )
        for name in ("reach", "centre_radius"):
            value = getattr(self, name)
            if not (is_number(value) and 0 < value < float("inf")):
                raise InputError(f"LocationSettings: {name}={value!r}; expected a number above 0")

    def lay(self, height: int, width: int) -> Locations:
        """Lay them over an image; a map of stride s has ceil(height / s) rows and ceil(width / s) columns.

        Parameters
        ----------
        height, width : int
            Of the image, pixels.

        Returns
        -------
        Locations

        Raises
        ------
        InputError
            If a side is below 1 pixel.
        """
        if height < 1 or width < 1:
            raise InputError(
                f"LocationSettings: image of {height} x {width}; expected sides of at least 1 pixel"
            )
        points = [_level(height, width, stride) for stride in self.strides]
        counts = [len(level) for level in points]
        limits = [self.reach * stride for stride in self.strides[:-1]]

        def of_level(values: Sequence[float]) -> Float32Array:
            return np.repeat(np.array(values, np.float32), counts)

        return Locations(
            np.concatenate(points),
            of_level(self.strides),
            of_level([0.0, *limits]),
            of_level([*limits, np.inf]),
        )


def assign_locations(
    locations: Locations, boxes: FloatArray, settings: LocationSettings | None = None
) -> IntArray:
    """Decide which locations are positive, and for which face.

    A location is positive for a face if

    * it is inside the box, not on its border;
    * it is less than ``settings.centre_radius`` strides from the box's centre in x and in y;
    * the farthest of the box's sides is more than ``least`` and at most ``most`` pixels away.

    Of several such faces it gets the one with the smallest area; of equal ones the first.

    Parameters
    ----------
    locations : Locations
    boxes : (G, 4) array, x1 y1 x2 y2, pixels
        The true faces of one image.
    settings : LocationSettings, optional
        Of which the locations are; only ``centre_radius`` is read. The default ones without.

    Returns
    -------
    face : (L,) integer array
        Index of the face that each location is responsible for; -1 for a negative one.

    Raises
    ------
    InputError
        If ``boxes`` is not (any number, 4), or a box is not finite or has no area.

    Notes
    -----
    Source: Tian et al. 2019 (FCOS, arXiv 1904.01355), section 3.2; sampling near the centre is from the
    authors' code and from the later version (arXiv 2006.09214).

    A face whose sides are longer than the finest stride has a point inside wherever it lies. Smaller ones can
    lie between the points; nothing is forced, so such a face teaches nothing.

    Faces are looked at one by one, so the memory needed does not grow with their number.

    Examples
    --------
    A face of 20 pixels, around the points (12, 12), (20, 12), (12, 20), (20, 20) of the finest level, and a
    small one around the last of them:

    >>> settings = LocationSettings(strides=(8, 16))
    >>> boxes = np.array([[6.0, 6.0, 26.0, 26.0], [15.0, 15.0, 25.0, 25.0]])
    >>> face = assign_locations(settings.lay(32, 32), boxes, settings)
    >>> face[:16].reshape(4, 4)
    array([[-1, -1, -1, -1],
           [-1,  0,  0, -1],
           [-1,  0,  1, -1],
           [-1, -1, -1, -1]])
    >>> face[16:]
    array([-1, -1, -1, -1])
    """
    check_rows("assign_locations", "boxes", boxes, 4)
    check_area("assign_locations", "box", boxes, "assigning")
    radius = (settings or LocationSettings()).centre_radius * locations.strides  # (L,)
    x, y = locations.points.T  # (L,) each
    face = np.full(len(x), -1, np.intp)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])  # (G,)
    # The smallest face is written last, and so stays; of equal ones the first.
    for g in sorted(range(len(boxes)), key=lambda g: (-areas[g], -g)):
        x1, y1, x2, y2 = boxes[g]
        sides = np.stack([x - x1, y - y1, x2 - x, y2 - y])  # (4, L), how far away each is
        inside = sides.min(axis=0) > 0
        central = np.maximum(np.abs(x - (x1 + x2) / 2), np.abs(y - (y1 + y2) / 2)) < radius
        farthest = sides.max(axis=0)
        of_this_level = (farthest > locations.least) & (farthest <= locations.most)
        face[inside & central & of_this_level] = g
    return face


def _level(height: int, width: int, stride: int) -> Float32Array:
    rows, columns = -(-height // stride), -(-width // stride)
    y, x = np.meshgrid((np.arange(rows) + 0.5) * stride, (np.arange(columns) + 0.5) * stride, indexing="ij")
    return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)
