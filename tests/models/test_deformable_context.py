"""The context module of RetinaFace's paper: the plain one, made of deformable convolutions."""

from functools import partial

import numpy as np
import pytest

from minidet.fast import accelerate
from minidet.fast.training.conv import FastConv2d
from minidet.fast.training.deform import FastDeformConv2d
from minidet.models.retinaface.blocks import ConvBlock
from minidet.models.retinaface.context import Context
from minidet.nn import Conv2d, DeformConv2d, initialise
from tests.check import NETWORK_TOLERANCE, assert_close
from tests.oracles.cases import Numbers

KINDS = {"deformable": DeformConv2d, "modulated": partial(DeformConv2d, modulated=True)}
every_kind = pytest.mark.parametrize("kind", KINDS)
BLOCKS = ("view3", "shared", "view5", "middle7", "view7")


def context(conv, channels=16):
    module = Context(channels, conv=conv)
    initialise(module, np.random.default_rng(0))
    return module.astype("float64")


@every_kind
def test_all_five_convolutions_are_deformable(kind):
    module = context(KINDS[kind])
    for name in BLOCKS:
        conv = getattr(module, name).conv
        assert type(conv) is DeformConv2d
        assert conv.modulated == (kind == "modulated")
        assert (conv.weight.data.shape[2:], conv.stride, conv.padding, conv.bias) == ((3, 3), 1, 1, None)
    assert all(type(getattr(Context(16), name).conv) is Conv2d for name in BLOCKS)


@every_kind
def test_its_state_is_that_of_the_plain_module_and_the_predictors(kind):
    shapes = {name: array.shape for name, array in context(KINDS[kind]).state_dict().items()}
    plain = {name: array.shape for name, array in context(Conv2d).state_dict().items()}
    maps = {"deformable": 18, "modulated": 27}[kind]
    predictors = {}
    for name in BLOCKS:
        channels = 16 if name in ("view3", "shared") else 4
        predictors[f"{name}.conv.conv_offset_mask.weight"] = (maps, channels, 3, 3)
        predictors[f"{name}.conv.conv_offset_mask.bias"] = (maps,)
    assert shapes == plain | predictors


@pytest.mark.parametrize(
    ("channels", "counts"), [(64, (34752, 63354, 77655)), (256, (553728, 667866, 724935))]
)
def test_what_the_predictors_cost(channels, counts):
    # As docs/networks/retinaface.md says.
    kinds = (Conv2d, *KINDS.values())
    assert tuple(Context(channels, conv=kind).parameter_count() for kind in kinds) == counts


def test_a_new_one_is_the_plain_module():
    plain, deformable = context(Conv2d), context(DeformConv2d)
    x = Numbers("context").real(2, 16, 5, 6)
    y = plain.forward(x)
    assert_close(deformable.forward(x), y, NETWORK_TOLERANCE["float64"])
    grad_output = Numbers("upstream").real(*y.shape)
    assert_close(deformable.backward(grad_output), plain.backward(grad_output), NETWORK_TOLERANCE["float64"])
    for name, parameter in plain.parameters().items():
        assert_close(deformable.parameters()[name].grad, parameter.grad, NETWORK_TOLERANCE["float64"])


def test_with_masks_a_new_one_is_the_plain_module_but_for_eps():
    # Masks of 1/2 halve what the batch norm then divides by its spread.
    plain, modulated = context(Conv2d), context(KINDS["modulated"])
    x = Numbers("context").real(2, 16, 5, 6)
    y = plain.forward(x)
    assert_close(modulated.forward(x), y, 1e-4)


@every_kind
def test_a_step_downhill_moves_the_offsets_and_lowers_the_loss(kind):
    module = context(KINDS[kind])
    x, target = Numbers("x").real(2, 16, 5, 6), Numbers("target").real(2, 16, 5, 6)

    def loss():
        return float(((module.forward(x) - target) ** 2).sum())

    before = loss()
    module.backward(2 * (module.forward(x) - target))
    for parameter in module.parameters().values():
        parameter.data = parameter.data - 1e-4 * parameter.grad
    assert loss() < before
    for name in BLOCKS:
        assert getattr(module, name).conv.conv_offset_mask.weight.data.any()


@every_kind
def test_its_views_follow_the_offsets(kind):
    # Every tap of view3 is sent one row up: the module sees the picture moved one row down.
    module = context(KINDS[kind]).eval()
    x = Numbers("moved").real(1, 16, 7, 6)
    still = module.view3.forward(x)
    module.view3.conv.conv_offset_mask.bias.data[0:18:2] = -1
    moved = module.view3.forward(x)
    assert_close(moved[:, :, 1:], still[:, :, :-1], NETWORK_TOLERANCE["float64"])


def test_any_block_takes_any_convolution():
    block = ConvBlock(3, 4, 1, stride=2, conv=KINDS["modulated"])
    assert block.conv.conv_offset_mask.weight.data.shape == (3, 3, 1, 1)
    assert (block.conv.stride, block.conv.padding) == (2, 0)
    assert block.forward(np.zeros((1, 3, 5, 4), np.float32)).shape == (1, 4, 3, 2)


@every_kind
def test_trains_with_fast_layers(kind):
    slow, fast = context(KINDS[kind]).astype("float32"), accelerate(context(KINDS[kind]).astype("float32"))
    for module in (slow, fast):
        for name in BLOCKS:
            bias = getattr(module, name).conv.conv_offset_mask.bias.data
            bias[:] = np.linspace(-1.25, 1.25, len(bias))
    assert type(fast.view3.conv) is FastDeformConv2d
    assert type(fast.view3.conv.conv_offset_mask) is FastConv2d
    x, grad_output = (Numbers(name).real(2, 16, 9, 8).astype(np.float32) for name in ("x", "upstream"))
    assert_close(fast.forward(x), slow.forward(x), 1e-5)
    assert_close(fast.backward(grad_output), slow.backward(grad_output), 1e-4)
    for name, parameter in slow.parameters().items():
        assert_close(fast.parameters()[name].grad, parameter.grad, 1e-4)
