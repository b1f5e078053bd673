import numpy as np
import pytest

from minidet.fast.kernels.separable import PIXELS, SCRATCH, scratch_size, separable
from minidet.fast.simd import LANES
from minidet.ops import conv2d_forward, depthwise_conv2d_forward
from tests.fast.kernels.arena import Bench, activate, agreement, alone, edges_are_zero, normal, read_map

PLANES = [(1, 1), (1, 2), (2, 1), (3, PIXELS - 1), (4, PIXELS), (5, PIXELS + 1), (6, 2 * PIXELS), (9, 37)]


def run(x, stride, outputs):
    channels, height, width = x.shape
    plane = -(-height // stride), -(-width // stride)
    filters, bias1, slope1 = normal(1, channels, 1, 3, 3), normal(2, channels), normal(3, channels)
    weight, bias2, slope2 = normal(4, outputs, channels, 1, 1), normal(5, outputs), normal(6, outputs)
    bench = Bench()
    source, target = bench.source(x), bench.target(outputs, *plane)
    scratch = bench.scratch(scratch_size(plane[1], channels))
    depthwise = bench.packer.depthwise(filters, bias1, slope1)
    pointwise = bench.packer.dense(weight[:, :, 0, 0].T, bias2, slope2)
    arena, weights = bench.filled()
    separable(arena, source, target, stride, weights, depthwise, pointwise, scratch, alone())

    (y,) = depthwise_conv2d_forward(x[None], filters, bias1, stride=stride, padding=1)
    (y,) = conv2d_forward(activate(y, slope1)[None], weight, bias2)
    return arena, target, activate(y, slope2)


@pytest.mark.parametrize(
    ("channels", "stride"), [(8, 1), (LANES, 1), (LANES, 2), (3 * LANES, 1), (3 * LANES, 2)]
)
@pytest.mark.parametrize("plane", PLANES, ids=str)
def test_equal_to_the_two_convolutions(plane, channels, stride):
    arena, target, expected = run(normal(0, channels, *plane), stride, 2 * LANES)
    assert agreement(read_map(arena, target, 2 * LANES), expected) < 2e-6
    assert edges_are_zero(arena, target)


def test_a_map_of_several_blocks():
    channels = 4 * LANES
    rows = 3 * SCRATCH // (20 * channels)
    arena, target, expected = run(normal(7, channels, rows, 19), 1, 5 * LANES)
    assert agreement(read_map(arena, target, 5 * LANES), expected) < 2e-6
    assert edges_are_zero(arena, target)


def test_a_row_larger_than_the_scratch_of_a_block():
    width = SCRATCH // LANES + 5
    arena, target, expected = run(normal(8, LANES, 2, width), 1, LANES)
    assert agreement(read_map(arena, target, LANES), expected) < 2e-6
    assert np.isfinite(read_map(arena, target, LANES)).all()
