"""A depthwise 3x3 convolution and the 1x1 convolution behind it, as one kernel: MobileNet's brick."""

from __future__ import annotations

from typing import Any

from minidet._jit import jit_fast, jit_inline
from minidet._typing import Float32Array
from minidet.fast.kernels.matmul import multiply_rows
from minidet.fast.layout import Dense, Depthwise, Map
from minidet.fast.simd import LANES, tile_fma_window, tile_of_rows, tile_slope, tile_store
from minidet.fast.team import Team, end_step, first_block, next_block

NARROW = min(8, LANES)
"""Lanes for a layer of eight channels, the first of MobileNet x 0.25."""

PIXELS = 8
"""Pixels of a depthwise tile: their sums are so many independent chains of multiply-adds."""

SCRATCH = 16 * 1024
"""Numbers of depthwise output that a block may hold: 64 KB, which stays in the second-level cache."""


@jit_fast
def separable(
    arena: Float32Array,
    source: Map,
    target: Map,
    stride: int,
    weights: Float32Array,
    depthwise: Depthwise,
    layer: Dense,
    scratch: int,
    team: Team,
) -> None:
    """Look around in each channel, then mix the channels; what lies between never leaves the cache.

    Twin: :func:`minidet.ops.depthwise_conv2d_forward` with padding 1 and stride 1 or 2, its activation,
    :func:`minidet.ops.conv2d_forward` with a 1x1 filter, and its activation. Writes the zeros beyond the
    edges of ``target``. ``scratch`` is the place of ``scratch_size`` numbers of this thread's own.
    """
    channels = depthwise.channels
    row_size = (target.width + 1) * channels
    rows_per_block = max(1, SCRATCH // row_size)
    blocks = -(-target.height // rows_per_block)
    block = first_block(team)
    while block < blocks:
        first = block * rows_per_block
        rows = min(rows_per_block, target.height - first)
        for row in range(rows):
            out = scratch + row * row_size
            if channels < LANES:
                _narrow_row(arena, source, target.width, first + row, weights, depthwise, out)
            elif stride == 1:
                _row(arena, source, target.width, first + row, weights, depthwise, out)
            else:
                _row_stride2(arena, source, target.width, first + row, weights, depthwise, out)
            arena[out + target.width * channels : out + row_size] = 0
        at = target.at + first * (target.width + 1) * target.stride
        pixels = rows * (target.width + 1) - 1
        multiply_rows(arena, scratch, channels, pixels, weights, layer, at, target.stride)
        for row in range(rows):  # between the rows the product is that of the zero pixel: the bias
            end = at + (row * (target.width + 1) + target.width) * target.stride
            arena[end : end + target.stride] = 0
        if first == 0:
            arena[target.at - target.stride : target.at] = 0
        block = next_block(team)
    end_step(team, blocks)


def scratch_size(width: int, channels: int) -> int:
    """Return how many numbers :func:`separable` needs beside the maps, for an output of that width."""
    return max(SCRATCH, (width + 1) * channels)


def _make_row(lanes: int, stride: int) -> Any:
    """Return the kernel that computes one row of depthwise output, for a stride and a width of registers."""
    pixels_kernel = _make_tile(PIXELS, lanes, stride)
    pixel_kernel = _make_tile(1, lanes, stride)

    @jit_fast
    def row_kernel(
        arena: Float32Array,
        source: Map,
        width: int,
        oy: int,
        weights: Float32Array,
        layer: Depthwise,
        out: int,
    ) -> None:
        line = (source.width + 1) * source.stride
        first = max(0, 1 - oy * stride)  # lines of the filter that are inside
        last = min(3, source.height + 1 - oy * stride)
        corner = source.at + (oy * stride - 1) * line - source.stride
        step = stride * source.stride
        for channel in range(0, layer.channels, lanes):
            at, to = corner + channel, out + channel
            x = 0
            while x + PIXELS <= width:
                place = to + x * layer.channels
                pixels_kernel(
                    arena, at + x * step, line, source.stride, first, last, weights, layer, channel, place
                )
                x += PIXELS
                if x < width < x + PIXELS:
                    x = width - PIXELS  # the last tile covers some pixels a second time
            while x < width:
                place = to + x * layer.channels
                pixel_kernel(
                    arena, at + x * step, line, source.stride, first, last, weights, layer, channel, place
                )
                x += 1

    return row_kernel


def _make_tile(pixels: int, lanes: int, stride: int) -> Any:
    """Return the kernel that computes so many neighbouring output pixels of ``lanes`` channels."""

    @jit_inline
    def tile_kernel(
        arena: Float32Array,
        corner: int,
        line: int,
        pixel_stride: int,
        first: int,
        last: int,
        weights: Float32Array,
        layer: Depthwise,
        channel: int,
        out: int,
    ) -> None:
        tile = tile_of_rows(pixels, 1, lanes, weights, layer.bias + channel)
        for ky in range(first, last):
            taps = layer.weight + 3 * ky * layer.channels + channel
            tile = tile_fma_window(
                tile, 3, stride, arena, corner + ky * line, pixel_stride, weights, taps, layer.channels
            )
        tile = tile_slope(tile, weights, layer.slope + channel)
        tile_store(arena, out, layer.channels, tile)

    return tile_kernel


_narrow_row = _make_row(NARROW, 1)
_row = _make_row(LANES, 1)
_row_stride2 = _make_row(LANES, 2)
