"""Anchors: where they stand, which face each is to find, and which of them count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minidet._typing import FloatArray, IntArray
from minidet.course.answers.boxes import iou


def generate_anchors(height: int, width: int, stride: int, sizes: Sequence[float]) -> FloatArray:
    """Return (A, 4), row by row, column by column, size by size."""
    anchors = []
    for i in range(-(-height // stride)):
        for j in range(-(-width // stride)):
            cx, cy = (j + 0.5) * stride, (i + 0.5) * stride
            anchors += [[cx - size / 2, cy - size / 2, cx + size / 2, cy + size / 2] for size in sizes]
    return np.array(anchors)


def match_anchors(
    anchors: FloatArray, faces: FloatArray, positive: float, negative: float, force_best: float
) -> IntArray:
    """Return the face of each anchor (A,), -1 for background, -2 for one that is ignored."""
    overlap = iou(anchors, faces)  # (A, G)
    best = overlap.max(axis=1)
    match = overlap.argmax(axis=1)
    match[best < positive] = -2
    match[best < negative] = -1
    best_anchor = overlap.argmax(axis=0)  # (G,)
    for g in np.argsort(overlap.max(axis=0)):  # the strongest claim comes last, and stays
        if overlap[best_anchor[g], g] >= force_best:
            match[best_anchor[g]] = g
    return match


def mine_negatives(losses: FloatArray, positive: FloatArray, negative: FloatArray, ratio: int) -> FloatArray:
    """Return a mask (N, A) of the hardest negatives of each image."""
    kept = np.zeros(losses.shape, bool)
    for n in range(len(losses)):
        candidates = np.flatnonzero(negative[n])
        hardest_first = candidates[np.argsort(-losses[n, candidates], kind="stable")]
        kept[n, hardest_first[: ratio * positive[n].sum()]] = True
    return kept
