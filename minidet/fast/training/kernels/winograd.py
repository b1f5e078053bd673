r"""Winograd's way to a 3x3 convolution: four outputs from sixteen products instead of thirty-six.

In one dimension, two outputs of a filter of three from four inputs (Lavin, Gray, "Fast algorithms for
convolutional neural networks", CVPR 2016, section 4.1):

.. math::
    y_0 = m_0 + m_1 + m_2, \qquad y_1 = m_1 - m_2 - m_3, \\
    m_0 = (d_0 - d_2) \, g_0, \quad
    m_1 = (d_1 + d_2) \, \tfrac{g_0 + g_1 + g_2}{2}, \quad
    m_2 = (d_2 - d_1) \, \tfrac{g_0 - g_1 + g_2}{2}, \quad
    m_3 = (d_1 - d_3) \, g_2

Done along both axes, a patch of 4 x 4 pixels makes 2 x 2 outputs. Each of its sixteen elements is multiplied
by its own matrix of weights from channels to channels, which is where the time goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, TILE_ROWS, tile_load, tile_of_rows, tile_of_scalar, tile_store
from minidet.fast.team import Counters, end_step, first_block, join, next_block
from minidet.fast.training.kernels.convolve import multiply_rows
from minidet.fast.training.kernels.pack import column_place
from minidet.fast.training.kernels.windows import BLOCK, WIDE, Windows


@jit_fast
def winograd_plan(
    x: Float32Array, weight: Float32Array, bias: Float32Array, y: Float32Array, s: Windows, counters: Counters
) -> None:
    """Convolve a map with 3x3 filters and stride 1.

    Twin of :func:`minidet.ops.conv2d_forward`; float32 sums.

    Parameters
    ----------
    x : (N * H * W * C,) array
    weight : (16 * C * OC,) array
        As :func:`pack_winograd` makes it.
    bias : (OC,) array
    y : (N * OH * OW * OC,) array
        Written.
    s : Windows
        Size 3, stride 1; C and OC are multiples of the lanes.
    """
    team = join(counters)
    rows, columns = (s.OH + 1) // 2, (s.OW + 1) // 2
    patches = s.N * rows * columns
    blocks = (patches + BLOCK - 1) // BLOCK
    # From one element of a patch to the next an odd number of cache lines: else the sixteen would fight for
    # one place in the cache.
    length = s.C + LANES
    in_step, out_step = BLOCK * length + LANES, BLOCK * s.OC + LANES
    inputs = np.empty(16 * in_step, np.float32)
    outputs = np.empty(16 * out_step, np.float32)
    spill = np.empty(TILE_ROWS * WIDE, np.float32)
    scratch = np.empty(16 * LANES, np.float32)
    no_bias = np.zeros(s.OC, np.float32)
    matrix = s.C * s.OC
    block = first_block(team)
    while block < blocks:
        first = block * BLOCK
        count = min(BLOCK, patches - first)
        for p in range(count):
            n, rest = (first + p) // (rows * columns), (first + p) % (rows * columns)
            top, left = rest // columns * 2 - s.padding, rest % columns * 2 - s.padding
            for c in range(0, s.C, LANES):
                _transform_input(x, s, n, top, left, c, inputs, p * length + c, in_step, scratch)
        for e in range(16):
            begin, at = e * in_step, e * out_step
            matrix_of_e = weight[e * matrix : (e + 1) * matrix]
            multiply_rows(inputs, begin, length, s.C, matrix_of_e, no_bias, s.OC, outputs, at, count, spill)
        for p in range(count):
            n, rest = (first + p) // (rows * columns), (first + p) % (rows * columns)
            oy, ox = rest // columns * 2, rest % columns * 2
            for o in range(0, s.OC, LANES):
                _transform_output(outputs, p * s.OC + o, out_step, bias, o, y, s, n, oy, ox, scratch)
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def _transform_input(
    x: Float32Array,
    s: Windows,
    n: int,
    top: int,
    left: int,
    c: int,
    out: Float32Array,
    at: int,
    stride: int,
    scratch: Float32Array,
) -> None:
    r0 = _patch_row(x, s, n, top, left, c, scratch)
    r1 = _patch_row(x, s, n, top + 1, left, c, scratch)
    r2 = _patch_row(x, s, n, top + 2, left, c, scratch)
    r3 = _patch_row(x, s, n, top + 3, left, c, scratch)
    # Tiles are rows of the patch; by way of memory they become its columns.
    tile_store(scratch, 0, LANES, r0 - r2)
    tile_store(scratch, 4 * LANES, LANES, r1 + r2)
    tile_store(scratch, 8 * LANES, LANES, r2 - r1)
    tile_store(scratch, 12 * LANES, LANES, r1 - r3)
    c0 = tile_load(4, 1, LANES, scratch, 0, 4 * LANES)
    c1 = tile_load(4, 1, LANES, scratch, LANES, 4 * LANES)
    c2 = tile_load(4, 1, LANES, scratch, 2 * LANES, 4 * LANES)
    c3 = tile_load(4, 1, LANES, scratch, 3 * LANES, 4 * LANES)
    tile_store(out, at, 4 * stride, c0 - c2)
    tile_store(out, at + stride, 4 * stride, c1 + c2)
    tile_store(out, at + 2 * stride, 4 * stride, c2 - c1)
    tile_store(out, at + 3 * stride, 4 * stride, c1 - c3)


@jit_fast
def _patch_row(x: Float32Array, s: Windows, n: int, iy: int, left: int, c: int, scratch: Float32Array) -> Any:
    """Load four neighbouring pixels; zeros beyond the image."""
    begin = ((n * s.H + iy) * s.W + left) * s.C + c
    if 0 <= iy < s.H and left >= 0 and left + 4 <= s.W:
        return tile_load(4, 1, LANES, x, begin, s.C)
    for kx in range(4):
        pixel = tile_of_scalar(1, 1, LANES, np.float32(0))
        if 0 <= iy < s.H and 0 <= left + kx < s.W:
            pixel = tile_load(1, 1, LANES, x, begin + kx * s.C, 0)
        tile_store(scratch, kx * LANES, 0, pixel)
    return tile_load(4, 1, LANES, scratch, 0, LANES)


@jit_fast
def _transform_output(
    products: Float32Array,
    begin: int,
    stride: int,
    bias: Float32Array,
    o: int,
    y: Float32Array,
    s: Windows,
    n: int,
    oy: int,
    ox: int,
    scratch: Float32Array,
) -> None:
    r0 = tile_load(4, 1, LANES, products, begin, stride)
    r1 = tile_load(4, 1, LANES, products, begin + 4 * stride, stride)
    r2 = tile_load(4, 1, LANES, products, begin + 8 * stride, stride)
    r3 = tile_load(4, 1, LANES, products, begin + 12 * stride, stride)
    tile_store(scratch, 0, LANES, r0 + r1 + r2)
    tile_store(scratch, 4 * LANES, LANES, r1 - r2 - r3)
    c0 = tile_load(2, 1, LANES, scratch, 0, 4 * LANES)
    c1 = tile_load(2, 1, LANES, scratch, LANES, 4 * LANES)
    c2 = tile_load(2, 1, LANES, scratch, 2 * LANES, 4 * LANES)
    c3 = tile_load(2, 1, LANES, scratch, 3 * LANES, 4 * LANES)
    offset = tile_of_rows(2, 1, LANES, bias, o)
    at, line = ((n * s.OH + oy) * s.OW + ox) * s.OC + o, s.OW * s.OC
    _store_column(y, at, line, oy + 1 < s.OH, c0 + c1 + c2 + offset, scratch)
    if ox + 1 < s.OW:
        _store_column(y, at + s.OC, line, oy + 1 < s.OH, c1 - c2 - c3 + offset, scratch)


@jit_fast
def _store_column(
    y: Float32Array, at: int, line: int, both: bool, column: Any, scratch: Float32Array
) -> None:
    if both:
        tile_store(y, at, line, column)
    else:
        tile_store(scratch, 0, LANES, column)
        tile_store(y, at, 0, tile_load(1, 1, LANES, scratch, 0, 0))


@jit_fast
def pack_winograd(weight: Float32Array, C: int, OC: int, packed: Float32Array) -> None:
    """Transform 3x3 filters (oc, ic, 3, 3), and lay each of the sixteen elements out as ``pack`` does."""
    filters, channels, _, _ = weight.shape
    u = np.empty((4, 3), np.float32)
    half = np.float32(0.5)
    for o in range(OC):
        width, start = column_place(o, OC, C)
        for c in range(C):
            at = start + c * width
            if o >= filters or c >= channels:
                for e in range(16):
                    packed[e * C * OC + at] = 0.0
                continue
            g = weight[o, c]
            for kx in range(3):
                u[0, kx] = g[0, kx]
                u[1, kx] = (g[0, kx] + g[1, kx] + g[2, kx]) * half
                u[2, kx] = (g[0, kx] - g[1, kx] + g[2, kx]) * half
                u[3, kx] = g[2, kx]
            for ky in range(4):
                a, b, d = u[ky, 0], u[ky, 1], u[ky, 2]
                packed[(ky * 4) * C * OC + at] = a
                packed[(ky * 4 + 1) * C * OC + at] = (a + b + d) * half
                packed[(ky * 4 + 2) * C * OC + at] = (a - b + d) * half
                packed[(ky * 4 + 3) * C * OC + at] = d
