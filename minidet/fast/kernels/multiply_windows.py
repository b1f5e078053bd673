"""Matrix products whose left rows are windows of maps: the last layers of R-Net and O-Net."""

from __future__ import annotations

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.layout import PANEL, Dense
from minidet.fast.simd import (
    LANES,
    TILE_COLUMNS,
    TILE_ROWS,
    tile_fma,
    tile_of_rows,
    tile_slope,
    tile_store,
)

WORTH_A_TILE = TILE_ROWS // 2
"""So many left-over rows cost as much one by one as in a tile that repeats rows already done."""


@jit_fast
def multiply_windows(
    arena: Float32Array,
    source: int,
    source_stride: int,
    rows: int,
    lines: int,
    line_stride: int,
    length: int,
    weights: Float32Array,
    layer: Dense,
    target: int,
    target_stride: int,
) -> None:
    """Compute slope(x @ weight + bias) for ``rows`` rows x that are windows of a map.

    Row r of x is made of ``lines`` lines of ``length`` numbers. The first begins at ``source`` +
    r * ``source_stride``, the others each ``line_stride`` further. Sums run in the order of the terms,
    whatever the tile a row falls into.
    """
    terms = lines * length
    for first in range(0, layer.outputs - PANEL + 1, PANEL):
        row = 0
        while row < rows:
            if rows - row < WORTH_A_TILE or rows < TILE_ROWS:
                single = tile_of_rows(1, TILE_COLUMNS, LANES, weights, layer.bias + first)
                weight = layer.weight + first * terms
                for line in range(lines):
                    at = source + row * source_stride + line * line_stride
                    for i in range(length):
                        single = tile_fma(single, arena, at + i, 0, weights, weight)
                        weight += PANEL
                single = tile_slope(single, weights, layer.slope + first)
                tile_store(arena, target + row * target_stride + first, 0, single)
                row += 1
                continue
            row = min(row, rows - TILE_ROWS)  # the last tile may cover some rows a second time
            tile = tile_of_rows(TILE_ROWS, TILE_COLUMNS, LANES, weights, layer.bias + first)
            weight = layer.weight + first * terms
            for line in range(lines):
                at = source + row * source_stride + line * line_stride
                for i in range(length):
                    tile = tile_fma(tile, arena, at + i, source_stride, weights, weight)
                    weight += PANEL
            tile = tile_slope(tile, weights, layer.slope + first)
            tile_store(arena, target + row * target_stride + first, target_stride, tile)
            row += TILE_ROWS
    whole = layer.outputs // PANEL * PANEL
    rest = layer.outputs - whole
    for column in range(0, rest, LANES):
        first = whole + column
        row = 0
        while row < rows:
            if rows - row < WORTH_A_TILE or rows < TILE_ROWS:
                lone = tile_of_rows(1, 1, LANES, weights, layer.bias + first)
                weight = layer.weight + whole * terms + column
                for line in range(lines):
                    at = source + row * source_stride + line * line_stride
                    for i in range(length):
                        lone = tile_fma(lone, arena, at + i, 0, weights, weight)
                        weight += rest
                lone = tile_slope(lone, weights, layer.slope + first)
                tile_store(arena, target + row * target_stride + first, 0, lone)
                row += 1
                continue
            row = min(row, rows - TILE_ROWS)
            thin = tile_of_rows(TILE_ROWS, 1, LANES, weights, layer.bias + first)
            weight = layer.weight + whole * terms + column
            for line in range(lines):
                at = source + row * source_stride + line * line_stride
                for i in range(length):
                    thin = tile_fma(thin, arena, at + i, source_stride, weights, weight)
                    weight += rest
            thin = tile_slope(thin, weights, layer.slope + first)
            tile_store(arena, target + row * target_stride + first, target_stride, thin)
            row += TILE_ROWS
