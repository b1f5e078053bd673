import itertools

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.fast.layout import PANEL, Arena, Dense, Depthwise, Map, WeightPacker, as_record, in_panels
from minidet.fast.simd import LANES


@given(st.data())
def test_maps_in_use_never_overlap(data):
    arena = Arena()
    in_use = []
    for _ in range(data.draw(st.integers(1, 30))):
        if in_use and data.draw(st.booleans()):
            arena.release(in_use.pop(data.draw(st.integers(0, len(in_use) - 1))))
        else:
            height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
            in_use.append(arena.map(height, width, data.draw(st.sampled_from([8, 16, 32]))))
        spans = sorted((m.at - m.stride, m.at + m.height * (m.width + 1) * m.stride) for m in in_use)
        assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))
        assert all(begin % 16 == 0 and end <= arena.size for begin, end in spans)


def test_released_memory_is_used_again():
    arena = Arena()
    first, second = arena.map(10, 10, 16), arena.map(10, 10, 16)
    size = arena.size
    arena.release(first, second)
    assert arena.map(20, 10, 16).at == first.at
    assert arena.size <= size
    arena.map(10, 10, 16)
    assert arena.size > size


def test_the_last_hole_grows():
    arena = Arena()
    arena.release(arena.map(2, 2, 16))
    assert arena.map(4, 4, 16).at == 16
    assert arena.size == (4 * 5 + 1) * 16


def test_giving_back_twice_is_an_error():
    arena = Arena()
    first = arena.map(2, 2, 16)
    arena.release(first)
    with pytest.raises(KeyError):
        arena.release(first)


def test_compiled_code_reads_a_record_like_the_tuple():
    layers = (Dense(1, 2, 3, 4, 5), Dense(6, 7, 8, 9, 10))
    record = as_record(_Everything(Map(16, 3, 4, 8), layers, 11))

    @numba.njit
    def read(record, i):
        return record[0].map.width + 100 * record[0].layers[i].bias + 10000 * record[0].number

    assert record.shape == (1,)
    assert read(record, 1) == 4 + 700 + 110000


class _Everything(tuple):
    _fields = ("map", "layers", "number")

    def __new__(cls, *values):
        return super().__new__(cls, values)


def test_panels():
    matrix = np.arange(2 * (PANEL + LANES)).reshape(2, -1)
    flat = in_panels(matrix)
    np.testing.assert_array_equal(flat[: 2 * PANEL].reshape(2, PANEL), matrix[:, :PANEL])
    np.testing.assert_array_equal(flat[2 * PANEL :].reshape(2, LANES), matrix[:, PANEL:])


def test_weights_are_padded_aligned_and_where_it_says():
    packer = WeightPacker()
    weight = np.arange(6.0).reshape(2, 3)
    first = packer.dense(weight, np.array([1.0, 2, 3]), np.array([4.0, 5, 6]))
    second = packer.depthwise(np.arange(18.0).reshape(2, 1, 3, 3), np.ones(2), np.zeros(2))
    packed = packer.packed()
    assert (first.inputs, first.outputs) == (2, LANES)
    matrix = packed[first.weight : first.weight + 2 * LANES].reshape(2, LANES)
    np.testing.assert_array_equal(matrix[:, :3], weight)
    assert (matrix[:, 3:] == 0).all()
    np.testing.assert_array_equal(packed[first.bias : first.bias + 4], [1, 2, 3, 0])
    np.testing.assert_array_equal(packed[first.slope : first.slope + 4], [4, 5, 6, 0])
    assert second == Depthwise(second.weight, second.bias, second.slope, 2)
    np.testing.assert_array_equal(packed[second.weight : second.weight + 4], [0, 9, 1, 10])
    assert all(place % 16 == 0 for place in (*first[:3], *second[:3]))
    assert packed.ctypes.data % 64 == 0
