"""Depthwise convolution, forward and back to the input: a filter per channel, lanes are channels."""

from __future__ import annotations

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, tile_fma_window, tile_load, tile_of_scalar, tile_store
from minidet.fast.team import Counters, end_step, first_block, join, next_block
from minidet.fast.training.kernels.windows import Windows

ROWS = 4
"""Rows of the output that a thread works on at a time."""
PIXELS = 8
"""Neighbouring windows that a tile holds: what two of them share is loaded once."""


@jit_fast
def depthwise_plan(
    x: Float32Array, weight: Float32Array, y: Float32Array, s: Windows, counters: Counters
) -> None:
    """Convolve every channel of a map with its own filter.

    Twin of :func:`minidet.ops.depthwise_conv2d_forward`; float32 sums, in the order ky, kx.

    Parameters
    ----------
    x : (N * H * W * C,) array
    weight : (size * size * C,) array
    y : (N * OH * OW * C,) array
        Written.
    s : Windows
        C is a multiple of the lanes, and OC is C.
    """
    team = join(counters)
    groups = (s.OH + ROWS - 1) // ROWS
    lines = (ROWS - 1) * s.stride + s.size
    length = (s.W + 2 * s.padding) * s.C
    padded = np.empty(lines * length, np.float32)
    block = first_block(team)
    while block < s.N * groups:
        n, top = block // groups, block % groups * ROWS
        count = min(ROWS, s.OH - top)
        pad_rows(x, s, n, top, count, padded)
        for r in range(count):
            _row(padded, r * s.stride * length, length, weight, s, y, (n * s.OH + top + r) * s.OW * s.C)
        block = next_block(team)
    end_step(team, s.N * groups)


@jit_fast
def pad_rows(x: Float32Array, s: Windows, n: int, top: int, count: int, padded: Float32Array) -> None:
    """Copy what ``count`` rows of windows see, and zeros for what they see beyond the image."""
    length, edge = (s.W + 2 * s.padding) * s.C, s.padding * s.C
    for line in range((count - 1) * s.stride + s.size):
        iy = top * s.stride + line - s.padding
        at = line * length
        if iy < 0 or iy >= s.H:
            _clear(padded, at, length)
        else:
            _clear(padded, at, edge)
            begin = (n * s.H + iy) * s.W * s.C
            for i in range(0, s.W * s.C, LANES):
                tile_store(padded, at + edge + i, 0, tile_load(1, 1, LANES, x, begin + i, 0))
            _clear(padded, at + edge + s.W * s.C, edge)


@jit_fast
def _row(
    padded: Float32Array, begin: int, length: int, weight: Float32Array, s: Windows, y: Float32Array, at: int
) -> None:
    step = s.stride * s.C
    whole = s.OW - s.OW % PIXELS if s.size == 3 and s.stride <= 2 else 0
    for c in range(0, s.C, LANES):
        for ox in range(0, whole, PIXELS):
            tile = tile_of_scalar(PIXELS, 1, LANES, np.float32(0))
            for ky in range(3):
                here, tap = begin + ky * length + ox * step + c, ky * 3 * s.C + c
                if s.stride == 1:
                    tile = tile_fma_window(tile, 3, 1, padded, here, s.C, weight, tap, s.C)
                else:
                    tile = tile_fma_window(tile, 3, 2, padded, here, s.C, weight, tap, s.C)
            tile_store(y, at + ox * s.C + c, s.C, tile)
        for ox in range(whole, s.OW):
            pixel = tile_of_scalar(1, 1, LANES, np.float32(0))
            for ky in range(s.size):
                here, tap = begin + ky * length + ox * step + c, ky * s.size * s.C + c
                for kx in range(s.size):
                    shift = kx * s.C
                    pixel = tile_fma_window(pixel, 1, 1, padded, here + shift, 0, weight, tap + shift, 0)
            tile_store(y, at + ox * s.C + c, 0, pixel)


@jit_fast
def depthwise_input_gradient_plan(
    grad_y: Float32Array, weight: Float32Array, grad_x: Float32Array, s: Windows, counters: Counters
) -> None:
    """Collect for every input pixel what the windows that have seen it give to it.

    Twin of :func:`minidet.ops.depthwise_conv2d_backward`, first result, for every stride; float32 sums. With
    stride 1 :func:`depthwise_plan` does the same with flipped filters, faster.
    """
    team = join(counters)
    rows = s.N * s.H
    row = first_block(team)
    while row < rows:
        n, iy = row // s.H, row % s.H
        for ix in range(s.W):
            for c in range(0, s.C, LANES):
                pixel = tile_of_scalar(1, 1, LANES, np.float32(0))
                for ky in range((iy + s.padding) % s.stride, s.size, s.stride):
                    oy = (iy + s.padding - ky) // s.stride
                    if 0 <= oy < s.OH:
                        for kx in range((ix + s.padding) % s.stride, s.size, s.stride):
                            ox = (ix + s.padding - kx) // s.stride
                            if 0 <= ox < s.OW:
                                here = ((n * s.OH + oy) * s.OW + ox) * s.C + c
                                tap = (ky * s.size + kx) * s.C + c
                                pixel = tile_fma_window(pixel, 1, 1, grad_y, here, 0, weight, tap, 0)
                tile_store(grad_x, (row * s.W + ix) * s.C + c, 0, pixel)
        row = next_block(team)
    end_step(team, rows)


@jit_fast
def _clear(out: Float32Array, at: int, count: int) -> None:
    zeros = tile_of_scalar(1, 1, LANES, np.float32(0))
    for i in range(0, count, LANES):
        tile_store(out, at + i, 0, zeros)
