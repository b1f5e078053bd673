"""The pose of a head: three angles, a scale and a place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from minidet._typing import Float64Array


@dataclass(frozen=True)
class Pose:
    """How a head stands before the viewer.

    The picture is a parallel projection: what is further away is not smaller. So x and y of the image, and
    the depth, are all in pixels, and no camera is needed to make sense of them.

    Attributes
    ----------
    yaw, pitch, roll : float
        Degrees. Positive yaw turns the face to the right of the image, positive pitch turns it down, positive
        roll turns the image of the face clockwise.
    scale : float
        Pixels per unit of head coordinates.
    x, y : float
        Where the origin of head coordinates comes to lie, pixels.
    """

    yaw: float
    pitch: float
    roll: float
    scale: float
    x: float
    y: float

    def rotation(self) -> Float64Array:
        """Return the (3, 3) matrix that turns head coordinates as the pose says.

        Examples
        --------
        A face turned to the right by 90 degrees looks along x; in head coordinates it looks along -z.

        >>> Pose(yaw=90, pitch=0, roll=0, scale=1, x=0, y=0).rotation().dot([0, 0, -1]).round() + 0.0
        array([1., 0., 0.])
        """
        return rotation(self.yaw, self.pitch, self.roll)

    def place(self, points: Float64Array) -> Float64Array:
        """Turn (P, 3) points of head coordinates into pixels: x, y of the image and z away from the viewer.

        Examples
        --------
        >>> Pose(yaw=0, pitch=0, roll=90, scale=10, x=50, y=60).place(np.array([[1.0, 0.0, 2.0]]))
        array([[50., 70., 20.]])
        """
        return self.scale * points @ self.rotation().T + [self.x, self.y, 0.0]


@lru_cache(maxsize=256)  # a dozen solids of a head ask for the same one
def rotation(yaw: float, pitch: float, roll: float) -> Float64Array:
    """Return the matrix of three turns in this order: yaw about y, pitch about x, roll about z; degrees."""
    (a, b, c), (p, q, r) = (f(np.deg2rad([yaw, pitch, roll])) for f in (np.cos, np.sin))
    about_y = np.array([[a, 0, -p], [0, 1, 0], [p, 0, a]])
    about_x = np.array([[1, 0, 0], [0, b, -q], [0, q, b]])
    about_z = np.array([[c, -r, 0], [r, c, 0], [0, 0, 1]])
    matrix = about_z @ about_x @ about_y
    matrix.flags.writeable = False
    return matrix
