"""One photograph, seen differently every time: cut, resized, mirrored, in other light."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidet import fast
from minidet._typing import Float32Array
from minidet.boxes import mirror_boxes, mirror_landmarks
from minidet.datasets import Sample
from minidet.errors import InputError
from minidet.fast.resize import resize_area as fast_resize_area
from minidet.fast.resize import resize_bilinear as fast_resize_bilinear
from minidet.image import resize_area, resize_bilinear
from minidet.training.augment.crop import crop_sample, random_square
from minidet.training.augment.settings import AugmentSettings
from minidet.training.photometric import distort_colours


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
        Of ``size`` x ``size`` pixels, perhaps without faces. Faces too small to learn are ignored. Every box
        has an area and lies inside; landmarks of a face that is cut may lie outside.

    Notes
    -----
    Deng et al. 2019, section 4.2; the resizing by methods chosen at random is the reference code's.

    Examples
    --------
    All of a photograph, enlarged to twice its size; the face is in the middle, so mirroring does not move it:

    >>> box, unknown = np.array([[8, 8, 24, 24]], np.float32), np.full((1, 5, 2), np.nan, np.float32)
    >>> no = np.zeros(1, bool)
    >>> sample = Sample(np.zeros((32, 32, 3), np.uint8), box, unknown, no, no, "a.jpg")
    >>> settings = AugmentSettings(size=64, crop_scales=(1.0,))
    >>> augment(sample, settings, np.random.default_rng(0)).boxes
    array([[16., 16., 48., 48.]], dtype=float32)
    """
    sample = crop_sample(sample, random_square(sample, settings, rng))
    sample = resize_sample(sample, settings.size, bilinear=bool(rng.random() < 0.5))
    if rng.random() < settings.mirror:
        sample = mirror_sample(sample)
    if settings.photometric is not None:
        (image,) = distort_colours(sample.image[None], rng, settings.photometric)
        sample = _changed(sample, image=image)
    return _judge_sizes(sample, settings.min_face_size)


def resize_sample(sample: Sample, size: int, *, bilinear: bool = False) -> Sample:
    """Resize a square photograph to ``size`` x ``size``, with its boxes and landmarks.

    Coordinates are continuous: what is 10 pixels from the left of 40 is 20 from the left of 80.

    Parameters
    ----------
    sample : Sample
    size : int
    bilinear : bool
        Interpolate between four pixels; by default, average those that each new pixel covers.

    Returns
    -------
    Sample

    Raises
    ------
    InputError
        If the photograph is no square: to stretch it would stretch the faces.
    """
    height, width = sample.image.shape[:2]
    if height != width:
        raise InputError(f"resize_sample: {sample.name!r} is {width} x {height} pixels; expected a square")
    image = _resize(bilinear)(sample.image, size, size)
    new, old = np.float32(size), np.float32(width)
    return _changed(
        sample,
        image=np.rint(image).clip(0, 255).astype(np.uint8),
        boxes=sample.boxes * new / old,  # not times new / old, by which the border may become 320.00003
        landmarks=sample.landmarks * new / old,
    )


def mirror_sample(sample: Sample) -> Sample:
    """Mirror a photograph, its boxes and its landmarks: the left eye becomes the right one.

    Parameters
    ----------
    sample : Sample

    Returns
    -------
    Sample
    """
    width = sample.image.shape[1]
    return _changed(
        sample,
        image=np.ascontiguousarray(sample.image[:, ::-1]),
        boxes=mirror_boxes(sample.boxes, width),
        landmarks=mirror_landmarks(sample.landmarks, width),
    )


def _judge_sizes(sample: Sample, least: float) -> Sample:
    """Ignore the faces with a side below ``least``; drop those that rounding has left without an area."""
    side = (sample.boxes[:, 2:] - sample.boxes[:, :2]).min(axis=1, initial=np.inf)  # (G,), the shorter
    some = side > 0
    return _changed(
        sample,
        boxes=sample.boxes[some],
        landmarks=sample.landmarks[some],
        landmark_mask=sample.landmark_mask[some],
        ignore=(sample.ignore | (side < least))[some],
    )


def _resize(bilinear: bool) -> Callable[..., Float32Array]:
    if fast.is_available():
        return fast_resize_bilinear if bilinear else fast_resize_area
    return resize_bilinear if bilinear else resize_area


def _changed(sample: Sample, **parts: Any) -> Sample:
    fields = ("image", "boxes", "landmarks", "landmark_mask", "ignore", "name")
    return Sample(**{name: parts.get(name, getattr(sample, name)) for name in fields})
