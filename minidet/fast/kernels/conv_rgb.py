"""The first layer of R-Net and O-Net: 3x3 convolution of three channels with bias and activation, one row."""

from __future__ import annotations

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.layout import PANEL, Dense
from minidet.fast.simd import (
    LANES,
    REGISTERS,
    TILE_COLUMNS,
    TILE_ROWS,
    tile_fma,
    tile_of_rows,
    tile_slope,
    tile_store,
)

CHANNELS = 3

ROWS = 11 if (LANES, REGISTERS) == (16, 32) else TILE_ROWS
"""Pixels of a tile. Thirty-two long registers hold eleven, and the maps are 22 and 46 pixels wide."""

WORTH_A_TILE = ROWS // 2
"""So many left-over pixels cost as much one by one as in a tile that repeats pixels already done."""


@jit_fast
def conv_rgb_row(
    arena: Float32Array,
    source: int,
    side: int,
    row: int,
    weights: Float32Array,
    layer: Dense,
    target: int,
) -> None:
    """Convolve a map (side, side, 3) without padding: one row of the result.

    Twin: :func:`minidet.ops.conv2d_forward`, then the activation; within 1e-5 of the largest output. Weights
    are in the order (ky, kx, input), in whole panels. Both maps are contiguous; the target has
    ``layer.outputs`` channels.
    """
    columns, outputs = side - 2, layer.outputs
    out = target + row * columns * outputs
    for first in range(0, outputs, PANEL):
        x = 0
        while x < columns:
            weight = layer.weight + first * 9 * CHANNELS
            if columns - x < WORTH_A_TILE or columns < ROWS:
                single = tile_of_rows(1, TILE_COLUMNS, LANES, weights, layer.bias + first)
                for ky in range(3):
                    at = source + ((row + ky) * side + x) * CHANNELS
                    for tap in range(3 * CHANNELS):  # three pixels, which are neighbours
                        single = tile_fma(single, arena, at + tap, 0, weights, weight)
                        weight += PANEL
                single = tile_slope(single, weights, layer.slope + first)
                tile_store(arena, out + x * outputs + first, 0, single)
                x += 1
                continue
            x = min(x, columns - ROWS)  # the last tile may cover some pixels a second time
            tile = tile_of_rows(ROWS, TILE_COLUMNS, LANES, weights, layer.bias + first)
            for ky in range(3):
                at = source + ((row + ky) * side + x) * CHANNELS
                for tap in range(3 * CHANNELS):
                    tile = tile_fma(tile, arena, at + tap, CHANNELS, weights, weight)
                    weight += PANEL
            tile = tile_slope(tile, weights, layer.slope + first)
            tile_store(arena, out + x * outputs + first, outputs, tile)
            x += ROWS
