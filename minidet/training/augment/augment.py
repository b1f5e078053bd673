"""One photograph, seen differently every time: cut, resized, mirrored, in other light."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidet import fast
from minidet._typing import Float32Array
from minidet.boxes import mirror_boxes, mirror_landmarks
from minidet.datasets import Sample
from minidet.fast.resize import resize_area as fast_resize_area
from minidet.fast.resize import resize_bilinear as fast_resize_bilinear
from minidet.image import resize_area, resize_bilinear
from minidet.training.augment.crop import crop_sample, random_square
from minidet.training.augment.settings import AugmentSettings
from minidet.training.sampling.photometric import distort_colours


def augment(sample: Sample, settings: AugmentSettings, rng: np.random.Generator) -> Sample:
    """Make a training image of a photograph.

    Parameters
    ----------
    sample : Sample
    settings : AugmentSettings
    rng : np.random.Generator

    Returns
    -------
    Sample
        Of ``size`` x ``size`` pixels, perhaps without faces. Faces too small to learn are ignored.

    Notes
    -----
    Deng et al. 2019, section 4.2; the resizing by methods chosen at random is the reference code's.
    """
    sample = crop_sample(sample, random_square(sample, settings, rng))
    sample = resize_sample(sample, settings.size, bilinear=bool(rng.random() < 0.5))
    if rng.random() < settings.mirror:
        sample = mirror_sample(sample)
    if settings.photometric is not None:
        (image,) = distort_colours(sample.image[None], rng, settings.photometric)
        sample = _changed(sample, image=image)
    sides = sample.boxes[:, 2:] - sample.boxes[:, :2]  # (G, 2)
    return _changed(
        sample, ignore=sample.ignore | (sides.min(axis=1, initial=np.inf) < settings.min_face_size)
    )


def resize_sample(sample: Sample, size: int, *, bilinear: bool = False) -> Sample:
    """Resize a square photograph to ``size`` x ``size``, with its boxes and landmarks.

    Coordinates are continuous: what is 10 pixels from the left of 40 is 20 from the left of 80.
    """
    side = sample.image.shape[0]
    image = _resize(bilinear)(sample.image, size, size)
    scale = np.float32(size / side)
    return _changed(
        sample,
        image=np.rint(image).clip(0, 255).astype(np.uint8),
        boxes=sample.boxes * scale,
        landmarks=sample.landmarks * scale,
    )


def mirror_sample(sample: Sample) -> Sample:
    """Mirror a photograph, its boxes and its landmarks: the left eye becomes the right one."""
    width = sample.image.shape[1]
    return _changed(
        sample,
        image=np.ascontiguousarray(sample.image[:, ::-1]),
        boxes=mirror_boxes(sample.boxes, width),
        landmarks=mirror_landmarks(sample.landmarks, width),
    )


def _resize(bilinear: bool) -> Callable[..., Float32Array]:
    if fast.is_available():
        return fast_resize_bilinear if bilinear else fast_resize_area
    return resize_bilinear if bilinear else resize_area


def _changed(sample: Sample, **parts: Any) -> Sample:
    fields = ("image", "boxes", "landmarks", "landmark_mask", "ignore", "name")
    return Sample(**{name: parts.get(name, getattr(sample, name)) for name in fields})
