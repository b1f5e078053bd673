"""A square out of a photograph, and which of its faces are in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._typing import FloatArray, IntArray, RGBImage
from minidet.boxes import corners_to_centre
from minidet.datasets import Sample
from minidet.image.preprocess import BGR_MEAN
from minidet.training.augment.settings import AugmentSettings

TRIES = 50
"""Squares that are drawn until one has a face; then the last is taken as it is."""

FILLING = BGR_MEAN[::-1].astype(np.uint8)
"""RGB of what lies beyond the photograph: the mean colour, which the network is given as zeros."""


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
        x1 y1 x2 y2, whole pixels. It lies inside the photograph if it is small enough, else about it.

    Notes
    -----
    Deng et al. 2019, section 4.2: square patches; a face is in one if its centre is. Faces to be ignored do
    not count. The reference code draws up to 250 times until a whole face is inside, and else takes the
    whole photograph.
    """
    height, width = sample.image.shape[:2]
    faces = sample.boxes[~sample.ignore]
    may_be_empty = len(faces) == 0 or rng.random() < settings.empty
    square = np.zeros(4, np.intp)
    for _ in range(TRIES):
        side = max(1, round(rng.choice(settings.crop_scales) * min(height, width)))
        x, y = _first_pixel(width - side, rng), _first_pixel(height - side, rng)
        square = np.array([x, y, x + side, y + side], np.intp)
        if may_be_empty or centres_inside(faces, square).any():
            break
    return square


def crop_sample(sample: Sample, square: IntArray) -> Sample:
    """Cut the square out, with the faces whose centre is in it.

    Boxes are clipped to the square. Landmarks stay where they are, outside of it, too: the network can tell
    from half a face where the other half is. A face whose centre is outside is background, as in the paper.

    Parameters
    ----------
    sample : Sample
    square : (4,) integer array
        x1 y1 x2 y2, whole pixels; what is beyond the photograph is filled with ``FILLING``.

    Returns
    -------
    Sample
        Its image shows the pixels of the photograph and does not copy them, unless there is some filling.

    Examples
    --------
    A face from 10 to 30, of which a square from 15 on has the centre, 20, and the right part:

    >>> nothing, yes = np.zeros((1, 5, 2), np.float32), np.ones(1, bool)
    >>> box = np.array([[10, 10, 30, 30]], np.float32)
    >>> sample = Sample(np.zeros((64, 64, 3), np.uint8), box, nothing, yes, ~yes, "a.jpg")
    >>> crop_sample(sample, np.array([15, 0, 45, 30])).boxes
    array([[ 0., 10., 15., 30.]], dtype=float32)
    """
    kept = centres_inside(sample.boxes, square)  # (G,)
    corner = square[:2].astype(np.float32)
    boxes = sample.boxes[kept] - np.tile(corner, 2)
    return Sample(
        image=_crop_pixels(sample.image, square),
        boxes=boxes.clip(0, np.float32(square[2] - square[0])),
        landmarks=sample.landmarks[kept] - corner,
        landmark_mask=sample.landmark_mask[kept],
        ignore=sample.ignore[kept],
        name=sample.name,
    )


def centres_inside(boxes: FloatArray, square: IntArray) -> NDArray[np.bool_]:
    """Tell which boxes (G, 4) have their centre in the square, its right and lower border left out."""
    centres = corners_to_centre(boxes)[:, :2]  # (G, 2)
    return np.asarray(((centres >= square[:2]) & (centres < square[2:])).all(axis=1))


def _first_pixel(spare: int, rng: np.random.Generator) -> int:
    """Draw where the square begins: there are ``spare`` pixels beside it; if below 0, it is too large."""
    return int(rng.integers(min(spare, 0), max(spare, 0) + 1))


def _crop_pixels(image: RGBImage, square: IntArray) -> RGBImage:
    x1, y1, x2, y2 = square
    left, top = max(x1, 0), max(y1, 0)
    seen = image[top : max(y2, 0), left : max(x2, 0)]
    if seen.shape[:2] == (y2 - y1, x2 - x1):
        return seen
    filled = np.empty((y2 - y1, x2 - x1, 3), np.uint8)
    filled[:] = FILLING
    filled[top - y1 :, left - x1 :][: seen.shape[0], : seen.shape[1]] = seen
    return filled
