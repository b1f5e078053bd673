"""Max pooling: lanes are channels, each with a maximum of its own."""

from __future__ import annotations

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, tile_choose, tile_load, tile_of_scalar, tile_store
from minidet.fast.team import Counters, end_step, first_block, join, next_block
from minidet.fast.training.kernels.windows import Windows


@jit_fast
def max_pool_plan(
    x: Float32Array, y: Float32Array, winner: Float32Array, s: Windows, counters: Counters
) -> None:
    """Take the maximum of each window, and note which element of the window it was.

    Twin of :func:`minidet.ops.max_pool2d_forward`, exact.

    Parameters
    ----------
    x : (N * H * W * C,) array
    y : (N * OH * OW * C,) array
        Written.
    winner : (N * OH * OW * C,) array
        Written: ky * size + kx of the maximum, the first one in reading order.
    s : Windows
        C is a multiple of the lanes. The last windows may hang over the edge.
    """
    team = join(counters)
    rows = s.N * s.OH
    row = first_block(team)
    while row < rows:
        n, top = row // s.OH, row % s.OH * s.stride - s.padding
        for ox in range(s.OW):
            left = ox * s.stride - s.padding
            at = (row * s.OW + ox) * s.C
            first_y, last_y = max(-top, 0), min(s.size, s.H - top)
            first_x, last_x = max(-left, 0), min(s.size, s.W - left)
            for c in range(0, s.C, LANES):
                begin = ((n * s.H + top) * s.W + left) * s.C + c
                best = tile_load(1, 1, LANES, x, begin + (first_y * s.W + first_x) * s.C, 0)
                best_at = tile_of_scalar(1, 1, LANES, np.float32(first_y * s.size + first_x))
                for ky in range(first_y, last_y):
                    for kx in range(first_x, last_x):
                        value = tile_load(1, 1, LANES, x, begin + (ky * s.W + kx) * s.C, 0)
                        here = tile_of_scalar(1, 1, LANES, np.float32(ky * s.size + kx))
                        best_at = tile_choose(value, best, here, best_at)
                        best = tile_choose(value, best, value, best)
                tile_store(y, at + c, 0, best)
                tile_store(winner, at + c, 0, best_at)
        row = next_block(team)
    end_step(team, rows)


@jit_fast
def max_pool_backward_plan(
    grad_y: Float32Array, winner: Float32Array, grad_x: Float32Array, s: Windows, counters: Counters
) -> None:
    """Add the gradient of every maximum to the pixel that was it.

    Twin of :func:`minidet.ops.max_pool2d_backward`, exact but for the order in which overlapping windows add.
    """
    team = join(counters)
    zero = tile_of_scalar(1, 1, LANES, np.float32(0))
    half = tile_of_scalar(1, 1, LANES, np.float32(0.5))
    n = first_block(team)
    while n < s.N:
        grad_x[n * s.H * s.W * s.C : (n + 1) * s.H * s.W * s.C] = 0.0
        for oy in range(s.OH):
            top = oy * s.stride - s.padding
            for ox in range(s.OW):
                left = ox * s.stride - s.padding
                at = ((n * s.OH + oy) * s.OW + ox) * s.C
                first_y, last_y = max(-top, 0), min(s.size, s.H - top)
                first_x, last_x = max(-left, 0), min(s.size, s.W - left)
                for c in range(0, s.C, LANES):
                    g = tile_load(1, 1, LANES, grad_y, at + c, 0)
                    best_at = tile_load(1, 1, LANES, winner, at + c, 0)
                    begin = ((n * s.H + top) * s.W + left) * s.C + c
                    for ky in range(first_y, last_y):
                        for kx in range(first_x, last_x):
                            here = tile_of_scalar(1, 1, LANES, np.float32(ky * s.size + kx))
                            share = tile_choose(here + half, best_at, g, zero)
                            share = tile_choose(best_at, here - half, share, zero)
                            i = begin + (ky * s.W + kx) * s.C
                            tile_store(grad_x, i, 0, tile_load(1, 1, LANES, grad_x, i, 0) + share)
        n = next_block(team)
    end_step(team, s.N)
