"""The windows of a convolution: their geometry, and their pixels side by side in one row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, TILE_COLUMNS, TILE_ROWS, tile_load, tile_of_scalar, tile_store

BLOCK = 48
"""Windows that a thread works on at a time: a multiple of the rows of every tile."""
WIDE = TILE_COLUMNS * LANES
"""Channels of a whole tile."""
NARROW_ROWS = TILE_COLUMNS * TILE_ROWS
"""Rows of a tile with one column, for what is left of the channels: it has as many registers."""


class Windows(NamedTuple):
    """Where the windows of a convolution lie.

    Attributes
    ----------
    N, H, W, C : int
        The input, a channels-last map of C numbers per pixel.
    OH, OW, OC : int
        The output, likewise.
    size, stride, padding : int
    """

    N: int
    H: int
    W: int
    C: int
    OH: int
    OW: int
    OC: int
    size: int
    stride: int
    padding: int

    def is_pixel(self) -> bool:
        """Return whether every window is one pixel, window after window: then the input needs no copy."""
        return self.size == 1 and self.stride == 1 and self.padding == 0


@jit_fast
def gather_windows(
    x: Float32Array, s: Windows, first: int, count: int, rows: Float32Array, row_length: int
) -> None:
    """Copy ``count`` windows from number ``first`` on into rows: ky slowest, then kx, then the channel.

    What lies outside of the image is zero. Vectors are copied whole, so behind each window up to ``LANES``
    numbers may be anything, and ``row_length`` has to leave room for them; so has ``x``, behind its last
    pixel, if C is no multiple of the lanes.
    """
    n, rest = first // (s.OH * s.OW), first % (s.OH * s.OW)
    oy, ox = rest // s.OW, rest % s.OW
    done = 0
    while done < count:
        run = min(count - done, s.OW - ox)
        for ky in range(s.size):  # ascending: what one copy has too much, the next overwrites
            at = done * row_length + ky * s.size * s.C
            iy = oy * s.stride + ky - s.padding
            if 0 <= iy < s.H:
                _gather_line(x, s, (n * s.H + iy) * s.W, ox * s.stride - s.padding, run, rows, at, row_length)
            else:
                for _ in range(run):
                    _clear(rows, at, s.size * s.C)
                    at += row_length
        done += run
        ox = 0
        oy += 1
        if oy == s.OH:
            oy = 0
            n += 1


@jit_fast
def _gather_line(
    x: Float32Array,
    s: Windows,
    line: int,
    left: int,
    run: int,
    rows: Float32Array,
    at: int,
    row_length: int,
) -> None:
    """Copy one row of each of ``run`` neighbouring windows; the first begins at pixel ``left``."""
    # Windows first_inside to end_inside do not reach beyond the image.
    first_inside = min(max(-(left // s.stride), 0), run)
    end_inside = min(max((s.W - s.size - left) // s.stride + 1, first_inside), run)
    _gather_edge(x, s, line, left, 0, first_inside, rows, at, row_length)
    side, step = s.size * s.C, s.stride * s.C
    begin = (line + left + first_inside * s.stride) * s.C
    to = at + first_inside * row_length
    if side <= LANES:
        for _ in range(first_inside, end_inside):
            tile_store(rows, to, 0, tile_load(1, 1, LANES, x, begin, 0))
            begin += step
            to += row_length
    else:
        for _ in range(first_inside, end_inside):
            for i in range(0, side, LANES):
                tile_store(rows, to + i, 0, tile_load(1, 1, LANES, x, begin + i, 0))
            begin += step
            to += row_length
    _gather_edge(x, s, line, left, end_inside, run, rows, at, row_length)


@jit_fast
def _gather_edge(
    x: Float32Array,
    s: Windows,
    line: int,
    left: int,
    first: int,
    end: int,
    rows: Float32Array,
    at: int,
    row_length: int,
) -> None:
    for window in range(first, end):
        for kx in range(s.size):
            ix = left + window * s.stride + kx
            to = at + window * row_length + kx * s.C
            if 0 <= ix < s.W:
                for c in range(0, s.C, LANES):
                    tile_store(rows, to + c, 0, tile_load(1, 1, LANES, x, (line + ix) * s.C + c, 0))
            else:
                _clear(rows, to, s.C)


@jit_fast
def _clear(out: Float32Array, at: int, count: int) -> None:
    zeros = tile_of_scalar(1, 1, LANES, np.float32(0))
    for i in range(0, count, LANES):
        tile_store(out, at + i, 0, zeros)
