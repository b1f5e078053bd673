"""The way back of a depthwise convolution to its filters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, tile_fma_window, tile_of_scalar, tile_store
from minidet.fast.team import Counters, end_step, first_block, join, next_block
from minidet.fast.training.kernels.depthwise import PIXELS, ROWS, pad_rows
from minidet.fast.training.kernels.windows import Windows


@jit_fast
def depthwise_weight_gradient_plan(
    x: Float32Array,
    grad_y: Float32Array,
    partial: NDArray[np.float64],
    s: Windows,
    grad_weight: Float32Array,
    counters: Counters,
) -> None:
    """Multiply every element of the windows by the gradient of its own channel, and add up.

    Twin of :func:`minidet.ops.depthwise_conv2d_backward`, second result. Sums over ``ROWS`` rows are float32,
    those of the rows float64.

    Parameters
    ----------
    x : (N * H * W * C,) array
    grad_y : (N * OH * OW * C,) array
    partial : (chunks, size * size, C) array
        Scratch; the number of chunks decides which rows are summed together.
    s : Windows
        C is a multiple of the lanes, and OC is C.
    grad_weight : (channels, 1, size, size) array
        Written.
    """
    team = join(counters)
    chunks = len(partial)
    groups = (s.OH + ROWS - 1) // ROWS
    lines = (ROWS - 1) * s.stride + s.size
    length = (s.W + 2 * s.padding) * s.C
    padded = np.empty(lines * length, np.float32)
    spill = np.empty(3 * LANES, np.float32)
    chunk = first_block(team)
    while chunk < chunks:
        sums = partial[chunk]
        sums[:] = 0.0
        for block in range(chunk * s.N * groups // chunks, (chunk + 1) * s.N * groups // chunks):
            n, top = block // groups, block % groups * ROWS
            count = min(ROWS, s.OH - top)
            pad_rows(x, s, n, top, count, padded)
            at = (n * s.OH + top) * s.OW * s.C
            for c in range(0, s.C, LANES):
                for ky in range(s.size):
                    begin = ky * length + c
                    if s.size == 3 and s.stride == 1:
                        _add_taps(padded, begin, length, s, grad_y, at + c, count, sums, ky * 3, c, spill)
                    else:
                        for kx in range(s.size):
                            tap, here = ky * s.size + kx, begin + kx * s.C
                            _add_tap(padded, here, length, s, grad_y, at + c, count, sums, tap, c, spill)
        chunk = next_block(team)
    end_step(team, chunks)

    channels = len(grad_weight)
    c = first_block(team)
    while c < channels:
        for ky in range(s.size):
            for kx in range(s.size):
                grad_weight[c, 0, ky, kx] = partial[:, ky * s.size + kx, c].sum()
        c = next_block(team)
    end_step(team, channels)


@jit_fast
def _add_taps(
    padded: Float32Array,
    begin: int,
    length: int,
    s: Windows,
    grad_y: Float32Array,
    at: int,
    count: int,
    sums: NDArray[np.float64],
    tap: int,
    c: int,
    spill: Float32Array,
) -> None:
    """Three neighbouring taps at once: a tile's rows are the taps, and its filter is the gradient."""
    tile = tile_of_scalar(3, 1, LANES, np.float32(0))
    whole = s.OW - s.OW % PIXELS
    for r in range(count):
        here, there = begin + r * s.stride * length, at + r * s.OW * s.C
        for _ in range(0, whole, PIXELS):
            tile = tile_fma_window(tile, PIXELS, 1, padded, here, s.C, grad_y, there, s.C)
            here += PIXELS * s.C
            there += PIXELS * s.C
        for _ in range(whole, s.OW):
            tile = tile_fma_window(tile, 1, 1, padded, here, s.C, grad_y, there, s.C)
            here += s.C
            there += s.C
    tile_store(spill, 0, LANES, tile)
    for kx in range(3):
        _add(sums[tap + kx, c : c + LANES], spill[kx * LANES : (kx + 1) * LANES])


@jit_fast
def _add_tap(
    padded: Float32Array,
    begin: int,
    length: int,
    s: Windows,
    grad_y: Float32Array,
    at: int,
    count: int,
    sums: NDArray[np.float64],
    tap: int,
    c: int,
    spill: Float32Array,
) -> None:
    """One tap, any stride; two sums take turns so that neither waits for itself."""
    even = tile_of_scalar(1, 1, LANES, np.float32(0))
    odd = tile_of_scalar(1, 1, LANES, np.float32(0))
    step = s.stride * s.C
    for r in range(count):
        here, there = begin + r * s.stride * length, at + r * s.OW * s.C
        for _ in range(s.OW // 2):
            even = tile_fma_window(even, 1, 1, padded, here, 0, grad_y, there, 0)
            odd = tile_fma_window(odd, 1, 1, padded, here + step, 0, grad_y, there + s.C, 0)
            here += 2 * step
            there += 2 * s.C
        if s.OW % 2 == 1:
            even = tile_fma_window(even, 1, 1, padded, here, 0, grad_y, there, 0)
    tile_store(spill, 0, LANES, even + odd)
    _add(sums[tap, c : c + LANES], spill[:LANES])


@jit_fast
def _add(sums: NDArray[np.float64], values: Float32Array) -> None:
    for i in range(len(values)):
        sums[i] += values[i]
