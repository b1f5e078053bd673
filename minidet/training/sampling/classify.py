"""What a window is, by how much of which face it shows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float64Array, FloatArray, IntArray
from minidet.boxes.iou import area, intersection, iou
from minidet.training.objectives.mtcnn import SampleType
from minidet.training.sampling.settings import SampleSettings

NOTHING = -1
"""In place of a sample type: a window that teaches nothing."""

MOSTLY = 0.5
"""A window with more than this share of it inside an ignored box is no background."""


class Windows(NamedTuple):
    """M windows of one photograph, what each is, and whose."""

    places: Float64Array
    """(M, 4) x1 y1 x2 y2, continuous pixels."""
    types: IntArray
    """(M,) ``SampleType.NEGATIVE``, ``POSITIVE``, ``PART``, or ``NOTHING``."""
    owners: IntArray
    """(M,) which box of the photograph the window overlaps most, the first of equals; -1 without boxes."""

    def rows(self, rows: NDArray[Any]) -> Windows:
        """Return some of the windows, by a mask or by indices."""
        return Windows(self.places[rows], self.types[rows], self.owners[rows])

    def of_types(self, *types: SampleType) -> Windows:
        """Return the windows of some types."""
        return self.rows(np.isin(self.types, types))

    def at_most(self, count: int, rng: np.random.Generator) -> Windows:
        """Return ``count`` windows chosen at random, in their order; all if there are no more."""
        return self.rows(at_most(count, np.arange(len(self.places)), rng))

    @staticmethod
    def join(*parts: Windows) -> Windows:
        """Put windows behind each other."""
        return Windows(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def at_most(count: int, rows: IntArray, rng: np.random.Generator) -> IntArray:
    """Return ``count`` of the rows chosen at random, in their order; all if there are no more.

    Examples
    --------
    >>> at_most(3, np.array([4, 5, 6]), np.random.default_rng(0))
    array([4, 5, 6])
    >>> len(at_most(2, np.array([4, 5, 6]), np.random.default_rng(0)))
    2
    """
    return rows if len(rows) <= count else np.sort(rng.choice(rows, count, replace=False))


def classify(
    places: Float64Array, boxes: FloatArray, ignored: NDArray[np.bool_], settings: SampleSettings
) -> Windows:
    """Call windows negative, positive or part by their IoU with the faces.

    A window belongs to the box it overlaps most. If that is an ignored one, nothing is learnt, since nobody
    says what it shows; nor of a window that lies mostly inside an ignored box, however little of the box that
    may be: such a box often stands for a crowd.

    Parameters
    ----------
    places : (M, 4) array, x1 y1 x2 y2
        The windows.
    boxes : (G, 4) array, x1 y1 x2 y2
        All of the photograph, those to ignore too.
    ignored : (G,) bool array
    settings : SampleSettings

    Returns
    -------
    Windows

    Examples
    --------
    A face of 10 x 10, and windows moved to the right by 1, 4, 5 and 8 pixels: IoU 0.82, 0.43, 0.33, 0.11.

    >>> face = np.array([[0.0, 0.0, 10.0, 10.0]])
    >>> windows = face + np.array([[1.0], [4.0], [5.0], [8.0]]) * [1, 0, 1, 0]
    >>> classify(windows, face, np.array([False]), SampleSettings()).types
    array([ 1,  2, -1,  0])
    """
    types = np.full(len(places), NOTHING, np.intp)
    if len(boxes) == 0:
        types[:] = SampleType.NEGATIVE
        return Windows(places, types, np.full(len(places), -1))
    boxes = boxes.astype(np.float64)  # so that an IoU of 13/20 is neither above nor below 0.65
    overlaps = iou(places, boxes)  # (M, G)
    owners, best = overlaps.argmax(axis=1), overlaps.max(axis=1)  # (M,) each
    types[best < settings.negative] = SampleType.NEGATIVE
    types[(best >= settings.part) & (best <= settings.positive)] = SampleType.PART
    types[best > settings.positive] = SampleType.POSITIVE

    types[ignored[owners] & (best >= settings.negative)] = NOTHING
    shared = intersection(places, boxes[ignored])  # (M, ignored boxes)
    within = (shared > MOSTLY * area(places)[:, None]).any(axis=1)
    types[within & (best < settings.negative)] = NOTHING
    return Windows(places, types, owners)
