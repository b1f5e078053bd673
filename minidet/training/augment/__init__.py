"""Photographs made into training images for RetinaFace.

Reading order: ``augment.py`` (the steps), ``crop.py`` (which square, which faces), ``settings.py``.
"""

from minidet.training.augment.augment import augment, mirror_sample, resize_sample
from minidet.training.augment.crop import crop_sample, random_square
from minidet.training.augment.settings import AugmentSettings

__all__ = [
    "AugmentSettings",
    "augment",
    "crop_sample",
    "mirror_sample",
    "random_square",
    "resize_sample",
]
