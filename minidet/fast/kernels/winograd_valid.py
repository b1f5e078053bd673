r"""3x3 convolution without padding by Winograd's algorithm, in tiles of 3x3 outputs, for the networks of
MTCNN.

As :mod:`minidet.fast.kernels.winograd`, in tiles that fit maps of 9 and 21 pixels: 25 multiplications make
nine outputs, instead of 81. There are five points of evaluation, 0, 1, -1, 2 and infinity, which is milder on
the rounding than six: about three times the error of a direct convolution.

Tiles are independent rows of 25 matrix products, so those of several maps can share a register tile.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.kernels.matmul import multiply_products
from minidet.fast.layout import Dense, WeightPacker, in_panels
from minidet.fast.simd import (
    LANES,
    TILE_ROWS,
    tile_load,
    tile_of_rows,
    tile_scaled_add,
    tile_slope,
    tile_store,
)

SIDE = 5
"""Of the input patch of a tile."""

STEP = 3
"""Outputs of a tile in each direction."""

PRODUCTS: Any = np.int64(SIDE * SIDE)
"""Matrix products of a tile; a plain number would be compiled into a kernel of its own."""

GROUP = TILE_ROWS
"""Tiles that go through the matrix products together."""

# One row per point of evaluation.
_G = np.array(
    [
        [1 / 2, 0, 0],
        [-1 / 2, -1 / 2, -1 / 2],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 6, 1 / 3, 2 / 3],
        [0, 0, 1],
    ]
)


def pack_winograd_valid(
    packer: WeightPacker, weight: NDArray[Any], bias: NDArray[Any], slope: NDArray[Any]
) -> Dense:
    """Append the filters (OC, IC, 3, 3) as 25 matrices (IC, OC) in panels, with bias and slopes (OC,).

    The outputs are a multiple of the lanes.
    """
    outputs, inputs = weight.shape[:2]
    transformed = _G @ weight.astype(np.float64) @ _G.T  # (OC, IC, 5, 5)
    matrices = transformed.transpose(2, 3, 1, 0).reshape(-1, inputs, outputs)
    return Dense(
        packer.add(np.concatenate([in_panels(matrix) for matrix in matrices])),
        packer.add(bias),
        packer.add(slope),
        inputs,
        outputs,
    )


def winograd_scratch(inputs: int, outputs: int) -> int:
    """Return how many numbers :func:`winograd_valid` needs for itself."""
    return SIDE * SIDE * GROUP * (inputs + LANES + outputs)


@jit_fast
def winograd_valid(
    arena: Float32Array,
    maps: int,
    source: int,
    source_size: int,
    side: int,
    weights: Float32Array,
    layer: Dense,
    target: int,
    target_size: int,
    scratch: int,
) -> None:
    """Convolve ``maps`` square maps with 3x3 filters, stride 1, no padding, then bias and activation.

    Twin: :func:`minidet.ops.conv2d_forward`, then the activation; within 1e-5 of the largest output.

    Parameters
    ----------
    arena, maps, source, source_size, side
        Map m begins at ``source`` + m * ``source_size`` and is (side, side, layer.inputs), sides of 5 and
        more. Behind the last one up to ``LANES`` - 1 numbers are read.
    weights, layer
        From :func:`pack_winograd_valid`.
    target, target_size
        Likewise, (side - 2, side - 2, layer.outputs).
    scratch
        Place of :func:`winograd_scratch` numbers.
    """
    inputs, outputs = layer.inputs, layer.outputs
    columns = side - 2
    per_line = -(-columns // STEP)
    per_map = per_line * per_line
    row_stride, target_stride = side * inputs, columns * outputs
    stride = -(-inputs // LANES) * LANES
    transformed = scratch  # (25, GROUP, stride)
    products = transformed + SIDE * SIDE * GROUP * stride  # (25, GROUP, outputs)
    for first in range(0, maps * per_map, GROUP):
        count = min(GROUP, maps * per_map - first)
        for t in range(count):
            m, tile = (first + t) // per_map, (first + t) % per_map
            # The last tile of a line may cover some outputs a second time.
            y = min(tile // per_line * STEP, columns - STEP)
            x = min(tile % per_line * STEP, columns - STEP)
            at = source + m * source_size + y * row_stride + x * inputs
            for channel in range(0, inputs, LANES):
                place = transformed + t * stride + channel
                top = at + channel
                transform_input(
                    *(arena, top, top + row_stride, top + 2 * row_stride, top + 3 * row_stride),
                    *(top + 4 * row_stride, inputs, place, GROUP * stride),
                )
        multiply_transformed(arena, transformed, stride, weights, layer, products)
        for t in range(count):
            m, tile = (first + t) // per_map, (first + t) % per_map
            y = min(tile // per_line * STEP, columns - STEP)
            x = min(tile % per_line * STEP, columns - STEP)
            at = target + m * target_size + y * target_stride + x * outputs
            for channel in range(0, outputs, LANES):
                place = products + t * outputs + channel
                transform_output(
                    *(arena, place, GROUP * outputs),
                    *(weights, layer.bias + channel, layer.slope + channel),
                    *(at + channel, target_stride, outputs),
                )


@jit_fast
def multiply_transformed(
    arena: Float32Array, transformed: int, stride: int, weights: Float32Array, layer: Dense, products: int
) -> None:
    """Compute 25 matrix products (GROUP, inputs) @ (inputs, outputs); rows are ``stride`` numbers apart."""
    multiply_products(
        arena, transformed, stride, PRODUCTS, weights, layer.weight, layer.inputs, layer.outputs, products
    )


@jit_fast
def _input_line(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any) -> Any:
    """Multiply five vectors by B^T."""
    odd = d3 - d1
    return (
        tile_scaled_add(2.0, d0 - d2, odd),
        tile_scaled_add(-2.0, d1, d3 - d2),
        tile_scaled_add(2.0, d1, tile_scaled_add(-3.0, d2, d3)),
        odd,
        tile_scaled_add(-2.0, odd, d4 - d2),
    )


@jit_fast
def transform_input(
    arena: Float32Array,
    row0: int,
    row1: int,
    row2: int,
    row3: int,
    row4: int,
    stride: int,
    target: int,
    step: int,
) -> None:
    """Store B^T d B of a 5x5 patch of vectors: element k of the 25 at ``target`` + k * ``step``.

    The five rows begin where they are said to; pixels are ``stride`` apart.
    """
    a = _input_column(arena, row0, row1, row2, row3, row4)
    b = _input_column(arena, row0 + stride, row1 + stride, row2 + stride, row3 + stride, row4 + stride)
    two = 2 * stride
    c = _input_column(arena, row0 + two, row1 + two, row2 + two, row3 + two, row4 + two)
    three = 3 * stride
    d = _input_column(arena, row0 + three, row1 + three, row2 + three, row3 + three, row4 + three)
    four = 4 * stride
    e = _input_column(arena, row0 + four, row1 + four, row2 + four, row3 + four, row4 + four)
    _store_five(arena, target, step, _input_line(a[0], b[0], c[0], d[0], e[0]))
    _store_five(arena, target + 5 * step, step, _input_line(a[1], b[1], c[1], d[1], e[1]))
    _store_five(arena, target + 10 * step, step, _input_line(a[2], b[2], c[2], d[2], e[2]))
    _store_five(arena, target + 15 * step, step, _input_line(a[3], b[3], c[3], d[3], e[3]))
    _store_five(arena, target + 20 * step, step, _input_line(a[4], b[4], c[4], d[4], e[4]))


@jit_fast
def _input_column(arena: Float32Array, at0: int, at1: int, at2: int, at3: int, at4: int) -> Any:
    return _input_line(
        tile_load(1, 1, LANES, arena, at0, 0),
        tile_load(1, 1, LANES, arena, at1, 0),
        tile_load(1, 1, LANES, arena, at2, 0),
        tile_load(1, 1, LANES, arena, at3, 0),
        tile_load(1, 1, LANES, arena, at4, 0),
    )


@jit_fast
def _store_five(arena: Float32Array, target: int, step: int, line: Any) -> None:
    tile_store(arena, target, 0, line[0])
    tile_store(arena, target + step, 0, line[1])
    tile_store(arena, target + 2 * step, 0, line[2])
    tile_store(arena, target + 3 * step, 0, line[3])
    tile_store(arena, target + 4 * step, 0, line[4])


@jit_fast
def _output_line(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any) -> Any:
    """Multiply five vectors by A^T."""
    both, difference = m1 + m2, m1 - m2
    return (
        m0 + both + m3,
        tile_scaled_add(2.0, m3, difference),
        tile_scaled_add(4.0, m3, both) + m4,
    )


@jit_fast
def transform_output(
    arena: Float32Array,
    products: int,
    step: int,
    weights: Float32Array,
    bias: int,
    slope: int,
    target: int,
    row_stride: int,
    stride: int,
) -> None:
    """Store A^T m A, with bias and activation; element k of the 25 is at ``products`` + k * ``step``."""
    a = _output_column(arena, products, 5 * step)
    b = _output_column(arena, products + step, 5 * step)
    c = _output_column(arena, products + 2 * step, 5 * step)
    d = _output_column(arena, products + 3 * step, 5 * step)
    e = _output_column(arena, products + 4 * step, 5 * step)
    biases = tile_of_rows(1, 1, LANES, weights, bias)
    row = _output_line(a[0], b[0], c[0], d[0], e[0])
    _store_three(arena, target, stride, row, biases, weights, slope)
    row = _output_line(a[1], b[1], c[1], d[1], e[1])
    _store_three(arena, target + row_stride, stride, row, biases, weights, slope)
    row = _output_line(a[2], b[2], c[2], d[2], e[2])
    _store_three(arena, target + 2 * row_stride, stride, row, biases, weights, slope)


@jit_fast
def _output_column(arena: Float32Array, at: int, step: int) -> Any:
    return _output_line(
        tile_load(1, 1, LANES, arena, at, 0),
        tile_load(1, 1, LANES, arena, at + step, 0),
        tile_load(1, 1, LANES, arena, at + 2 * step, 0),
        tile_load(1, 1, LANES, arena, at + 3 * step, 0),
        tile_load(1, 1, LANES, arena, at + 4 * step, 0),
    )


@jit_fast
def _store_three(
    arena: Float32Array,
    target: int,
    stride: int,
    row: Any,
    biases: Any,
    weights: Float32Array,
    slope: int,
) -> None:
    tile_store(arena, target, 0, tile_slope(row[0] + biases, weights, slope))
    tile_store(arena, target + stride, 0, tile_slope(row[1] + biases, weights, slope))
    tile_store(arena, target + 2 * stride, 0, tile_slope(row[2] + biases, weights, slope))
