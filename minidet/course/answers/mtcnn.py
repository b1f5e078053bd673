"""The arithmetic of the cascade, and the samples it learns from."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray, IntArray
from minidet.course.answers.boxes import iou


def pyramid_scales(height: int, width: int, min_face_size: float, pyramid_factor: float) -> list[float]:
    """Return the scales, largest first."""
    scales = []
    scale = 12 / min_face_size
    while min(height, width) * scale >= 12:
        scales.append(scale)
        scale *= pyramid_factor
    return scales


def cell_windows(rows: IntArray, columns: IntArray, scale: float) -> FloatArray:
    """Return windows (K, 4), counted from 1, both corners included."""
    first = np.stack([2 * columns + 1, 2 * rows + 1], axis=1)
    return np.floor(np.concatenate([first, first + 11], axis=1) / scale)


def shift_boxes(boxes: FloatArray, box_deltas: FloatArray) -> FloatArray:
    """Return boxes (K, 4)."""
    size = boxes[:, 2:] - boxes[:, :2]  # (K, 2)
    return boxes + box_deltas * np.concatenate([size, size], axis=1)


def square_boxes(boxes: FloatArray) -> FloatArray:
    """Return boxes (K, 4) that are as wide as high."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def box_labels(windows: FloatArray, faces: FloatArray) -> FloatArray:
    """Return deltas (K, 4)."""
    size = windows[:, 2:] - windows[:, :2]
    return (faces - windows) / np.concatenate([size, size], axis=1)


def sample_types(windows: FloatArray, faces: FloatArray) -> IntArray:
    """Return 0 negative, 1 positive, 2 part or -1 for each window, (M,)."""
    best = iou(windows, faces).max(axis=1)
    types = np.full(len(windows), -1)
    types[best < 0.3] = 0
    types[best > 0.65] = 1
    types[(best >= 0.4) & (best <= 0.65)] = 2
    return types


def keep_hardest(losses: FloatArray, share: float) -> FloatArray:
    """Return a mask (M,)."""
    count = max(1, int(share * len(losses) + 1e-9))
    kept = np.zeros(len(losses), bool)
    kept[np.argsort(-losses, kind="stable")[:count]] = True
    return kept
