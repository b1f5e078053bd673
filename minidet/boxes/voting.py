r"""Box voting: of boxes that mean the same face, the mean, to which the better ones contribute more.

::

    .--------.                .........
    | .------|-.              : .-------.
    | |      | |  ------->    : | voted | :
    '-|------' |              '.|       |':
      '--------'                '-------'
                                  .......
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minidet._check import check_float, check_shape, check_whole
from minidet._typing import Float64Array, FloatArray
from minidet.boxes._check import check_scored, check_share
from minidet.boxes.iou import iou
from minidet.errors import InputError


class Voted(NamedTuple):
    """The faces that boxes have voted for, best score first.

    Attributes
    ----------
    boxes : (V, 4) array, x1 y1 x2 y2
    scores : (V,) array
        The best score among the votes for each.
    landmarks : (V, 5, 2) array or None
        None if none were given.
    """

    boxes: FloatArray
    scores: FloatArray
    landmarks: FloatArray | None


def box_voting(
    boxes: FloatArray,
    scores: FloatArray,
    iou_threshold: float = 0.4,
    *,
    landmarks: FloatArray | None = None,
    keep_single: bool = False,
    max_faces: int = 750,
) -> Voted:
    r"""Merge the best box with all that overlap it into their mean, and go on with the best of the rest.

    With M the best box that is left and those whose IoU with it is at least ``iou_threshold``, itself among
    them,

    .. math::
        \text{box} = \frac{\sum_{k \in M} s_k \, \text{box}_k}{\sum_{k \in M} s_k}, \qquad
        \text{score} = \max_{k \in M} s_k

    This is how the results of several scales and of the mirrored image become one: the errors of many boxes
    of one face average out, and a false alarm rarely occurs twice in the same place.

    Parameters
    ----------
    boxes : (K, 4) array, x1 y1 x2 y2
    scores : (K,) array
        From 0 up, since they are weights. Of boxes that all score 0 each counts the same.
    iou_threshold : float
        From 0 to 1.
    landmarks : (K, 5, 2) array, optional
        Averaged with the same weights. The points of a face without landmarks are NaN; it votes for the box
        and not for the points, which are NaN if none of the merged faces has any. One NaN among ten numbers
        makes it a face without landmarks.
    keep_single : bool
        What becomes of a box that nobody confirms. False drops it, unless it is the last that is left, as the
        authors' code does; that code merges the results of many scales, where a face is found more than once.
        True keeps it, which is what a single scale needs.
    max_faces : int
        Stop after that many.

    Returns
    -------
    Voted
        In the types of the arguments.

    Raises
    ------
    InputError
        If shapes disagree, a number is not finite, a score is below 0, or an option is out of range.

    Notes
    -----
    The reference computes IoU with widths of x2 - x1 + 1; here boxes are continuous. IoU and means are
    computed in float64. Where scores are equal, the lower index is the better box.

    References
    ----------
    Gidaris and Komodakis 2015, arXiv 1505.01749, on bounding box voting; Deng et al. 2019, RetinaFace, arXiv
    1905.00641, on testing (at IoU 0.4). The rule for single boxes and the limit are those of the RetinaFace
    authors' code.

    Examples
    --------
    Boxes 0 and 1 share 3 of 5. Box 0 has twice the weight, so every coordinate of the mean is a third of the
    way to box 1. Nobody confirms box 2, and it is not the last when its turn comes.

    >>> boxes = np.array([[0.0, 0.0, 4.0, 1.0], [1.0, 0.0, 5.0, 1.0], [20.0, 0.0, 24.0, 1.0], [30, 0, 34, 1]])
    >>> voted = box_voting(boxes, np.array([0.8, 0.4, 0.5, 0.3]))
    >>> voted.boxes.round(4), voted.scores
    (array([[ 0.3333,  0.    ,  4.3333,  1.    ],
           [30.    ,  0.    , 34.    ,  1.    ]]), array([0.8, 0.3]))
    >>> box_voting(boxes, np.array([0.8, 0.4, 0.5, 0.3]), keep_single=True).scores
    array([0.8, 0.5, 0.3])
    """
    check_scored("box_voting", boxes, scores)
    _check_votes(boxes, scores, iou_threshold, landmarks, max_faces)
    order = np.argsort(-scores, kind="stable")
    places = boxes.astype(np.float64)
    points = None if landmarks is None else landmarks.astype(np.float64)

    voted_boxes: list[Float64Array] = []
    voted_scores: list[np.floating[Any]] = []
    voted_points: list[Float64Array] = []
    while len(order) and len(voted_boxes) < max_faces:
        agree = iou(places[order[:1]], places[order])[0] >= iou_threshold  # (left,)
        agree[0] = True  # a box without area overlaps nobody, not even itself
        members, order = order[agree], order[~agree]
        # Compat: a box that nobody confirms is dropped, but not the last; docs/compat.md "Box voting".
        if len(members) == 1 and len(order) and not keep_single:
            continue
        weights = scores[members].astype(np.float64)  # (members,)
        voted_boxes.append(_mean(places[members], weights))
        voted_scores.append(scores[members[0]])
        if points is not None:
            has_points = ~np.isnan(points[members]).any(axis=(1, 2))
            voted_points.append(_mean(points[members][has_points], weights[has_points]))

    return Voted(
        np.array(voted_boxes, boxes.dtype).reshape(-1, 4),
        np.array(voted_scores, scores.dtype),
        None if landmarks is None else np.array(voted_points, landmarks.dtype).reshape(-1, 5, 2),
    )


def _mean(rows: Float64Array, weights: Float64Array) -> Float64Array:
    """Return the weighted mean of ``rows`` (members, ...); NaN of none, the plain mean if all weigh 0."""
    if len(rows) == 0:
        return np.full(rows.shape[1:], np.nan)
    shares = weights / weights.sum() if weights.any() else np.full(len(rows), 1 / len(rows))
    return np.tensordot(shares, rows, axes=1)


def _check_votes(
    boxes: FloatArray,
    scores: FloatArray,
    iou_threshold: float,
    landmarks: FloatArray | None,
    max_faces: int,
) -> None:
    if (scores < 0).any():
        row = int(np.argmax(scores < 0))
        raise InputError(f"box_voting: `scores` is {scores[row]} in row {row}; expected weights from 0 up")
    check_share("box_voting", "iou_threshold", iou_threshold)
    check_whole("box_voting", "max_faces", max_faces, least=1)
    if landmarks is None:
        return
    check_shape("box_voting", "landmarks", landmarks, (len(boxes), 5, 2), "five points per box")
    check_float("box_voting", landmarks=landmarks)
    if np.isinf(landmarks).any():
        row = int(np.argwhere(np.isinf(landmarks))[0, 0])
        raise InputError(f"box_voting: `landmarks` is infinite in row {row}: {landmarks[row].tolist()}")
