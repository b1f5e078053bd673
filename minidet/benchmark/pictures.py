"""Photographs of given sizes and with given numbers of faces, all made of one portrait."""

from __future__ import annotations

import numpy as np
from PIL import Image

from minidet._typing import RGBImage

FACE = (0.30, 0.14, 0.74, 0.60)
"""Where the face of the bundled portrait is, and a little around it, in shares of its width and height."""

CANVAS = (1280, 960)
"""Width and height of the pictures with many faces."""

CELL = (64, 96)
"""Width and height of the place of one face: 20 times 10 of them fill the canvas."""


def resized(portrait: RGBImage, width: int, height: int) -> RGBImage:
    """Cut the portrait to the proportions of ``width`` x ``height`` around its face, and resize it.

    Examples
    --------
    >>> resized(np.zeros((600, 512, 3), np.uint8), 640, 480).shape
    (480, 640, 3)
    """
    H, W = portrait.shape[:2]
    scale = min(W / width, H / height)
    w, h = width * scale, height * scale
    cx, cy = (FACE[0] + FACE[2]) / 2 * W, (FACE[1] + FACE[3]) / 2 * H
    left, top = min(max(cx - w / 2, 0), W - w), min(max(cy - h / 2, 0), H - h)
    picture = Image.fromarray(portrait).resize(
        (width, height), Image.Resampling.BICUBIC, box=(left, top, left + w, top + h)
    )
    return np.asarray(picture)


def crowd(portrait: RGBImage, faces: int) -> RGBImage:
    """Put the portrait's face on a picture of fixed size, ``faces`` times, spread over it; at most 200.

    Examples
    --------
    >>> crowd(np.zeros((600, 512, 3), np.uint8), 3).shape
    (960, 1280, 3)
    """
    H, W = portrait.shape[:2]
    box = (FACE[0] * W, FACE[1] * H, FACE[2] * W, FACE[3] * H)
    # Around the faces there is something to look at: the portrait itself, so large that it is no face.
    canvas = Image.fromarray(portrait).resize(CANVAS, Image.Resampling.BICUBIC, box=(0, 0.8 * H, W, H))
    columns, rows = CANVAS[0] // CELL[0], CANVAS[1] // CELL[1]
    places = [(column, row) for row in range(rows) for column in range(columns)]
    rng = np.random.default_rng(0)
    rng.shuffle(places)
    face = Image.fromarray(portrait).resize((60, 74), Image.Resampling.LANCZOS, box=box)
    for column, row in places[:faces]:
        canvas.paste(face, (column * CELL[0] + 2, row * CELL[1] + 11))
    return np.asarray(canvas)
