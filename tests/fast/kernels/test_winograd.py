import numpy as np
import pytest

from minidet.fast.kernels.winograd import GROUP, pack_winograd, scratch_size, winograd3x3
from minidet.fast.layout import PANEL
from minidet.fast.simd import LANES
from minidet.ops import conv2d_forward
from tests.fast.kernels.arena import Bench, activate, agreement, alone, normal, read_map

PLANES = [(1, 1), (1, 4), (3, 5), (4, 4), (6, 6), (8, 8), (9, 13), (4, 4 * GROUP + 1), (23, 31)]


def run(plane, inputs, outputs, **options):
    x, weight = normal(0, inputs, *plane), normal(1, outputs, inputs, 3, 3)
    bias, slope = normal(2, outputs), normal(3, outputs)
    bench = Bench()
    source, target = bench.source(x), bench.target(outputs + options.get("jump", 0), *plane)
    scratch = bench.scratch(scratch_size(inputs, outputs))
    layer = pack_winograd(bench.packer, weight, bias, slope, **options)
    arena, weights = bench.filled()
    winograd3x3(arena, source, target, weights, layer, scratch, alone())
    (y,) = conv2d_forward(x[None], weight, bias, padding=1)
    return arena, target, activate(y, slope)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [(LANES, LANES), (LANES, PANEL), (2 * LANES, PANEL + LANES), (4 * LANES, 2 * PANEL)],
)
@pytest.mark.parametrize("plane", PLANES, ids=str)
def test_equal_to_the_convolution(plane, inputs, outputs):
    arena, target, expected = run(plane, inputs, outputs)
    assert agreement(read_map(arena, target, outputs), expected) < 1e-5


def test_two_layers_in_one_leave_a_gap():
    arena, target, expected = run((7, 9), LANES, 3 * LANES, split=LANES, jump=2 * LANES)
    y = read_map(arena, target, 5 * LANES)
    assert agreement(y[:LANES], expected[:LANES]) < 1e-5
    assert (y[LANES : 3 * LANES] == y[LANES, 0, 0]).all()  # as it was
    assert agreement(y[3 * LANES :], expected[LANES:]) < 1e-5


def test_weights_with_one_tap():
    """A filter that only shifts: the algorithm's constants cancel to the last few bits."""
    for ky in range(3):
        for kx in range(3):
            bench = Bench()
            x = normal(4, LANES, 10, 11)
            weight = np.zeros((LANES, LANES, 3, 3), np.float32)
            weight[np.arange(LANES), np.arange(LANES), ky, kx] = 1
            source, target = bench.source(x), bench.target(LANES, 10, 11)
            scratch = bench.scratch(scratch_size(LANES, LANES))
            layer = pack_winograd(bench.packer, weight, np.zeros(LANES), np.ones(LANES))
            arena, weights = bench.filled()
            winograd3x3(arena, source, target, weights, layer, scratch, alone())
            shifted = np.pad(x, ((0, 0), (1, 1), (1, 1)))[:, ky : ky + 10, kx : kx + 11]
            assert agreement(read_map(arena, target, LANES), shifted) < 1e-5
