"""Going back through networks: block by block, number by number; whole networks, along directions."""

import math
import re
from functools import partial

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.models.mtcnn.flatten import flatten_columns_first, unflatten_columns_first
from minidet.models.retinaface.blocks import ConvBlock, DepthwiseBlock
from minidet.models.retinaface.context import Context
from minidet.models.retinaface.fpn import FPN, FivePyramid
from minidet.models.retinaface.heads import Heads
from minidet.models.retinaface.mobilenet_v1 import DepthwiseSeparable, MobileNetV1
from minidet.models.retinaface.resnet import Bottleneck
from minidet.nn import Buffer, DeformConv2d, Module, Parameter, freeze_batch_norms
from tests.check import FLOATS
from tests.gradients import assert_backward
from tests.oracles.cases import Numbers
from tests.oracles.network_cases import NETWORKS, NetworkCase

# Small steps, since a network has kinks everywhere: for one of these to be in the way is unlikely, and would
# be noticed.
STEP = 2.0**-21

SHAPES = {
    "pnet": (2, 3, 15, 18),
    "pnet_landmarks": (2, 3, 15, 18),
    "rnet": (2, 3, 24, 24),
    "rnet_landmarks": (2, 3, 24, 24),
    "onet": (2, 3, 48, 48),
    "retinaface": (2, 3, 33, 20),
}
every_network = pytest.mark.parametrize("network", NETWORKS)


def network_and_input(network, dtype="float64", shape=None):
    """Return a network with random weights, in training, and an input."""
    case = NetworkCase(network, "random", shape or SHAPES[network], training=True)
    return case.module(dtype), case.input(dtype)


def upstream(outputs, seed="upstream"):
    """Return random gradients of the outputs; None where there is no output."""
    numbers = Numbers(seed)
    return [None if y is None else numbers.real(*y.shape).astype(y.dtype) for y in outputs]


def there_and_back(module, x, seed="upstream"):
    """Return the gradient of the input after one forward and one backward pass."""
    return module.backward(*upstream(module.forward(x), seed))


def gradients(module):
    return {name: parameter.grad for name, parameter in module.parameters().items()}


# ---- Blocks, number by number ----------------------------------------------------------------------


def with_random_state(module):
    """Fill a module with numbers among which a signal does not die in a dozen blocks, in float64."""
    state = {}
    for name, array in module.state_dict().items():
        numbers = Numbers(name)
        if name.endswith("running_var"):
            state[name] = numbers.positive(*array.shape)
        else:
            gain = 1.5 if array.ndim > 1 else 1.0
            state[name] = numbers.real(*array.shape) * gain / math.sqrt(math.prod(array.shape[1:]))
    module = module.astype("float64")
    module.load_state_dict(state)
    return module


def listed(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


def joined(outputs):
    """Lay all numbers of all outputs into one vector."""
    return np.concatenate([y.ravel() for y in listed(outputs)])


def split(vector, shapes):
    """Undo ``joined``."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = np.split(vector, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def assert_block(module, *shapes):
    """Require the gradients of every input, of these shapes, and of every parameter."""
    module = with_random_state(module).train()
    xs = [Numbers(f"input {i}").real(*shape) for i, shape in enumerate(shapes)]
    output_shapes = [y.shape for y in listed(module.forward(*xs))]

    def forward(**_):  # reads the very arrays that are changed
        return joined(module.forward(*xs))

    def backward(grad_output):
        module.zero_grad()
        module.forward(*xs)
        grad_xs = listed(module.backward(*split(grad_output, output_shapes)))
        return {**{f"x{i}": grad for i, grad in enumerate(grad_xs)}, **gradients(module)}

    arrays = {f"x{i}": x for i, x in enumerate(xs)}
    arrays |= {name: parameter.data for name, parameter in module.parameters().items()}
    assert_backward(forward, backward, arrays, step=STEP)


BLOCKS = {
    "conv": (lambda: ConvBlock(2, 3, 3), (2, 2, 4, 5)),
    "conv-1x1": (lambda: ConvBlock(3, 2, 1), (2, 3, 3, 4)),
    "conv-stride": (lambda: ConvBlock(2, 3, 3, stride=2, negative_slope=0.0), (2, 2, 5, 6)),
    "conv-no-activation": (lambda: ConvBlock(2, 3, 3, negative_slope=None), (2, 2, 4, 5)),
    "depthwise": (lambda: DepthwiseBlock(3, stride=1), (2, 3, 4, 5)),
    "depthwise-stride": (lambda: DepthwiseBlock(3, stride=2), (2, 3, 5, 6)),
    "separable": (lambda: DepthwiseSeparable(3, 4), (2, 3, 4, 5)),
    "separable-stride": (lambda: DepthwiseSeparable(3, 2, stride=2), (2, 3, 5, 6)),
    "context": (lambda: Context(8), (2, 8, 4, 5)),
    "conv-deformable": (lambda: ConvBlock(2, 3, 3, stride=2, conv=DeformConv2d), (2, 2, 5, 6)),
    "context-deformable": (lambda: Context(4, conv=DeformConv2d), (1, 4, 4, 3)),
    "context-modulated": (lambda: Context(4, conv=partial(DeformConv2d, modulated=True)), (1, 4, 3, 4)),
    "fpn": (lambda: FPN((2, 3, 4), 4), (2, 2, 7, 9), (2, 3, 4, 5), (2, 4, 2, 3)),
    "fpn-odd": (lambda: FPN((2, 3, 2), 3), (1, 2, 5, 5), (1, 3, 3, 3), (1, 2, 2, 2)),
    "five-pyramid": (
        lambda: FivePyramid((2, 3, 2, 3), 4),
        *((2, 2, 9, 7), (2, 3, 5, 4), (2, 2, 3, 2), (2, 3, 2, 1)),
    ),
    "bottleneck": (lambda: Bottleneck(8, 2), (2, 8, 3, 4)),
    "bottleneck-wider": (lambda: Bottleneck(3, 2), (2, 3, 3, 4)),
    "bottleneck-stride": (lambda: Bottleneck(3, 2, stride=2), (2, 3, 5, 4)),
    "heads": (lambda: Heads(3, 2), (2, 3, 2, 4)),
    "heads-3-anchors": (lambda: Heads(2, 3), (1, 2, 3, 1)),
}


@pytest.mark.parametrize("frozen", [False, True], ids=["training", "frozen"])
@pytest.mark.parametrize("name", BLOCKS)
def test_block(name, frozen):
    make, *shapes = BLOCKS[name]
    module = make()
    if frozen:
        freeze_batch_norms(module)
    assert_block(module, *shapes)


def assert_input(module, x):
    """Require the gradient of the input alone."""
    output_shapes = [y.shape for y in listed(module.forward(x))]

    def backward(grad_output):
        module.forward(x)
        return {"x": module.backward(*split(grad_output, output_shapes))}

    assert_backward(lambda **_: joined(module.forward(x)), backward, {"x": x}, step=STEP)


@pytest.mark.parametrize(
    ("stage", "shape"), [("stage1", (2, 3, 9, 12)), ("stage2", (1, 64, 2, 3)), ("stage3", (1, 128, 2, 2))]
)
def test_stages_of_the_backbone(stage, shape):
    backbone = with_random_state(MobileNetV1()).train()
    freeze_batch_norms(backbone)
    assert_input(getattr(backbone, stage), Numbers(stage).real(*shape))


def test_stage_1_with_the_statistics_of_the_batch():
    assert_input(with_random_state(MobileNetV1()).train().stage1, Numbers("stage 1").real(2, 3, 12, 9))


def test_the_whole_backbone():
    backbone = with_random_state(MobileNetV1()).train()
    freeze_batch_norms(backbone)
    assert_input(backbone, Numbers("backbone").real(1, 3, 7, 9))


# ---- Networks, along directions --------------------------------------------------------------------

# How far a step changes the loss, which is about 50: differences are off by its rounding over this, some
# 1e-14 / 1e-4, and the step is so small that a kink is rarely in the way.
CHANGE = 2.0**-13


def assert_slopes(module, x, tolerance=1e-6):
    """Require for the input and every parameter that the loss changes along a direction as the gradient says.

    The lengths along the axes are random and the signs those of the gradient, so that nothing cancels.
    """
    grad_outputs = upstream(module.forward(x))
    grad_x = module.backward(*grad_outputs)
    arrays = {"x": (x, grad_x)}
    arrays |= {name: (parameter.data, parameter.grad) for name, parameter in module.parameters().items()}

    def loss():
        outputs = module.forward(x)
        return sum(float(np.vdot(g, y)) for g, y in zip(grad_outputs, outputs, strict=True) if y is not None)

    worst = 0.0
    for name, (array, gradient) in arrays.items():
        direction = np.abs(Numbers(name).real(*array.shape)) * np.where(gradient < 0, -1, 1)
        slope = float(np.vdot(gradient, direction))
        assert slope > 0, f"{name} has no gradient"
        step, before = CHANGE / slope, array.copy()
        array[...] = before + step * direction
        above = loss()
        array[...] = before - step * direction
        below = loss()
        array[...] = before
        error = abs((above - below) / (2 * step) - slope) / slope
        assert error < tolerance, f"{name}: off by {error:.1e}"
        worst = max(worst, error)
    print(f"worst of {len(arrays)}: {worst:.1e}")


@pytest.mark.slow
@every_network
def test_slopes(network):
    assert_slopes(*network_and_input(network))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 3, 20, 33), (2, 3, 16, 16)])
def test_slopes_with_frozen_statistics(shape):
    module, x = network_and_input("retinaface", shape=shape)
    freeze_batch_norms(module)
    assert_slopes(module, x)


@pytest.mark.parametrize("shape", [(1, 3, 11, 11), (1, 3, 12, 12), (3, 3, 13, 20)])
@pytest.mark.parametrize("network", ["pnet", "pnet_landmarks"])
def test_slopes_of_pnet_for_other_sizes(network, shape):
    assert_slopes(*network_and_input(network, shape=shape))


# ---- What every network does -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@every_network
def test_every_parameter_gets_a_gradient_of_its_shape_and_type(network, dtype):
    module, x = network_and_input(network, dtype)
    grad_x = there_and_back(module, x)
    assert grad_x.shape == x.shape
    assert grad_x.dtype == dtype
    for name, parameter in module.parameters().items():
        assert parameter.grad is not None, name
        assert parameter.grad.shape == parameter.data.shape
        assert parameter.grad.dtype == dtype
        assert parameter.grad.any(), name


@every_network
def test_two_rounds_add_up(network):
    together, x = network_and_input(network)
    alone = []
    for seed, of_round in [("first", x), ("second", x[::-1] / 2)]:
        module, _ = network_and_input(network)
        grad_x = there_and_back(module, of_round, seed)
        alone.append(gradients(module))
        np.testing.assert_array_equal(there_and_back(together, of_round, seed), grad_x)
    for name, gradient in gradients(together).items():
        np.testing.assert_array_equal(gradient, alone[0][name] + alone[1][name])
    together.zero_grad()
    assert all(gradient is None for gradient in gradients(together).values())


@every_network
def test_inputs_and_parameters_are_not_changed(network):
    module, x = network_and_input(network)
    before = [x.copy(), *(parameter.data.copy() for parameter in module.parameters().values())]
    grad_outputs = upstream(module.forward(x))
    module.backward(*grad_outputs)
    after = [x, *(parameter.data for parameter in module.parameters().values())]
    for array, expected in zip(after, before, strict=True):
        np.testing.assert_array_equal(array, expected)
    for gradient, expected in zip(grad_outputs, upstream(module.forward(x)), strict=True):
        np.testing.assert_array_equal(gradient, expected)


def size(value):
    """Count the bytes of all arrays that a module holds: state, gradients and whatever is kept."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, Module | Parameter | Buffer):
        return sum(size(attribute) for attribute in vars(value).values())
    return sum(size(item) for item in value) if isinstance(value, tuple | list) else 0


@every_network
def test_memory_is_released(network):
    module, x = network_and_input(network)
    state = size(module)
    module.eval().forward(x)
    assert size(module) == state
    outputs = module.train().forward(x)
    assert size(module) > state + x.nbytes
    module.backward(*upstream(outputs))
    assert size(module) == state + sum(gradient.nbytes for gradient in gradients(module).values())
    module.zero_grad()
    module.forward(x)
    module.eval()
    assert size(module) == state


# The first part of each that has nothing to go back through.
FIRST = {
    "pnet": "Conv2d",
    "pnet_landmarks": "Conv2d",
    "rnet": "Linear",
    "rnet_landmarks": "Linear",
    "onet": "Linear",
    "retinaface": "RetinaFaceNet",
}


@every_network
def test_one_backward_for_one_forward(network):
    module, x = network_and_input(network)
    grad_outputs = upstream(module.forward(x))
    message = (
        f"{FIRST[network]}: no forward pass to go back through; "
        "call forward in training mode first, once for every backward"
    )
    fresh, _ = network_and_input(network)
    used, _ = network_and_input(network)
    used.forward(x)
    used.backward(*grad_outputs)
    used.zero_grad()
    switched, _ = network_and_input(network)
    switched.forward(x)
    switched.eval()
    inferred, _ = network_and_input(network)
    inferred.eval().forward(x)
    inferred.train()
    for without in (fresh, used, switched, inferred):
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            without.backward(*grad_outputs)
        assert all(gradient is None for gradient in gradients(without).values())


@pytest.mark.parametrize("dtype", FLOATS)
@every_network
def test_an_empty_batch(network, dtype):
    module, x = network_and_input(network, dtype)
    freeze_batch_norms(module)  # no images have no mean
    grad_x = there_and_back(module, x[:0])
    assert grad_x.shape == (0, *x.shape[1:])
    assert grad_x.dtype == dtype
    for parameter in module.parameters().values():
        assert parameter.grad.shape == parameter.data.shape
        assert parameter.grad.dtype == dtype
        assert not parameter.grad.any()


# ---- Landmark heads --------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["pnet_landmarks", "rnet_landmarks", "onet"])
def test_a_landmark_head_wants_its_gradient(network):
    module, x = network_and_input(network)
    grad_outputs = upstream(module.forward(x))
    message = (
        "backward: `grad_landmark_deltas` is None, but the network has a landmark head; "
        "pass zeros if there is nothing to learn from"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        module.backward(*grad_outputs[:2], None)
    # Nothing has been used up, so the right call can follow.
    assert module.backward(*grad_outputs).shape == x.shape


@pytest.mark.parametrize("network", ["pnet", "rnet"])
def test_without_a_landmark_head_there_is_no_gradient_for_it(network):
    module, x = network_and_input(network)
    outputs = module.forward(x)
    grad_logits, grad_box_deltas, _ = upstream(outputs)
    message = "backward: `grad_landmark_deltas` is given, but the network has no landmark head; pass None"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        module.backward(grad_logits, grad_box_deltas, np.zeros((2, 10)))
    grad_x = module.backward(grad_logits, grad_box_deltas)
    module.forward(x)
    np.testing.assert_array_equal(module.backward(grad_logits, grad_box_deltas, None), grad_x)


@pytest.mark.parametrize("network", ["pnet_landmarks", "rnet_landmarks"])
def test_zeros_for_landmarks_are_as_good_as_no_head(network):
    module, x = network_and_input(network)
    grad_logits, grad_box_deltas, grad_landmark_deltas = upstream(module.forward(x))
    grad_x = module.backward(grad_logits, grad_box_deltas, np.zeros_like(grad_landmark_deltas))
    without, _ = network_and_input(network.removesuffix("_landmarks"))
    state = module.state_dict()
    without.load_state_dict({name: state[name] for name in without.state_dict()})
    without.forward(x)
    np.testing.assert_array_equal(without.backward(grad_logits, grad_box_deltas), grad_x)
    assert not module.landmark_head.weight.grad.any()
    assert not module.landmark_head.bias.grad.any()


# ---- Flatten ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1, 2, 3), (2, 3, 4, 5), (3, 64, 3, 3), (2, 3, 1, 1), (0, 64, 3, 4)])
def test_unflatten_puts_back_what_flatten_took(shape):
    x = np.arange(math.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(unflatten_columns_first(flatten_columns_first(x), shape[1:]), x)


def test_flatten_takes_back_what_unflatten_put():
    flat = np.arange(2 * 24).reshape(2, 24)
    np.testing.assert_array_equal(flatten_columns_first(unflatten_columns_first(flat, (4, 2, 3))), flat)


def test_the_gradient_is_not_modified():
    grad_output = np.arange(12.0).reshape(1, 12)
    unflatten_columns_first(grad_output, (2, 3, 2))[...] = -1
    np.testing.assert_array_equal(grad_output.ravel(), np.arange(12.0))
