"""Weights in the order in which the tiles read them."""

from __future__ import annotations

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES
from minidet.fast.training.kernels.windows import WIDE


@jit_fast
def pack(weight: Float32Array, C: int, OC: int, packed: Float32Array) -> None:
    """Lay out filters (oc, ic, ky, kx) as columns: in each block of columns ky, kx, ic, then the column.

    ``C`` and ``OC`` are the channels of the maps; what goes beyond the filter's is zero.
    """
    filters, channels, KH, KW = weight.shape
    K = KH * KW * C
    for o in range(OC):
        width, at = column_place(o, OC, K)
        for ky in range(KH):
            for kx in range(KW):
                for c in range(C):
                    inside = o < filters and c < channels
                    packed[at] = weight[o, c, ky, kx] if inside else 0.0
                    at += width


@jit_fast
def pack_backward(weight: Float32Array, C: int, OC: int, packed: Float32Array) -> None:
    """Lay out the filters of the way back: flipped, and from the output's channels to the input's."""
    filters, channels, KH, KW = weight.shape
    K = KH * KW * OC
    for c in range(C):
        width, at = column_place(c, C, K)
        for ky in range(KH):
            for kx in range(KW):
                for o in range(OC):
                    inside = o < filters and c < channels
                    packed[at] = weight[o, c, KH - 1 - ky, KW - 1 - kx] if inside else 0.0
                    at += width


@jit_fast
def pack_scatter(weight: Float32Array, C: int, OC: int, side: int, packed: Float32Array) -> None:
    """Lay out one column for each element of a window: ky, then ``side`` columns that begin with kx, ic.

    Column by column from the output's channels to the window: what one output pixel gives to its window.
    """
    filters, channels, KH, KW = weight.shape
    columns = KH * side
    for column in range(columns):
        ky, rest = column // side, column % side
        kx, c = rest // C, rest % C
        width, at = column_place(column, columns, OC)
        for o in range(OC):
            inside = o < filters and c < channels and kx < KW
            packed[at] = weight[o, c, ky, kx] if inside else 0.0
            at += width


@jit_fast
def column_place(o: int, columns: int, K: int) -> tuple[int, int]:
    """Return the width of the block that column ``o`` is in, and where the column begins."""
    start = o - o % WIDE
    width = WIDE if start + WIDE <= columns else LANES
    start = o - o % width
    return width, start * K + o % width
