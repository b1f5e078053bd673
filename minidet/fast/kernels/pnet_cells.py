"""The last layers of P-Net: 3x3 convolution, PReLU and both heads, three rows of cells, and which of them to
keep.

The convolution is half of P-Net's work, so it is done by Winograd's algorithm: see
:mod:`minidet.fast.kernels.winograd_valid`.
"""

from __future__ import annotations

import math

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.kernels.conv_planes import CHANNELS as INPUTS
from minidet.fast.kernels.winograd_valid import (
    GROUP,
    SIDE,
    STEP,
    multiply_transformed,
    transform_input,
    transform_output,
    winograd_scratch,
)
from minidet.fast.layout import Dense
from minidet.fast.simd import LANES, TILE_ROWS, tile_fma, tile_of_rows, tile_store

CHANNELS = 32

HEADS = 8
"""Lanes of the heads: two logits, four box deltas, two unused."""

ROWS = STEP
"""Rows of cells that are computed together."""

RING = SIDE
"""Rows of the source that are kept: row y is in slot y % RING."""

FIELDS = 8
"""Numbers per cell found: score of no face, of a face, four box deltas, row, column."""

_WIDTH = STEP * GROUP  # cells in a row of a group of tiles


def cells_scratch(length: int) -> int:
    """Return how many numbers :func:`pnet_cells` needs for itself, for rows of ``length`` pixels."""
    return winograd_scratch(INPUTS, CHANNELS) + ROWS * (_WIDTH * CHANNELS + length * HEADS)


@jit_fast
def pnet_cells(
    arena: Float32Array,
    source: int,
    length: int,
    row: int,
    rows: int,
    columns: int,
    weights: Float32Array,
    layer: Dense,
    heads: Dense,
    threshold: float,
    least: float,
    scratch: int,
    found: Float32Array,
    count: int,
) -> int:
    """Compute up to three rows of cells, append those that may hold a face, and return how many there are by
    then.

    Twin: :func:`minidet.ops.conv2d_forward` of 16 channels, :func:`minidet.ops.prelu_forward`, both heads,
    :func:`minidet.ops.softmax_forward`, and the comparison with the threshold. Scores are within 1e-5.

    Parameters
    ----------
    arena, source, length
        The ring of source rows begins at ``source``; each is ``length`` pixels of 16 channels, at least seven
        more than there are cells in a row. The four behind the last cell count: two of them are zero.
    row, rows, columns
        First row, number of rows, and width of the map of cells.
    weights, layer, heads
        From :func:`minidet.fast.kernels.winograd_valid.pack_winograd_valid`; the heads' weights (input,
        lane).
    threshold : float
        Cells with this score or more are kept.
    least : float
        A bound for the difference of the logits that spares most cells the softmax; minus infinity keeps all
        cells.
    scratch : int
        Place of :func:`cells_scratch` numbers.
    found : (any, FIELDS) array
    count : int
        Cells in ``found`` so far.
    """
    transformed = scratch  # as in winograd_valid
    products = transformed + SIDE * SIDE * GROUP * INPUTS
    features = products + SIDE * SIDE * GROUP * CHANNELS  # (3, _WIDTH, CHANNELS)
    outputs = features + ROWS * _WIDTH * CHANNELS  # (3, length, HEADS)

    last = row + rows + 1  # of the source: what lies beyond is not there, and nobody needs it
    row0 = source + row % RING * length * INPUTS
    row1 = source + (row + 1) % RING * length * INPUTS
    row2 = source + (row + 2) % RING * length * INPUTS
    row3 = source + min(row + 3, last) % RING * length * INPUTS
    row4 = source + min(row + 4, last) % RING * length * INPUTS
    for x in range(0, columns, _WIDTH):
        tiles = min(GROUP, (columns - x + STEP - 1) // STEP)
        for t in range(tiles):
            for channel in range(0, INPUTS, LANES):
                at = (x + t * STEP) * INPUTS + channel
                place = transformed + t * INPUTS + channel
                transform_input(
                    *(arena, row0 + at, row1 + at, row2 + at, row3 + at, row4 + at),
                    *(INPUTS, place, GROUP * INPUTS),
                )
        multiply_transformed(arena, transformed, INPUTS, weights, layer, products)
        for t in range(tiles):
            for channel in range(0, CHANNELS, LANES):
                transform_output(
                    *(arena, products + t * CHANNELS + channel, GROUP * CHANNELS),
                    *(weights, layer.bias + channel, layer.slope + channel),
                    *(features + t * STEP * CHANNELS + channel, _WIDTH * CHANNELS, CHANNELS),
                )
        for y in range(rows):
            for i in range(0, min(_WIDTH, columns - x), TILE_ROWS):
                at = features + (y * _WIDTH + i) * CHANNELS
                cells = tile_of_rows(TILE_ROWS, 1, HEADS, weights, heads.bias)
                for channel in range(CHANNELS):
                    weight = heads.weight + channel * HEADS
                    cells = tile_fma(cells, arena, at + channel, CHANNELS, weights, weight)
                tile_store(arena, outputs + (y * length + x + i) * HEADS, HEADS, cells)

    for y in range(rows):
        for x in range(columns):
            cell = outputs + (y * length + x) * HEADS
            no_face, face = arena[cell], arena[cell + 1]
            if face - no_face < least:
                continue
            # Rounded step by step as in the twin: scores that are equal there should be so here.
            largest = max(no_face, face)
            no_face, face = math.exp(no_face - largest), math.exp(face - largest)
            total = no_face + face
            if least == -np.inf or face / total >= threshold:
                found[count, 0] = no_face / total
                found[count, 1] = face / total
                for k in range(4):
                    found[count, 2 + k] = arena[cell + 2 + k]
                found[count, 6] = row + y
                found[count, 7] = x
                count += 1
    return count
