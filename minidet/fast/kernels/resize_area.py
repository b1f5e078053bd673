"""Area resize of one row, from bytes to what a network reads.

Summing is split: first whole rows of the image, which are long and lie as the vector registers like them,
then the few neighbouring sums that belong to each output pixel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import tile_load, tile_of_scalar, tile_scaled_add, tile_scatter

MEAN, DEVIATION = 127.5, 128.0
"""What the networks of MTCNN take for the mean and the scale of a pixel."""


PIXEL_LANES = 4
"""A pixel's three channels and, unused, the first of the next."""


class Window(NamedTuple):
    """A part of an image: left, top, and one past right and bottom. Outside of the image all is black."""

    left: int
    top: int
    right: int
    bottom: int


class RowLayout(NamedTuple):
    """Where the numbers of a row of pixels lie.

    Channel c of pixel x is at (x // 2) * pair + (x % 2) * odd + c * channel from the begin of the row:
    6, 3, 1 is channels-last, and larger numbers take even and odd pixels apart, and the channels.
    """

    pair: int
    odd: int
    channel: int


class Edges(NamedTuple):
    """Which pixels of a row each output pixel covers: ``least`` of them, or one more.

    Attributes
    ----------
    first : (width,) int64 array
    extra : (width,) float32 array
        1 where there is one more, 0 elsewhere: a factor, for a branch would often be guessed wrong.
    share : (width,) float32 array
        1 / number of pixels.
    least : int
    """

    first: NDArray[np.int64]
    extra: Float32Array
    share: Float32Array
    least: int


@jit_fast
def area_edges(source: int, target: int) -> Edges:
    """Return what ``source`` pixels in a row mean for ``target`` output pixels."""
    first = np.empty(target, np.int64)
    extra, share = np.empty(target, np.float32), np.empty(target, np.float32)
    least = (source + target - 1) // target
    for j in range(target):
        first[j] = j * source // target
        covered = ((j + 1) * source + target - 1) // target - first[j]
        extra[j] = covered - least
        share[j] = np.float32(1) / np.float32(covered)
    return Edges(first, extra, share, least)


@jit_fast
def sums_size(width: int) -> int:
    """Return how many numbers :func:`resize_area_row` needs for itself, for a window of that width."""
    return 3 * width + PIXEL_LANES


@jit_fast
def resize_area_row(
    image: NDArray[Any],
    window: Window,
    row: int,
    height: int,
    edges: Edges,
    sums: Float32Array,
    target: Float32Array,
    at: int,
    layout: RowLayout,
) -> None:
    """Compute one of ``height`` rows of a window that is resized, normalised.

    Twin: :func:`minidet.image.resize_area`, then :func:`minidet.image.mtcnn_input`; within 1e-6.

    ``image`` is (H, W, 3); ``edges`` come from :func:`area_edges` for the widths of window and row; ``sums``
    has room for :func:`sums_size` numbers.
    """
    tall = window.bottom - window.top
    first = row * tall // height
    last = ((row + 1) * tall + height - 1) // height  # one past
    _sum_rows(image, window, max(window.top + first, 0), min(window.top + last, image.shape[0]), sums)
    weight = np.float32(1 / (DEVIATION * (last - first)))
    shift = tile_of_scalar(1, 1, PIXEL_LANES, np.float32(-MEAN / DEVIATION))
    for parity in range(2):
        here = at + parity * layout.odd
        for j in range(parity, len(edges.first), 2):
            place = 3 * edges.first[j]
            total = tile_load(1, 1, PIXEL_LANES, sums, place, 0)
            for _ in range(edges.least - 1):
                place += 3
                total = total + tile_load(1, 1, PIXEL_LANES, sums, place, 0)
            perhaps = tile_load(1, 1, PIXEL_LANES, sums, place + 3, 0)
            total = tile_scaled_add(edges.extra[j], perhaps, total)
            pixel = tile_scaled_add(weight * edges.share[j], total, shift)
            tile_scatter(3, target, here, layout.channel, pixel)
            here += layout.pair


@jit_fast
def _sum_rows(image: NDArray[Any], window: Window, top: int, bottom: int, sums: Float32Array) -> None:
    """Add up the image's rows from ``top`` to ``bottom`` - 1, for every column of the window, and zeros."""
    sums[3 * (window.right - window.left) : 3 * (window.right - window.left) + PIXEL_LANES] = 0
    left, right = max(window.left, 0), min(window.right, image.shape[1])
    if left > window.left or right < window.right or bottom <= top or right <= left:
        sums[: 3 * (window.right - window.left)] = 0
    if bottom <= top or right <= left:
        return
    row_length = 3 * image.shape[1]
    pixels = image.reshape(-1)
    inside = sums[3 * (left - window.left) : 3 * (right - window.left)]
    place = top * row_length + 3 * left
    line = pixels[place : place + len(inside)]
    for i in range(len(inside)):
        inside[i] = np.float32(line[i])
    for y in range(top + 1, bottom):
        place = y * row_length + 3 * left
        line = pixels[place : place + len(inside)]
        for i in range(len(inside)):
            inside[i] += np.float32(line[i])
