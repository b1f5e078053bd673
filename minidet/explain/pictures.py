"""Arrays as text that a page can hold: pictures as data URIs, numbers as base64."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minidet._typing import FloatArray, RGBImage

HEAT = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
"""Colours from low to high, evenly spaced; each is brighter than the one before."""

CROPS_PER_ROW = 40
"""Of a sheet of crops."""


def numbers(array: NDArray[np.generic]) -> str:
    """Return an array's numbers as base64 of little-endian float32, which a browser reads without rounding.

    Examples
    --------
    >>> numbers(np.array([1.0]))
    'AACAPw=='
    """
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode("ascii")


def photo(image: RGBImage, longest: int) -> str:
    """Return a JPEG of the image, shrunk so that its longer side is at most ``longest`` pixels."""
    picture = Image.fromarray(image)
    if max(picture.size) > longest:
        picture.thumbnail((longest, longest), Image.Resampling.BOX)
    return _data_uri(picture, "JPEG", quality=88)


def heat_map(values: FloatArray, low: float, high: float) -> str:
    """Return a PNG of a map (h, w): ``low`` and less is dark, ``high`` and more is bright."""
    scaled = (np.asarray(values, np.float64) - low) / max(high - low, 1e-12)
    picture = Image.fromarray((255 * np.clip(scaled, 0, 1)).round().astype(np.uint8)).convert("P")
    picture.putpalette(_palette().tobytes())
    return _data_uri(picture, "PNG", optimize=True)


def shrunk(values: FloatArray, longest: int) -> FloatArray:
    """Average blocks of a map (h, w), as large as it takes to bring its longer side to ``longest`` at most.

    Examples
    --------
    >>> shrunk(np.array([[1.0, 3.0, 5.0, 7.0]]), 2)
    array([[2., 6.]], dtype=float32)
    """
    block = -(-max(values.shape) // longest)
    return np.asarray(Image.fromarray(np.asarray(values, np.float32)).reduce(block))


def crop_sheet(crops: FloatArray) -> str:
    """Return a JPEG of all crops (N, size, size, 3), ``CROPS_PER_ROW`` side by side; "" if there is none."""
    if len(crops) == 0:
        return ""
    N, size = crops.shape[:2]
    rows = -(-N // CROPS_PER_ROW)
    cells = np.zeros((rows * CROPS_PER_ROW, size, size, 3), np.uint8)
    cells[:N] = np.clip(crops.round(), 0, 255)
    sheet = cells.reshape(rows, CROPS_PER_ROW, size, size, 3).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * size, CROPS_PER_ROW * size, 3)
    return _data_uri(Image.fromarray(sheet), "JPEG", quality=85)


def _palette() -> NDArray[np.uint8]:
    """Return (256, 3) colours between those of ``HEAT``."""
    place = np.linspace(0, len(HEAT) - 1, 256)
    channels = [np.interp(place, range(len(HEAT)), channel) for channel in zip(*HEAT, strict=True)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def _data_uri(picture: Image.Image, kind: str, **options: object) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
