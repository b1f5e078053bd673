"""Nearest-neighbour upsampling of one pyramid level onto the next."""

from __future__ import annotations

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, tile_load, tile_of_scalar, tile_store
from minidet.fast.team import Counters, end_step, first_block, join, next_block
from minidet.fast.training.kernels.windows import Windows


@jit_fast
def upsample_add_plan(
    x: Float32Array, addend: Float32Array, y: Float32Array, s: Windows, counters: Counters
) -> None:
    """Add to every pixel of a map the pixel of a coarser one that it falls on.

    Twin of :func:`minidet.ops.upsample_nearest2d_forward` and the sum behind it, exact.

    Parameters
    ----------
    x : (N * H * W * C,) array
        The coarser map.
    addend, y : (N * OH * OW * C,) arrays
        The second is written.
    s : Windows
        Of it N, H, W, C, OH, OW.
    """
    team = join(counters)
    rows = s.N * s.OH
    row = first_block(team)
    while row < rows:
        n, iy = row // s.OH, row % s.OH * s.H // s.OH
        for ox in range(s.OW):
            begin = ((n * s.H + iy) * s.W + ox * s.W // s.OW) * s.C
            at = (row * s.OW + ox) * s.C
            for c in range(0, s.C, LANES):
                total = tile_load(1, 1, LANES, addend, at + c, 0) + tile_load(1, 1, LANES, x, begin + c, 0)
                tile_store(y, at + c, 0, total)
        row = next_block(team)
    end_step(team, rows)


@jit_fast
def upsample_backward_plan(
    grad_y: Float32Array, addend: Float32Array, grad_x: Float32Array, s: Windows, counters: Counters
) -> None:
    """Add to the gradient of every coarse pixel the gradients of those that fell on it.

    Twin of :func:`minidet.ops.upsample_nearest2d_backward` and the sum behind it; float32 sums.

    Parameters
    ----------
    grad_y : (N * OH * OW * C,) array
    addend, grad_x : (N * H * W * C,) arrays
        The second is written.
    s : Windows
        Of it N, H, W, C, OH, OW.
    """
    team = join(counters)
    rows = s.N * s.H
    row = first_block(team)
    while row < rows:
        n, iy = row // s.H, row % s.H
        # oy * H // OH is iy from the first oy with oy * H >= iy * OH on.
        top, bottom = -(-iy * s.OH // s.H), -(-(iy + 1) * s.OH // s.H)
        for ix in range(s.W):
            left, right = -(-ix * s.OW // s.W), -(-(ix + 1) * s.OW // s.W)
            at = (row * s.W + ix) * s.C
            for c in range(0, s.C, LANES):
                total = tile_of_scalar(1, 1, LANES, np.float32(0))
                for oy in range(top, bottom):
                    for ox in range(left, right):
                        begin = ((n * s.OH + oy) * s.OW + ox) * s.C + c
                        total = total + tile_load(1, 1, LANES, grad_y, begin, 0)
                tile_store(grad_x, at + c, 0, tile_load(1, 1, LANES, addend, at + c, 0) + total)
        row = next_block(team)
    end_step(team, rows)
