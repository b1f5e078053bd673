"""The way back of a dense convolution to its filters: windows, transposed, times the output's gradient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, TILE_COLUMNS, tile_fma, tile_load, tile_of_scalar, tile_store
from minidet.fast.team import Counters, end_step, first_block, join, next_block
from minidet.fast.training.kernels.windows import WIDE, Windows, gather_windows

TILE_ROWS = 8 if LANES == 16 else 4
"""Elements of a window per tile: they divide the lanes, and so every map's channels."""

BLOCK = 192
"""Windows whose products are added up in float32; a block of them fits the second cache."""

PER_BLOCK = 16
"""Elements of a window whose sums are finished together."""


@jit_fast
def weight_gradient_plan(
    x: Float32Array,
    grad_y: Float32Array,
    partial: NDArray[np.float64],
    partial_bias: NDArray[np.float64],
    s: Windows,
    chunks: int,
    in_place: bool,
    grad_weight: Float32Array,
    grad_bias: Float32Array,
    counters: Counters,
) -> None:
    """Multiply every element of the windows by every channel of the output's gradient, and add up.

    Twin of :func:`minidet.ops.conv2d_backward`, second and third result. Sums of ``BLOCK`` products are
    float32, those of the blocks float64.

    Parameters
    ----------
    x : (N * H * W * C,) array
    grad_y : (N * OH * OW * OC,) array
    partial : (chunks, K, OC) array
        Scratch; K is size * size * C, rounded up to whole vectors.
    partial_bias : (chunks, OC) array
        Scratch.
    s : Windows
    chunks : int
        Parts of the batch that are summed apart: the same whatever the number of threads.
    in_place : bool
        Whether windows are pixels, and C is a multiple of the lanes.
    grad_weight : (OC, IC, size, size) array
        Written; its OC, IC are those without padding.
    grad_bias : (OC,) array
        Written.
    """
    team = join(counters)
    _, K, OC = partial.shape
    pixels = s.N * s.OH * s.OW
    row_length = K + LANES
    rows = np.empty(BLOCK * row_length, np.float32)
    spill = np.empty(LANES * WIDE, np.float32)
    chunk = first_block(team)
    while chunk < chunks:
        begin, end = chunk * pixels // chunks, (chunk + 1) * pixels // chunks
        sums, bias_sums = partial[chunk], partial_bias[chunk]
        bias_sums[:] = 0.0
        for first in range(begin, end, BLOCK):
            count = min(BLOCK, end - first)
            _add_columns(grad_y, first * OC, OC, count, bias_sums, spill)
            if in_place:
                _add_products(x, first * K, K, K, grad_y, first * OC, OC, count, first == begin, sums, spill)
            else:
                gather_windows(x, s, first, count, rows, row_length)
                _add_products(
                    rows, 0, row_length, K, grad_y, first * OC, OC, count, first == begin, sums, spill
                )
        chunk = next_block(team)
    end_step(team, chunks)

    elements = s.size * s.size * s.C
    blocks = (elements + PER_BLOCK - 1) // PER_BLOCK
    block = first_block(team)
    while block < blocks:
        end = min((block + 1) * PER_BLOCK, elements)
        _add_chunks(partial, block * PER_BLOCK, end, s.C, grad_weight)
        if block == 0:
            for o in range(len(grad_bias)):
                grad_bias[o] = partial_bias[:, o].sum()
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def _add_products(
    rows: Float32Array,
    begin: int,
    row_length: int,
    K: int,
    grad_y: Float32Array,
    at: int,
    OC: int,
    count: int,
    is_first: bool,
    sums: NDArray[np.float64],
    spill: Float32Array,
) -> None:
    whole = OC - OC % WIDE
    for k in range(0, K, TILE_ROWS):
        for o in range(0, whole, WIDE):
            tile = tile_of_scalar(TILE_ROWS, TILE_COLUMNS, LANES, np.float32(0))
            k_at, g_at = begin + k, at + o
            for _ in range(count):
                tile = tile_fma(tile, rows, k_at, 1, grad_y, g_at)
                k_at += row_length
                g_at += OC
            tile_store(spill, 0, WIDE, tile)
            for i in range(TILE_ROWS):
                _add(sums[k + i, o : o + WIDE], spill[i * WIDE : (i + 1) * WIDE], is_first)
    if whole < OC:
        for k in range(0, K, LANES):
            narrow = tile_of_scalar(LANES, 1, LANES, np.float32(0))
            k_at, g_at = begin + k, at + whole
            for _ in range(count):
                narrow = tile_fma(narrow, rows, k_at, 1, grad_y, g_at)
                k_at += row_length
                g_at += OC
            tile_store(spill, 0, LANES, narrow)
            for i in range(LANES):
                _add(sums[k + i, whole:OC], spill[i * LANES : (i + 1) * LANES], is_first)


@jit_fast
def _add_columns(
    grad_y: Float32Array, at: int, OC: int, count: int, sums: NDArray[np.float64], spill: Float32Array
) -> None:
    for o in range(0, OC, LANES):
        even = tile_of_scalar(1, 1, LANES, np.float32(0))
        odd = tile_of_scalar(1, 1, LANES, np.float32(0))
        g_at = at + o
        for _ in range(count // 2):
            even = even + tile_load(1, 1, LANES, grad_y, g_at, 0)
            odd = odd + tile_load(1, 1, LANES, grad_y, g_at + OC, 0)
            g_at += 2 * OC
        if count % 2 == 1:
            even = even + tile_load(1, 1, LANES, grad_y, g_at, 0)
        tile_store(spill, 0, 0, even + odd)
        _add(sums[o : o + LANES], spill[:LANES], False)


@jit_fast
def _add(sums: NDArray[np.float64], values: Float32Array, is_first: bool) -> None:
    if is_first:
        for i in range(len(values)):
            sums[i] = values[i]
    else:
        for i in range(len(values)):
            sums[i] += values[i]


@jit_fast
def _add_chunks(
    partial: NDArray[np.float64], begin: int, end: int, C: int, grad_weight: Float32Array
) -> None:
    """Finish elements ``begin`` to ``end`` of the windows, for all filters."""
    filters, channels, _, KW = grad_weight.shape
    totals = np.empty(filters, np.float64)
    for k in range(begin, end):
        ky, kx, c = k // (KW * C), k // C % KW, k % C
        if c < channels:
            totals[:] = partial[0, k, :filters]
            for chunk in range(1, len(partial)):
                sums = partial[chunk, k, :filters]
                for o in range(filters):
                    totals[o] += sums[o]
            for o in range(filters):
                grad_weight[o, c, ky, kx] = totals[o]
