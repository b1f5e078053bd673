"""Boxes x1 y1 x2 y2: how well two agree, their coding, and the mirror."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return (A, B)."""
    overlap = np.empty((len(a), len(b)))
    for i, (ax1, ay1, ax2, ay2) in enumerate(a):
        for j, (bx1, by1, bx2, by2) in enumerate(b):
            width = max(min(ax2, bx2) - max(ax1, bx1), 0)
            height = max(min(ay2, by2) - max(ay1, by1), 0)
            shared = width * height
            union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared
            overlap[i, j] = shared / union
    return overlap


def corners_to_centre(boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return centres (K, 2) and sizes (K, 2)."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def encode_boxes(boxes: FloatArray, anchors: FloatArray, variances: tuple[float, float]) -> FloatArray:
    """Return deltas (A, 4)."""
    (centre, size), (anchor_centre, anchor_size) = corners_to_centre(boxes), corners_to_centre(anchors)
    shift = (centre - anchor_centre) / (variances[0] * anchor_size)
    return np.concatenate([shift, np.log(size / anchor_size) / variances[1]], axis=1)


def decode_boxes(box_deltas: FloatArray, anchors: FloatArray, variances: tuple[float, float]) -> FloatArray:
    """Return boxes (A, 4)."""
    anchor_centre, anchor_size = corners_to_centre(anchors)
    centre = anchor_centre + variances[0] * box_deltas[:, :2] * anchor_size
    size = anchor_size * np.exp(variances[1] * box_deltas[:, 2:])
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def encode_landmarks(landmarks: FloatArray, anchors: FloatArray, variance: float) -> FloatArray:
    """Return deltas (A, 10), x1 y1 .. x5 y5."""
    centre, size = corners_to_centre(anchors)
    return ((landmarks - centre[:, None]) / (variance * size[:, None])).reshape(-1, 10)


def mirror_boxes(boxes: FloatArray, width: float) -> FloatArray:
    """Return boxes (K, 4)."""
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)


def mirror_landmarks(landmarks: FloatArray, width: float) -> FloatArray:
    """Return landmarks (K, 5, 2)."""
    mirrored = landmarks[:, [1, 0, 2, 4, 3]]
    mirrored[:, :, 0] = width - mirrored[:, :, 0]
    return mirrored
