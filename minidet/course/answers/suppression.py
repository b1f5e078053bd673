"""One box per face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minidet._typing import FloatArray, IntArray


def overlaps(box: FloatArray, others: FloatArray) -> FloatArray:
    """Return the IoU (K,) of one box with others."""
    shared, area, areas = _areas(box, others)
    return shared / (area + areas - shared)


def overlaps_of_smaller(box: FloatArray, others: FloatArray) -> FloatArray:
    """Return the shared area over the smaller one, (K,)."""
    shared, area, areas = _areas(box, others)
    return shared / np.minimum(area, areas)


def _areas(box: FloatArray, others: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.maximum(sides, 0).prod(axis=1)
    return shared, (box[2:] - box[:2]).prod(), (others[:, 2:] - others[:, :2]).prod(axis=1)


def nms(boxes: FloatArray, scores: FloatArray, iou_threshold: float) -> IntArray:
    """Return the indices of the kept boxes, best score first."""
    return _suppress(boxes, scores, iou_threshold, overlaps)


def nms_min(boxes: FloatArray, scores: FloatArray, threshold: float) -> IntArray:
    """Return the indices of the kept boxes, best score first."""
    return _suppress(boxes, scores, threshold, overlaps_of_smaller)


def _suppress(
    boxes: FloatArray,
    scores: FloatArray,
    threshold: float,
    overlap: Callable[[FloatArray, FloatArray], FloatArray],
) -> IntArray:
    waiting = np.argsort(-scores, kind="stable")
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        waiting = waiting[overlap(boxes[best], boxes[waiting]) <= threshold]
    return np.array(kept, np.intp)


def soft_nms(
    boxes: FloatArray, scores: FloatArray, sigma: float, score_threshold: float
) -> tuple[IntArray, FloatArray]:
    """Return the indices of the kept boxes in the order taken, and their lowered scores."""
    scores = scores.copy()
    waiting = np.flatnonzero(scores >= score_threshold)
    kept = []
    while len(waiting):
        best = waiting[scores[waiting].argmax()]
        kept.append(best)
        waiting = waiting[waiting != best]
        scores[waiting] *= np.exp(-(overlaps(boxes[best], boxes[waiting]) ** 2) / sigma)
        waiting = waiting[scores[waiting] >= score_threshold]
    taken = np.array(kept, np.intp)
    return taken, scores[taken]
