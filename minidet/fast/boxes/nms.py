"""Non-maximum suppression by sweeping: a kept box is compared only with those that share columns with it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
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

    The twin of :func:`minidet.boxes.nms`: the same indices, for all boxes that function takes. Every overlap
    is computed from the same numbers by the same operations, so there is no tolerance.

    The boxes are laid out by their left side::

        x1 sorted      |   |  |     |    |        |
                       [===========]              .
                           [====|======]  kept    .
                              [=|=]    |          .
                                [======|====]     .      <- compared: begins before the kept box ends, and
                                     [=|==]       .         the boxes up to it reach beyond its beginning
                                       |       [==]      <- begins too late

    Along this window the loop has no conditions, so that the compiler turns it into vector instructions.

    Parameters
    ----------
    boxes : (K, 4) array, x1 y1 x2 y2
    scores : (K,) array
    iou_threshold : float
        From 0 to 1.
    overlap : "union" or "min"

    Returns
    -------
    kept : integer array
        Indices into ``boxes``, best score first; of equal scores the lower index first.

    Raises
    ------
    InputError
        If shapes disagree, a number is not finite, or an option is out of range.

    Examples
    --------
    >>> boxes = np.array([[0.0, 0.0, 5.0, 2.0], [1.0, 0.0, 6.0, 2.0], [2.0, 0.0, 7.0, 2.0]])
    >>> nms(boxes, np.array([0.9, 0.8, 0.7]), 0.5)
    array([0, 2])
    """
    check_nms(boxes, scores, iou_threshold, overlap)
    best_first = np.argsort(-scores, kind="stable")
    by_left = np.argsort(boxes[:, 0])
    place = np.empty(len(boxes), np.intp)
    place[by_left] = np.arange(len(boxes))
    columns = np.ascontiguousarray(boxes[by_left].T)  # (4, K)
    dropped = np.zeros(len(boxes), np.bool_)  # in the order of `by_left`
    _sweep_kernel(columns, place[best_first], boxes.dtype.type(iou_threshold), overlap == "min", dropped)
    return best_first[~dropped[place[best_first]]]


def inclusive_nms(
    boxes: FloatArray, scores: FloatArray, iou_threshold: float, *, overlap: Literal["union", "min"] = "union"
) -> IntArray:
    """Suppress with boxes one pixel larger and ties in the order of NumPy's default sort.

    The twin of :func:`minidet.detectors.inclusive_nms.inclusive_nms`: the same indices. Parameters,
    result and errors are those of :func:`nms`.

    Examples
    --------
    >>> boxes = np.array([[0.0, 0.0, 2.0, 1.0], [1.0, 0.0, 3.0, 1.0]])
    >>> inclusive_nms(boxes, np.array([0.8, 0.9]), 0.4)
    array([1])
    """
    enlarged = boxes + np.array([0, 0, 1, 1], boxes.dtype)
    best_first = np.argsort(scores)[::-1]
    return best_first[nms(enlarged[best_first], scores[best_first], iou_threshold, overlap=overlap)]


@jit_fast
def _sweep_kernel(
    columns: FloatArray,
    best_first: IntArray,
    threshold: np.floating[Any],
    of_smaller: bool,
    dropped: NDArray[np.bool_],
) -> None:
    K = len(best_first)
    x1, y1, x2, y2 = columns[0], columns[1], columns[2], columns[3]
    area = np.empty_like(x1)
    reach = np.empty_like(x1)  # how far to the right the boxes up to this one come
    for j in range(K):
        area[j] = (x2[j] - x1[j]) * (y2[j] - y1[j])
        reach[j] = x2[j] if j == 0 else max(reach[j - 1], x2[j])
    for i in best_first:
        if dropped[i]:
            continue
        left, top, right, bottom, area_i = x1[i], y1[i], x2[i], y2[i], area[i]
        begin = np.searchsorted(reach, left, side="right")
        end = np.searchsorted(x1, right, side="left")
        # Better boxes in the window are dropped already or overlap this one by too little: the overlap of two
        # is the same both ways round, to the last bit. So nobody has to ask which of the two is better.
        lefts, tops, rights, bottoms = x1[begin:end], y1[begin:end], x2[begin:end], y2[begin:end]
        areas, drop = area[begin:end], dropped[begin:end]
        for j in range(len(drop)):
            width = (rights[j] if rights[j] < right else right) - (lefts[j] if lefts[j] > left else left)
            height = (bottoms[j] if bottoms[j] < bottom else bottom) - (tops[j] if tops[j] > top else top)
            intersection = width * height
            union = area_i + areas[j] - intersection
            smaller = areas[j] if areas[j] < area_i else area_i
            share = intersection / (smaller if of_smaller else union)
            drop[j] |= (width > 0) & (height > 0) & (share > threshold)
        dropped[i] = False  # it overlaps itself
