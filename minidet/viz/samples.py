"""A sheet of training crops, enlarged, with their labels drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from minidet._check import check_whole
from minidet._typing import Float64Array
from minidet.errors import InputError
from minidet.image.draw import LANDMARK_COLOURS

BOX_COLOUR = (40, 140, 60)

_PAPER = (255, 255, 255)
_INK = (32, 32, 32)
_FRAME = (176, 176, 176)

_MARGINS = 3
"""A crop is so many times as wide as the margin beside it."""


@dataclass(frozen=True, eq=False)
class CropRow:
    """Crops of one kind, side by side.

    Attributes
    ----------
    title : str
        What is written above them.
    crops : (M, side, side, 3) uint8 array
        RGB.
    boxes : (M, 4) array-like
        x1 y1 x2 y2 in pixels of the crop; may reach outside it. A row of NaN is not drawn.
    landmarks : (M, 5, 2) array-like
        x, y in pixels of the crop. Points of NaN are not drawn.
    captions : sequence of M texts
        One below each crop.
    """

    title: str
    crops: NDArray[np.uint8]
    boxes: ArrayLike
    landmarks: ArrayLike
    captions: Sequence[str]


def samples_sheet(rows: Sequence[CropRow], *, cell: int = 96) -> Image.Image:
    """Lay crops out in rows, with a margin around each in which boxes can be seen that reach outside it.

    Parameters
    ----------
    rows : sequence of CropRow
    cell : int
        Pixels of the sheet that a crop is enlarged to, 48 or more. Its pixels stay squares.

    Returns
    -------
    PIL image, RGB

    Raises
    ------
    InputError
        If ``cell`` is too small, or the arrays of a row do not have one entry per crop.
    """
    check_whole("samples_sheet", "cell", cell, least=48)
    for row in rows:
        _check(row)
    margin, font_size = cell // _MARGINS, max(11, cell // 7)
    line, font = 2 * font_size, ImageFont.load_default(size=font_size)
    step = cell + 2 * margin  # from one crop to the next
    columns = max((len(row.crops) for row in rows), default=0)
    widest = max((font.getlength(row.title) for row in rows), default=0)
    width = max(columns * step, int(widest) + 2 * margin)
    sheet = Image.new("RGB", (width, max(len(rows), 1) * (step + 2 * line)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, row in enumerate(rows):
        top = i * (step + 2 * line)
        pen.text((margin, top + line), row.title, fill=_INK, font=font, anchor="ld")
        boxes, landmarks = _floats(row.boxes), _floats(row.landmarks)
        for k, (crop, caption) in enumerate(zip(row.crops, row.captions, strict=True)):
            tile = _tile(crop, boxes[k], landmarks[k], cell)
            sheet.paste(tile, (k * step, top + line))
            pen.text((k * step + step // 2, top + line + step), caption, fill=_INK, font=font, anchor="ma")
    return sheet


def _tile(crop: NDArray[np.uint8], box: Float64Array, landmarks: Float64Array, cell: int) -> Image.Image:
    """Return one crop with its margin and labels."""
    margin, scale = cell // _MARGINS, cell / len(crop)
    tile = Image.new("RGB", (cell + 2 * margin, cell + 2 * margin), _PAPER)
    tile.paste(Image.fromarray(crop).resize((cell, cell), Image.Resampling.NEAREST), (margin, margin))
    pen = ImageDraw.Draw(tile)
    pen.rectangle((margin - 1, margin - 1, margin + cell, margin + cell), outline=_FRAME)
    if np.isfinite(box).all():
        x1, y1, x2, y2 = np.rint(margin + scale * box)
        corners = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))  # Pillow wants them in order
        pen.rectangle(corners, outline=BOX_COLOUR, width=max(2, cell // 48))
    radius = max(2.0, cell / 32)
    for (x, y), colour in zip(margin + scale * landmarks, LANDMARK_COLOURS, strict=True):
        if np.isfinite([x, y]).all():
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline=_INK)
    return tile


def _check(row: CropRow) -> None:
    M = len(row.crops)
    if row.crops.ndim != 4 or row.crops.shape[3] != 3 or row.crops.dtype != np.uint8:
        raise InputError(
            f"samples_sheet: crops of shape {row.crops.shape} and type {row.crops.dtype}; "
            "expected (M, side, side, 3) of uint8"
        )
    for name, shape, expected in (
        ("boxes", np.shape(row.boxes), (M, 4)),
        ("landmarks", np.shape(row.landmarks), (M, 5, 2)),
        ("captions", np.shape(row.captions), (M,)),
    ):
        if shape != expected:
            raise InputError(f"samples_sheet: `{name}` has shape {shape}; expected {expected}, one per crop")


def _floats(values: ArrayLike) -> Float64Array:
    return np.asarray(values, np.float64)
