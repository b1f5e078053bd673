"""Matrix products in register tiles: the inner loops of nearly every convolution and linear layer.

The sum of one output runs in the order of its terms, each with one fused multiply-add, whatever the tile it
falls into. So a result depends neither on how rows are grouped nor on who computes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._jit import jit_fast, jit_inline
from minidet._typing import Float32Array
from minidet.fast.layout import PANEL, Dense
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

WORTH_A_TILE = TILE_ROWS // 2
"""So many left-over rows cost as much one by one as in a tile that repeats rows already done."""

ONE: Any = np.int64(1)
"""A plain number would be compiled into a kernel of its own."""


@jit_fast
def multiply_rows(
    arena: Float32Array,
    source: int,
    source_stride: int,
    rows: int,
    weights: Float32Array,
    layer: Dense,
    target: int,
    target_stride: int,
) -> None:
    """Compute slope(x @ weight + bias) for ``rows`` rows.

    Twin: :func:`minidet.ops.linear_forward` and the activation; within 1e-5 of the largest output. Row r of x
    begins at ``source`` + r * ``source_stride`` and has ``layer.inputs`` numbers; likewise the result, with
    ``layer.outputs``.
    """
    multiply_windows(
        arena,
        source,
        source_stride,
        rows,
        ONE,
        layer.inputs,
        layer.inputs,
        weights,
        layer,
        target,
        target_stride,
    )


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

    As :func:`multiply_rows`, but a row of x is made of ``lines`` lines of ``length`` numbers. The first
    begins at ``source`` + r * ``source_stride``, the others each ``line_stride`` further.
    """
    terms = lines * length
    whole = layer.outputs // PANEL * PANEL
    for first in range(0, whole, PANEL):
        _panel(
            arena,
            source,
            source_stride,
            rows,
            lines,
            line_stride,
            length,
            weights,
            layer.weight + first * terms,
            PANEL,
            layer.bias + first,
            layer.slope + first,
            target + first,
            target_stride,
        )
    for first in range(whole, layer.outputs, LANES):
        _vector(
            arena,
            source,
            source_stride,
            rows,
            lines,
            line_stride,
            length,
            weights,
            layer.weight + whole * terms + first - whole,
            layer.outputs - whole,
            layer.bias + first,
            layer.slope + first,
            target + first,
            target_stride,
        )


def _make_columns(columns: int) -> Any:
    """Return the kernel for so many vectors of output channels, of all rows."""
    tile_kernel, single_kernel = _make_tile(TILE_ROWS, columns), _make_tile(1, columns)

    @jit_fast
    def columns_kernel(
        arena: Float32Array,
        source: int,
        source_stride: int,
        rows: int,
        lines: int,
        line_stride: int,
        length: int,
        weights: Float32Array,
        weight: int,
        weight_stride: int,
        bias: int,
        slope: int,
        target: int,
        target_stride: int,
    ) -> None:
        row = 0
        while row < rows:
            single = rows - row < WORTH_A_TILE or rows < TILE_ROWS
            if not single:
                row = min(row, rows - TILE_ROWS)  # the last tile may cover some rows a second time
            x, y = source + row * source_stride, target + row * target_stride
            if single:
                single_kernel(
                    *(arena, x, source_stride, lines, line_stride, length),
                    *(weights, weight, weight_stride, bias, slope, y, target_stride),
                )
                row += 1
            else:
                tile_kernel(
                    *(arena, x, source_stride, lines, line_stride, length),
                    *(weights, weight, weight_stride, bias, slope, y, target_stride),
                )
                row += TILE_ROWS

    return columns_kernel


def _make_tile(rows: int, columns: int) -> Any:
    """Return the kernel for one tile."""

    @jit_inline
    def tile_kernel(
        arena: Float32Array,
        x: int,
        x_stride: int,
        lines: int,
        line_stride: int,
        length: int,
        weights: Float32Array,
        weight: int,
        weight_stride: int,
        bias: int,
        slope: int,
        y: int,
        y_stride: int,
    ) -> None:
        tile = tile_of_rows(rows, columns, LANES, weights, bias)
        for line in range(lines):
            at = x + line * line_stride
            for i in range(length):
                tile = tile_fma(tile, arena, at + i, x_stride, weights, weight)
                weight += weight_stride
        tile = tile_slope(tile, weights, slope)
        tile_store(arena, y, y_stride, tile)

    return tile_kernel


_panel = _make_columns(TILE_COLUMNS)
_vector = _make_columns(1)


@jit_fast
def multiply_products(
    arena: Float32Array,
    source: int,
    source_stride: int,
    products: int,
    weights: Float32Array,
    weight: int,
    inputs: int,
    outputs: int,
    target: int,
) -> None:
    """Compute ``products`` matrix products (TILE_ROWS, inputs) @ (inputs, outputs), the core of Winograd's
    algorithm.

    Twin: ``x @ weight``; within 1e-6 of the largest output. All are contiguous, one product behind the other,
    but for the rows of x, which are ``source_stride`` numbers apart.
    """
    zero = np.float32(0)
    whole = outputs // PANEL * PANEL
    for k in range(products):
        x = source + k * TILE_ROWS * source_stride
        y = target + k * TILE_ROWS * outputs
        at = weight + k * inputs * outputs
        for first in range(0, whole, PANEL):
            tile = tile_of_scalar(TILE_ROWS, TILE_COLUMNS, LANES, zero)
            for i in range(inputs):
                tile = tile_fma(tile, arena, x + i, source_stride, weights, at)
                at += PANEL
            tile_store(arena, y + first, outputs, tile)
        for first in range(whole, outputs, LANES):
            thin = tile_of_scalar(TILE_ROWS, 1, LANES, zero)
            for i in range(inputs):
                here = at + i * (outputs - whole) + first - whole
                thin = tile_fma(thin, arena, x + i, source_stride, weights, here)
            tile_store(arena, y + first, outputs, thin)
