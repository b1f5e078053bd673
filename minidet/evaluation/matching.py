"""Which detection found which face: the rule under every measure but the WIDER FACE protocol."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float32Array, FloatArray, IntArray
from minidet.boxes.iou import area, intersection, iou
from minidet.evaluation.faces import AnnotatedFaces, too_small


class Outcome(IntEnum):
    """What became of a detection."""

    FALSE_POSITIVE = 0
    TRUE_POSITIVE = 1
    LEFT_OUT = 2
    """It found a face that does not count."""


class Matched(NamedTuple):
    """What became of the detections of one photograph.

    Attributes
    ----------
    outcome : (K,) integer array of :class:`Outcome`
    face : (K,) integer array
        The face that a true positive found, otherwise -1.
    counted : (G,) bool array
        The faces that have to be found.
    """

    outcome: NDArray[np.int64]
    face: IntArray
    counted: NDArray[np.bool_]

    @property
    def found(self) -> NDArray[np.bool_]:
        """(G,), which faces were found."""
        found = np.zeros(len(self.counted), np.bool_)
        found[self.face[self.face >= 0]] = True
        return found


def match_detections(
    boxes: Float32Array,
    faces: AnnotatedFaces,
    *,
    iou_threshold: float = 0.5,
    min_face_size: float = 0,
) -> Matched:
    """Give every face to the first detection that covers it.

    The detections come forward, best score first, and each asks for the face that it overlaps most, as in
    Pascal VOC:

    1. The best of the faces that count overlaps it by ``iou_threshold`` or more: a true positive if that face
       is still free, otherwise a false positive, since a face found twice is a mistake.
    2. Else a face that does not count holds so much *of the detection*: left out. It is not the IoU that
       decides here, because a region full of unmarked faces has a small one with each of them.
    3. Else it is lower than ``min_face_size``: left out, since no face of that size has to be annotated.
    4. Else a false positive.

    Parameters
    ----------
    boxes : (K, 4) array
        Detections, best first.
    faces : AnnotatedFaces
        Of the same photograph.
    iou_threshold : float
    min_face_size : float
        Faces of a smaller height, in pixels, do not count.

    Returns
    -------
    Matched

    Examples
    --------
    Two detections of one face, and one of nothing:

    >>> from minidet.datasets import Annotation
    >>> faces = Annotation("a.jpg", "a.jpg", [[0, 0, 10, 10]])
    >>> boxes = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    >>> match_detections(boxes, faces).outcome
    array([1, 0, 0])
    """
    counted = ~(faces.ignore | too_small(faces, min_face_size))
    # In float64 a box that fits by exactly 7/10 passes 0.7; in float32 that depends on NumPy's version.
    places, regions = boxes.astype(np.float64), faces.boxes.astype(np.float64)
    with_counted = np.where(counted, iou(places, regions), 0)  # (K, G)
    in_ignored = np.where(counted, 0, _share_inside(places, regions)).max(axis=1, initial=0)  # (K,)
    is_low = boxes[:, 3] - boxes[:, 1] < min_face_size

    outcome = np.full(len(boxes), Outcome.FALSE_POSITIVE, np.int64)
    found_face = np.full(len(boxes), -1, np.intp)
    is_free = counted.copy()
    for k in range(len(boxes)):
        best = int(with_counted[k].argmax()) if len(counted) else -1
        if best >= 0 and with_counted[k, best] >= iou_threshold:
            if is_free[best]:
                is_free[best] = False
                outcome[k], found_face[k] = Outcome.TRUE_POSITIVE, best
        elif in_ignored[k] >= iou_threshold or is_low[k]:
            outcome[k] = Outcome.LEFT_OUT
    return Matched(outcome, found_face, counted)


def _share_inside(boxes: FloatArray, regions: FloatArray) -> FloatArray:
    """Return which share (K, G) of each box lies in each region."""
    shared = intersection(boxes, regions)  # (K, G)
    whole = np.broadcast_to(area(boxes)[:, None], shared.shape)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
