"""Each layer is its operation with its own arrays and options, and in inference it keeps nothing."""

import numpy as np
import pytest

from minidet import ops
from minidet.nn import (
    BatchNorm2d,
    Buffer,
    Conv2d,
    DeformConv2d,
    DepthwiseConv2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Module,
    Parameter,
    PReLU,
    ReLU,
    Sequential,
)
from tests.oracles.cases import Numbers

X = (2, 3, 7, 8)


def with_random_state(layer, dtype="float32"):
    """Fill the layer with numbers that are all different, variances above zero."""
    numbers = Numbers(1)
    layer.load_state_dict(
        {
            name: numbers.positive(*array.shape) if name.endswith("var") else numbers.real(*array.shape)
            for name, array in layer.state_dict().items()
        }
    )
    return layer.astype(dtype)


def pooled(x, **options):
    y, _ = ops.max_pool2d_forward(x, **options)
    return y


def normalised(x, weight, bias, running_mean, running_var, **options):
    y, _ = ops.batch_norm2d_forward(x, weight, bias, running_mean, running_var, **options)
    return y


def deformed(x, weight, bias, predictor_weight, predictor_bias, **options):
    offset = ops.conv2d_forward(x, predictor_weight, predictor_bias, **options)
    return ops.deform_conv2d_forward(x, offset, weight, bias, **options)


def modulated(x, weight, predictor_weight, predictor_bias, **options):
    predicted = ops.conv2d_forward(x, predictor_weight, predictor_bias, **options)
    offset, mask = predicted[:, :54], ops.sigmoid_forward(predicted[:, 54:])
    return ops.deform_conv2d_forward(x, offset, weight, mask=mask, **options)


# Layer, shape of its input, shapes of its state, its operation, the options it must pass on.
LAYERS = {
    "conv": (
        lambda: Conv2d(3, 4, 2),
        X,
        {"weight": (4, 3, 2, 2), "bias": (4,)},
        ops.conv2d_forward,
        {"stride": 1, "padding": 0},
    ),
    "conv-options": (
        lambda: Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
        X,
        {"weight": (4, 3, 3, 3)},
        ops.conv2d_forward,
        {"stride": 2, "padding": 1},
    ),
    "deform": (
        lambda: DeformConv2d(3, 4, 2),
        X,
        {
            "weight": (4, 3, 2, 2),
            "bias": (4,),
            "conv_offset_mask.weight": (8, 3, 2, 2),
            "conv_offset_mask.bias": (8,),
        },
        deformed,
        {"stride": 1, "padding": 0},
    ),
    "deform-options": (
        lambda: DeformConv2d(3, 4, 3, stride=2, padding=1, bias=False, modulated=True, offset_groups=3),
        X,
        {
            "weight": (4, 3, 3, 3),
            "conv_offset_mask.weight": (81, 3, 3, 3),
            "conv_offset_mask.bias": (81,),
        },
        modulated,
        {"stride": 2, "padding": 1},
    ),
    "depthwise": (
        lambda: DepthwiseConv2d(3, 2),
        X,
        {"weight": (3, 1, 2, 2)},
        ops.depthwise_conv2d_forward,
        {"stride": 1, "padding": 0},
    ),
    "depthwise-options": (
        lambda: DepthwiseConv2d(3, 3, stride=2, padding=1),
        X,
        {"weight": (3, 1, 3, 3)},
        ops.depthwise_conv2d_forward,
        {"stride": 2, "padding": 1},
    ),
    "linear": (lambda: Linear(5, 4), (2, 5), {"weight": (4, 5), "bias": (4,)}, ops.linear_forward, {}),
    "norm": (
        lambda: BatchNorm2d(3),
        X,
        {"weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,)},
        normalised,
        {"training": False, "eps": 1e-5},
    ),
    "norm-options": (
        lambda: BatchNorm2d(3, eps=0.25),
        X,
        {"weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,)},
        normalised,
        {"training": False, "eps": 0.25},
    ),
    "relu": (ReLU, X, {}, ops.relu_forward, {}),
    "leaky_relu": (lambda: LeakyReLU(0.3), X, {}, ops.leaky_relu_forward, {"negative_slope": 0.3}),
    "prelu": (lambda: PReLU(3), X, {"weight": (3,)}, ops.prelu_forward, {}),
    "prelu-vectors": (lambda: PReLU(5), (2, 5), {"weight": (5,)}, ops.prelu_forward, {}),
    "pool": (lambda: MaxPool2d(3, 2), X, {}, pooled, {"kernel_size": 3, "stride": 2}),
    "pool-options": (
        lambda: MaxPool2d(3, 2, padding=1, ceil_mode=True),
        X,
        {},
        pooled,
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    ),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


@every_layer
def test_state_names_and_shapes(name):
    make, _, shapes, _, _ = LAYERS[name]
    state = make().state_dict()
    assert {key: array.shape for key, array in state.items()} == shapes
    assert {array.dtype for array in state.values()} <= {np.dtype("float32")}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_layer
def test_forward_is_the_operation_with_the_state(name, dtype):
    make, x_shape, shapes, op, options = LAYERS[name]
    layer = with_random_state(make(), dtype).eval()
    x = Numbers(2).real(*x_shape).astype(dtype)
    state = layer.state_dict()
    y = layer.forward(x)
    np.testing.assert_array_equal(y, op(x, *[state[key] for key in shapes], **options))
    assert y.dtype == dtype


def test_pooling_with_ceil_mode_differs_here():
    # Guards the case above: with 8 columns the option matters.
    x = Numbers(2).real(*X)
    assert MaxPool2d(3, 2).forward(x).shape != MaxPool2d(3, 2, ceil_mode=True).forward(x).shape


@pytest.mark.parametrize(
    ("layer", "values"),
    [
        (Conv2d(1, 1, 1), {"weight": 0, "bias": 0}),
        (DepthwiseConv2d(1, 1), {"weight": 0}),
        (Linear(1, 1), {"weight": 0, "bias": 0}),
        (BatchNorm2d(1), {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}),
        (PReLU(1), {"weight": 0.25}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_new_layer_holds_what_its_docstring_says(layer, values):
    assert {name: array.item() for name, array in layer.state_dict().items()} == values


def test_parameters_and_buffers_show_their_shape():
    assert repr(Parameter(np.zeros((2, 3), np.float32))) == "Parameter(2, 3)"
    assert repr(Buffer(np.zeros(4, np.float32))) == "Buffer(4,)"


# ---- Sequential ------------------------------------------------------------------------------------


def test_sequential_applies_its_layers_in_order():
    conv, norm = with_random_state(Conv2d(3, 4, 3)).eval(), with_random_state(BatchNorm2d(4)).eval()
    x = Numbers(3).real(*X).astype(np.float32)
    y = Sequential(conv, norm, ReLU()).eval().forward(x)
    np.testing.assert_array_equal(y, ops.relu_forward(norm.forward(conv.forward(x))))


def test_an_empty_sequential_changes_nothing():
    x = np.ones(X)
    np.testing.assert_array_equal(Sequential().forward(x), x)


# ---- Inference keeps nothing -----------------------------------------------------------------------


def everything_in(value):
    """Describe a module and all it refers to: which objects, and what is in them."""
    if isinstance(value, np.ndarray):
        return id(value), value.tobytes()
    if isinstance(value, Module | Parameter | Buffer):
        return id(value), {name: everything_in(attribute) for name, attribute in vars(value).items()}
    if isinstance(value, tuple | list):
        return id(value), [everything_in(item) for item in value]
    return value


@every_layer
def test_inference_stores_nothing(name):
    make, x_shape, *_ = LAYERS[name]
    layer = with_random_state(make()).eval()
    before = everything_in(layer)
    layer.forward(Numbers(2).real(*x_shape).astype(np.float32))
    assert everything_in(layer) == before


def test_inference_through_a_sequential_stores_nothing():
    chain = with_random_state(Sequential(Conv2d(3, 4, 3), BatchNorm2d(4), Sequential(PReLU(4)))).eval()
    before = everything_in(chain)
    chain.forward(Numbers(2).real(*X).astype(np.float32))
    assert everything_in(chain) == before
