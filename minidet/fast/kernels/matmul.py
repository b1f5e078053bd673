"""Matrix products in register tiles: the inner loops of every convolution and linear layer.

Twin: ``x @ weight`` for a row-major x; the sums of one output run in the order of its terms, each with one
fused multiply-add, whatever the tile it falls into.
"""

from __future__ import annotations

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.layout import Dense
from minidet.fast.simd import (
    LANES,
    TILE_COLUMNS,
    TILE_ROWS,
    tile_fma,
    tile_of_rows,
    tile_of_scalar,
    tile_slope,
    tile_store,
)

PANEL = TILE_COLUMNS * LANES


@jit_fast
def multiply_rows(
    x: Float32Array,
    x_at: int,
    x_stride: int,
    rows: int,
    weights: Float32Array,
    layer: Dense,
    y: Float32Array,
    y_at: int,
    y_stride: int,
) -> None:
    """Compute slope(x @ weight + bias) for ``rows`` rows.

    Row r of x begins at ``x_at + r * x_stride`` and has ``layer.inputs`` numbers; likewise y, with
    ``layer.outputs``. Rows of y may overlap nothing but themselves.
    """
    for first in range(0, layer.outputs, PANEL):
        if layer.outputs - first >= PANEL:
            _panel(x, x_at, x_stride, rows, weights, layer, first, y, y_at, y_stride)
        else:
            for column in range(first, layer.outputs, LANES):
                _narrow(x, x_at, x_stride, rows, weights, layer, first, column, y, y_at, y_stride)


@jit_fast
def _panel(
    x: Float32Array,
    x_at: int,
    x_stride: int,
    rows: int,
    weights: Float32Array,
    layer: Dense,
    first: int,
    y: Float32Array,
    y_at: int,
    y_stride: int,
) -> None:
    start = layer.weight + first * layer.inputs
    row = 0
    while row + TILE_ROWS <= rows:
        tile = tile_of_rows(TILE_ROWS, TILE_COLUMNS, LANES, weights, layer.bias + first)
        for i in range(layer.inputs):
            tile = tile_fma(tile, x, x_at + row * x_stride + i, x_stride, weights, start + i * PANEL)
        tile = tile_slope(tile, weights, layer.slope + first)
        tile_store(y, y_at + row * y_stride + first, y_stride, tile)
        row += TILE_ROWS
        if row < rows < row + TILE_ROWS:
            row = rows - TILE_ROWS  # the last tile covers some rows a second time
    while row < rows:
        single = tile_of_rows(1, TILE_COLUMNS, LANES, weights, layer.bias + first)
        for i in range(layer.inputs):
            single = tile_fma(single, x, x_at + row * x_stride + i, x_stride, weights, start + i * PANEL)
        single = tile_slope(single, weights, layer.slope + first)
        tile_store(y, y_at + row * y_stride + first, y_stride, single)
        row += 1


@jit_fast
def _narrow(
    x: Float32Array,
    x_at: int,
    x_stride: int,
    rows: int,
    weights: Float32Array,
    layer: Dense,
    first: int,
    column: int,
    y: Float32Array,
    y_at: int,
    y_stride: int,
) -> None:
    """One vector of output channels, where they do not fill a panel; ``first`` is where the panel begins."""
    width = layer.outputs - first
    start = layer.weight + first * layer.inputs + column - first
    row = 0
    while row + TILE_ROWS <= rows:
        tile = tile_of_rows(TILE_ROWS, 1, LANES, weights, layer.bias + column)
        for i in range(layer.inputs):
            tile = tile_fma(tile, x, x_at + row * x_stride + i, x_stride, weights, start + i * width)
        tile = tile_slope(tile, weights, layer.slope + column)
        tile_store(y, y_at + row * y_stride + column, y_stride, tile)
        row += TILE_ROWS
        if row < rows < row + TILE_ROWS:
            row = rows - TILE_ROWS
    while row < rows:
        single = tile_of_rows(1, 1, LANES, weights, layer.bias + column)
        for i in range(layer.inputs):
            single = tile_fma(single, x, x_at + row * x_stride + i, x_stride, weights, start + i * width)
        single = tile_slope(single, weights, layer.slope + column)
        tile_store(y, y_at + row * y_stride + column, y_stride, single)
        row += 1


@jit_fast
def multiply_plain(
    x: Float32Array,
    x_at: int,
    rows: int,
    inputs: int,
    weights: Float32Array,
    weight_at: int,
    outputs: int,
    y: Float32Array,
    y_at: int,
) -> None:
    """Compute x @ weight, without bias and activation, for contiguous x (rows, inputs) and y (rows, outputs).

    ``rows`` is a multiple of ``TILE_ROWS``.
    """
    for first in range(0, outputs, PANEL):
        start = weight_at + first * inputs
        if outputs - first >= PANEL:
            for row in range(0, rows, TILE_ROWS):
                tile = tile_of_scalar(TILE_ROWS, TILE_COLUMNS, LANES, 0.0)
                for i in range(inputs):
                    tile = tile_fma(tile, x, x_at + row * inputs + i, inputs, weights, start + i * PANEL)
                tile_store(y, y_at + row * outputs + first, outputs, tile)
        else:
            width = outputs - first
            for column in range(0, width, LANES):
                for row in range(0, rows, TILE_ROWS):
                    narrow = tile_of_scalar(TILE_ROWS, 1, LANES, 0.0)
                    for i in range(inputs):
                        weight = start + column + i * width
                        narrow = tile_fma(narrow, x, x_at + row * inputs + i, inputs, weights, weight)
                    tile_store(y, y_at + row * outputs + first + column, outputs, narrow)
