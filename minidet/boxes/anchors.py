"""Anchors: the boxes a one-stage detector starts from, laid on a grid over the image.

On every position of a map of stride s stands one square per size, centred on the s x s pixels it answers
for::

    stride 8      .───────.───────.      . pixel corner
                  |   +   |   +   |      + centre, at (8 j + 4, 8 i + 4)
                  .───────.───────.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minidet._typing import Float32Array
from minidet.errors import InputError


def generate_anchors(
    height: int,
    width: int,
    *,
    strides: Sequence[int] = (8, 16, 32),
    sizes: Sequence[Sequence[float]] = ((16, 32), (64, 128), (256, 512)),
) -> Float32Array:
    """Lay the anchors of every pyramid level over an image.

    The sizes are those of biubug6/Pytorch_Retinaface, two to a level; Deng et al. 2019, table 2, have three.

    Parameters
    ----------
    height, width : int
        Of the image, in pixels. A map of stride s has ceil(height / s) rows and ceil(width / s) columns.
    strides : sequence of int
        One per level, in pixels. The default is that of the MobileNet RetinaFace.
    sizes : sequence of sequences of float
        Sides of the squares of each level, in pixels.

    Returns
    -------
    anchors : (A, 4) float32 array, x1 y1 x2 y2
        Level by level, row by row, column by column, size by size; they may reach outside the image.

    Raises
    ------
    InputError
        If a number is not positive, or there is no level, or not one set of sizes per stride.

    Examples
    --------
    An image of 8 x 16 pixels, one level of stride 8, one size:

    >>> generate_anchors(8, 16, strides=[8], sizes=[[16]])
    array([[-4., -4., 12., 12.],
           [ 4., -4., 20., 12.]], dtype=float32)
    """
    check_anchors("generate_anchors", height, width, strides, sizes)
    return np.concatenate([_level(height, width, s, level) for s, level in zip(strides, sizes, strict=True)])


def _level(height: int, width: int, stride: int, sizes: Sequence[float]) -> Float32Array:
    rows, columns = -(-height // stride), -(-width // stride)
    cy = (np.arange(rows) + 0.5) * stride  # (rows,)
    cx = (np.arange(columns) + 0.5) * stride  # (columns,)
    half = np.asarray(sizes) / 2  # (sizes,)
    cy, cx, half = np.meshgrid(cy, cx, half, indexing="ij")  # (rows, columns, sizes) each
    corners = np.stack([cx - half, cy - half, cx + half, cy + half], axis=-1)  # (rows, columns, sizes, 4)
    return corners.reshape(-1, 4).astype(np.float32)


def check_anchors(
    function: str, height: int, width: int, strides: Sequence[int], sizes: Sequence[Sequence[float]]
) -> None:
    """Require an image, and levels with one stride and one set of sizes each."""
    if height < 1 or width < 1:
        raise InputError(f"{function}: image of {height} x {width}; expected sides of at least 1 pixel")
    if len(strides) != len(sizes) or len(strides) == 0:
        raise InputError(f"{function}: {len(strides)} strides and {len(sizes)} sets of sizes")
    if not all(stride >= 1 for stride in strides) or not all(s > 0 for level in sizes for s in level):
        raise InputError(f"{function}: strides={strides}, sizes={sizes}; expected positive numbers")


@dataclass(frozen=True)
class AnchorSettings:
    """Where the anchors of a network stand, and how large they are.

    Attributes
    ----------
    strides : tuple of int
        One per level, in pixels, from fine to coarse.
    sizes : tuple of tuples of float
        Sides of the squares of each level, in pixels: equally many on every level.

    Raises
    ------
    InputError
        If a number is not positive, there is no level, or not one set of sizes per stride, all of one length.

    Examples
    --------
    >>> AnchorSettings(strides=(8,), sizes=((16,),)).lay(8, 16)
    array([[-4., -4., 12., 12.],
           [ 4., -4., 20., 12.]], dtype=float32)
    """

    strides: tuple[int, ...]
    sizes: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        check_anchors("AnchorSettings", 1, 1, self.strides, self.sizes)
        if len({len(level) for level in self.sizes}) != 1 or not self.sizes[0]:
            raise InputError(f"AnchorSettings: sizes={self.sizes}; expected equally many on every level")

    @property
    def per_position(self) -> int:
        """Anchors that share a centre."""
        return len(self.sizes[0])

    def lay(self, height: int, width: int) -> Float32Array:
        """Lay them over an image: see :func:`generate_anchors`.

        Parameters
        ----------
        height, width : int
            Of the image, in pixels.

        Returns
        -------
        anchors : (A, 4) float32 array, x1 y1 x2 y2
            A is the sum of :meth:`level_sizes`.
        """
        return generate_anchors(height, width, strides=self.strides, sizes=self.sizes)

    def level_sizes(self, height: int, width: int) -> list[int]:
        """Count the anchors of each level of an image.

        Parameters
        ----------
        height, width : int
            Of the image, in pixels.

        Examples
        --------
        >>> REFERENCE_ANCHORS.level_sizes(640, 640)
        [12800, 3200, 800]
        """
        return [
            -(-height // stride) * -(-width // stride) * len(sizes)
            for stride, sizes in zip(self.strides, self.sizes, strict=True)
        ]


REFERENCE_ANCHORS = AnchorSettings(strides=(8, 16, 32), sizes=((16, 32), (64, 128), (256, 512)))
"""biubug6/Pytorch_Retinaface: three levels, sizes a factor of two apart."""

PAPER_ANCHORS = AnchorSettings(
    strides=(4, 8, 16, 32, 64),
    sizes=tuple(tuple(4 * stride * 2 ** (k / 3) for k in range(3)) for stride in (4, 8, 16, 32, 64)),
)
"""Deng et al. 2019, arXiv 1905.00641, table 2: five levels, 16 to 406 pixels, a factor of 2**(1/3) apart. An
image of 640 x 640 pixels has 102,300, three quarters of them on the finest level."""
