"""Average precision: one number for how well a detector tells faces from everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minidet._typing import Float32Array, Float64Array, IntArray
from minidet.detections import Detections
from minidet.errors import InputError
from minidet.evaluation.curve import interpolated_ap
from minidet.evaluation.faces import AnnotatedFaces
from minidet.evaluation.matching import Outcome, match_detections


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """How many faces are found, and how many mistakes made, as the score threshold falls.

    Attributes
    ----------
    thresholds : (T,) float32 array
        Every score that occurs, falling.
    true_positives, false_positives : (T,) integer arrays
        How many detections of at least that score are so.
    faces : int
        How many have to be found.
    """

    thresholds: Float32Array
    true_positives: IntArray
    false_positives: IntArray
    faces: int

    @property
    def recall(self) -> Float64Array:
        """(T,) share of the faces that is found; 0 if there are none."""
        return self.true_positives / max(self.faces, 1)

    @property
    def precision(self) -> Float64Array:
        """(T,) share of the detections that is right; 1 as long as all were left out."""
        detections = self.true_positives + self.false_positives
        return np.divide(self.true_positives, detections, out=np.ones(len(detections)), where=detections > 0)

    @property
    def value(self) -> float:
        """The average precision, 0 to 1."""
        return interpolated_ap(self.recall, self.precision)

    def at(self, threshold: float) -> tuple[float, float]:
        """Return precision and recall of the detections that score ``threshold`` or more.

        Where there are none, precision is 1 and recall 0.

        Parameters
        ----------
        threshold : float
            A score, 0 to 1.

        Returns
        -------
        precision, recall : float
            0 to 1.
        """
        count = int((self.thresholds >= threshold).sum())
        return (float(self.precision[count - 1]), float(self.recall[count - 1])) if count else (1.0, 0.0)

    def recall_at_false_positives(self, false_positives: int) -> float:
        """Return the recall that can be had for so many false positives over the whole set.

        This is a point of FDDB's curve (Jain & Learned-Miller 2010, discrete score), except that FDDB pairs
        detections and faces so that the sum of overlaps is largest, and not best score first.

        Parameters
        ----------
        false_positives : int

        Returns
        -------
        float
            0 to 1.
        """
        affordable = self.false_positives <= false_positives
        return float(self.recall[affordable].max(initial=0))


def average_precision(
    detections: Sequence[Detections],
    faces: Sequence[AnnotatedFaces],
    *,
    iou_threshold: float = 0.5,
    min_face_size: float = 0,
) -> AveragePrecision:
    """Measure detections against annotations, over any number of photographs.

    Which detection is right follows from :func:`minidet.evaluation.match_detections`. Detections of one
    score, wherever they are, become one point of the curve, so the order of photographs does not matter.
    The area below the curve is taken over all of its points, as in Pascal VOC since 2010 (Everingham et al.
    2015).

    Parameters
    ----------
    detections : sequence of Detections
        One per photograph.
    faces : sequence of AnnotatedFaces
        One per photograph, in the same order.
    iou_threshold : float
        How well a detection has to fit.
    min_face_size : float
        Faces of a smaller height, in pixels, do not count, found or not.

    Returns
    -------
    AveragePrecision
        Its ``value`` is the number that is quoted.

    Raises
    ------
    InputError
        If the lengths differ, or a threshold is out of range.

    Examples
    --------
    Two faces; one found with score 0.9, nothing at 0.8, the other at 0.7. Precision is 1, 1/2, 2/3 at recall
    1/2, 1/2, 1, so the average is 1/2 * 1 + 1/2 * 2/3.

    >>> from minidet.datasets import Annotation
    >>> faces = Annotation("a.jpg", "a.jpg", [[0, 0, 10, 10], [20, 0, 30, 10]])
    >>> boxes = [[0, 0, 10, 10], [50, 0, 60, 10], [20, 0, 30, 10]]
    >>> found = Detections(boxes, [0.9, 0.8, 0.7], np.zeros((3, 5, 2)))
    >>> round(average_precision([found], [faces]).value, 4)
    0.8333
    """
    check_measure("average_precision", detections, faces, iou_threshold, min_face_size)
    scores, is_right = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    total = 0
    for found, annotated in zip(detections, faces, strict=True):
        matched = match_detections(
            found.boxes, annotated, iou_threshold=iou_threshold, min_face_size=min_face_size
        )
        kept = matched.outcome != Outcome.LEFT_OUT
        scores.append(found.scores[kept])
        is_right.append(matched.outcome[kept] == Outcome.TRUE_POSITIVE)
        total += int(matched.counted.sum())

    all_scores, all_right = np.concatenate(scores), np.concatenate(is_right)
    best_first = np.argsort(-all_scores, kind="stable")
    all_scores, all_right = all_scores[best_first], all_right[best_first]
    last_of_its_score = np.diff(all_scores, append=np.float32(-np.inf)) != 0
    return AveragePrecision(
        thresholds=all_scores[last_of_its_score],
        true_positives=np.cumsum(all_right)[last_of_its_score],
        false_positives=np.cumsum(~all_right)[last_of_its_score],
        faces=total,
    )


def check_measure(
    function: str,
    detections: Sequence[Detections],
    faces: Sequence[AnnotatedFaces],
    iou_threshold: float,
    min_face_size: float,
) -> None:
    """Require one result per photograph, an IoU above 0 and up to 1, and a size from 0 up."""
    if len(detections) != len(faces):
        raise InputError(
            f"{function}: {len(detections)} detections for {len(faces)} photographs; expected one for each"
        )
    if not 0 < iou_threshold <= 1:
        raise InputError(f"{function}: iou_threshold={iou_threshold!r}; expected above 0 and up to 1")
    if not 0 <= min_face_size < float("inf"):
        raise InputError(
            f"{function}: min_face_size={min_face_size!r}; expected a number of pixels from 0 up"
        )
