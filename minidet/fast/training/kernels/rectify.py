"""Rectifiers: what is negative is multiplied by its channel's slope."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, tile_choose, tile_load, tile_of_scalar, tile_slope, tile_store
from minidet.fast.team import Counters, end_step, first_block, join, next_block

BLOCK = 8192
"""Numbers that a thread works on at a time."""


@jit_fast
def rectify_plan(x: Float32Array, slope: Float32Array, y: Float32Array, counters: Counters) -> None:
    """Rectify a map.

    Twin of :func:`minidet.ops.prelu_forward`, :func:`minidet.ops.leaky_relu_forward` and
    :func:`minidet.ops.relu_forward`, exact.

    Parameters
    ----------
    x : (pixels * C,) array
    slope : (C,) array
    y : (pixels * C,) array
        Written.
    """
    team = join(counters)
    C = len(slope)
    size = max(BLOCK // C, 1)
    pixels = len(x) // C
    blocks = (pixels + size - 1) // size
    block = first_block(team)
    while block < blocks:
        for c in range(0, C, LANES):
            at = block * size * C + c
            for _ in range(min(size, pixels - block * size)):
                tile_store(y, at, 0, tile_slope(tile_load(1, 1, LANES, x, at, 0), slope, c))
                at += C
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def rectify_backward_plan(
    grad_y: Float32Array,
    x: Float32Array,
    slope: Float32Array,
    partial: NDArray[np.float64],
    grad_x: Float32Array,
    counters: Counters,
) -> None:
    """Go back through :func:`rectify_plan`, to the slopes too.

    Twin of :func:`minidet.ops.prelu_backward` and the others; exact but for the slopes, of which the
    sums over a block of pixels are float32.

    Parameters
    ----------
    grad_y, x : (pixels * C,) arrays
    slope : (C,) array
    partial : (blocks, C) array
        Written: the share of each block in the gradient of the slopes.
    grad_x : (pixels * C,) array
        Written.
    """
    team = join(counters)
    blocks, C = partial.shape
    size = max(BLOCK // C, 1)
    pixels = len(x) // C
    zero = tile_of_scalar(1, 1, LANES, np.float32(0))
    spill = np.empty(LANES, np.float32)
    block = first_block(team)
    while block < blocks:
        for c in range(0, C, LANES):
            factor = tile_load(1, 1, LANES, slope, c, 0)
            total = tile_of_scalar(1, 1, LANES, np.float32(0))
            at = block * size * C + c
            for _ in range(min(size, pixels - block * size)):
                value = tile_load(1, 1, LANES, x, at, 0)
                g = tile_load(1, 1, LANES, grad_y, at, 0)
                tile_store(grad_x, at, 0, tile_choose(value, zero, g, factor * g))
                total = total + tile_choose(value, zero, zero, g * value)
                at += C
            tile_store(spill, 0, 0, total)
            for i in range(LANES):
                partial[block, c + i] = spill[i]
        block = next_block(team)
    end_step(team, blocks)


def block_count(x: Float32Array, C: int) -> int:
    """Count the blocks of a map of C numbers per pixel."""
    return -(-(len(x) // C) // max(BLOCK // C, 1))
