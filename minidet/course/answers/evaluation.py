"""How good a detector is; and the last step, a face turned upright."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.course.answers.boxes import iou


def match_detections(boxes: FloatArray, faces: FloatArray, iou_threshold: float) -> FloatArray:
    """Return which boxes, sorted best score first, are right: (K,) bool."""
    overlap = iou(boxes, faces)
    found = np.zeros(len(faces), bool)
    right = np.zeros(len(boxes), bool)
    for k in range(len(boxes)):
        face = overlap[k].argmax()
        if overlap[k, face] >= iou_threshold and not found[face]:
            found[face] = right[k] = True
    return right


def average_precision(scores: FloatArray, right: FloatArray, faces: int) -> float:
    """Return the area under the envelope of precision over recall."""
    right = right[np.argsort(-scores, kind="stable")]
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    recall = found / faces
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0) * envelope).sum())


def landmark_error(landmarks: FloatArray, truth: FloatArray) -> FloatArray:
    """Return the mean distance over the five points, in distances between the eyes: (K,)."""
    distances = np.sqrt(((landmarks - truth) ** 2).sum(axis=2))  # (K, 5)
    between_eyes = np.sqrt(((truth[:, 0] - truth[:, 1]) ** 2).sum(axis=1))  # (K,)
    return distances.mean(axis=1) / between_eyes


def similarity_transform(source: FloatArray, target: FloatArray) -> FloatArray:
    """Return (2, 3): the turn, scale and shift that bring ``source`` closest to ``target``."""
    z, w = source @ [1, 1j], target @ [1, 1j]
    from_mean, to_mean = z - z.mean(), w - w.mean()
    a = (from_mean.conj() * to_mean).sum() / (np.abs(from_mean) ** 2).sum()
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
