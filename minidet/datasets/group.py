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

HEAD = (0.18, 0.03, 0.86, 0.74)
"""Head and shoulders of the bundled portrait, in shares of its width and height."""

HEIGHTS = (230, 190, 150, 120, 96, 76, 60, 46, 36, 28, 22)
"""Of the pictures of one person, in pixels of a group picture of 600 rows; the face is about half of it."""

WALL, FLOOR = (176, 186, 190), (112, 98, 88)
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

    The heads stand in two rows, the smallest between the others. Every second one is mirrored, and each has a
    tint, a brightness and a sharpness of its own. The background is a smooth gradient with some grain.

    Parameters
    ----------
    portrait : path, bytes, file object, PIL image or array, optional
        Anything :func:`minidet.read_image` takes, with the face in the upper middle; by default
        :func:`bundled_portrait_path`.
    width, height : int
        Of the result, in pixels, at least 64. The heads grow with the smaller of width / 900 and height / 600.
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
    for number, (x, y, size) in enumerate(_places(width, height, scale)):
        person = _person(head, size, mirrored=number % 2 == 1, rng=rng)
        mask = _soft_edge(*person.size)
        canvas.paste(person, (x - person.width // 2, y - person.height // 2), mask)
    return np.asarray(canvas)


def _places(width: int, height: int, scale: float) -> list[tuple[int, int, int]]:
    """Return centre x, centre y and height of every head: large and small ones take turns along two rows."""
    shares = (  # of the width and of the height, for HEIGHTS in their order
        *((0.15, 0.71), (0.43, 0.74), (0.66, 0.78), (0.86, 0.80), (0.10, 0.24), (0.27, 0.26)),
        *((0.42, 0.24), (0.55, 0.26), (0.66, 0.24), (0.76, 0.26), (0.85, 0.24)),
    )
    return [
        (round(x * width), round(y * height), max(2, round(size * scale)))
        for (x, y), size in zip(shares, HEIGHTS, strict=True)
    ]


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
    """Return a mask that lets the corners of a head's picture fade into the background."""
    x = np.linspace(-1, 1, width)
    y = np.linspace(-1, 1, height)[:, None]
    distance = (np.abs(x) ** 4 + np.abs(y) ** 4) ** 0.25  # 1 along a rounded square
    return Image.fromarray((255 * np.clip((1 - distance) / 0.12, 0, 1)).astype(np.uint8))


def _background(height: int, width: int, rng: np.random.Generator) -> RGBImage:
    way = np.linspace(0, 1, height)[:, None, None]
    smooth = (1 - way) * np.array(WALL) + way * np.array(FLOOR)  # (height, 1, 3)
    grain: Float32Array = rng.normal(0, 2, (height, width, 1)).astype(np.float32)
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)
