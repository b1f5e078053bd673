"""Photographs made of noise, with faces that are only boxes."""

import numpy as np

from minidet.datasets.sample import Sample

POINTS = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])
"""Where the five points lie in the box of a face, in its widths and heights."""


def photo(height=120, width=160, boxes=(), *, ignore=None, pointed=None, image=None, seed=0) -> Sample:
    if image is None:
        image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    G = len(boxes)
    mask = np.zeros(G, bool) if pointed is None else np.asarray(pointed, bool)
    landmarks = boxes[:, None, :2] + POINTS * (boxes[:, 2:] - boxes[:, :2])[:, None]
    landmarks[~mask] = np.nan
    return Sample(
        image=image,
        boxes=boxes,
        landmarks=landmarks.astype(np.float32),
        landmark_mask=mask,
        ignore=np.zeros(G, bool) if ignore is None else np.asarray(ignore, bool),
        name="noise.png",
    )


def slow_iou(a, b) -> float:
    """Of two boxes, by hand, in Python's floats."""
    a, b = [float(v) for v in a], [float(v) for v in b]
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    shared = wide * high if wide > 0 and high > 0 else 0.0
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)
