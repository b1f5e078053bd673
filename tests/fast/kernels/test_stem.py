import numpy as np
import pytest

from minidet.fast.kernels.stem import (
    LANES,
    PIXELS,
    ROWS_PER_BLOCK,
    scratch_size,
    stem_of_pixels,
    stem_of_tensor,
)
from minidet.image import retinaface_input
from minidet.image.preprocess import BGR_MEAN
from minidet.ops import conv2d_forward
from tests.fast.kernels.arena import Bench, activate, agreement, alone, edges_are_zero, normal, read_map

PLANES = [
    (1, 1),
    (1, 2),
    (2, 1),
    (3, 2 * PIXELS),
    (5, 2 * PIXELS + 1),
    (6, 2 * PIXELS + 3),
    (4 * ROWS_PER_BLOCK + 1, 33),
]


def prepared(plane):
    height, width = plane
    weight, bias, slope = normal(1, LANES, 3, 3, 3), normal(2, LANES), normal(3, LANES)
    bench = Bench()
    target = bench.target(LANES, -(-height // 2), -(-width // 2))
    scratch = bench.scratch(scratch_size(width))
    taps = weight.transpose(2, 1, 3, 0).reshape(27, LANES)
    layer = bench.packer.dense(taps, bias, slope, multiple=LANES)
    arena, weights = bench.filled()

    def check(x):
        (y,) = conv2d_forward(x[None], weight, bias, stride=2, padding=1)
        assert agreement(read_map(arena, target, LANES), activate(y, slope)) < 2e-6
        assert edges_are_zero(arena, target)

    return arena, target, weights, layer, scratch, check


@pytest.mark.parametrize("plane", PLANES, ids=str)
def test_of_a_tensor(plane):
    arena, target, weights, layer, scratch, check = prepared(plane)
    x = normal(0, 3, *plane)
    stem_of_tensor(x, arena, target, weights, layer, scratch, alone())
    check(x)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("plane", PLANES, ids=str)
def test_of_pixels(plane, dtype):
    arena, target, weights, layer, scratch, check = prepared(plane)
    image = np.random.default_rng(4).integers(0, 256, (*plane, 3)).astype(dtype)
    stem_of_pixels(image, BGR_MEAN, arena, target, weights, layer, scratch, alone())
    check(retinaface_input(image)[0])
