"""1x1 convolution with bias and activation, of a whole map."""

from __future__ import annotations

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.kernels.matmul import multiply_rows
from minidet.fast.layout import Dense, Map
from minidet.fast.simd import LANES, tile_load, tile_store
from minidet.fast.team import Team, end_step, first_block, next_block

PIXELS_PER_BLOCK = 192
"""Enough to make claiming a block cheap, few enough to divide a small map among threads."""


@jit_fast
def pointwise(
    arena: Float32Array, source: Map, target: Map, weights: Float32Array, layer: Dense, team: Team
) -> None:
    """Multiply every pixel's channels by the weights.

    Twin: :func:`minidet.ops.conv2d_forward` with a 1x1 filter, then the activation. Both maps have the same
    height and width. The pixel behind each row is computed too, which lets all rows be one, and holds
    nonsense.
    """
    pixels = source.height * (source.width + 1) - 1
    blocks = -(-pixels // PIXELS_PER_BLOCK)
    block = first_block(team)
    while block < blocks:
        first = block * PIXELS_PER_BLOCK
        multiply_rows(
            arena,
            source.at + first * source.stride,
            source.stride,
            min(PIXELS_PER_BLOCK, pixels - first),
            weights,
            layer,
            target.at + first * target.stride,
            target.stride,
        )
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def pointwise_add_upsampled(
    arena: Float32Array,
    source: Map,
    coarse: Map,
    target: Map,
    weights: Float32Array,
    layer: Dense,
    team: Team,
) -> None:
    """Multiply every pixel's channels by the weights, then add the pixel of a coarser map that covers it.

    Twin: :func:`minidet.ops.conv2d_forward` with a 1x1 filter, its activation, and
    :func:`minidet.ops.upsample_nearest2d_forward` of ``coarse`` added.
    """
    blocks = source.height
    row = first_block(team)
    while row < blocks:
        pixel = row * (source.width + 1)
        at = target.at + pixel * target.stride
        multiply_rows(
            arena,
            source.at + pixel * source.stride,
            source.stride,
            source.width,
            weights,
            layer,
            at,
            target.stride,
        )
        coarse_row = coarse.at + row * coarse.height // source.height * (coarse.width + 1) * coarse.stride
        for x in range(source.width):
            here = at + x * target.stride
            there = coarse_row + x * coarse.width // source.width * coarse.stride
            for channel in range(0, layer.outputs, LANES):
                total = tile_load(1, 1, LANES, arena, here + channel, 0) + tile_load(
                    1, 1, LANES, arena, there + channel, 0
                )
                tile_store(arena, here + channel, 0, total)
        row = next_block(team)
    end_step(team, blocks)
