"""A group picture made of one portrait: many sizes, some mirrored, all in colours of their own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from minidet._check import check_whole
from minidet._typing import Float32Array, RGBImage
from minidet.errors import InputError
from minidet.image import ImageSource, read_image

HEAD = (0.16, 0.02, 0.88, 0.80)
"""Head and shoulders of the bundled portrait, in shares of its width and height."""

FACE = (178, 107, 354, 328)
"""The face of the bundled portrait as RetinaFace frames it, x1 y1 x2 y2 in its pixels."""

PORTRAIT_SIZE = (512, 600)
"""Width and height of the bundled portrait in pixels."""

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
    head = Image.fromarray(pixels).crop(_head_of(*pixels.shape[1::-1]))
    rng = np.random.default_rng(seed)
    canvas = Image.fromarray(_background(height, width, rng))
    for left, top, w, h, mirrored in _places(width, height, head.size):
        canvas.paste(_person(head, w, h, mirrored=mirrored, rng=rng), (left, top), _soft_edge(w, h))
    return np.asarray(canvas)


def group_faces(*, width: int = 900, height: int = 600) -> Float32Array:
    """Return where the faces of :func:`group_picture` are, if it is made of the bundled portrait.

    Each box frames a face as RetinaFace frames that of the portrait. A head that others cover in part has
    its whole box.

    Parameters
    ----------
    width, height : int
        Of the picture, in pixels, at least 64.

    Returns
    -------
    (19, 4) float32 array
        x1 y1 x2 y2 in pixels of the picture, in the order of ``PEOPLE``: the back row first.

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    The fifteenth head, cut out with 369 x 468 pixels, is pasted with 229 x 290 at x = 673, y = 275. Its face
    begins 96 pixels from the left of the cut-out and 95 from the top: 673 + 96 * 229 / 369 = 732.6, and
    275 + 95 * 290 / 468 = 333.9.

    >>> [round(side, 1) for side in group_faces()[14].tolist()]
    [732.6, 333.9, 841.8, 470.8]
    """
    check_whole("group_faces", "width", width, least=64)
    check_whole("group_faces", "height", height, least=64)
    left, top, right, bottom = _head_of(*PORTRAIT_SIZE)
    x1, y1, x2, y2 = np.subtract(FACE, (left, top, left, top))
    w, h = right - left, bottom - top
    places = list(_places(width, height, (w, h)))
    faces = [(w - x2, y1, w - x1, y2) if mirrored else (x1, y1, x2, y2) for *_, mirrored in places]
    corners = np.array([place[:2] * 2 for place in places])  # (19, 4): x y x y
    sizes = np.array([place[2:4] * 2 for place in places])
    return (corners + np.array(faces) * sizes / (w, h, w, h)).astype(np.float32)


def _head_of(width: int, height: int) -> tuple[int, int, int, int]:
    """Return where head and shoulders are in a portrait: left, top, right, bottom in whole pixels."""
    left, top, right, bottom = HEAD
    return (
        round(left * width),
        round(top * height),
        max(1, round(right * width)),
        max(1, round(bottom * height)),
    )


def _places(width: int, height: int, head: tuple[int, int]) -> Iterator[tuple[int, int, int, int, bool]]:
    """Yield where each person is pasted: left, top, width, height in pixels, and whether mirrored."""
    scale = min(width / 900, height / 600)
    for number, (x, y, size) in enumerate(PEOPLE):
        h = max(2, round(size * scale))
        w = max(1, round(head[0] * h / head[1]))
        yield round(x * width - w / 2), round(y * height - h / 2), w, h, number % 2 == 1


def _person(
    head: Image.Image, width: int, height: int, *, mirrored: bool, rng: np.random.Generator
) -> Image.Image:
    """Return the head with ``width`` x ``height`` pixels, in a light of its own."""
    person = head.resize((width, height), Image.Resampling.LANCZOS)
    if mirrored:
        person = person.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tint = rng.uniform(0.75, 1.15, 3) * rng.uniform(0.8, 1.1)
    blur = float(rng.uniform(0, height / 160))
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
