"""The second convolution of P-Net: from planes to channels-last, one row."""

from __future__ import annotations

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.kernels.conv_pool_planes import CHANNELS as INPUTS
from minidet.fast.kernels.conv_pool_planes import RING
from minidet.fast.layout import Dense
from minidet.fast.simd import LANES, REGISTERS, tile_fma, tile_of_rows, tile_slope, tile_store

CHANNELS = 16

COLUMNS = CHANNELS // LANES
ROWS = min(16, (REGISTERS - 4) // COLUMNS)


@jit_fast
def conv_planes_row(
    arena: Float32Array,
    source: int,
    plane: int,
    row: int,
    columns: int,
    weights: Float32Array,
    layer: Dense,
    target: int,
) -> None:
    """Compute one row of a 3x3 convolution and PReLU.

    Twin: :func:`minidet.ops.conv2d_forward` of ten channels and :func:`minidet.ops.prelu_forward`.

    The ring of source rows begins at ``source``; each is ten planes of ``plane`` numbers. Weights are in the
    order (ky, input, kx, output). Behind the ``columns`` pixels there are two zero ones, and up to ``ROWS``
    more are overwritten.
    """
    for x in range(0, columns, ROWS):
        tile = tile_of_rows(ROWS, COLUMNS, LANES, weights, layer.bias)
        weight = layer.weight
        for ky in range(3):
            at = source + (row + ky) % RING * INPUTS * plane + x
            for _ in range(INPUTS):
                tile = tile_fma(tile, arena, at, 1, weights, weight)
                tile = tile_fma(tile, arena, at + 1, 1, weights, weight + CHANNELS)
                tile = tile_fma(tile, arena, at + 2, 1, weights, weight + 2 * CHANNELS)
                weight += 3 * CHANNELS
                at += plane
        tile = tile_slope(tile, weights, layer.slope)
        tile_store(arena, target + x * CHANNELS, CHANNELS, tile)
    end = target + columns * CHANNELS
    arena[end : end + 2 * CHANNELS] = 0
