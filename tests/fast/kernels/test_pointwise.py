import numpy as np
import pytest

from minidet.fast.kernels.pointwise import PIXELS_PER_BLOCK, pointwise, pointwise_add_upsampled
from minidet.fast.layout import PANEL
from minidet.fast.simd import LANES, TILE_ROWS
from minidet.ops import conv2d_forward, upsample_nearest2d_forward
from tests.fast.kernels.arena import NONSENSE, Bench, activate, agreement, alone, normal, read_map

PLANES = [
    (1, 1),
    (1, TILE_ROWS - 1),
    (1, TILE_ROWS),
    (3, 5),
    (7, TILE_ROWS + 1),
    (PIXELS_PER_BLOCK // 8, 8),
    (31, 17),
]
OUTPUTS = [LANES, PANEL, PANEL + LANES, 3 * PANEL]


def layer(bench, inputs, outputs):
    weight, bias, slope = normal(1, outputs, inputs), normal(2, outputs), normal(3, outputs)
    return bench.packer.dense(weight.T, bias, slope), weight[:, :, None, None], bias, slope


def definition(x, weight, bias, slope):
    (y,) = conv2d_forward(x[None], weight, bias)
    return activate(y, slope)


@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("inputs", [1, 8, 33])
@pytest.mark.parametrize("plane", PLANES, ids=str)
def test_equal_to_the_convolution(plane, inputs, outputs):
    bench = Bench()
    x = normal(0, inputs, *plane)
    source, target = bench.source(x), bench.target(outputs, *plane)
    packed, *arrays = layer(bench, inputs, outputs)
    arena, weights = bench.filled()
    pointwise(arena, source, target, weights, packed, alone())
    assert agreement(read_map(arena, target, outputs), definition(x, *arrays)) < 2e-6
    assert (arena[bench.plan.size - 4096 :] == NONSENSE).all()


@pytest.mark.parametrize("coarse_plane", [(1, 1), (2, 3), (4, 5), (7, 9)], ids=str)
@pytest.mark.parametrize("plane", [(7, 9), (8, 10), (7, 17)], ids=str)
def test_the_coarser_map_is_added(plane, coarse_plane):
    outputs = PANEL + LANES
    bench = Bench()
    x, coarse = normal(0, 12, *plane), normal(4, outputs, *coarse_plane)
    places = bench.source(x), bench.source(coarse), bench.target(outputs, *plane)
    packed, *arrays = layer(bench, 12, outputs)
    arena, weights = bench.filled()
    pointwise_add_upsampled(arena, *places, weights, packed, alone())
    (upsampled,) = upsample_nearest2d_forward(coarse[None], plane)
    assert agreement(read_map(arena, places[2], outputs), definition(x, *arrays) + upsampled) < 2e-6


def test_some_channels_of_a_map():
    bench = Bench()
    x = normal(0, 3 * LANES, 5, 6)
    whole, target = bench.source(x), bench.target(4 * LANES, 5, 6)
    packed, *arrays = layer(bench, LANES, LANES)
    arena, weights = bench.filled()
    before = arena.copy()
    part = target.channels_from(2 * LANES)
    pointwise(arena, whole.channels_from(LANES), part, weights, packed, alone())
    assert agreement(read_map(arena, part, LANES), definition(x[LANES : 2 * LANES], *arrays)) < 2e-6
    np.testing.assert_array_equal(read_map(arena, target, 2 * LANES), read_map(before, target, 2 * LANES))
