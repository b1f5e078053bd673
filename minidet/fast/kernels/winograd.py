r"""3x3 convolution by Winograd's algorithm (Lavin and Gray 2015, section 4.1): a quarter of the products.

A tile of 4x4 outputs depends on 6x6 inputs d. Computed directly, each output takes 9 multiplications, 144 for
the tile. With three constant matrices

.. math:: Y = A^T \left[ (G g G^T) \odot (B^T d B) \right] A

it takes 36, one for each element of the product :math:`\odot`. Summed over input channels, each of the 36 is
a matrix product of tiles x inputs with inputs x outputs; :math:`G g G^T` is computed once, when the weights
are packed; :math:`B^T` and :math:`A^T` hold small whole numbers and cost few additions::

    source ── B'd B ──▶ 36 x (tiles, inputs) ── @ 36 weights ──▶ 36 x (tiles, outputs) ── A'm A ──▶ target

The price is accuracy: sums of large terms cancel, and the error is about ten times that of a direct
convolution in float32, around 1e-5 of the largest output here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.kernels.matmul import multiply_products
from minidet.fast.layout import Map, WeightPacker, Winograd, in_panels
from minidet.fast.simd import (
    LANES,
    TILE_ROWS,
    tile_load,
    tile_of_rows,
    tile_of_scalar,
    tile_scaled_add,
    tile_slope,
    tile_store,
)
from minidet.fast.team import Team, end_step, first_block, next_block

SIDE = 6
"""Of the input patch of a tile."""

PRODUCTS: Any = np.int64(SIDE * SIDE)
"""Matrix products of a tile; a plain number would be compiled into a kernel of its own."""

GROUP = TILE_ROWS
"""Tiles that go through the matrix products together."""

# G of the paper: one row per point of evaluation 0, 1, -1, 2, -2 and infinity.
_G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)


def pack_winograd(
    packer: WeightPacker,
    weight: NDArray[Any],
    bias: NDArray[Any],
    slope: NDArray[Any],
    *,
    split: int | None = None,
    jump: int = 0,
) -> Winograd:
    """Append the filters (OC, IC, 3, 3) as 36 matrices (IC, OC) in panels, with bias and slopes (OC,).

    Both numbers of channels are multiples of the lanes. For ``split`` and ``jump`` see :class:`Winograd`.
    """
    outputs, inputs = weight.shape[:2]
    transformed = _G @ weight.astype(np.float64) @ _G.T  # (OC, IC, 6, 6)
    matrices = transformed.transpose(2, 3, 1, 0).reshape(-1, inputs, outputs)
    return Winograd(
        packer.add(np.concatenate([in_panels(matrix) for matrix in matrices])),
        packer.add(bias),
        packer.add(slope),
        inputs,
        outputs,
        outputs if split is None else split,
        jump,
    )


def scratch_size(inputs: int, outputs: int) -> int:
    """Return how many numbers :func:`winograd3x3` needs beside the maps."""
    return SIDE * SIDE * (LANES + inputs + GROUP * (inputs + outputs))


@jit_fast
def winograd3x3(
    arena: Float32Array,
    source: Map,
    target: Map,
    weights: Float32Array,
    layer: Winograd,
    scratch: int,
    team: Team,
) -> None:
    """Convolve with 3x3 filters, stride 1, padding 1, then bias and activation.

    Twin: :func:`minidet.ops.conv2d_forward`, then the activation; within 1e-5 of the largest output.

    ``scratch`` is the place of ``scratch_size`` numbers of this thread's own.
    """
    inputs, outputs = layer.inputs, layer.outputs
    line = scratch  # 36 vectors: a patch transformed in one direction
    patch = line + SIDE * SIDE * LANES  # a patch that reaches over the edge, with its zeros
    transformed = patch + SIDE * SIDE * inputs  # (36, GROUP, inputs)
    products = transformed + SIDE * SIDE * GROUP * inputs  # (36, GROUP, outputs)

    columns = -(-target.width // 4)
    tiles = -(-target.height // 4) * columns
    blocks = -(-tiles // GROUP)
    block = first_block(team)
    while block < blocks:
        first = block * GROUP
        count = min(GROUP, tiles - first)
        for t in range(count):
            row, column = (first + t) // columns * 4, (first + t) % columns * 4
            at, row_stride, stride = _patch(arena, source, row - 1, column - 1, inputs, patch)
            _transform_input(arena, at, row_stride, stride, inputs, line, transformed + t * inputs)
        multiply_products(
            arena, transformed, inputs, PRODUCTS, weights, layer.weight, inputs, outputs, products
        )
        for t in range(count):
            row, column = (first + t) // columns * 4, (first + t) % columns * 4
            for channel in range(0, outputs, LANES):
                here = channel + (layer.jump if channel >= layer.split else 0)
                _transform_output(
                    arena, products + t * outputs + channel, outputs, line, weights, layer, channel
                )
                _store(arena, line, target, row, column, here)
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def _patch(
    arena: Float32Array, source: Map, top: int, left: int, channels: int, copy: int
) -> tuple[int, int, int]:
    """Return place, row stride and pixel stride of a 6x6 patch; one that reaches over the edge is copied."""
    row_stride = (source.width + 1) * source.stride
    at = source.at + top * row_stride + left * source.stride
    if top >= 0 and left >= 0 and top + SIDE <= source.height and left + SIDE <= source.width:
        return at, row_stride, source.stride
    zero = tile_of_scalar(1, 1, LANES, np.float32(0))
    for y in range(SIDE):
        for x in range(SIDE):
            inside = 0 <= top + y < source.height and 0 <= left + x < source.width
            here = copy + (y * SIDE + x) * channels
            there = at + y * row_stride + x * source.stride
            for channel in range(0, channels, LANES):
                pixel = tile_load(1, 1, LANES, arena, there + channel, 0) if inside else zero
                tile_store(arena, here + channel, 0, pixel)
    return copy, SIDE * channels, channels


@jit_fast
def _input_line(arena: Float32Array, at: int, step: int) -> Any:
    """Multiply six vectors, which lie ``step`` numbers apart, by the matrix B^T of the paper."""
    d0 = tile_load(1, 1, LANES, arena, at, 0)
    d1 = tile_load(1, 1, LANES, arena, at + step, 0)
    d2 = tile_load(1, 1, LANES, arena, at + 2 * step, 0)
    d3 = tile_load(1, 1, LANES, arena, at + 3 * step, 0)
    d4 = tile_load(1, 1, LANES, arena, at + 4 * step, 0)
    d5 = tile_load(1, 1, LANES, arena, at + 5 * step, 0)
    even = tile_scaled_add(-4.0, d2, d4)
    odd = tile_scaled_add(-4.0, d1, d3)
    difference = d4 - d2
    return (
        tile_scaled_add(4.0, d0, tile_scaled_add(-5.0, d2, d4)),
        even + odd,
        even - odd,
        tile_scaled_add(2.0, d3 - d1, difference),
        tile_scaled_add(-2.0, d3 - d1, difference),
        tile_scaled_add(4.0, d1, tile_scaled_add(-5.0, d3, d5)),
    )


@jit_fast
def _transform_input(
    arena: Float32Array, at: int, row_stride: int, stride: int, channels: int, line: int, target: int
) -> None:
    """Store B^T d B of one patch: element k of the 36 at ``target`` + k * GROUP * channels."""
    for channel in range(0, channels, LANES):
        for x in range(SIDE):
            for y, vector in enumerate(_input_line(arena, at + x * stride + channel, row_stride)):
                tile_store(arena, line + (y * SIDE + x) * LANES, 0, vector)
        for y in range(SIDE):
            for x, vector in enumerate(_input_line(arena, line + y * SIDE * LANES, LANES)):
                tile_store(arena, target + (y * SIDE + x) * GROUP * channels + channel, 0, vector)


@jit_fast
def _output_line(arena: Float32Array, at: int, step: int) -> Any:
    """Multiply six vectors, which lie ``step`` numbers apart, by the matrix A^T of the paper."""
    m0 = tile_load(1, 1, LANES, arena, at, 0)
    m1 = tile_load(1, 1, LANES, arena, at + step, 0)
    m2 = tile_load(1, 1, LANES, arena, at + 2 * step, 0)
    m3 = tile_load(1, 1, LANES, arena, at + 3 * step, 0)
    m4 = tile_load(1, 1, LANES, arena, at + 4 * step, 0)
    m5 = tile_load(1, 1, LANES, arena, at + 5 * step, 0)
    near, far = m1 + m2, m3 + m4
    near_difference, far_difference = m1 - m2, m3 - m4
    return (
        m0 + near + far,
        tile_scaled_add(2.0, far_difference, near_difference),
        tile_scaled_add(4.0, far, near),
        tile_scaled_add(8.0, far_difference, near_difference) + m5,
    )


@jit_fast
def _transform_output(
    arena: Float32Array,
    products: int,
    outputs: int,
    line: int,
    weights: Float32Array,
    layer: Winograd,
    channel: int,
) -> None:
    """Leave the 4x4 outputs of one tile, with bias and activation, in ``line``: element (y, x) at 6 y + x."""
    step = GROUP * outputs
    for x in range(SIDE):
        for y, vector in enumerate(_output_line(arena, products + x * step, SIDE * step)):
            tile_store(arena, line + (y * SIDE + x) * LANES, 0, vector)
    bias = tile_of_rows(1, 1, LANES, weights, layer.bias + channel)
    for y in range(4):
        for x, vector in enumerate(_output_line(arena, line + y * SIDE * LANES, LANES)):
            active = tile_slope(vector + bias, weights, layer.slope + channel)
            tile_store(arena, line + (y * SIDE + x) * LANES, 0, active)


@jit_fast
def _store(arena: Float32Array, line: int, target: Map, row: int, column: int, channel: int) -> None:
    """Copy a tile of outputs to the map, but for what lies beyond its edges."""
    for y in range(min(4, target.height - row)):
        out = target.at + ((row + y) * (target.width + 1) + column) * target.stride + channel
        for x in range(min(4, target.width - column)):
            vector = tile_load(1, 1, LANES, arena, line + (y * SIDE + x) * LANES, 0)
            tile_store(arena, out + x * target.stride, 0, vector)
