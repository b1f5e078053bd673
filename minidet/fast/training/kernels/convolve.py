"""Dense convolution forward, which is also its way back to the input: windows times weights."""

from __future__ import annotations

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import (
    LANES,
    TILE_COLUMNS,
    TILE_ROWS,
    tile_fma,
    tile_load,
    tile_of_rows,
    tile_store,
)
from minidet.fast.team import Counters, end_step, first_block, join, next_block
from minidet.fast.training.kernels.windows import BLOCK, NARROW_ROWS, WIDE, Windows, gather_windows


@jit_fast
def convolve_plan(
    x: Float32Array,
    weight: Float32Array,
    bias: Float32Array,
    y: Float32Array,
    s: Windows,
    in_place: bool,
    counters: Counters,
) -> None:
    """Convolve a map.

    Twin of :func:`minidet.ops.conv2d_forward`; float32 sums, in the order ky, kx, ic.

    Parameters
    ----------
    x : (N * H * W * C,) array
    weight : (OC * size * size * C,) array
        As :func:`minidet.fast.training.kernels.pack.pack` makes it.
    bias : (OC,) array
    y : (N * OH * OW * OC,) array
        Written.
    s : Windows
        OC is a multiple of the lanes.
    in_place : bool
        Whether windows are pixels, so that they are read where they are.
    """
    team = join(counters)
    K = s.size * s.size * s.C
    pixels = s.N * s.OH * s.OW
    blocks = (pixels + BLOCK - 1) // BLOCK
    row_length = K + LANES
    rows = np.empty(BLOCK * row_length, np.float32)
    spill = np.empty(TILE_ROWS * WIDE, np.float32)
    block = first_block(team)
    while block < blocks:
        first = block * BLOCK
        count = min(BLOCK, pixels - first)
        if in_place and count == BLOCK:
            multiply_rows(x, first * K, K, K, weight, bias, s.OC, y, first * s.OC, count, spill)
        else:
            gather_windows(x, s, first, count, rows, row_length)
            multiply_rows(rows, 0, row_length, K, weight, bias, s.OC, y, first * s.OC, count, spill)
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def multiply_rows(
    rows: Float32Array,
    begin: int,
    row_length: int,
    K: int,
    weight: Float32Array,
    bias: Float32Array,
    OC: int,
    y: Float32Array,
    at: int,
    count: int,
    spill: Float32Array,
) -> None:
    """Write ``count`` rows of OC numbers to ``y[at]``: bias + row @ weight.

    Up to the next multiple of ``BLOCK`` rows are read.
    """
    whole = OC - OC % WIDE
    for o in range(0, whole, WIDE):
        for r in range(0, count, TILE_ROWS):
            tile = tile_of_rows(TILE_ROWS, TILE_COLUMNS, LANES, bias, o)
            k_at = begin + r * row_length
            w_at = o * K
            for _ in range(K):
                tile = tile_fma(tile, rows, k_at, row_length, weight, w_at)
                k_at += 1
                w_at += WIDE
            if r + TILE_ROWS <= count:
                tile_store(y, at + r * OC + o, OC, tile)
            else:
                tile_store(spill, 0, WIDE, tile)
                for i in range(count - r):
                    row = tile_load(1, TILE_COLUMNS, LANES, spill, i * WIDE, 0)
                    tile_store(y, at + (r + i) * OC + o, 0, row)
    if whole < OC:
        for r in range(0, count, NARROW_ROWS):
            narrow = tile_of_rows(NARROW_ROWS, 1, LANES, bias, whole)
            k_at = begin + r * row_length
            w_at = whole * K
            for _ in range(K):
                narrow = tile_fma(narrow, rows, k_at, row_length, weight, w_at)
                k_at += 1
                w_at += LANES
            if r + NARROW_ROWS <= count:
                tile_store(y, at + r * OC + whole, OC, narrow)
            else:
                tile_store(spill, 0, LANES, narrow)
                for i in range(count - r):
                    lane_row = tile_load(1, 1, LANES, spill, i * LANES, 0)
                    tile_store(y, at + (r + i) * OC + whole, 0, lane_row)
