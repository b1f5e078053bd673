"""P-Net, compiled: twin of :class:`minidet.models.mtcnn.PNet`, of one tensor or of a whole pyramid at once.

All levels of a pyramid are one step. They are divided into bands of rows; a thread claims a band and takes it
through all layers alone, row by row. Each layer keeps the last few rows of its output, just those that the
next one needs::

    image ─ resize ─▶ 4 rows ─ conv1, pool ─▶ 4 rows ─ conv2 ─▶ 5 rows ─ conv3, heads ─▶ cells with a face

so everything on the way stays in the processor's cache, and memory does not grow with the image.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array, FloatArray, IntArray
from minidet.errors import InputError
from minidet.fast.arguments import NO_IMAGE, as_tensor, bias_of, frozen
from minidet.fast.kernels.conv_planes import CHANNELS as CHANNELS2
from minidet.fast.kernels.conv_planes import conv_planes_row
from minidet.fast.kernels.conv_pool_planes import CHANNELS as CHANNELS1
from minidet.fast.kernels.conv_pool_planes import RING, conv_pool_row
from minidet.fast.kernels.pnet_cells import CHANNELS as CHANNELS3
from minidet.fast.kernels.pnet_cells import FIELDS, HEADS, cells_scratch, pnet_cells
from minidet.fast.kernels.pnet_cells import RING as CELLS_RING
from minidet.fast.kernels.pnet_cells import ROWS as CELLS_ROWS
from minidet.fast.kernels.resize_area import RowLayout, Window, area_edges, resize_area_row, sums_size
from minidet.fast.kernels.winograd_valid import pack_winograd_valid
from minidet.fast.layout import Dense, WeightPacker
from minidet.fast.team import Counters, end_step, first_block, get_num_threads, join, next_block, run_plan
from minidet.fast.workspace import aligned, workspaces
from minidet.models.mtcnn import PNet
from minidet.nn import Conv2d, PReLU

BAND_ROWS = 8 * CELLS_ROWS
"""Rows of cells in a band: its first four rows repeat work of the band above."""

WINDOW_ROWS = 5
"""Rows of the pooled map that one row of cells depends on."""


class Layers(NamedTuple):
    """Where the weights of each layer lie; names as in the network."""

    conv1: Dense
    conv2: Dense
    conv3: Dense
    heads: Dense


class Bands(NamedTuple):
    """How a pyramid is divided.

    Attributes
    ----------
    table : (bands, 5) int64 array
        Height and width of the level, first row of cells, one past the last, place of the band's cells in the
        list of all cells.
    levels : (bands,) integer array
    cells : int
        Of all levels.
    widest : int
        Width of the widest level.
    """

    table: NDArray[np.int64]
    levels: IntArray
    cells: int
    widest: int


class Cells(NamedTuple):
    """Cells of P-Net's maps that may hold a face, in the order of levels, rows and columns.

    Attributes
    ----------
    levels, rows, columns : (cells,) integer arrays
    scores : (cells,) float32 array
    box_deltas : (cells, 4) float32 array
    """

    levels: IntArray
    rows: IntArray
    columns: IntArray
    scores: Float32Array
    box_deltas: Float32Array


@jit_fast
def _plan(
    image: NDArray[Any],
    tensor: Float32Array,
    bands: NDArray[np.int64],
    arena: Float32Array,
    scratch_size: int,
    weights: Float32Array,
    layers: Layers,
    threshold: float,
    least: float,
    found: Float32Array,
    counts: NDArray[np.int64],
    counters: Counters,
) -> None:
    team = join(counters)
    scratch = team.member * scratch_size
    block = first_block(team)
    while block < len(bands):
        counts[block] = _band(
            *(image, tensor, bands[block], arena, scratch, scratch_size),
            *(weights, layers, threshold, least, found),
        )
        block = next_block(team)
    end_step(team, len(bands))


@jit_fast
def _band(
    image: NDArray[Any],
    tensor: Float32Array,
    band: NDArray[np.int64],
    arena: Float32Array,
    scratch: int,
    scratch_size: int,
    weights: Float32Array,
    layers: Layers,
    threshold: float,
    least: float,
    found: Float32Array,
) -> int:
    """Take a band of cells through all layers and return how many may hold a face.

    The level is ``image`` resized, or ``tensor`` (3, H, W) if that is not empty.
    """
    height, width, first, last, place = band[0], band[1], band[2], band[3], band[4]
    columns1, columns2 = width - 2, (width - 1) // 2 - 2  # of the first two convolutions
    plane = plane_size(width)
    image1 = scratch
    pooled1 = image1 + RING * 6 * plane
    map2 = pooled1 + RING * CHANNELS1 * plane
    cells = map2 + CELLS_RING * CHANNELS2 * plane
    sums = arena[scratch + scratch_size - sums_size(image.shape[1]) : scratch + scratch_size]
    whole = Window(0, 0, image.shape[1], image.shape[0])
    edges = area_edges(image.shape[1], width)
    layout = RowLayout(1, 3 * plane, plane)

    count = 0
    line, row = 2 * first, first  # next row of the level, next row of the pooled map
    for y in range(first, last, CELLS_ROWS):
        rows = min(CELLS_ROWS, last - y)
        while row < y + rows + WINDOW_ROWS - 1:
            while line < min(2 * row + RING, height):
                at = image1 + line % RING * 6 * plane
                if tensor.size > 0:
                    _copy_row(tensor, line, arena, at, layout)
                else:
                    resize_area_row(image, whole, line, height, edges, sums, arena, at, layout)
                line += 1
            at = pooled1 + row % RING * CHANNELS1 * plane
            conv_pool_row(arena, image1, plane, row, height - 2, columns1, weights, layers.conv1, at, plane)
            if row >= first + 2:
                at = map2 + (row - 2) % CELLS_RING * CHANNELS2 * plane
                conv_planes_row(arena, pooled1, plane, row - 2, columns2, weights, layers.conv2, at)
            row += 1
        count = pnet_cells(
            *(arena, map2, plane, y, rows, columns2 - 2, weights, layers.conv3, layers.heads),
            *(threshold, least, cells, found[place:], count),
        )
    return count


@jit_fast
def _copy_row(tensor: Float32Array, y: int, arena: Float32Array, at: int, layout: RowLayout) -> None:
    for channel in range(3):
        for x in range(tensor.shape[2]):
            here = at + (x >> 1) * layout.pair + (x & 1) * layout.odd + channel * layout.channel
            arena[here] = tensor[channel, y, x]


@jit_fast
def plane_size(width: int) -> int:
    """Return the numbers of a row of one plane: half the pixels, and some that kernels may overwrite."""
    return ((width + 1) // 2 + 31) // 16 * 16


def _scratch_size(image_width: int, level_width: int) -> int:
    plane = plane_size(level_width)
    maps = (RING * (6 + CHANNELS1) + CELLS_RING * CHANNELS2) * plane
    return aligned(maps + cells_scratch(plane) + sums_size(image_width))


def map_size(height: int, width: int) -> tuple[int, int]:
    """Return rows and columns of the map of cells of a level; 0 if it is smaller than a window."""
    return max((height - 1) // 2 - 4, 0), max((width - 1) // 2 - 4, 0)


def divide(sizes: list[tuple[int, int]]) -> Bands:
    """Divide levels of these heights and widths into bands."""
    table, levels, cells = [], [], 0
    for level, (height, width) in enumerate(sizes):
        rows, columns = map_size(height, width)
        for first in range(0, rows if columns > 0 else 0, BAND_ROWS):
            last = min(first + BAND_ROWS, rows)
            table.append((height, width, first, last, cells + first * columns))
            levels.append(level)
        cells += rows * columns
    widest = max((width for _, width in sizes), default=0)
    return Bands(np.array(table, np.int64).reshape(-1, 5), np.array(levels, np.intp), cells, widest)


_divide_sizes = lru_cache(maxsize=64)(lambda sizes: divide(list(sizes)))

NO_TENSOR = np.zeros((0, 0, 0), np.float32)


class CompiledPNet:
    """A P-Net that is called like ``model.predict``, or with an image and the sizes of its pyramid.

    Its weights are those that the model had when it was compiled. Threads may share it.

    Parameters
    ----------
    model : PNet
        Its landmark head, if it has one, is not used.
    """

    def __init__(self, model: PNet) -> None:
        packer = WeightPacker()
        self._layers = _pack(packer, model)
        self._weights = packer.packed()

    def __call__(self, x: FloatArray) -> tuple[Float32Array, Float32Array]:
        """Compute scores (N, 2, h, w) and box_deltas (N, 4, h, w) of x (N, 3, H, W).

        Twin: :meth:`minidet.models.mtcnn.PNet.predict`; scores within 1e-5, deltas within 1e-5 of the
        largest. x is brought to float32 if it is not.

        Raises
        ------
        InputError
            If the shape is another, or a side is below 11 pixels.
        """
        if x.ndim != 4 or x.shape[1] != 3 or min(x.shape[2:]) < 11:
            raise InputError(f"P-Net: `x` has shape {x.shape}; expected (N, 3, H, W), sides of at least 11")
        x = as_tensor(x)
        N, _, H, W = x.shape
        bands = _divide_sizes(((H, W),))
        found = np.empty((N, bands.cells, FIELDS), np.float32)
        for tensor, cells in zip(x, found, strict=True):
            self._run(NO_IMAGE, tensor, bands, 0.0, -np.inf, cells)
        maps = found.reshape(N, *map_size(H, W), FIELDS).transpose(0, 3, 1, 2)
        return np.ascontiguousarray(maps[:, :2]), np.ascontiguousarray(maps[:, 2:6])

    def of_pyramid(self, image: NDArray[np.uint8], sizes: list[tuple[int, int]], threshold: float) -> Cells:
        """Find the cells with a score of at least ``threshold`` in all levels of an image's pyramid.

        Twin: for each level :func:`minidet.image.resize_area`, :func:`minidet.image.mtcnn_input`, the
        network, and ``np.nonzero(scores >= threshold)``. Scores differ by less than 1e-5, so a cell may be on
        the other side of the threshold if its score is that close to it.

        Parameters
        ----------
        image : (H, W, 3) uint8 array
        sizes : list of (int, int)
            Height and width of each level.
        threshold : float
        """
        bands = _divide_sizes(tuple(sizes))
        found = np.empty((bands.cells, FIELDS), np.float32)
        counts = self._run(frozen(image), NO_TENSOR, bands, threshold, _least(threshold), found)
        # Each band has left its cells at the begin of its own part of the list.
        ends = np.cumsum(counts)
        places = np.repeat(bands.table[:, 4] - (ends - counts), counts) + np.arange(counts.sum())
        cells = found[places]
        rows, columns = cells[:, 6:].T.astype(np.intp)
        return Cells(np.repeat(bands.levels, counts), rows, columns, cells[:, 1], cells[:, 2:6])

    def _run(
        self,
        image: NDArray[np.uint8],
        tensor: Float32Array,
        bands: Bands,
        threshold: float,
        least: float,
        found: Float32Array,
    ) -> NDArray[np.int64]:
        threads = get_num_threads()
        size = _scratch_size(image.shape[1], bands.widest)
        counts = np.zeros(len(bands.table), np.int64)
        with workspaces.borrow(threads * size) as arena:
            run_plan(
                _plan,
                *(image, tensor, bands.table, arena, size, self._weights, self._layers),
                *(threshold, least, found, counts),
                steps=1,
                threads=threads,
            )
        return counts


def _least(threshold: float) -> float:
    """Return a difference of logits that is certainly too small for a score of ``threshold``."""
    if threshold <= 0:
        return -np.inf
    if threshold >= 1:
        return 10.0
    return math.log(threshold / (1 - threshold)) - 1e-3


def _pack(packer: WeightPacker, model: PNet) -> Layers:
    heads = np.zeros((CHANNELS3, HEADS))
    heads[:, :2] = model.class_head.weight.data[:, :, 0, 0].T
    heads[:, 2:6] = model.box_head.weight.data[:, :, 0, 0].T
    bias = np.concatenate([bias_of(model.class_head), bias_of(model.box_head), np.zeros(HEADS - 6)])
    conv3, prelu3 = model.conv3, model.prelu3
    return Layers(
        conv1=_pack_plain(packer, model.conv1, model.prelu1, (1, 2, 3, 0)),
        conv2=_pack_plain(packer, model.conv2, model.prelu2, (2, 1, 3, 0)),
        conv3=pack_winograd_valid(packer, conv3.weight.data, bias_of(conv3), prelu3.weight.data),
        heads=Dense(packer.add(heads), packer.add(bias), 0, CHANNELS3, HEADS),
    )


def _pack_plain(packer: WeightPacker, conv: Conv2d, prelu: PReLU, order: tuple[int, ...]) -> Dense:
    weight = conv.weight.data.transpose(order)
    place = packer.add(weight)
    return Dense(place, packer.add(bias_of(conv)), packer.add(prelu.weight.data), 0, len(bias_of(conv)))
