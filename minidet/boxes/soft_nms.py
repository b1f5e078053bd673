r"""Soft non-maximum suppression: a box that overlaps a better one loses score instead of its place."""

from __future__ import annotations

from typing import Literal

import numpy as np

from minidet._jit import jit
from minidet._typing import Float64Array, FloatArray, IntArray
from minidet.boxes._check import check_scored, check_share
from minidet.errors import InputError, is_number


def soft_nms(
    boxes: FloatArray,
    scores: FloatArray,
    *,
    method: Literal["gaussian", "linear"] = "gaussian",
    sigma: float = 0.5,
    iou_threshold: float = 0.3,
    score_threshold: float = 0.001,
) -> tuple[IntArray, FloatArray]:
    r"""Take the best box, lower the scores of all that overlap it, and go on with the best of the rest.

    With :math:`o` the IoU of a waiting box with the box just taken, its score :math:`s` becomes

    .. math::
        \text{gaussian: } s \, e^{-o^2 / \sigma} \qquad
        \text{linear: } \begin{cases} s \, (1 - o) & o > \text{iou\_threshold} \\ s & \text{else} \end{cases}

    where :func:`minidet.boxes.nms` would make it 0. So two faces that overlap can both stay, the second with
    less confidence. A box whose score is below ``score_threshold``, from the beginning or by now, is dropped
    and lowers nobody's score.

    Parameters
    ----------
    boxes : (K, 4) array, x1 y1 x2 y2
    scores : (K,) array
    method : "gaussian" or "linear"
        "gaussian" lowers every score that overlaps at all, and does not jump at a threshold.
    sigma : float
        Above 0, of "gaussian": the smaller, the harder.
    iou_threshold : float
        From 0 to 1, of "linear".
    score_threshold : float
        From 0 up, compared in the type of ``scores``. With 0 every box is kept that has a score from 0 up.

    Returns
    -------
    kept : (K,) integer array
        Indices into ``boxes`` in the order taken, which is that of the new scores, best first; where two are
        equal, the lower index first.
    new_scores : array like ``scores``
        The lowered scores of the kept boxes, in the same order.

    Raises
    ------
    InputError
        If shapes disagree, a number is not finite, or an option is out of range.

    Notes
    -----
    The authors' code computes IoU with widths of x2 - x1 + 1, reorders the arrays it is given, and looks at
    its score threshold only where a better box overlaps. Here boxes are continuous, the arguments stay as
    they are, and every box below the threshold is dropped. IoU and scores are computed in float64, whatever
    the type of the arrays.

    References
    ----------
    Bodla et al. 2017, Soft-NMS, arXiv 1704.04503, section 3; defaults of the authors' code.

    Examples
    --------
    Box 1 shares 2 of 4 with box 0, so its 0.8 becomes 0.8 * (1 - 0.5) = 0.4, and box 2 overtakes it. Gaussian
    it becomes 0.8 * exp(-0.25 / 0.5) = 0.8 * 0.6065.

    >>> boxes = np.array([[0.0, 0.0, 3.0, 1.0], [1.0, 0.0, 4.0, 1.0], [9.0, 0.0, 12.0, 1.0]])
    >>> kept, new_scores = soft_nms(boxes, np.array([0.9, 0.8, 0.5]), method="linear")
    >>> kept, new_scores
    (array([0, 2, 1]), array([0.9, 0.5, 0.4]))
    >>> kept, new_scores = soft_nms(boxes, np.array([0.9, 0.8, 0.5]))
    >>> kept, new_scores.round(4)
    (array([0, 2, 1]), array([0.9   , 0.5   , 0.4852]))
    """
    check_scored("soft_nms", boxes, scores)
    _check_options(method, sigma, iou_threshold, score_threshold)
    new_scores = scores.astype(np.float64)  # a copy, lowered by the kernel
    # 0.7 in float32 is less than in float64: a score equal to the threshold must not fall below it.
    lowest = float(scores.dtype.type(score_threshold))
    kept = np.empty(len(boxes), np.intp)
    K = _soft_nms_kernel(
        np.ascontiguousarray(boxes, np.float64),
        new_scores,
        method == "gaussian",
        float(sigma),
        float(iou_threshold),
        lowest,
        kept,
    )
    return kept[:K], new_scores[kept[:K]].astype(scores.dtype)


@jit
def _soft_nms_kernel(
    boxes: Float64Array,
    scores: Float64Array,
    gaussian: bool,
    sigma: float,
    iou_threshold: float,
    lowest: float,
    kept: IntArray,
) -> int:
    taken = np.zeros(len(boxes), np.bool_)
    count = 0
    while True:
        best = -1
        for i in range(len(boxes)):
            if not taken[i] and scores[i] >= lowest and (best < 0 or scores[i] > scores[best]):
                best = i
        if best < 0:
            return count
        taken[best] = True
        kept[count] = best
        count += 1

        area_best = (boxes[best, 2] - boxes[best, 0]) * (boxes[best, 3] - boxes[best, 1])
        for i in range(len(boxes)):
            width = min(boxes[best, 2], boxes[i, 2]) - max(boxes[best, 0], boxes[i, 0])
            height = min(boxes[best, 3], boxes[i, 3]) - max(boxes[best, 1], boxes[i, 1])
            if taken[i] or width <= 0 or height <= 0:
                continue
            intersection = width * height
            area_i = (boxes[i, 2] - boxes[i, 0]) * (boxes[i, 3] - boxes[i, 1])
            overlap = intersection / (area_best + area_i - intersection)
            if gaussian:
                scores[i] *= np.exp(-(overlap**2) / sigma)
            elif overlap > iou_threshold:
                scores[i] *= 1 - overlap


def _check_options(method: str, sigma: float, iou_threshold: float, score_threshold: float) -> None:
    if method not in ("gaussian", "linear"):
        raise InputError(f"soft_nms: method={method!r}; expected 'gaussian' or 'linear'")
    if not (is_number(sigma) and 0 < sigma < float("inf")):
        raise InputError(f"soft_nms: sigma={sigma!r}; expected a number above 0")
    check_share("soft_nms", "iou_threshold", iou_threshold)
    if not (is_number(score_threshold) and 0 <= score_threshold < float("inf")):
        raise InputError(f"soft_nms: score_threshold={score_threshold!r}; expected a number from 0 up")
