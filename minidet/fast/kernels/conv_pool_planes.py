"""The first layers of P-Net in one: 3x3 convolution, PReLU and 2x2 max pooling, one row of the pooled map.

Ten output channels would leave a third of the lanes of most registers idle. So here the lanes are
neighbouring pixels and the rows of a tile are channels. Maps are planar, one plane per channel, and the image
has its even and its odd columns apart, so that the four outputs that are pooled into one lie in the same lane
of four tiles.
"""

from __future__ import annotations

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.layout import Dense
from minidet.fast.simd import (
    LANES,
    REGISTERS,
    tile_fma,
    tile_max,
    tile_of_columns,
    tile_of_rows,
    tile_slope_of_rows,
    tile_store,
)

CHANNELS = 10

AT_ONCE = 5 if REGISTERS >= 32 else 2
"""Channels of a tile: four tiles are held at the same time."""

RING = 4
"""Rows of the image that are kept: row y is in slot y % RING."""


@jit_fast
def conv_pool_row(
    arena: Float32Array,
    image: int,
    plane: int,
    row: int,
    rows: int,
    columns: int,
    weights: Float32Array,
    layer: Dense,
    target: int,
    target_plane: int,
) -> None:
    """Compute one row of the pooled map.

    Twin: :func:`minidet.ops.conv2d_forward` of three channels, :func:`minidet.ops.prelu_forward` and
    :func:`minidet.ops.max_pool2d_forward` with ceil mode.

    Parameters
    ----------
    arena, image, plane
        The ring of image rows begins at ``image``; each is six planes of ``plane`` numbers: even columns of
        the three channels, then odd ones.
    row : int
        Of the pooled map.
    rows, columns : int
        Of the convolution's output.
    weights, layer
        Weights in the order (channel, ky, kx, output).
    target, target_plane
        Ten planes, ``target_plane`` numbers apart. Behind each row up to ``LANES`` - 1 numbers are
        overwritten.
    """
    pooled = (columns + 1) // 2
    two_rows = 2 * row + 1 < rows
    for first in range(0, CHANNELS, AT_ONCE):
        for x in range(0, pooled, LANES):
            a = tile_of_columns(AT_ONCE, 1, LANES, weights, layer.bias + first)
            b, c, d = a, a, a
            for ky in range(3):
                upper = image + (2 * row + ky) % RING * 6 * plane + x
                lower = image + (2 * row + ky + 1) % RING * 6 * plane + x
                for channel in range(3):
                    weight = layer.weight + (channel * 9 + ky * 3) * CHANNELS + first
                    even, odd = channel * plane, (3 + channel) * plane
                    # Output column 2 x + dx meets input column 2 x + dx + kx.
                    a = tile_fma(a, weights, weight, 1, arena, upper + even)
                    b = tile_fma(b, weights, weight, 1, arena, upper + odd)
                    c = tile_fma(c, weights, weight, 1, arena, lower + even)
                    d = tile_fma(d, weights, weight, 1, arena, lower + odd)
                    weight += CHANNELS
                    a = tile_fma(a, weights, weight, 1, arena, upper + odd)
                    b = tile_fma(b, weights, weight, 1, arena, upper + even + 1)
                    c = tile_fma(c, weights, weight, 1, arena, lower + odd)
                    d = tile_fma(d, weights, weight, 1, arena, lower + even + 1)
                    weight += CHANNELS
                    a = tile_fma(a, weights, weight, 1, arena, upper + even + 1)
                    b = tile_fma(b, weights, weight, 1, arena, upper + odd + 1)
                    c = tile_fma(c, weights, weight, 1, arena, lower + even + 1)
                    d = tile_fma(d, weights, weight, 1, arena, lower + odd + 1)
            a = tile_slope_of_rows(a, weights, layer.slope + first)
            b = tile_slope_of_rows(b, weights, layer.slope + first)
            c = tile_slope_of_rows(c, weights, layer.slope + first)
            d = tile_slope_of_rows(d, weights, layer.slope + first)
            if 2 * x + 2 * LANES > columns and columns % 2 == 1:
                # The last output has no right neighbour.
                mask = np.empty(LANES, np.float32)
                for lane in range(LANES):
                    mask[lane] = -np.inf if 2 * (x + lane) + 1 >= columns else 0
                blocked = tile_of_rows(AT_ONCE, 1, LANES, mask, 0)
                b, d = b + blocked, d + blocked
            best = tile_max(b, a)
            if two_rows:
                best = tile_max(tile_max(d, c), best)
            tile_store(arena, target + first * target_plane + x, target_plane, best)
