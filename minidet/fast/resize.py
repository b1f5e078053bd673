"""Resizing a whole image, rows shared by the threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array, IntArray
from minidet.fast.arguments import frozen
from minidet.fast.team import Counters, end_step, first_block, join, next_block, run_plan
from minidet.image.resize import check_resize, neighbours

ROWS_PER_BLOCK = 8


def resize_area(image: NDArray[Any], height: int, width: int) -> Float32Array:
    """Average the pixels that every output pixel covers, wholly or in part.

    Twin: :func:`minidet.image.resize_area`, with its parameters and errors; within 1e-6 of the largest value,
    since rows are added up first and columns after.

    Examples
    --------
    >>> resize_area(np.array([[[1], [2], [3], [4], [5]]], np.uint8), 1, 2).ravel()
    array([2., 4.], dtype=float32)
    """
    check_resize("resize_area", image, height, width)
    out = np.empty((height, width, image.shape[2]), np.float32)
    run_plan(_area_plan, frozen(image), out, steps=1)
    return out


@jit_fast
def _area_plan(image: NDArray[Any], out: Float32Array, counters: Counters) -> None:
    team = join(counters)
    H, W, C = image.shape
    height, width, _ = out.shape
    sums = np.empty(W * C, np.float32)
    blocks = (height + ROWS_PER_BLOCK - 1) // ROWS_PER_BLOCK
    block = first_block(team)
    while block < blocks:
        for i in range(block * ROWS_PER_BLOCK, min((block + 1) * ROWS_PER_BLOCK, height)):
            top, bottom = i * H // height, ((i + 1) * H + height - 1) // height
            sums[:] = 0
            for y in range(top, bottom):
                line = image[y].reshape(W * C)
                for k in range(W * C):
                    sums[k] += np.float32(line[k])
            for j in range(width):
                left, right = j * W // width, ((j + 1) * W + width - 1) // width
                share = np.float32(1) / np.float32((bottom - top) * (right - left))
                for c in range(C):
                    total = np.float32(0)
                    for x in range(left, right):
                        total += sums[x * C + c]
                    out[i, j, c] = total * share
        block = next_block(team)
    end_step(team, blocks)


def resize_bilinear(image: NDArray[Any], height: int, width: int) -> Float32Array:
    """Interpolate between the four nearest pixels.

    Twin: :func:`minidet.image.resize_bilinear`, with its parameters and errors; within 1e-6 of the largest
    value, since the order is rows first and columns after.

    Examples
    --------
    >>> resize_bilinear(np.array([[[0], [100]]], np.uint8), 1, 4).ravel()
    array([  0.,  25.,  75., 100.], dtype=float32)
    """
    check_resize("resize_bilinear", image, height, width)
    out = np.empty((height, width, image.shape[2]), np.float32)
    rows, columns = neighbours(image.shape[0], height), neighbours(image.shape[1], width)
    run_plan(_bilinear_plan, frozen(image), *rows, *columns, out, steps=1)
    return out


@jit_fast
def _bilinear_plan(
    image: NDArray[Any],
    y0: IntArray,
    y1: IntArray,
    fy: Float32Array,
    x0: IntArray,
    x1: IntArray,
    fx: Float32Array,
    out: Float32Array,
    counters: Counters,
) -> None:
    team = join(counters)
    _, W, C = image.shape
    height, width, _ = out.shape
    one = np.float32(1)
    line = np.empty(W * C, np.float32)
    blocks = (height + ROWS_PER_BLOCK - 1) // ROWS_PER_BLOCK
    block = first_block(team)
    while block < blocks:
        for i in range(block * ROWS_PER_BLOCK, min((block + 1) * ROWS_PER_BLOCK, height)):
            above, below = image[y0[i]].reshape(W * C), image[y1[i]].reshape(W * C)
            for k in range(W * C):
                line[k] = (one - fy[i]) * np.float32(above[k]) + fy[i] * np.float32(below[k])
            for j in range(width):
                for c in range(C):
                    left, right = line[x0[j] * C + c], line[x1[j] * C + c]
                    out[i, j, c] = (one - fx[j]) * left + fx[j] * right
        block = next_block(team)
    end_step(team, blocks)
