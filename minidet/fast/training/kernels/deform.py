"""Deformable convolution: windows whose taps lie anywhere, between four pixels each.

The place of a tap is found once; then the four pixels around it are blended, many channels at a time::

    A ── B       value = top (left A + right B) + bottom (left C + right D)
    │ ·  │
    C ── D       top + bottom = 1 and left + right = 1, but for what lies outside of the image
"""

from __future__ import annotations

import math

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, TILE_ROWS, tile_load, tile_of_scalar, tile_scaled_add, tile_store
from minidet.fast.team import Counters, end_step, first_block, join, next_block
from minidet.fast.training.kernels.convolve import multiply_rows
from minidet.fast.training.kernels.windows import BLOCK, WIDE, Windows


@jit_fast
def deform_plan(
    x: Float32Array,
    offset: Float32Array,
    mask: Float32Array,
    weight: Float32Array,
    bias: Float32Array,
    y: Float32Array,
    s: Windows,
    counters: Counters,
) -> None:
    """Convolve a map where the offsets say.

    Twin of :func:`minidet.ops.deform_conv2d_forward` for one group of channels; float32 sums.

    Parameters
    ----------
    x : (N * H * W * C,) array
    offset : (N * OH * OW * size * size * 2,) array
        dy, dx of every tap of every window. Finite.
    mask : (N * OH * OW * size * size,) array
    weight : (OC * size * size * C,) array
        As :func:`minidet.fast.training.kernels.pack.pack` makes it.
    bias : (OC,) array
    y : (N * OH * OW * OC,) array
        Written.
    s : Windows
        C and OC are multiples of the lanes.
    """
    team = join(counters)
    K = s.size * s.size * s.C
    pixels = s.N * s.OH * s.OW
    blocks = (pixels + BLOCK - 1) // BLOCK
    rows = np.zeros(BLOCK * K, np.float32)
    spill = np.empty(TILE_ROWS * WIDE, np.float32)
    block = first_block(team)
    while block < blocks:
        first = block * BLOCK
        count = min(BLOCK, pixels - first)
        _sample_windows(x, offset, mask, s, first, count, rows, 0)
        multiply_rows(rows, 0, K, K, weight, bias, s.OC, y, first * s.OC, count, spill)
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def sample_plan(
    x: Float32Array,
    offset: Float32Array,
    mask: Float32Array,
    samples: Float32Array,
    s: Windows,
    counters: Counters,
) -> None:
    """Write what all windows see, for the gradient of the filters.

    Parameters
    ----------
    x, offset, mask, s
        As for :func:`deform_plan`.
    samples : (N * OH * OW * size * size * C,) array
        Written.
    """
    team = join(counters)
    K = s.size * s.size * s.C
    pixels = s.N * s.OH * s.OW
    blocks = (pixels + BLOCK - 1) // BLOCK
    block = first_block(team)
    while block < blocks:
        first = block * BLOCK
        _sample_windows(x, offset, mask, s, first, min(BLOCK, pixels - first), samples, first * K)
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def share_out_plan(
    x: Float32Array,
    offset: Float32Array,
    mask: Float32Array,
    grad_samples: Float32Array,
    grad_x: Float32Array,
    grad_offset: Float32Array,
    grad_mask: Float32Array,
    s: Windows,
    counters: Counters,
) -> None:
    """Go back through :func:`sample_plan`.

    Twin of a part of :func:`minidet.ops.deform_conv2d_backward`; float32 sums. A thread has an image of its
    own, since taps of different windows may fall on the same pixel.

    Parameters
    ----------
    x, offset, mask, s
        As for :func:`deform_plan`.
    grad_samples : (N * OH * OW * size * size * C,) array
    grad_x, grad_offset, grad_mask : arrays like ``x``, ``offset``, ``mask``
        Written.
    """
    team = join(counters)
    taps, pixels, plane = s.size * s.size, s.OH * s.OW, s.H * s.W * s.C
    lanes = np.empty(LANES, np.float32)
    n = first_block(team)
    while n < s.N:
        grad_x[n * plane : (n + 1) * plane] = 0.0
        for pixel in range(n * pixels, (n + 1) * pixels):
            for tap in range(pixel * taps, (pixel + 1) * taps):
                iy, ix = _place(offset, s, pixel, tap)
                if not _is_near(iy, ix, s):
                    grad_mask[tap] = grad_offset[2 * tap] = grad_offset[2 * tap + 1] = 0.0
                    continue
                y0, y1, top, bottom, by_top, by_bottom = _between(iy, s.H)
                x0, x1, left, right, by_left, by_right = _between(ix, s.W)
                at = tap * s.C
                line0, line1 = (n * s.H + y0) * s.W, (n * s.H + y1) * s.W
                m = mask[tap]
                a = _meet(grad_samples, at, x, grad_x, (line0 + x0) * s.C, m * top * left, s.C, lanes)
                b = _meet(grad_samples, at, x, grad_x, (line0 + x1) * s.C, m * top * right, s.C, lanes)
                c = _meet(grad_samples, at, x, grad_x, (line1 + x0) * s.C, m * bottom * left, s.C, lanes)
                d = _meet(grad_samples, at, x, grad_x, (line1 + x1) * s.C, m * bottom * right, s.C, lanes)
                above, below = left * a + right * b, left * c + right * d
                grad_mask[tap] = top * above + bottom * below
                grad_offset[2 * tap] = m * (by_top * above + by_bottom * below)
                before, behind = top * a + bottom * c, top * b + bottom * d
                grad_offset[2 * tap + 1] = m * (by_left * before + by_right * behind)
        n = next_block(team)
    end_step(team, s.N)


@jit_fast
def _meet(
    grad_samples: Float32Array,
    at: int,
    x: Float32Array,
    grad_x: Float32Array,
    pixel: int,
    share: np.float32,
    C: int,
    lanes: Float32Array,
) -> np.float32:
    """Give a pixel its share of a tap's gradient; return pixel times gradient, added up over the channels."""
    total = tile_of_scalar(1, 1, LANES, np.float32(0))
    for i in range(0, C, LANES):
        grad = tile_load(1, 1, LANES, grad_samples, at + i, 0)
        total = total + grad * tile_load(1, 1, LANES, x, pixel + i, 0)
        old = tile_load(1, 1, LANES, grad_x, pixel + i, 0)
        tile_store(grad_x, pixel + i, 0, tile_scaled_add(share, grad, old))
    tile_store(lanes, 0, 0, total)
    added = np.float32(0)
    for lane in range(LANES):
        added += lanes[lane]
    return added


@jit_fast
def _sample_windows(
    x: Float32Array,
    offset: Float32Array,
    mask: Float32Array,
    s: Windows,
    first: int,
    count: int,
    rows: Float32Array,
    begin: int,
) -> None:
    """Write ``count`` windows from ``first`` on to ``rows[begin]``: ky slowest, then kx, then channels."""
    taps = s.size * s.size
    zeros = tile_of_scalar(1, 1, LANES, np.float32(0))
    at = begin
    for pixel in range(first, first + count):
        n = pixel // (s.OH * s.OW)
        for tap in range(pixel * taps, (pixel + 1) * taps):
            iy, ix = _place(offset, s, pixel, tap)
            if _is_near(iy, ix, s):
                y0, y1, top, bottom, _, _ = _between(iy, s.H)
                x0, x1, left, right, _, _ = _between(ix, s.W)
                line0, line1 = (n * s.H + y0) * s.W, (n * s.H + y1) * s.W
                a, b, c, d = (line0 + x0) * s.C, (line0 + x1) * s.C, (line1 + x0) * s.C, (line1 + x1) * s.C
                m = mask[tap]
                of_a, of_b, of_c, of_d = (
                    m * top * left,
                    m * top * right,
                    m * bottom * left,
                    m * bottom * right,
                )
                for i in range(0, s.C, LANES):
                    value = tile_scaled_add(of_a, tile_load(1, 1, LANES, x, a + i, 0), zeros)
                    value = tile_scaled_add(of_b, tile_load(1, 1, LANES, x, b + i, 0), value)
                    value = tile_scaled_add(of_c, tile_load(1, 1, LANES, x, c + i, 0), value)
                    value = tile_scaled_add(of_d, tile_load(1, 1, LANES, x, d + i, 0), value)
                    tile_store(rows, at + i, 0, value)
            else:
                for i in range(0, s.C, LANES):
                    tile_store(rows, at + i, 0, zeros)
            at += s.C


@jit_fast
def _place(offset: Float32Array, s: Windows, pixel: int, tap: int) -> tuple[float, float]:
    """Return the row and the column that a tap looks at; taps of all windows are counted in one."""
    oy, ox = pixel // s.OW % s.OH, pixel % s.OW
    ky, kx = tap // s.size % s.size, tap % s.size
    iy = oy * s.stride - s.padding + ky + np.float64(offset[2 * tap])
    ix = ox * s.stride - s.padding + kx + np.float64(offset[2 * tap + 1])
    return iy, ix


@jit_fast
def _is_near(iy: float, ix: float, s: Windows) -> bool:
    """Tell whether a place lies in the image or less than a pixel beside it; all others are zero."""
    return -1 <= iy < s.H and -1 <= ix < s.W


@jit_fast
def _between(place: float, side: int) -> tuple[int, int, np.float32, np.float32, np.float32, np.float32]:
    """Return the rows before and behind a place, their shares, and how these grow with the place.

    A row outside of the image has none, and another row's number, which can be read.
    """
    before = math.floor(place)
    way = np.float32(place - before)
    one, none = np.float32(1), np.float32(0)
    share, by_share = (one - way, -one) if before >= 0 else (none, none)
    next_share, by_next_share = (way, one) if before + 1 < side else (none, none)
    return max(before, 0), min(before + 1, side - 1), share, next_share, by_share, by_next_share
