"""Register tiles against NumPy, with the registers of this machine and of others."""

import platform

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError

from minidet.fast.simd import (
    LANES,
    REGISTERS,
    TILE_COLUMNS,
    TILE_ROWS,
    _choose,
    host_features,
    tile_choose,
    tile_fma,
    tile_fma_window,
    tile_load,
    tile_max,
    tile_of_rows,
    tile_of_scalar,
    tile_scaled_add,
    tile_slope,
    tile_store,
)

FOUR_LANES = ("mulps", "%xmm") if platform.machine() in {"x86_64", "AMD64"} else ("fmla", "v")
"""How vector multiplications of four lanes look in assembly, on x86 and on ARM."""

SHAPES = [
    (1, 1, 4),
    (3, 2, 4),
    (6, 2, 8),
    (1, 1, 16),
    (8, 2, 16),
    (2, 3, 32),
    (TILE_ROWS, TILE_COLUMNS, LANES),
]


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


@pytest.mark.parametrize(
    ("features", "chosen"),
    [
        ({"avx512f", "avx512vl", "avx2", "fma"}, (16, 32)),
        ({"avx512f", "avx2", "fma"}, (8, 16)),
        ({"avx2", "fma", "sse2"}, (8, 16)),
        ({"avx2"}, (4, 16)),
        ({"neon"}, (4, 32)),
        ({"fp-armv8"}, (4, 32)),
        ({"sse2"}, (4, 16)),
        (set(), (4, 16)),
    ],
)
def test_the_registers_follow_from_the_processor(features, chosen):
    assert _choose(features) == chosen


def test_the_features_are_those_numba_compiles_for(monkeypatch):
    monkeypatch.setattr("numba.core.config.CPU_FEATURES", "+sse2,+avx2,-avx512f,+fma")
    assert host_features() == {"sse2", "avx2", "fma"}
    monkeypatch.setattr("numba.core.config.CPU_FEATURES", "")  # as NUMBA_CPU_NAME=generic sets it
    assert host_features() == set()


def test_a_tile_leaves_room_in_the_registers():
    assert TILE_ROWS * TILE_COLUMNS + TILE_COLUMNS + 1 <= REGISTERS


def test_rows_are_filled_and_stored(shape):
    rows, columns, lanes = shape

    @numba.njit
    def fill(bias, y, stride):
        tile_store(y, 1, stride, tile_of_rows(rows, columns, lanes, bias, 2))

    width = columns * lanes
    bias = normal(0, width + 2)
    y = np.zeros((rows, width + 3), np.float32)
    flat = np.zeros(1 + y.size, np.float32)
    fill(bias, flat, width + 3)
    y[:, :width] = bias[2:]
    np.testing.assert_array_equal(flat[1:].reshape(y.shape), y)


def test_a_tile_is_loaded_scaled_and_stored(shape):
    rows, columns, lanes = shape

    @numba.njit
    def copy(x, y, stride, factor):
        zero = tile_of_scalar(rows, columns, lanes, np.float32(0))
        tile_store(y, 0, stride, tile_scaled_add(factor, tile_load(rows, columns, lanes, x, 0, stride), zero))

    x = normal(1, rows, columns * lanes)
    y = np.empty_like(x)
    copy(x.ravel(), y.ravel(), columns * lanes, np.float32(1.5))
    np.testing.assert_array_equal(y, x * np.float32(1.5))


@pytest.mark.parametrize("terms", [0, 1, 7])
def test_the_outer_products_add_up_to_a_matrix_product(shape, terms):
    rows, columns, lanes = shape
    width = columns * lanes

    @numba.njit
    def multiply(x, weight, y):
        tile = tile_of_scalar(rows, columns, lanes, np.float32(0.5))
        for i in range(terms):
            tile = tile_fma(tile, x, i, terms, weight, i * width)
        tile_store(y, 0, width, tile)

    x, weight = normal(2, rows, terms), normal(3, terms, width)
    y = np.empty((rows, width), np.float32)
    multiply(x.ravel(), weight.ravel(), y.ravel())
    np.testing.assert_allclose(y, x.astype(float) @ weight + 0.5, rtol=0, atol=1e-5)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("taps", [2, 3])
def test_a_window_of_a_depthwise_filter(shape, step, taps):
    rows, columns, lanes = shape
    width = columns * lanes

    @numba.njit
    def convolve(x, weight, y):
        tile = tile_of_scalar(rows, columns, lanes, np.float32(0))
        tile = tile_fma_window(tile, taps, step, x, 0, width, weight, 0, width)
        tile_store(y, 0, width, tile)

    x, weight = normal(4, (rows - 1) * step + taps, width), normal(5, taps, width)
    y = np.empty((rows, width), np.float32)
    convolve(x.ravel(), weight.ravel(), y.ravel())
    expected = [(x[row * step : row * step + taps] * weight).sum(axis=0) for row in range(rows)]
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5)


def test_arithmetic_of_two_tiles(shape):
    rows, columns, lanes = shape
    width = columns * lanes

    @numba.njit
    def compute(a, b, y):
        x1 = tile_load(rows, columns, lanes, a, 0, width)
        x2 = tile_load(rows, columns, lanes, b, 0, width)
        size = rows * width
        tile_store(y, 0, width, x1 + x2)
        tile_store(y, size, width, x1 - x2)
        tile_store(y, 2 * size, width, x1 * x2)
        tile_store(y, 3 * size, width, tile_max(x1, x2))
        tile_store(y, 4 * size, width, tile_scaled_add(np.float32(-2), x1, x2))
        tile_store(y, 5 * size, width, tile_choose(x1, x2, x2, x1 + x1))

    a, b = normal(6, rows, width), normal(7, rows, width)
    y = np.empty((6, rows, width), np.float32)
    compute(a.ravel(), b.ravel(), y.ravel())
    definitions = [a + b, a - b, a * b, np.maximum(a, b), -2 * a + b, np.where(a > b, b, 2 * a)]
    for got, expected in zip(y, definitions, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_negative_numbers_meet_their_columns_slope(shape):
    rows, columns, lanes = shape
    width = columns * lanes

    @numba.njit
    def activate(x, slope, y):
        tile_store(y, 0, width, tile_slope(tile_load(rows, columns, lanes, x, 0, width), slope, 1))

    x, slope = normal(8, rows, width), normal(9, width + 1)
    x[0, 0] = 0
    y = np.empty_like(x)
    activate(x.ravel(), slope, y.ravel())
    np.testing.assert_array_equal(y, np.where(x > 0, x, x * slope[1:]))


def test_other_arrays_are_refused_when_compiling():
    @numba.njit
    def load(x):
        tile_store(x, 0, 0, tile_load(1, 1, 4, x, 0, 0))

    with pytest.raises(TypingError, match="expected a flat float32 array"):
        load(np.zeros(4))
    with pytest.raises(TypingError, match="expected a flat float32 array"):
        load(np.zeros((1, 4), np.float32))


def test_a_shape_that_is_not_constant_is_refused():
    @numba.njit
    def fill(x, rows):
        tile_store(x, 0, 0, tile_of_scalar(rows, 1, 4, np.float32(0)))

    with pytest.raises(TypingError, match="shape has to be known when compiling"):
        fill(np.zeros(4, np.float32), 1)


def test_the_sums_are_vector_instructions():
    @numba.njit
    def multiply(x, weight, y, terms):
        tile = tile_of_scalar(TILE_ROWS, TILE_COLUMNS, LANES, np.float32(0))
        for i in range(terms):
            tile = tile_fma(tile, x, i, terms, weight, i * TILE_COLUMNS * LANES)
        tile_store(y, 0, TILE_COLUMNS * LANES, tile)

    flat = np.zeros(4096, np.float32)
    multiply(flat, flat, flat, 2)
    (assembly,) = multiply.inspect_asm().values()
    instruction, register = {16: ("vfmadd", "%zmm"), 8: ("vfmadd", "%ymm")}.get(LANES, FOUR_LANES)
    multiplications = [line for line in assembly.splitlines() if instruction in line and register in line]
    assert len(multiplications) >= TILE_ROWS * TILE_COLUMNS
