"""Every fast layer against its definition: output and gradients, over a grid of shapes."""

import copy

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.fast.team import get_num_threads, set_num_threads
from minidet.fast.training import deform
from minidet.fast.training.accelerate import accelerate
from minidet.fast.training.maps import _idle as idle
from minidet.fast.training.maps import memory_of, padded
from minidet.models.retinaface.blocks import ConvBlock, DepthwiseBlock
from minidet.models.retinaface.fpn import FPN
from minidet.models.retinaface.heads import Heads
from minidet.nn import (
    BatchNorm2d,
    Conv2d,
    DeformConv2d,
    DepthwiseConv2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    PReLU,
    ReLU,
    freeze_batch_norms,
)
from tests.check import assert_close

TOLERANCE = 1e-5


@pytest.fixture(params=[1, 2], ids=["1-thread", "2-threads"])
def threads(request):
    before = get_num_threads()
    set_num_threads(request.param)
    yield
    set_num_threads(before)


def pair(layer, rng, scale=None):
    """Return the layer with random numbers in it, and its fast twin; ``scale``: of those of some parts."""
    fill_idle_memory_with_nan()
    for name, array in layer.state():
        array.data = rng.normal(size=array.data.shape).astype(np.float32)
        if "running_var" in name:
            array.data = array.data**2 + np.float32(0.5)
        array.data *= np.float32((scale or {}).get(name.partition(".")[0], 1))
    twin = accelerate(copy.deepcopy(layer))
    assert type(twin) is not type(layer)
    return layer, twin


def fill_idle_memory_with_nan():
    """Let what a layer forgets to write be seen."""
    for array in [array for arrays in idle._arrays.values() for array in arrays]:
        array[:] = np.nan


def draw(rng, shape):
    return rng.normal(size=shape).astype(np.float32)


def assert_agree(layer, shape, seed=0, scale=None):
    """Compare one forward and one backward pass, and what they leave behind."""
    rng = np.random.default_rng(seed)
    layer, twin = pair(layer, rng, scale)
    x = draw(rng, shape)
    before = x.copy()
    reference, result = layer.forward(x), twin.forward(x)
    assert_close(result, reference, TOLERANCE)
    assert_clean(result)
    grad_output = draw(rng, reference.shape)
    grad_x = twin.backward(grad_output)
    assert_close(grad_x, layer.backward(grad_output), TOLERANCE)
    assert_clean(grad_x)
    for name, parameter in layer.parameters().items():
        assert_close(twin.parameters()[name].grad, parameter.grad, TOLERANCE)
    for name, array in layer.state_dict().items():
        assert_close(twin.state_dict()[name], array, TOLERANCE)
    np.testing.assert_array_equal(x, before)


def assert_clean(view):
    """Require zeros behind the channels of a map: the next layer multiplies them, and NaN times 0 is NaN."""
    N, C, H, W = view.shape if view.ndim == 4 else (*view.shape, 1, 1)
    memory = memory_of(view if view.ndim == 4 else view[:, :, None, None]).reshape(N, H, W, padded(C))
    np.testing.assert_array_equal(memory[..., C:], 0)


CONVOLUTIONS = [
    # in, out, size, stride, padding, (N, H, W)
    pytest.param(3, 10, 3, 1, 0, (7, 12, 12), id="pnet-conv1"),
    pytest.param(10, 16, 3, 1, 0, (7, 5, 5), id="pnet-conv2"),
    pytest.param(16, 32, 3, 1, 0, (60, 3, 3), id="pnet-conv3-one-window"),
    pytest.param(28, 48, 3, 1, 0, (3, 11, 11), id="rnet-conv2"),
    pytest.param(64, 128, 2, 1, 0, (3, 4, 4), id="onet-conv4-even-filter"),
    pytest.param(3, 8, 3, 2, 1, (2, 31, 32), id="retinaface-first"),
    pytest.param(8, 16, 1, 1, 0, (2, 9, 7), id="pointwise"),
    pytest.param(128, 256, 1, 1, 0, (2, 5, 5), id="pointwise-wide"),
    pytest.param(64, 64, 3, 1, 1, (2, 9, 7), id="same-size"),
    pytest.param(16, 16, 3, 1, 1, (1, 1, 1), id="one-pixel"),
    pytest.param(16, 16, 3, 1, 2, (2, 5, 6), id="full"),
    pytest.param(20, 5, 3, 3, 2, (2, 8, 9), id="stride-3"),
    pytest.param(32, 7, 1, 2, 0, (2, 8, 9), id="pointwise-stride-2"),
    pytest.param(7, 33, 5, 1, 2, (1, 9, 9), id="large-filter"),
    pytest.param(1, 1, 1, 1, 0, (1, 1, 1), id="one-of-everything"),
    pytest.param(2, 3, 1, 1, 1, (2, 3, 4), id="padding-beyond-filter"),
    pytest.param(16, 20, 3, 1, 1, (2, 40, 40), id="several-blocks-and-chunks"),
    pytest.param(64, 50, 3, 1, 1, (2, 29, 27), id="winograd-odd-sides"),
    pytest.param(33, 64, 3, 1, 0, (4, 23, 24), id="winograd-without-padding"),
    pytest.param(40, 64, 3, 1, 2, (2, 30, 31), id="winograd-full"),
]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("inputs", "outputs", "size", "stride", "padding", "NHW"), CONVOLUTIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_conv2d(inputs, outputs, size, stride, padding, NHW, bias):
    N, H, W = NHW
    layer = Conv2d(inputs, outputs, size, stride=stride, padding=padding, bias=bias)
    assert_agree(layer, (N, inputs, H, W))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    ("channels", "size", "stride", "padding", "NHW"),
    [
        (16, 3, 1, 1, (2, 9, 17)),
        (16, 3, 2, 1, (2, 9, 17)),
        (8, 3, 2, 1, (2, 10, 10)),
        (40, 3, 3, 0, (2, 10, 11)),
        (16, 5, 1, 2, (1, 6, 6)),
        (16, 3, 1, 1, (2, 1, 1)),
        (3, 3, 1, 2, (2, 4, 5)),
        (64, 3, 1, 1, (2, 20, 20)),
        (5, 1, 1, 1, (1, 3, 3)),
        (5, 2, 2, 0, (1, 2, 2)),
    ],
)
def test_depthwise_conv2d(channels, size, stride, padding, NHW):
    N, H, W = NHW
    assert_agree(DepthwiseConv2d(channels, size, stride=stride, padding=padding), (N, channels, H, W))


DEFORMABLE = [
    # in, out, size, stride, padding, (N, H, W), size of the offsets
    pytest.param(16, 16, 3, 1, 1, (2, 9, 7), 1.0, id="same-size"),
    pytest.param(16, 24, 3, 1, 1, (3, 12, 11), 0.0, id="no-offsets"),
    pytest.param(16, 40, 3, 1, 1, (2, 5, 4), 2.0, id="far-outside"),
    pytest.param(64, 40, 3, 1, 1, (2, 13, 9), 0.5, id="retinaface"),
    pytest.param(20, 5, 3, 2, 1, (2, 8, 9), 1.0, id="stride-2"),
    pytest.param(3, 10, 3, 1, 0, (2, 6, 6), 1.0, id="few-channels"),
    pytest.param(8, 8, 1, 1, 0, (1, 5, 1), 1.0, id="one-tap-one-column"),
    pytest.param(8, 8, 3, 1, 2, (1, 1, 1), 1.0, id="one-pixel"),
    pytest.param(5, 7, 5, 3, 3, (2, 9, 9), 2.0, id="large-filter"),
    pytest.param(16, 16, 3, 1, 1, (2, 40, 40), 1.0, id="several-blocks"),
]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("inputs", "outputs", "size", "stride", "padding", "NHW", "far"), DEFORMABLE)
@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_deform_conv2d(inputs, outputs, size, stride, padding, NHW, far, modulated, bias):
    N, H, W = NHW
    layer = DeformConv2d(
        inputs, outputs, size, stride=stride, padding=padding, bias=bias, modulated=modulated
    )
    assert_agree(layer, (N, inputs, H, W), scale={"conv_offset_mask": far / 10})


def test_groups_of_offsets_are_left_to_the_definition():
    rng = np.random.default_rng(0)
    layer, twin = pair(DeformConv2d(4, 6, 3, padding=1, offset_groups=2), rng)
    x = draw(rng, (1, 4, 5, 6))
    np.testing.assert_allclose(twin.forward(x), layer.forward(x), rtol=1e-4, atol=1e-4)
    assert not isinstance(twin._kept, deform.Kept)


def test_offsets_that_are_not_finite_are_refused():
    _, twin = pair(DeformConv2d(16, 6, 3, padding=1), np.random.default_rng(0))
    twin.conv_offset_mask.bias.data[3] = np.nan
    with pytest.raises(InputError, match="deform_conv2d: `offset` is not finite in image 0, channel 3"):
        twin.forward(np.zeros((1, 16, 5, 6), np.float32))


def test_taps_at_the_end_of_the_world_see_nothing():
    layer, twin = pair(DeformConv2d(16, 6, 3, padding=1), np.random.default_rng(0))
    for one in (layer, twin):
        one.conv_offset_mask.bias.data[:] = np.resize([1e30, -1e30], 18)
    x = draw(np.random.default_rng(1), (1, 16, 5, 6))
    result = twin.forward(x)
    np.testing.assert_array_equal(result, layer.forward(x))
    np.testing.assert_array_equal(result, np.broadcast_to(layer.bias.data[:, None, None], result.shape))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    "shape", [(2, 16, 9, 17), (4, 8, 40, 40), (2, 3, 5, 5), (1, 300, 3, 3), (5, 20, 1, 1), (1, 5000, 2, 2)]
)
@pytest.mark.parametrize("frozen", [False, True])
def test_batch_norm2d(shape, frozen):
    layer = BatchNorm2d(shape[1])
    layer.frozen = frozen
    assert_agree(layer, shape)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    "layer",
    [
        ConvBlock(16, 24, 3),
        ConvBlock(16, 40, 1, negative_slope=None),
        ConvBlock(3, 8, 3, stride=2),
        ConvBlock(16, 16, 3, negative_slope=0.0),
        DepthwiseBlock(16, stride=2),
        DepthwiseBlock(16, stride=1),
    ],
    ids=["conv", "no-activation", "stride-2", "relu", "depthwise-stride-2", "depthwise"],
)
@pytest.mark.parametrize("frozen", [False, True])
def test_blocks(layer, frozen):
    layer = copy.deepcopy(layer)
    if frozen:
        freeze_batch_norms(layer)
    assert_agree(layer, (2, layer.conv.weight.data.shape[1] if isinstance(layer, ConvBlock) else 16, 13, 10))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("shape", [(3, 5), (1, 256), (3, 10, 6, 5), (2, 16, 1, 1), (3, 40, 60, 50)])
@pytest.mark.parametrize("make", [lambda C: ReLU(), lambda C: LeakyReLU(0.1), PReLU])
def test_rectifiers(make, shape):
    assert_agree(make(shape[1]), shape)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(
    ("size", "stride", "padding", "shape"),
    [
        (2, 2, 0, (3, 10, 10, 10)),
        (2, 2, 0, (3, 10, 11, 9)),
        (3, 2, 0, (2, 33, 46, 46)),
        (3, 1, 1, (2, 5, 7, 6)),
        (3, 2, 1, (1, 1, 1, 1)),
        (1, 1, 0, (1, 16, 2, 2)),
        (2, 3, 1, (1, 17, 8, 7)),
    ],
)
def test_max_pool2d(size, stride, padding, shape, ceil_mode):
    assert_agree(MaxPool2d(size, stride, padding=padding, ceil_mode=ceil_mode), shape)


def test_of_equal_maxima_the_first_gets_the_gradient():
    layer, twin = pair(MaxPool2d(3, 2), np.random.default_rng(0))
    x = np.random.default_rng(1).integers(0, 2, (2, 20, 9, 9)).astype(np.float32)
    np.testing.assert_array_equal(twin.forward(x), layer.forward(x))
    grad_output = np.random.default_rng(2).integers(1, 9, (2, 20, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(twin.backward(grad_output), layer.backward(grad_output))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    ("inputs", "outputs", "N"), [(1152, 256, 128), (576, 128, 5), (256, 2, 7), (3, 5, 1), (20, 1, 3)]
)
def test_linear(inputs, outputs, N):
    assert_agree(Linear(inputs, outputs), (N, inputs))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    "sides", [((20, 16), (10, 8), (5, 4)), ((19, 15), (10, 8), (5, 4)), ((5, 3), (3, 2), (2, 1))]
)
def test_fpn(sides):
    rng = np.random.default_rng(0)
    reference, twin = pair(FPN((16, 32, 48), 32), rng)
    maps = [draw(rng, (2, C, *plane)) for C, plane in zip((16, 32, 48), sides, strict=True)]
    results, references = twin.forward(*maps), reference.forward(*maps)
    grads = [draw(rng, result.shape) for result in results]
    for a, b in zip(results + twin.backward(*grads), references + reference.backward(*grads), strict=True):
        assert_close(a, b, TOLERANCE)
    for name, parameter in reference.parameters().items():
        assert_close(twin.parameters()[name].grad, parameter.grad, TOLERANCE)


@pytest.mark.usefixtures("threads")
def test_heads():
    rng = np.random.default_rng(0)
    reference, twin = pair(Heads(64, 2), rng)
    x = draw(rng, (2, 64, 5, 4))
    results, references = twin.forward(x), reference.forward(x)
    grads = [draw(rng, result.shape) for result in results]
    for a, b in zip(results, references, strict=True):
        assert_close(a, b, TOLERANCE)
    assert_close(twin.backward(*grads), reference.backward(*grads), TOLERANCE)


def test_a_channel_far_from_zero_keeps_its_variance():
    rng = np.random.default_rng(0)
    layer, twin = BatchNorm2d(2), accelerate(BatchNorm2d(2))
    x = draw(rng, (8, 2, 50, 50)) + np.float32(1000)
    assert_close(twin.forward(x), layer.forward(x), 1e-3)  # float32 holds 1000 to 6e-5
    assert_close(twin.running_var.data, layer.running_var.data, 1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv2d(16, 40, 3, padding=1), (4, 16, 40, 40)),
        (DepthwiseConv2d(16, 3, padding=1), (4, 16, 40, 40)),
        (BatchNorm2d(16), (4, 16, 60, 60)),
        (PReLU(16), (4, 16, 60, 60)),
        (Linear(256, 256), (128, 256)),
    ],
    ids=["conv", "depthwise", "batch-norm", "prelu", "linear"],
)
def test_results_do_not_depend_on_the_number_of_threads(layer, shape):
    rng = np.random.default_rng(0)
    layer, _ = pair(copy.deepcopy(layer), rng)
    x = draw(rng, shape)
    before, results = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            twin = accelerate(copy.deepcopy(layer))
            y = twin.forward(x)
            grad_x = twin.backward(y)
            results.append([y, grad_x, *(parameter.grad for parameter in twin.parameters().values())])
    finally:
        set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
