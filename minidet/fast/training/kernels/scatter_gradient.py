"""The way back of a dense convolution to its input when the input has few channels, or windows are apart."""

from __future__ import annotations

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, TILE_ROWS, tile_load, tile_store
from minidet.fast.team import Counters, end_step, first_block, join, next_block
from minidet.fast.training.kernels.convolve import multiply_rows
from minidet.fast.training.kernels.windows import BLOCK, WIDE, Windows, gather_windows


@jit_fast
def scatter_gradient_plan(
    grad_y: Float32Array,
    weight: Float32Array,
    grad_x: Float32Array,
    s: Windows,
    side: int,
    counters: Counters,
) -> None:
    """Compute what every output pixel gives to its window, and add it there.

    Twin of :func:`minidet.ops.conv2d_backward`, first result; float32 sums.

    Parameters
    ----------
    grad_y : (N * OH * OW * OC,) array
    weight : (size * side * OC,) array
        As :func:`minidet.fast.training.kernels.pack.pack_scatter` makes it.
    grad_x : (N * H * W * C,) array
        Written.
    s : Windows
        OC is a multiple of the lanes; C may be any number.
    side : int
        size * C rounded up to whole vectors: the zeros behind a row of the window are added too.
    """
    team = join(counters)
    pixels, columns = s.OH * s.OW, s.size * side
    line = (s.W + 2 * s.padding) * s.C
    plane = (s.H + 2 * s.padding) * line
    group = max(1, min(s.N, 4 * BLOCK // pixels))
    images = np.empty(group * plane + side, np.float32)
    given = np.empty(BLOCK * columns, np.float32)
    row_length = s.OC + LANES
    rows = np.empty(BLOCK * row_length, np.float32)
    spill = np.empty(TILE_ROWS * WIDE, np.float32)
    no_bias = np.zeros(columns, np.float32)
    as_rows = Windows(s.N, s.OH, s.OW, s.OC, s.OH, s.OW, 0, 1, 1, 0)
    blocks = (s.N + group - 1) // group
    block = first_block(team)
    while block < blocks:
        n = block * group
        last = min(n + group, s.N)
        images[:] = 0.0
        for first in range(n * pixels, last * pixels, BLOCK):
            count = min(BLOCK, last * pixels - first)
            if count == BLOCK:
                multiply_rows(
                    grad_y, first * s.OC, s.OC, s.OC, weight, no_bias, columns, given, 0, count, spill
                )
            else:
                gather_windows(grad_y, as_rows, first, count, rows, row_length)
                multiply_rows(rows, 0, row_length, s.OC, weight, no_bias, columns, given, 0, count, spill)
            for p in range(count):
                image, pixel = (first + p) // pixels - n, (first + p) % pixels
                oy, ox = pixel // s.OW, pixel % s.OW
                at = image * plane + oy * s.stride * line + ox * s.stride * s.C
                for ky in range(s.size):
                    _add(given, p * columns + ky * side, images, at + ky * line, side)
        for row in range((last - n) * s.H):
            image, iy = row // s.H, row % s.H
            begin = image * plane + (iy + s.padding) * line + s.padding * s.C
            at = (n * s.H + row) * s.W * s.C
            grad_x[at : at + s.W * s.C] = images[begin : begin + s.W * s.C]
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def _add(values: Float32Array, begin: int, sums: Float32Array, at: int, count: int) -> None:
    for i in range(0, count, LANES):
        total = tile_load(1, 1, LANES, sums, at + i, 0) + tile_load(1, 1, LANES, values, begin + i, 0)
        tile_store(sums, at + i, 0, total)
