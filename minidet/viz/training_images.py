"""A sheet of training images with their labels drawn on them, to see with one's own eyes what is learnt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from minidet._check import check_whole
from minidet.datasets import Sample
from minidet.errors import InputError
from minidet.image.draw import BOX_COLOUR, LANDMARK_COLOURS

IGNORED_COLOUR = (160, 160, 160)
"""Of boxes of which nothing is learnt."""

MARGIN_SHARE = 8
"""An image is so many times as large as the margin around it, in which landmarks outside can be seen."""

_PAPER = (255, 255, 255)


def training_images_sheet(samples: Sequence[Sample], *, columns: int = 4) -> Image.Image:
    """Lay training images out in rows; boxes are green, those of ignored faces grey.

    Parameters
    ----------
    samples : sequence of Sample
        All of one size.
    columns : int

    Returns
    -------
    PIL image, RGB
        Pixels of the images are pixels of the sheet.

    Raises
    ------
    InputError
        If there are no samples, or their sizes differ.

    Examples
    --------
    Three images of 64 x 64 pixels in two columns, each with a margin of 8 pixels on every side:

    >>> none = np.zeros(0, bool)
    >>> image, boxes = np.zeros((64, 64, 3), np.uint8), np.zeros((0, 4), np.float32)
    >>> sample = Sample(image, boxes, np.zeros((0, 5, 2), np.float32), none, none, "a.jpg")
    >>> training_images_sheet([sample] * 3, columns=2).size
    (160, 160)
    """
    check_whole("training_images_sheet", "columns", columns, least=1)
    sizes = sorted({sample.image.shape[:2] for sample in samples})
    if len(sizes) != 1:
        found = ", ".join(f"{width} x {height}" for height, width in sizes) or "none"
        raise InputError(f"training_images_sheet: images of {found}; expected some, all of one size")
    height, width = sizes[0]
    margin = max(height, width) // MARGIN_SHARE
    step_x, step_y = width + 2 * margin, height + 2 * margin
    rows = -(-len(samples) // columns)
    sheet = Image.new("RGB", (min(columns, len(samples)) * step_x, rows * step_y), _PAPER)
    for k, sample in enumerate(samples):
        row, column = divmod(k, columns)
        sheet.paste(_tile(sample, margin), (column * step_x, row * step_y))
    return sheet


def _tile(sample: Sample, margin: int) -> Image.Image:
    """Return one image with its labels and the margin around it."""
    height, width = sample.image.shape[:2]
    tile = Image.new("RGB", (width + 2 * margin, height + 2 * margin), _PAPER)
    tile.paste(Image.fromarray(sample.image), (margin, margin))
    pen = ImageDraw.Draw(tile)
    for box, ignored in zip(sample.boxes, sample.ignore, strict=True):
        x1, y1, x2, y2 = np.rint(box + margin).tolist()
        # A box ends before x2, and Pillow draws its last column, too.
        corners = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
        pen.rectangle(corners, outline=IGNORED_COLOUR if ignored else BOX_COLOUR)
    known = sample.landmark_mask & ~sample.ignore
    sides = sample.boxes[:, 2] - sample.boxes[:, 0]
    for points, side in zip(sample.landmarks[known] + margin, sides[known], strict=True):
        radius = max(1.0, float(side) / 30)
        for (x, y), colour in zip(points, LANDMARK_COLOURS, strict=True):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return tile
