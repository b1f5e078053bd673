r"""Non-maximum suppression: of boxes that mean the same face, keep the best."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit
from minidet._typing import FloatArray, IntArray
from minidet.boxes._check import check_nms


def nms(
    boxes: FloatArray,
    scores: FloatArray,
    iou_threshold: float,
    *,
    overlap: Literal["union", "min"] = "union",
) -> IntArray:
    r"""Keep the best box, drop those that overlap it, and go on with the best of the rest.

    A box is dropped when its overlap with a *kept* box is above ``iou_threshold``. A box that was itself
    dropped drops nobody.

    .. math::
        \text{union: } \frac{|A \cap B|}{|A \cup B|} \qquad
        \text{min: } \frac{|A \cap B|}{\min(|A|, |B|)}

    The second also removes a small box inside a large one.

    Parameters
    ----------
    boxes : (K, 4) array, x1 y1 x2 y2
    scores : (K,) array
    iou_threshold : float
        From 0 to 1.
    overlap : "union" or "min"

    Returns
    -------
    kept : (K,) integer array
        Indices into ``boxes``, best score first; of equal scores the lower index first.

    Raises
    ------
    InputError
        If shapes disagree, a number is not finite, or an option is out of range.

    Examples
    --------
    Box 1 overlaps box 0 by 8 of 12, box 2 overlaps box 1 by 8 of 12 and box 0 by 6 of 14. Box 1 goes; box 2
    stays, because box 1 no longer counts.

    >>> boxes = np.array([[0.0, 0.0, 5.0, 2.0], [1.0, 0.0, 6.0, 2.0], [2.0, 0.0, 7.0, 2.0]])
    >>> nms(boxes, np.array([0.9, 0.8, 0.7]), 0.5)
    array([0, 2])
    """
    check_nms(boxes, scores, iou_threshold, overlap)
    order = np.argsort(-scores, kind="stable")
    dropped = np.zeros(len(boxes), np.bool_)
    # The threshold is compared in the boxes' own type: 0.4 in float32 is not 0.4 in float64.
    threshold = boxes.dtype.type(iou_threshold)
    _nms_kernel(np.ascontiguousarray(boxes[order]), threshold, overlap == "min", dropped)
    return order[~dropped]


@jit
def _nms_kernel(
    boxes: FloatArray, threshold: np.floating[Any], of_smaller: bool, dropped: NDArray[np.bool_]
) -> None:
    K = boxes.shape[0]
    for i in range(K):
        if dropped[i]:
            continue
        area_i = (boxes[i, 2] - boxes[i, 0]) * (boxes[i, 3] - boxes[i, 1])
        for j in range(i + 1, K):
            width = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
            height = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            if dropped[j] or width <= 0 or height <= 0:
                continue
            intersection = width * height
            area_j = (boxes[j, 2] - boxes[j, 0]) * (boxes[j, 3] - boxes[j, 1])
            whole = min(area_i, area_j) if of_smaller else area_i + area_j - intersection
            if intersection / whole > threshold:
                dropped[j] = True
