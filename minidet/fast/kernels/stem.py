"""The first convolution of RetinaFace: 3x3 with stride 2, straight from pixels or from a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast, jit_inline
from minidet._typing import Float32Array
from minidet.fast.layout import Dense, Map
from minidet.fast.simd import tile_fma, tile_of_rows, tile_slope, tile_store
from minidet.fast.team import Team, end_step, first_block, next_block

LANES = 8
"""The layer has eight output channels. A narrower register holds them in two."""

PIXELS = 8
"""Of a register tile: their sums are so many independent chains of multiply-adds."""

ROWS_PER_BLOCK = 4


def scratch_size(width: int) -> int:
    """Return how many numbers the kernels need beside the maps, for an image of that width."""
    return (2 * ROWS_PER_BLOCK + 2) * 3 * _plane_size(width)  # the lines of a block, and one as it was read


@jit_fast
def _plane_size(width: int) -> int:
    """Return the length of one channel of a line of scratch: a zero before the pixels, and two behind."""
    return width + 3


@jit_fast
def stem_of_pixels(
    image: NDArray[np.uint8],
    mean: Float32Array,
    arena: Float32Array,
    target: Map,
    weights: Float32Array,
    layer: Dense,
    scratch: int,
    team: Team,
) -> None:
    """Convolve an image (H, W, 3), RGB; on the way its channels are reversed and lose their mean.

    Twin: :func:`minidet.image.retinaface_input`, then :func:`minidet.ops.conv2d_forward` with stride 2 and
    padding 1, then the activation.
    """
    height, width, _ = image.shape
    as_read = scratch + (2 * ROWS_PER_BLOCK + 1) * 3 * _plane_size(width)
    line_as_read = arena[as_read : as_read + 3 * width]
    blocks = -(-target.height // ROWS_PER_BLOCK)
    block = first_block(team)
    while block < blocks:
        first = block * ROWS_PER_BLOCK
        rows = min(ROWS_PER_BLOCK, target.height - first)
        for line in range(2 * rows + 1):
            y = 2 * first + line - 1
            inside = 0 <= y < height
            # First to floats, then apart into channels: a compiler makes vector code of each alone.
            if inside:
                pixels = image[y].reshape(3 * width)
                for i in range(3 * width):
                    line_as_read[i] = pixels[i]
            for c in range(3):
                start = scratch + (3 * line + c) * _plane_size(width)
                _clear(arena, start, width, not inside)
                if inside:
                    channel, channel_mean = arena[start + 1 : start + 1 + width], mean[c]
                    for x in range(width):
                        channel[x] = line_as_read[3 * x + 2 - c] - channel_mean
        _convolve(arena, scratch, width, target, first, rows, weights, layer)
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def stem_of_tensor(
    x: Float32Array,
    arena: Float32Array,
    target: Map,
    weights: Float32Array,
    layer: Dense,
    scratch: int,
    team: Team,
) -> None:
    """Convolve a tensor (3, H, W).

    Twin: :func:`minidet.ops.conv2d_forward` with stride 2 and padding 1, then the activation.
    """
    _, height, width = x.shape
    blocks = -(-target.height // ROWS_PER_BLOCK)
    block = first_block(team)
    while block < blocks:
        first = block * ROWS_PER_BLOCK
        rows = min(ROWS_PER_BLOCK, target.height - first)
        for line in range(2 * rows + 1):
            y = 2 * first + line - 1
            for c in range(3):
                start = scratch + (3 * line + c) * _plane_size(width)
                inside = 0 <= y < height
                _clear(arena, start, width, not inside)
                if inside:
                    channel, pixels = arena[start + 1 : start + 1 + width], x[c, y]
                    for ix in range(width):
                        channel[ix] = pixels[ix]
        _convolve(arena, scratch, width, target, first, rows, weights, layer)
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def _clear(arena: Float32Array, start: int, width: int, whole: bool) -> None:
    """Put zeros where one channel of a line of scratch is beyond the edges of the image."""
    if whole:
        arena[start : start + _plane_size(width)] = 0
    arena[start] = arena[start + 1 + width] = arena[start + 2 + width] = 0


@jit_fast
def _convolve(
    arena: Float32Array,
    scratch: int,
    width: int,
    target: Map,
    first: int,
    rows: int,
    weights: Float32Array,
    layer: Dense,
) -> None:
    """Compute ``rows`` output rows from the lines in scratch."""
    plane = _plane_size(width)
    for row in range(rows):
        top = scratch + 2 * row * 3 * plane
        out = target.at + (first + row) * (target.width + 1) * target.stride
        x = 0
        while x + PIXELS <= target.width:
            _pixels(arena, top + 2 * x, plane, weights, layer, out + x * target.stride, target.stride)
            x += PIXELS
            if x < target.width < x + PIXELS:
                x = target.width - PIXELS  # the last tile covers some pixels a second time
        while x < target.width:
            _pixel(arena, top + 2 * x, plane, weights, layer, out + x * target.stride, target.stride)
            x += 1
        arena[out + target.width * target.stride : out + (target.width + 1) * target.stride] = 0
    if first == 0:
        arena[target.at - target.stride : target.at] = 0


def _make_tile(pixels: int) -> Any:
    """Return the kernel that computes so many neighbouring output pixels."""

    @jit_inline
    def tile_kernel(
        arena: Float32Array,
        corner: int,
        plane: int,
        weights: Float32Array,
        layer: Dense,
        out: int,
        out_stride: int,
    ) -> None:
        tile = tile_of_rows(pixels, 1, LANES, weights, layer.bias)
        for line in range(9):  # three rows of three channels
            for kx in range(3):
                weight = layer.weight + (3 * line + kx) * LANES
                tile = tile_fma(tile, arena, corner + line * plane + kx, 2, weights, weight)
        tile = tile_slope(tile, weights, layer.slope)
        tile_store(arena, out, out_stride, tile)

    return tile_kernel


_pixels = _make_tile(PIXELS)
_pixel = _make_tile(1)
