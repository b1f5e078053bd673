"""Annotated photographs and detections in one line each, and hypothesis's way to make them up."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from minidet.datasets import Annotation
from minidet.detections import Detections


def photograph(*boxes, ignore=None, landmarks=None, name="a.png"):
    """Annotate a photograph with these faces; ``ignore`` lists the numbers of those that do not count."""
    flags = np.isin(np.arange(len(boxes)), [] if ignore is None else ignore)
    return Annotation(name, name, list(boxes), landmarks, flags)


def found(*pairs, landmarks=None):
    """Detect these (box, score) pairs."""
    if not pairs:
        return Detections.empty()
    boxes, scores = zip(*pairs, strict=True)
    return Detections(boxes, scores, np.zeros((len(pairs), 5, 2)) if landmarks is None else landmarks)


def exact_iou(a, b):
    """Intersection over union of two boxes with whole coordinates, as a fraction."""
    shared = shared_area(a, b)
    union = exact_area(a) + exact_area(b) - shared
    return Fraction(shared, union) if union else Fraction(0)


def shared_area(a, b):
    """How many pixels two boxes have in common."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


def exact_area(box):
    """How many pixels a box has."""
    return (box[2] - box[0]) * (box[3] - box[1])


# ---- Hypothesis: few places and few sizes, so that boxes overlap, touch, coincide and miss ---------


@st.composite
def whole_boxes(draw):
    """A box with whole coordinates and an area."""
    x, y = draw(st.integers(0, 12)), draw(st.integers(0, 12))
    return [x, y, x + draw(st.integers(1, 10)), y + draw(st.integers(1, 10))]


@st.composite
def photographs(draw, most_faces=4):
    """An annotated photograph; some of its faces do not count."""
    boxes = draw(st.lists(whole_boxes(), max_size=most_faces))
    ignore = [g for g in range(len(boxes)) if draw(st.integers(0, 3)) == 0]
    return photograph(*boxes, ignore=ignore)


@st.composite
def pictures(draw, most_faces=4, most_detections=6):
    """An annotated photograph and detections on it, with few scores, so that some are equal."""
    annotated = draw(photographs(most_faces))
    near = whole_boxes()
    if len(annotated.boxes):  # many hits, not only by chance
        near = near | st.sampled_from(annotated.boxes.astype(int).tolist())
    pairs = draw(st.lists(st.tuples(near, st.integers(1, 7).map(lambda n: n / 8)), max_size=most_detections))
    return found(*pairs), annotated


tenths = st.integers(1, 10).map(lambda n: Fraction(n, 10))
