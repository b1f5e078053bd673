"""The operations on tiles whose rows are channels, against NumPy."""

import numba
import numpy as np
import pytest

from minidet.fast.simd import tile_load, tile_of_columns, tile_scatter, tile_slope_of_rows, tile_store

SHAPES = [(1, 1, 4), (3, 2, 4), (5, 1, 16), (10, 2, 8)]


def normal(seed, size):
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_number_for_each_row(shape):
    rows, columns, lanes = shape
    bias = normal(0, rows + 3)
    out = np.zeros(rows * columns * lanes, np.float32)

    @numba.njit
    def kernel(bias, out):
        tile_store(out, 0, columns * lanes, tile_of_columns(rows, columns, lanes, bias, 2))

    kernel(bias, out)
    np.testing.assert_array_equal(
        out.reshape(rows, -1), bias[2 : rows + 2, None].repeat(columns * lanes, axis=1)
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_slope_for_each_row(shape):
    rows, columns, lanes = shape
    x, slope = normal(0, rows * columns * lanes), normal(1, rows + 3)
    x[0] = 0
    out = np.zeros_like(x)

    @numba.njit
    def kernel(x, slope, out):
        tile = tile_load(rows, columns, lanes, x, 0, columns * lanes)
        tile_store(out, 0, columns * lanes, tile_slope_of_rows(tile, slope, 3))

    kernel(x, slope, out)
    x = x.reshape(rows, -1)
    np.testing.assert_array_equal(out.reshape(rows, -1), np.where(x > 0, x, x * slope[3:, None]))


@pytest.mark.parametrize("step", [1, 7])
def test_lanes_are_stored_apart(step):
    x, out = normal(0, 4), np.zeros(40, np.float32)

    @numba.njit
    def kernel(x, out, step):
        tile_scatter(3, out, 5, step, tile_load(1, 1, 4, x, 0, 0))

    kernel(x, out, step)
    expected = np.zeros(40, np.float32)
    expected[5 + step * np.arange(3)] = x[:3]
    np.testing.assert_array_equal(out, expected)
