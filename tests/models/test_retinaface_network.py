from math import ceil

import numpy as np
import pytest

from minidet.boxes import generate_anchors
from minidet.errors import InputError
from minidet.models.retinaface import RetinaFaceNet
from minidet.models.retinaface.blocks import ConvBlock, DepthwiseBlock
from minidet.models.retinaface.context import Context
from minidet.models.retinaface.fpn import FPN, leaky_slope
from minidet.models.retinaface.heads import Heads
from minidet.models.retinaface.mobilenet_v1 import MobileNetV1
from tests.oracles.network_cases import NetworkCase

SIZES = [(64, 64), (33, 47), (31, 65), (8, 100), (1, 1)]
sizes = pytest.mark.parametrize(("H", "W"), SIZES)


@sizes
def test_maps_have_strides_8_16_and_32_rounded_up(H, W):
    maps = RetinaFaceNet().eval().features(np.zeros((2, 3, H, W), np.float32))
    assert list(maps) == ["c3", "c4", "c5", "p3", "p4", "p5", "context3", "context4", "context5"]
    for level, stride, backbone_channels in [(3, 8, 64), (4, 16, 128), (5, 32, 256)]:
        plane = ceil(H / stride), ceil(W / stride)
        assert maps[f"c{level}"].shape == (2, backbone_channels, *plane)
        assert maps[f"p{level}"].shape == (2, 64, *plane)
        assert maps[f"context{level}"].shape == (2, 64, *plane)


@sizes
def test_there_is_one_answer_for_every_anchor(H, W):
    A = len(generate_anchors(H, W))
    box_deltas, logits, landmark_deltas = RetinaFaceNet().eval().forward(np.zeros((2, 3, H, W), np.float32))
    assert box_deltas.shape == (2, A, 4)
    assert logits.shape == (2, A, 2)
    assert landmark_deltas.shape == (2, A, 10)


def test_heads_answer_row_by_row_with_the_anchors_of_a_position_together():
    heads = Heads(1, 2)
    heads.class_head.bias.data[:] = [10, 11, 20, 21]  # anchor 1 no face, face; anchor 2 no face, face
    heads.class_head.weight.data[:] = 1
    x = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3) * 100
    _, logits, _ = heads.forward(x)
    assert logits.tolist() == [
        [row for i in range(6) for row in ([100 * i + 10, 100 * i + 11], [100 * i + 20, 100 * i + 21])]
    ]


def test_levels_follow_each_other_from_fine_to_coarse():
    network = RetinaFaceNet().eval()
    for level, heads in enumerate([network.heads3, network.heads4, network.heads5]):
        heads.box_head.bias.data[:] = level
    box_deltas, _, _ = network.forward(np.zeros((1, 3, 64, 96), np.float32))
    assert box_deltas[0, :, 0].tolist() == [0] * (8 * 12 * 2) + [1] * (4 * 6 * 2) + [2] * (2 * 3 * 2)


def test_context_is_never_negative_and_its_views_stand_side_by_side():
    context = Context(8).eval()
    for block, value in [(context.view3, 1), (context.view5, 2), (context.view7, -3)]:
        block.norm.bias.data[:] = value
    y = context.forward(np.zeros((1, 8, 2, 2), np.float32))
    assert y[0, :, 0, 0].tolist() == [1, 1, 1, 1, 2, 2, 0, 0]


@pytest.mark.parametrize(("channels", "slope"), [(16, 0.1), (64, 0.1), (68, 0.0), (256, 0.0)])
def test_the_slope_of_narrow_and_wide_pyramids(channels, slope):
    assert leaky_slope(channels) == slope
    assert FPN((8, 8, 8), channels).merge4.activation.negative_slope == slope
    assert Context(channels).shared.activation.negative_slope == slope


@pytest.mark.parametrize("size", [(5, 8), (6, 7), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_blocks_keep_the_size_but_for_the_stride(kernel_size, stride, size):
    H, W = size
    x = np.zeros((1, 4, H, W), np.float32)
    plane = ceil(H / stride), ceil(W / stride)
    assert ConvBlock(4, 6, kernel_size, stride=stride).eval().forward(x).shape == (1, 6, *plane)
    assert DepthwiseBlock(4, stride=stride).eval().forward(x).shape == (1, 4, *plane)


def test_a_block_without_activation_lets_negative_values_pass():
    x = np.ones((1, 1, 2, 2), np.float32)
    for slope, expected in [(None, -1.0), (0.1, -0.1), (0.0, 0.0)]:
        block = ConvBlock(1, 1, 1, negative_slope=slope).eval()
        block.norm.bias.data[:] = -1
        np.testing.assert_allclose(block.forward(x), np.full((1, 1, 2, 2), expected), rtol=1e-6)


def test_backbone_channels_are_what_it_says():
    backbone = MobileNetV1().eval()
    maps = backbone.forward(np.zeros((1, 3, 32, 32), np.float32))
    assert tuple(c.shape[1] for c in maps) == backbone.channels


@pytest.mark.parametrize(("H", "W"), [(0, 5), (5, 0)])
def test_refuses_an_image_without_pixels(H, W):
    with pytest.raises(
        InputError, match=r"^conv2d: a window of 3 does not fit a side of 0 \+ 2 \* 1 pixels$"
    ):
        RetinaFaceNet().eval().forward(np.zeros((1, 3, H, W), np.float32))


def test_training_needs_more_than_one_value_per_channel():
    case = NetworkCase("retinaface", "random", (1, 3, 32, 32), training=True)  # C5 is one pixel
    with pytest.raises(InputError, match=r"has 1 value\(s\) per channel; training needs two"):
        case.module("float32").forward(case.input("float32"))
