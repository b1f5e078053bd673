"""A group picture made of one portrait: many sizes, some mirrored, all in colours of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from minidet._check import check_whole
from minidet._typing import Float32Array, RGBImage
from minidet.errors import InputError
from minidet.image import ImageSource, read_image

HEAD = (0.16, 0.02, 0.88, 0.80)
"""Head and shoulders of the bundled portrait, in shares of its width and height."""

PEOPLE = (  # the back row first, so that those in front cover it
    *((0.055, 0.30, 70), (0.145, 0.33, 110), (0.275, 0.29, 150), (0.395, 0.36, 88), (0.475, 0.37, 56)),
    *((0.545, 0.35, 96), (0.665, 0.28, 168), (0.785, 0.35, 80), (0.855, 0.375, 42), (0.93, 0.33, 104)),
    *((0.12, 0.73, 250), (0.335, 0.75, 220), (0.52, 0.79, 180), (0.69, 0.76, 210), (0.875, 0.70, 290)),
    *((0.235, 0.93, 34), (0.43, 0.945, 28), (0.605, 0.955, 24), (0.785, 0.945, 31)),  # children at the front
)
"""Centre x and y in shares of the picture, and height of the head's cut-out in pixels of a picture of
900 x 600; the face is about half as high."""

WALL, FLOOR = (196, 204, 206), (120, 100, 84)
"""Colours of the background at its upper and at its lower edge."""


def bundled_portrait_path() -> Path:
    """Return the public-domain portrait that comes with matplotlib, which is not imported for it.

    Returns
    -------
    Path
        Of a JPEG of 512 x 600 pixels with one face.

    Raises
    ------
    InputError
        If this matplotlib comes without it.

    Examples
    --------
    >>> bundled_portrait_path().name
    'grace_hopper.jpg'
    """
    spec = importlib.util.find_spec("matplotlib")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("matplotlib")
    path = folder / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    if not path.is_file():
        raise InputError(f"there is no portrait {str(path)!r}; expected one in every matplotlib")
    return path


def group_picture(
    portrait: ImageSource | None = None, *, width: int = 900, height: int = 600, seed: int = 0
) -> RGBImage:
    """Compose a picture with faces of many sizes, to look at what a detector finds and what it misses.

    Nineteen heads in three rows, the smallest faces about 12 pixels high. Every second one is mirrored, and
    each has a tint, a brightness and a sharpness of its own. Behind them is a gradient with some grain.

    Parameters
    ----------
    portrait : path, bytes, file object, PIL image or array, optional
        Anything :func:`minidet.read_image` takes, with the face in the upper middle; by default
        :func:`bundled_portrait_path`.
    width, height : int
        Of the result, in pixels, at least 64. The heads grow with the smaller of width / 900 and
        height / 600.
    seed : int
        Equal numbers give equal pictures.

    Returns
    -------
    (height, width, 3) uint8 array
        RGB.

    Raises
    ------
    InputError
        If a number is out of range, or the portrait cannot be read.

    Examples
    --------
    >>> group_picture(np.zeros((600, 512, 3), np.uint8), width=300, height=200).shape
    (200, 300, 3)
    """
    check_whole("group_picture", "width", width, least=64)
    check_whole("group_picture", "height", height, least=64)
    check_whole("group_picture", "seed", seed, least=0)
    pixels = read_image(bundled_portrait_path() if portrait is None else portrait)
    H, W = pixels.shape[:2]
    left, top, right, bottom = HEAD
    head = Image.fromarray(pixels).crop(
        (round(left * W), round(top * H), max(1, round(right * W)), max(1, round(bottom * H)))
    )
    rng = np.random.default_rng(seed)
    canvas = Image.fromarray(_background(height, width, rng))
    scale = min(width / 900, height / 600)
    for number, (x, y, size) in enumerate(PEOPLE):
        person = _person(head, max(2, round(size * scale)), mirrored=number % 2 == 1, rng=rng)
        corner = (round(x * width - person.width / 2), round(y * height - person.height / 2))
        canvas.paste(person, corner, _soft_edge(*person.size))
    return np.asarray(canvas)


def _person(head: Image.Image, size: int, *, mirrored: bool, rng: np.random.Generator) -> Image.Image:
    """Return the head at ``size`` pixels height, in a light of its own."""
    person = head.resize((max(1, round(head.width * size / head.height)), size), Image.Resampling.LANCZOS)
    if mirrored:
        person = person.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tint = rng.uniform(0.75, 1.15, 3) * rng.uniform(0.8, 1.1)
    blur = float(rng.uniform(0, size / 160))
    tinted = np.clip(np.asarray(person, np.float64) * tint, 0, 255).astype(np.uint8)
    return Image.fromarray(tinted).filter(ImageFilter.GaussianBlur(blur))


def _soft_edge(width: int, height: int) -> Image.Image:
    """Return a mask in the shape of a bust, round above and straight below, with a soft edge."""
    x = np.abs(np.linspace(-1, 1, width))
    y = np.linspace(-1, 1, height)[:, None]
    distance = np.where(y < 0, (x**2.4 + np.abs(y) ** 2.4) ** (1 / 2.4), np.maximum(x, y))
    return Image.fromarray((255 * np.clip((1 - distance) / 0.1, 0, 1)).astype(np.uint8))


def _background(height: int, width: int, rng: np.random.Generator) -> RGBImage:
    way = np.linspace(0, 1, height)[:, None, None]
    smooth = (1 - way) * np.array(WALL) + way * np.array(FLOOR)  # (height, 1, 3)
    grain: Float32Array = rng.normal(0, 2, (height, width, 1)).astype(np.float32)
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)
