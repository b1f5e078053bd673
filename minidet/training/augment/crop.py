"""A square out of a photograph, and which of its faces are in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._typing import FloatArray, IntArray
from minidet.datasets import Sample
from minidet.training.augment.settings import AugmentSettings

TRIES = 50
"""Squares that are drawn until one has a face; then the last is taken as it is."""


def random_square(sample: Sample, settings: AugmentSettings, rng: np.random.Generator) -> IntArray:
    """Draw a square of the photograph that holds a face, if there is one.

    Parameters
    ----------
    sample : Sample
    settings : AugmentSettings
    rng : np.random.Generator

    Returns
    -------
    square : (4,) integer array
        x1 y1 x2 y2, whole pixels inside the photograph.

    Notes
    -----
    Deng et al. 2019, section 4.2: square patches; a face is in one if its centre is.
    """
    height, width = sample.image.shape[:2]
    faces = sample.boxes[~sample.ignore]
    may_be_empty = len(faces) == 0 or rng.random() < settings.empty
    square = np.zeros(4, np.intp)
    for _ in range(TRIES):
        side = max(1, round(rng.choice(settings.crop_scales) * min(height, width)))
        x, y = rng.integers(0, width - side + 1), rng.integers(0, height - side + 1)
        square = np.array([x, y, x + side, y + side], np.intp)
        if may_be_empty or centres_inside(faces, square).any():
            break
    return square


def crop_sample(sample: Sample, square: IntArray) -> Sample:
    """Cut the square out, with the faces whose centre is in it.

    Boxes are clipped to the square. Landmarks stay where they are, outside of it, too: the network can tell
    from half a face where the other half is.

    Examples
    --------
    A face from 10 to 30, of which a square from 15 on has the centre, 20, and the right part:

    >>> nothing, yes = np.zeros((1, 5, 2), np.float32), np.ones(1, bool)
    >>> box = np.array([[10, 10, 30, 30]], np.float32)
    >>> sample = Sample(np.zeros((64, 64, 3), np.uint8), box, nothing, yes, ~yes, "a.jpg")
    >>> crop_sample(sample, np.array([15, 0, 45, 30])).boxes
    array([[ 0., 10., 15., 30.]], dtype=float32)
    """
    x1, y1, x2, y2 = square
    kept = centres_inside(sample.boxes, square)  # (G,)
    corner = square[:2].astype(np.float32)
    boxes = sample.boxes[kept] - np.tile(corner, 2)
    return Sample(
        image=sample.image[y1:y2, x1:x2],
        boxes=boxes.clip(0, np.float32(x2 - x1)),
        landmarks=sample.landmarks[kept] - corner,
        landmark_mask=sample.landmark_mask[kept],
        ignore=sample.ignore[kept],
        name=sample.name,
    )


def centres_inside(boxes: FloatArray, square: IntArray) -> NDArray[np.bool_]:
    """Tell which boxes (G, 4) have their centre in the square, its right and lower border left out."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2  # (G, 2)
    return np.asarray(((centres >= square[:2]) & (centres < square[2:])).all(axis=1))
