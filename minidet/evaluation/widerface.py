r"""Average precision on WIDER FACE (Yang et al. 2016), as the official evaluation counts it.

A face detector is given 3,226 photographs. Three lists say which of their faces count as easy, medium and
hard; easy is part of medium, medium of hard. Each list gives a curve of precision over recall, and the area
below it. Five rules make the figure what it is:

1. Scores are stretched to 0..1 over the boxes of all photographs together.
2. A box goes to the face it overlaps most, of *all* annotated faces. Only that one is tried.
3. With an IoU of 0.5 or more it has found it. If that face is not on the list, the box is left out, neither
   right nor wrong. If an earlier box has found it, this one is wrong, and so is a box that has found nothing.
4. At each of 1000 thresholds the boxes and the found faces of all photographs are counted.
5. Precision at a recall is the best that any threshold reaches at that recall or above.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float64Array, IntArray
from minidet.datasets.widerface_ground_truth import SUBSETS, WiderImage, read_widerface_ground_truth
from minidet.errors import InputError
from minidet.evaluation.curve import interpolated_ap
from minidet.evaluation.widerface_files import Predictions, as_boxes, label, read_predictions

THRESHOLDS: Float64Array = 1 - np.arange(1, 1001) / 1000
"""(1000,), 0.999, 0.998, ... 0: the scores at which a curve is taken, after they are stretched to 0..1."""

LEAST_IOU = 0.5
"""From here on a box has found its face."""


def widerface_ap(
    predictions_dir: str | os.PathLike[str], ground_truth_dir: str | os.PathLike[str]
) -> dict[str, float]:
    """Average precision of a folder of prediction files.

    Parameters
    ----------
    predictions_dir : path
        See :func:`read_predictions`. Every photograph of the ground truth has a file.
    ground_truth_dir : path
        The four ``.mat`` files of the official evaluation.

    Returns
    -------
    dict of str to float
        For "easy", "medium" and "hard".

    Raises
    ------
    InputError
        If a file is missing, superfluous, misnamed or broken.
    """
    curves = widerface_curves(
        read_predictions(predictions_dir), read_widerface_ground_truth(ground_truth_dir)
    )
    return {subset: curve.ap for subset, curve in curves.items()}


@dataclass(frozen=True, eq=False)
class WiderCurve:
    """Precision over recall for one list of faces.

    Attributes
    ----------
    recall : (1000,) float64 array
        Share of the faces found at each of ``THRESHOLDS``; never falls.
    precision : (1000,) float64 array
        Faces found per box that is not left out; 0 where there is no such box, and so no recall either.
    ap : float
        Area below the envelope of the curve.
    faces : int
        How many faces count.
    """

    recall: Float64Array
    precision: Float64Array
    ap: float
    faces: int


def widerface_curves(predictions: Predictions, ground_truth: Sequence[WiderImage]) -> dict[str, WiderCurve]:
    r"""Curves of precision over recall, with average precision, for the three lists of faces.

    .. math::
        R_t = \frac{\text{faces found at } t}{\text{faces}} \qquad
        P_t = \frac{\text{faces found at } t}{\text{boxes at } t} \qquad
        \mathrm{AP} = \int_0^1 \max_{R_t \ge r} P_t \, dr

    Parameters
    ----------
    predictions : dict of (event, name) to (K, 5) array
        x y w h score, best score first. Scores of any range will do: probabilities, percentages, logits. If
        all of them are equal, no threshold tells one box from another: the curve is the one point with all
        boxes, and AP is its precision times its recall.
    ground_truth : sequence of WiderImage

    Returns
    -------
    dict of str to WiderCurve
        For "easy", "medium" and "hard".

    Raises
    ------
    InputError
        If predictions are missing for a photograph or given for one that is not in the ground truth, if they
        are not (K, 5) finite numbers with the best score first, or if no face counts on a list.

    Notes
    -----
    For scores in 0..1 the result is that of the Python port of the official tools with which most published
    figures are computed. Of other scores that port takes the least to be at most 1 and the greatest at least
    0, so they may end up outside 0..1. Where there is no box at all AP is 0.

    Examples
    --------
    One photograph, two faces, of which the small one does not count as easy. The first box finds the large
    face, the second finds nothing, the third finds the small one.

    >>> counted = {"easy": [True, False], "medium": [True, True], "hard": [True, True]}
    >>> faces = np.array([[0.0, 0.0, 40.0, 40.0], [60.0, 60.0, 9.0, 9.0]])
    >>> image = WiderImage("0--Parade", "a", faces, {s: np.array(c) for s, c in counted.items()})
    >>> boxes = [[0, 0, 40, 40, 0.9], [100, 0, 30, 30, 0.8], [60, 60, 9, 9, 0.7]]
    >>> curves = widerface_curves({("0--Parade", "a"): boxes}, [image])

    Easy: the one face is found by the first box. Hard: half of the faces at precision 1, both at 2/3.

    >>> curves["easy"].ap, round(curves["hard"].ap, 4)
    (1.0, 0.8333)
    """
    faces = {subset: _count(ground_truth, subset) for subset in SUBSETS}
    boxes = _in_order_of(ground_truth, predictions)
    scores = _stretched(np.concatenate([rows[:, 4] for rows in boxes]))
    found = [_found_faces(rows, image.xywh) for rows, image in zip(boxes, ground_truth, strict=True)]
    curves = {}
    for subset in SUBSETS:
        verdicts = [
            _verdicts(best, image.counted[subset]) for best, image in zip(found, ground_truth, strict=True)
        ]
        recalls, judged = (np.concatenate(flags) for flags in zip(*verdicts, strict=True))
        curves[subset] = _curve(scores, recalls, judged, faces[subset])
    return curves


def _count(ground_truth: Sequence[WiderImage], subset: str) -> int:
    faces = sum(int(image.counted[subset].sum()) for image in ground_truth)
    if faces == 0:
        raise InputError(f"widerface_curves: no face of the ground truth counts as {subset}; AP needs one")
    return faces


def _in_order_of(ground_truth: Sequence[WiderImage], predictions: Predictions) -> list[Float64Array]:
    """Require predictions of the photographs of the ground truth and no others; return them in its order."""
    keys = [(image.event, image.name) for image in ground_truth]
    missing = [key for key in keys if key not in predictions]
    known = set(keys)
    unknown = [key for key in predictions if key not in known]
    complaints = []
    if unknown:
        complaints.append(f"{len(unknown)} not in the ground truth, first {label(unknown[0])}")
    if missing:
        complaints.append(
            f"missing for {len(missing)} of {len(keys)} photographs, first {label(missing[0])} "
            "(one without boxes needs an entry too)"
        )
    if complaints:
        raise InputError(f"predictions: {'; '.join(complaints)}")
    return [as_boxes(key, predictions[key]) for key in keys]


def _stretched(scores: Float64Array) -> Float64Array:
    """Map the scores of all boxes linearly to 0..1."""
    if scores.size == 0 or scores.min() == scores.max():
        return np.ones_like(scores)  # every threshold lets all of them pass
    return (scores - scores.min()) / (scores.max() - scores.min())


def _found_faces(boxes: Float64Array, faces: Float64Array) -> IntArray:
    """(K,): the face that each box has found, or -1."""
    if len(faces) == 0:
        return np.full(len(boxes), -1)
    overlaps = _inclusive_iou(boxes, faces)  # (K, G)
    best = overlaps.argmax(axis=1)  # (K,), of equal overlaps the first
    return np.where(overlaps.max(axis=1) >= LEAST_IOU, best, -1)


# Compat: the official tools count pixels, both ends included; docs/compat.md "WIDER FACE".
def _inclusive_iou(a: Float64Array, b: Float64Array) -> Float64Array:
    """IoU of (K, 4+) and (G, 4) boxes x y w h, with one pixel added to each side: (K, G)."""
    a_left, a_top, a_right, a_bottom = a[:, 0], a[:, 1], a[:, 0] + a[:, 2], a[:, 1] + a[:, 3]
    b_left, b_top, b_right, b_bottom = b[:, 0], b[:, 1], b[:, 0] + b[:, 2], b[:, 1] + b[:, 3]
    width = np.minimum.outer(a_right, b_right) - np.maximum.outer(a_left, b_left) + 1  # (K, G)
    height = np.minimum.outer(a_bottom, b_bottom) - np.maximum.outer(a_top, b_top) + 1  # (K, G)
    intersection = np.maximum(width, 0) * np.maximum(height, 0)
    a_area = (a_right - a_left + 1) * (a_bottom - a_top + 1)
    b_area = (b_right - b_left + 1) * (b_bottom - b_top + 1)
    return intersection / (np.add.outer(a_area, b_area) - intersection)


def _verdicts(found: IntArray, counted: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Judge the boxes of one photograph, best score first.

    Returns
    -------
    recalls : (K,) bool array
        Boxes that are the first to find a face that counts.
    judged : (K,) bool array
        Boxes that are right or wrong, not left out.
    """
    # Compat: a photograph without any annotated face is passed over, whatever is found there.
    judged = np.full(len(found), len(counted) > 0)
    hits = np.flatnonzero(found >= 0)
    counts = counted[found[hits]]
    judged[hits[~counts]] = False
    hits = hits[counts]
    _, first = np.unique(found[hits], return_index=True)  # for each face the box with the best score
    recalls = np.zeros(len(found), np.bool_)
    recalls[hits[first]] = True
    return recalls, judged


def _curve(
    scores: Float64Array, recalls: NDArray[np.bool_], judged: NDArray[np.bool_], faces: int
) -> WiderCurve:
    """Count over the boxes of all photographs at each threshold."""
    order = np.argsort(-scores)
    boxes = np.searchsorted(-scores[order], -THRESHOLDS, side="right")  # (1000,), how many reach it
    recalled = np.concatenate([[0], np.cumsum(recalls[order])])[boxes]  # (1000,)
    proposed = np.concatenate([[0], np.cumsum(judged[order])])[boxes]  # (1000,)
    recall = recalled / faces
    precision = recalled / np.maximum(proposed, 1)  # 0 / 0 is 0
    return WiderCurve(recall, precision, interpolated_ap(recall, precision), faces)
