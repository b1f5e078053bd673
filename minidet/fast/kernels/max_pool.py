"""Max pooling with stride 2 of one small map: between the layers of R-Net and O-Net."""

from __future__ import annotations

from typing import Any

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, tile_load, tile_max, tile_store


@jit_fast
def pooled_size(size: int, kernel_size: int) -> int:
    """Return the side of the pooled map with ceil mode."""
    return (size - kernel_size + 1) // 2 + 1


@jit_fast
def max_pool_row(
    arena: Float32Array,
    source: int,
    side: int,
    source_channels: int,
    kernel_size: int,
    row: int,
    target: int,
    channels: int,
) -> None:
    """Take the largest of each window of 2x2 or 3x3, every second row and column: one row of the result.

    Twin: :func:`minidet.ops.max_pool2d_forward` with stride 2 and ceil mode; equal.

    Both maps are square and contiguous. A pixel of the source has ``source_channels`` numbers, a multiple of
    the lanes, of which the first ``channels`` go to the target. Behind the row up to ``LANES`` - 1 numbers
    are overwritten.
    """
    columns = pooled_size(side, kernel_size)
    # At the edge, and in a small window, the same pixel is looked at more than once.
    stride = side * source_channels
    top = source + 2 * row * stride
    middle = source + min(2 * row + 1, side - 1) * stride
    bottom = source + min(2 * row + kernel_size - 1, side - 1) * stride
    for x in range(columns):
        left = 2 * x * source_channels
        centre = min(2 * x + 1, side - 1) * source_channels
        right = min(2 * x + kernel_size - 1, side - 1) * source_channels
        out = target + (row * columns + x) * channels
        for channel in range(0, channels, LANES):
            best = tile_max(
                _largest(arena, top + left + channel, top + centre + channel, top + right + channel),
                _largest(arena, middle + left + channel, middle + centre + channel, middle + right + channel),
            )
            last = _largest(
                arena, bottom + left + channel, bottom + centre + channel, bottom + right + channel
            )
            # A vector that reaches into the next pixel is overwritten by that one.
            tile_store(arena, out + channel, 0, tile_max(last, best))


@jit_fast
def _largest(arena: Float32Array, a: int, b: int, c: int) -> Any:
    """Return the largest numbers of three vectors."""
    pair = tile_max(tile_load(1, 1, LANES, arena, a, 0), tile_load(1, 1, LANES, arena, b, 0))
    return tile_max(tile_load(1, 1, LANES, arena, c, 0), pair)
