"""Recall by how well a box has to fit, and by how large the face is: where a detector loses its faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minidet.detections import Detections
from minidet.errors import InputError
from minidet.evaluation.average_precision import check_measure
from minidet.evaluation.faces import AnnotatedFaces
from minidet.evaluation.matching import match_detections

IOU_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

SIZE_EDGES = (0, 10, 16, 24, 32, 48, 64, 96, 128, 256)
"""Heights in pixels; the last bin has no upper end."""


@dataclass(frozen=True)
class Recall:
    """How many faces of one kind are found.

    Attributes
    ----------
    found, faces : int
    """

    found: int
    faces: int

    @property
    def value(self) -> float:
        """The share, 0 to 1; NaN if there are no such faces."""
        return self.found / self.faces if self.faces else float("nan")


def recall_by_iou(
    detections: Sequence[Detections],
    faces: Sequence[AnnotatedFaces],
    *,
    iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
    min_face_size: float = 0,
) -> dict[float, Recall]:
    """Count the faces that are found when a box has to fit by each threshold, whatever its score.

    Parameters
    ----------
    detections, faces
        As in :func:`minidet.evaluation.average_precision`.
    iou_thresholds : sequence of float
    min_face_size : float

    Returns
    -------
    dict of threshold to Recall

    Raises
    ------
    InputError
        If the lengths differ, or a threshold is out of range.

    Examples
    --------
    A box that covers 7 of the 10 rows of its face:

    >>> from minidet.datasets import Annotation
    >>> face = Annotation("a.jpg", "a.jpg", [[0, 0, 10, 10]])
    >>> found = Detections([[0, 0, 10, 7]], [0.9], np.zeros((1, 5, 2)))
    >>> [recall.found for recall in recall_by_iou([found], [face], iou_thresholds=(0.6, 0.8)).values()]
    [1, 0]
    """
    recalls = {}
    for threshold in iou_thresholds:
        check_measure("recall_by_iou", detections, faces, threshold, min_face_size)
        found = counted = 0
        for one, annotated in zip(detections, faces, strict=True):
            matched = match_detections(
                one.boxes, annotated, iou_threshold=threshold, min_face_size=min_face_size
            )
            found += int(matched.found.sum())
            counted += int(matched.counted.sum())
        recalls[threshold] = Recall(found, counted)
    return recalls


def recall_by_size(
    detections: Sequence[Detections],
    faces: Sequence[AnnotatedFaces],
    *,
    edges: Sequence[float] = SIZE_EDGES,
    iou_threshold: float = 0.5,
) -> dict[tuple[float, float], Recall]:
    """Count the faces found in each range of heights, whatever the score.

    Parameters
    ----------
    detections, faces
        As in :func:`minidet.evaluation.average_precision`.
    edges : sequence of float
        Heights in pixels, rising. A bin goes from one edge, included, to the next; the last has no end.
    iou_threshold : float

    Returns
    -------
    dict of (lower, upper) to Recall

    Raises
    ------
    InputError
        If the lengths differ, the edges do not rise, or the threshold is out of range.

    Examples
    --------
    >>> from minidet.datasets import Annotation
    >>> faces = Annotation("a.jpg", "a.jpg", [[0, 0, 8, 8], [50, 0, 90, 40]])
    >>> found = Detections([[50, 0, 90, 40]], [0.9], np.zeros((1, 5, 2)))
    >>> recall_by_size([found], [faces], edges=(0, 20))
    {(0, 20): Recall(found=0, faces=1), (20, inf): Recall(found=1, faces=1)}
    """
    check_measure("recall_by_size", detections, faces, iou_threshold, 0)
    if len(edges) < 1 or list(edges) != sorted(set(edges)):
        raise InputError(f"recall_by_size: edges={tuple(edges)!r}; expected rising heights")
    heights, found = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    for one, annotated in zip(detections, faces, strict=True):
        matched = match_detections(one.boxes, annotated, iou_threshold=iou_threshold)
        heights.append((annotated.boxes[:, 3] - annotated.boxes[:, 1])[matched.counted])
        found.append(matched.found[matched.counted])
    all_heights, all_found = np.concatenate(heights), np.concatenate(found)

    recalls = {}
    for lower, upper in zip(edges, [*edges[1:], float("inf")], strict=True):
        in_bin = (all_heights >= lower) & (all_heights < upper)
        recalls[lower, upper] = Recall(int(all_found[in_bin].sum()), int(in_bin.sum()))
    return recalls
