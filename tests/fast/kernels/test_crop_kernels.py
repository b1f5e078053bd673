"""The kernels that R-Net and O-Net are made of."""

import numpy as np
import pytest

from minidet.fast.arguments import NO_IMAGE, frozen
from minidet.fast.kernels import small_layers
from minidet.fast.kernels.conv_rgb import ROWS, conv_rgb_row
from minidet.fast.kernels.crops import load_crop
from minidet.fast.kernels.max_pool import max_pool_row, pooled_size
from minidet.fast.kernels.resize_area import sums_size
from minidet.fast.kernels.small_layers import conv2x2_flatten, linear
from minidet.fast.kernels.winograd_valid import pack_winograd_valid, winograd_scratch, winograd_valid
from minidet.fast.layout import PANEL, WeightPacker
from minidet.fast.simd import LANES, TILE_ROWS
from minidet.image import crop_squares, mtcnn_input
from minidet.models.mtcnn.flatten import flatten_columns_first
from minidet.ops import conv2d_forward, linear_forward, max_pool2d_forward
from tests.fast.kernels.arena import NONSENSE, activate, agreement, alone, normal

SPARE = 64


def layer_arrays(outputs, inputs, *kernel):
    return normal(1, outputs, inputs, *kernel), normal(2, outputs), normal(3, outputs)


def filled(x, target_size):
    """Return an arena with x at 0 and nonsense behind, and the place of the target."""
    target = x.size + SPARE
    arena = np.full(target + target_size + SPARE, NONSENSE)
    arena[: x.size] = x.ravel()
    return arena, target


def padded(outputs):
    return -(-outputs // LANES) * LANES


@pytest.mark.parametrize("outputs", [28, 32, 64])
@pytest.mark.parametrize("side", [3, 4, 8, ROWS + 2, ROWS + 3, ROWS + 8, 24, 48])
def test_conv_rgb_row(side, outputs):
    x = normal(0, 3, side, side)
    weight, bias, slope = layer_arrays(outputs, 3, 3, 3)
    (y,) = conv2d_forward(x[None], weight, bias)
    packer = WeightPacker()
    layer = packer.dense(weight.transpose(2, 3, 1, 0).reshape(27, -1), bias, slope, multiple=PANEL)

    size = side - 2
    arena, target = filled(x.transpose(1, 2, 0), size * size * layer.outputs)
    for row in range(size):
        conv_rgb_row(arena, 0, side, row, packer.packed(), layer, target)
    got = arena[target:-SPARE].reshape(size, size, -1)[..., :outputs].transpose(2, 0, 1)
    assert agreement(got, activate(y, slope)) < 3e-6
    assert (arena[-SPARE:] == NONSENSE).all()


@pytest.mark.parametrize("maps", [1, 2, 3, 8])
@pytest.mark.parametrize(("inputs", "outputs"), [(28, 48), (32, 64), (3, 16)])
@pytest.mark.parametrize("side", [5, 6, 7, 10, 11, 23])
def test_winograd_valid(side, inputs, outputs, maps):
    x = normal(0, maps, inputs, side, side)
    weight, bias, slope = layer_arrays(outputs, inputs, 3, 3)
    y = conv2d_forward(x, weight, bias)
    packer = WeightPacker()
    layer = pack_winograd_valid(packer, weight, bias, slope)

    size = (side - 2) ** 2 * outputs
    arena, target = filled(x.transpose(0, 2, 3, 1), maps * size + winograd_scratch(inputs, outputs))
    places = target, size, target + maps * size
    winograd_valid(arena, maps, 0, x[0].size, side, packer.packed(), layer, *places)
    got = (
        arena[target : target + maps * size].reshape(maps, side - 2, side - 2, outputs).transpose(0, 3, 1, 2)
    )
    assert agreement(got, np.stack([activate(one, slope) for one in y])) < 1e-5
    assert (arena[-SPARE:] == NONSENSE).all()


@pytest.mark.parametrize("channels", [1, 28, 32, 48])
@pytest.mark.parametrize(
    ("side", "window"), [(2, 2), (3, 2), (3, 3), (4, 3), (8, 2), (9, 2), (9, 3), (46, 3)]
)
def test_max_pool_row(side, window, channels):
    x = normal(0, padded(channels), side, side)
    (expected,), _ = max_pool2d_forward(x[None, :channels], kernel_size=window, stride=2, ceil_mode=True)
    size = pooled_size(side, window)
    arena, target = filled(x.transpose(1, 2, 0), size * size * channels)
    for row in range(size):
        max_pool_row(arena, 0, side, padded(channels), window, row, target, channels)
    got = arena[target:-SPARE].reshape(size, size, channels).transpose(2, 0, 1)
    np.testing.assert_array_equal(got, expected)


CROPS = [
    1,
    2,
    TILE_ROWS - 1,
    TILE_ROWS,
    TILE_ROWS + 3,
    2 * TILE_ROWS - 1,
    small_layers.CROPS_PER_BLOCK + 1,
    1000,
]


@pytest.mark.parametrize("crops", CROPS)
def test_conv2x2_flatten(crops):
    x = normal(0, crops, 12, 4, 4)
    weight, bias, slope = layer_arrays(64, 12, 2, 2)
    y = conv2d_forward(x, weight, bias)
    expected = flatten_columns_first(np.stack([activate(one, slope) for one in y]))
    packer = WeightPacker()
    layer = packer.dense(weight.transpose(2, 3, 1, 0).reshape(-1, 64), bias, slope)
    arena, target = filled(x.transpose(0, 2, 3, 1), expected.size)
    conv2x2_flatten(arena, crops, 0, 4, 12, packer.packed(), layer, target, alone())
    assert agreement(arena[target:-SPARE].reshape(expected.shape), expected) < 3e-6
    assert (arena[-SPARE:] == NONSENSE).all()


@pytest.mark.parametrize("outputs", [16, 64, 80])
@pytest.mark.parametrize("crops", CROPS)
def test_linear(crops, outputs):
    x = normal(0, crops, 37)
    weight, bias, slope = layer_arrays(outputs, 37)
    y = linear_forward(x, weight, bias)
    expected = np.where(y > 0, y, slope * y)
    packer = WeightPacker()
    layer = packer.dense(weight.T, bias, slope)
    arena, target = filled(x, expected.size)
    linear(arena, crops, 0, packer.packed(), layer, target, alone())
    assert agreement(arena[target:-SPARE].reshape(expected.shape), expected) < 3e-6
    assert (arena[-SPARE:] == NONSENSE).all()


@pytest.mark.parametrize("size", [24, 48])
def test_load_crop_of_an_image(size):
    image = np.random.default_rng(0).integers(0, 256, (60, 70, 3)).astype(np.uint8)
    boxes = np.array([[1.0, 1, 70, 60], [5, 9, 30, 40], [-8, 20, 33, 61], [50, 50, 50, 50]])
    windows = np.trunc(boxes).astype(np.int64) - np.array([1, 1, 0, 0])
    crops, _ = crop_squares(image, boxes, size, border="zero")
    expected = mtcnn_input(crops).transpose(0, 2, 3, 1)
    arena = np.full(size * size * 3 + SPARE, NONSENSE)
    sums = np.full(sums_size(100), NONSENSE)
    no_tensor = np.zeros((0, 0, 0, 0), np.float32)
    for number in range(len(boxes)):
        load_crop(frozen(image), windows, no_tensor, number, size, sums, arena, 0)
        assert np.abs(arena[:-SPARE] - expected[number].ravel()).max() < 1e-6
        assert (arena[-SPARE:] == NONSENSE).all()


def test_load_crop_of_a_tensor():
    x = normal(0, 3, 3, 24, 24)
    arena = np.full(24 * 24 * 3 + SPARE, NONSENSE)
    no_windows, no_sums = np.zeros((0, 4), np.int64), np.zeros(1, np.float32)
    load_crop(NO_IMAGE, no_windows, x, 2, 24, no_sums, arena, 0)
    np.testing.assert_array_equal(arena[:-SPARE].reshape(24, 24, 3), x[2].transpose(1, 2, 0))
    assert (arena[-SPARE:] == NONSENSE).all()
