"""How far the five points are off, for the faces that are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minidet._typing import Float64Array
from minidet.boxes.iou import area
from minidet.detections import Detections
from minidet.evaluation.average_precision import check_measure
from minidet.evaluation.faces import AnnotatedFaces
from minidet.evaluation.matching import match_detections

FAILURE = 0.1
"""A face whose error is above this share counts as a failure, as in both papers."""


@dataclass(frozen=True, eq=False)
class LandmarkErrors:
    """Normalised errors of the faces that have landmarks and were found.

    Attributes
    ----------
    inter_ocular : (M,) float64 array
        Mean distance of the five points from the true ones, as a share of the distance between the true eyes
        (Zhang et al. 2016, section III.D). It explodes for a face in profile, whose eyes are close together.
    box_size : (M,) float64 array
        The same as a share of sqrt(width * height) of the annotated box (Deng et al. 2019, section 4.3).
    faces : int
        Faces with landmarks, found or not.
    """

    inter_ocular: Float64Array
    box_size: Float64Array
    faces: int

    @property
    def found(self) -> int:
        """How many of the faces were found."""
        return len(self.inter_ocular)

    def failure_rate(self, limit: float = FAILURE) -> float:
        """Return the share of the found faces whose error by box size is above ``limit``; NaN without any.

        Parameters
        ----------
        limit : float
            In sides of the box.

        Returns
        -------
        float
            0 to 1, or NaN.
        """
        return float((self.box_size > limit).mean()) if self.found else float("nan")


def landmark_errors(
    detections: Sequence[Detections],
    faces: Sequence[AnnotatedFaces],
    *,
    iou_threshold: float = 0.5,
    min_face_size: float = 0,
) -> LandmarkErrors:
    r"""Measure the landmarks of detections against annotations.

    .. math:: e = \frac{1}{5 d} \sum_{i=1}^5 \lVert p_i - \hat p_i \rVert

    with d the distance of the eyes, or the square root of the area of the box. A face that was not found has
    no error: recall tells of it.

    Parameters
    ----------
    detections, faces, iou_threshold, min_face_size
        As in :func:`minidet.evaluation.average_precision`.

    Returns
    -------
    LandmarkErrors

    Raises
    ------
    InputError
        If the lengths differ, or a threshold is out of range.

    Examples
    --------
    All points 2 pixels too far to the right; the eyes are 20 apart, the box is 40 x 40:

    >>> from minidet.datasets import Annotation
    >>> points = np.array([[[10, 10], [30, 10], [20, 20], [12, 30], [28, 30]]])
    >>> face = Annotation("a.jpg", "a.jpg", [[0, 0, 40, 40]], points)
    >>> errors = landmark_errors([Detections([[0, 0, 40, 40]], [0.9], points + [2, 0])], [face])
    >>> errors.inter_ocular, errors.box_size
    (array([0.1]), array([0.05]))
    """
    check_measure("landmark_errors", detections, faces, iou_threshold, min_face_size)
    inter_ocular, box_size = [np.zeros(0)], [np.zeros(0)]
    total = 0
    for found, annotated in zip(detections, faces, strict=True):
        matched = match_detections(
            found.boxes, annotated, iou_threshold=iou_threshold, min_face_size=min_face_size
        )
        total += int((matched.counted & annotated.landmark_mask).sum())
        k = np.flatnonzero(matched.face >= 0)  # detections that found a face
        k = k[annotated.landmark_mask[matched.face[k]]]
        g = matched.face[k]  # and those faces
        true = annotated.landmarks[g].astype(np.float64)  # (M, 5, 2)
        error = np.linalg.norm(found.landmarks[k] - true, axis=2).mean(axis=1)  # (M,)
        eyes = np.linalg.norm(true[:, 0] - true[:, 1], axis=1)  # (M,)
        size = np.sqrt(area(annotated.boxes[g]).astype(np.float64))  # (M,)
        # Eyes on one spot: an error of nothing is none, any other is infinite.
        inter_ocular.append(np.divide(error, eyes, out=np.where(error > 0, np.inf, 0.0), where=eyes > 0))
        box_size.append(error / size)
    return LandmarkErrors(np.concatenate(inter_ocular), np.concatenate(box_size), total)
