"""Going back through layers: the right gradients, added up, once for every forward pass in training."""

import re

import numpy as np
import pytest

import minidet.nn
from minidet.errors import InputError
from minidet.nn import (
    BatchNorm2d,
    Buffer,
    Conv2d,
    DeformConv2d,
    DepthwiseConv2d,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Module,
    Parameter,
    PReLU,
    ReLU,
    Sequential,
    freeze_batch_norms,
)
from tests.check import FLOATS, LAYOUTS, OP_TOLERANCE, assert_close
from tests.gradients import STEP, assert_backward
from tests.oracles.cases import Numbers

X = (2, 3, 5, 6)


def frozen(layer):
    freeze_batch_norms(layer)
    return layer


# Layer, shape of its input.
LAYERS = {
    "conv": (lambda: Conv2d(3, 4, 2), X),
    "conv-options": (lambda: Conv2d(3, 2, 3, stride=2, padding=1, bias=False), X),
    "deform": (lambda: DeformConv2d(2, 3, 2), (2, 2, 4, 5)),
    "deform-options": (
        lambda: DeformConv2d(4, 2, 3, stride=2, padding=1, bias=False, modulated=True, offset_groups=2),
        (2, 4, 3, 4),
    ),
    "depthwise": (lambda: DepthwiseConv2d(3, 2), X),
    "depthwise-options": (lambda: DepthwiseConv2d(3, 3, stride=2, padding=1), X),
    "linear": (lambda: Linear(5, 4), (3, 5)),
    "norm": (lambda: BatchNorm2d(3), X),
    "norm-options": (lambda: BatchNorm2d(3, momentum=0.7, eps=0.25), X),
    "norm-frozen": (lambda: frozen(BatchNorm2d(3, eps=0.25)), X),
    "relu": (ReLU, X),
    "leaky_relu": (lambda: LeakyReLU(0.3), X),
    "prelu": (lambda: PReLU(3), X),
    "prelu-vectors": (lambda: PReLU(5), (3, 5)),
    "pool": (lambda: MaxPool2d(3, 2), X),
    "pool-options": (lambda: MaxPool2d(3, 2, padding=1, ceil_mode=True), X),
    "chain": (lambda: Sequential(Conv2d(3, 4, 2), PReLU(4), BatchNorm2d(4), MaxPool2d(2, 2)), X),
    "chain-in-chain": (
        lambda: Sequential(
            DepthwiseConv2d(3, 3), Sequential(BatchNorm2d(3), LeakyReLU(0.1)), Conv2d(3, 2, 1)
        ),
        X,
    ),
}
every_layer = pytest.mark.parametrize("name", LAYERS)
SINGLE = [name for name in LAYERS if not name.startswith(("chain", "deform"))]  # which have parts
every_single_layer = pytest.mark.parametrize("name", SINGLE)


def layer_and_input(name, dtype="float64"):
    """Return the layer in training, with random state, and an input without ties and near no kink."""
    layer = LAYERS[name][0]()
    numbers = Numbers(f"state of {name}")
    layer.load_state_dict(
        {
            key: numbers.positive(*array.shape) if key.endswith("var") else numbers.real(*array.shape)
            for key, array in layer.state_dict().items()
        }
    )
    return layer.astype(dtype), make_input(name, dtype)


def make_input(name, dtype="float64", seed=""):
    """Return multiples of 1/64, moved by 1/192, in random order: no two are equal, and none is near 0."""
    shape = LAYERS[name][1]
    order = Numbers(f"input of {name}{seed}").shuffled(*shape)
    return ((order - order.size // 2 + 1 / 3) / 64).astype(dtype)


def upstream(y, seed="upstream"):
    return Numbers(seed).real(*y.shape).astype(y.dtype)


def there_and_back(layer, x, seed="upstream"):
    """Return the gradient of the input after one forward and one backward pass."""
    y = layer.forward(x)
    return layer.backward(upstream(y, seed))


def gradients(layer):
    return {name: parameter.grad for name, parameter in layer.parameters().items()}


def test_every_layer_is_here():
    exported = {getattr(minidet.nn, name) for name in minidet.nn.__all__}
    layers = {kind for kind in exported if isinstance(kind, type) and issubclass(kind, Layer)} - {Layer}
    assert {type(make()) for make, _ in LAYERS.values()} == layers


# ---- The right gradients ---------------------------------------------------------------------------


@every_layer
def test_is_the_gradient_of_forward(name):
    layer, x = layer_and_input(name)
    parameters = {key: parameter.data for key, parameter in layer.parameters().items()}

    def forward(**_):  # reads the very arrays that are changed
        return layer.forward(x)

    def backward(grad_output):
        layer.zero_grad()
        layer.forward(x)
        return {"x": layer.backward(grad_output), **gradients(layer)}

    if name not in SINGLE:
        assert_far_from_kinks(layer, x)
    assert_backward(forward, backward, {"x": x, **parameters})


def assert_far_from_kinks(module, x):
    """Require that no step of the differences changes a sign, an order or a pixel inside of a module."""
    for layer in module.layers if isinstance(module, Sequential) else [module]:
        if isinstance(layer, Sequential):
            assert_far_from_kinks(layer, x)
        elif isinstance(layer, PReLU | LeakyReLU):
            assert np.abs(x).min() > 20 * STEP
        elif isinstance(layer, DeformConv2d):
            offset, _ = layer.predict(x)
            assert np.abs(offset - np.round(offset)).min() > 5 * STEP
        elif isinstance(layer, MaxPool2d):
            windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(2, 3))
            *_, second, first = np.sort(windows.reshape(-1, 4)).T
            assert (first - second).min() > 20 * STEP
        x = layer.forward(x)


@pytest.mark.parametrize("dtype", FLOATS)
@every_layer
def test_every_gradient_has_the_shape_and_type_of_its_array(name, dtype):
    layer, x = layer_and_input(name, dtype)
    grad_x = there_and_back(layer, x)
    assert grad_x.shape == x.shape
    assert grad_x.dtype == dtype
    for parameter in layer.parameters().values():
        assert parameter.grad.shape == parameter.data.shape
        assert parameter.grad.dtype == dtype


@every_layer
def test_float32_is_float64_up_to_rounding(name):
    layer, x = layer_and_input(name)
    grad_x = there_and_back(layer, x)
    rounded, x32 = layer_and_input(name, "float32")
    assert_close(there_and_back(rounded, x32), grad_x.astype(np.float32), OP_TOLERANCE["float32"])
    for key, gradient in gradients(rounded).items():
        assert_close(gradient, gradients(layer)[key].astype(np.float32), OP_TOLERANCE["float32"])


@pytest.mark.parametrize("layout", LAYOUTS)
@every_layer
def test_any_layout_and_nothing_is_changed(name, layout):
    layer, x = layer_and_input(name)
    expected = there_and_back(layer, x)
    expected_gradients = gradients(layer)
    state = layer.state_dict()

    again, _ = layer_and_input(name)
    laid_out = layout(x)
    grad_output = layout(upstream(again.forward(laid_out)))
    before = grad_output.copy()
    grad_x = again.backward(grad_output)
    assert_close(grad_x, expected, OP_TOLERANCE["float64"])
    for key, gradient in gradients(again).items():
        assert_close(gradient, expected_gradients[key], OP_TOLERANCE["float64"])
    assert not np.shares_memory(grad_x, laid_out)
    assert not np.shares_memory(grad_x, grad_output)
    np.testing.assert_array_equal(laid_out, x)
    np.testing.assert_array_equal(grad_output, before)
    for key, array in again.state_dict().items():
        assert_close(array, state[key], OP_TOLERANCE["float64"])


@every_layer
def test_goes_back_through_the_last_forward_pass(name):
    layer, x = layer_and_input(name)
    other = make_input(name, seed="other")
    layer.forward(other)
    grad_x = there_and_back(layer, x)
    fresh, _ = layer_and_input(name)
    np.testing.assert_array_equal(grad_x, there_and_back(fresh, x))
    for key, gradient in gradients(fresh).items():
        np.testing.assert_array_equal(gradient, gradients(layer)[key])


# ---- Adding up -------------------------------------------------------------------------------------


@every_layer
def test_two_rounds_add_up(name):
    rounds = [(make_input(name, seed=seed), seed) for seed in ("first", "second", "third")]
    together, _ = layer_and_input(name)
    alone = []
    for x, seed in rounds:
        layer, _ = layer_and_input(name)
        grad_x = there_and_back(layer, x, seed)
        alone.append(gradients(layer))
        # What has been added up so far does not show in the gradient of the input.
        np.testing.assert_array_equal(there_and_back(together, x, seed), grad_x)
    for key, gradient in gradients(together).items():
        np.testing.assert_array_equal(gradient, alone[0][key] + alone[1][key] + alone[2][key])


@every_layer
def test_a_gradient_taken_before_is_not_written_to(name):
    layer, x = layer_and_input(name)
    there_and_back(layer, x)
    first = gradients(layer)
    before = {key: gradient.copy() for key, gradient in first.items()}
    there_and_back(layer, x, "second")
    for key, gradient in first.items():
        np.testing.assert_array_equal(gradient, before[key])
        assert layer.parameters()[key].grad is not gradient


@every_layer
def test_zero_grad_starts_anew(name):
    layer, x = layer_and_input(name)
    assert all(gradient is None for gradient in gradients(layer).values())
    there_and_back(layer, x)
    once = gradients(layer)
    layer.zero_grad()
    assert all(gradient is None for gradient in gradients(layer).values())
    there_and_back(layer, x)
    for key, gradient in gradients(layer).items():
        np.testing.assert_array_equal(gradient, once[key])


@every_layer
def test_another_type_starts_anew(name):
    layer, x = layer_and_input(name)
    there_and_back(layer, x)
    layer.astype("float32")
    assert all(gradient is None for gradient in gradients(layer).values())
    assert there_and_back(layer, x.astype(np.float32)).dtype == np.float32
    assert all(gradient.dtype == np.float32 for gradient in gradients(layer).values())


@every_layer
def test_neither_pass_touches_the_parameters(name):
    layer, x = layer_and_input(name)
    before = {key: (parameter.data, parameter.data.copy()) for key, parameter in layer.parameters().items()}
    there_and_back(layer, x)
    for key, parameter in layer.parameters().items():
        assert parameter.data is before[key][0]
        np.testing.assert_array_equal(parameter.data, before[key][1])


# ---- One backward for one forward ------------------------------------------------------------------


def refuses_to_go_back(layer, grad_output, named):
    message = (
        f"{named}: no forward pass to go back through; "
        "call forward in training mode first, once for every backward"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        layer.backward(grad_output)
    assert all(gradient is None for gradient in gradients(layer).values())


def last_layer(layer):
    """Return the name of the layer that the gradient reaches first."""
    while isinstance(layer, Sequential):
        layer = layer.layers[-1]
    return type(layer).__name__


@every_layer
def test_without_forward(name):
    layer, x = layer_and_input(name)
    refuses_to_go_back(layer, x, last_layer(layer))


@every_layer
def test_twice(name):
    layer, x = layer_and_input(name)
    grad_output = upstream(layer.forward(x))
    layer.backward(grad_output)
    layer.zero_grad()
    refuses_to_go_back(layer, grad_output, last_layer(layer))


@every_layer
def test_after_eval(name):
    layer, x = layer_and_input(name)
    grad_output = upstream(layer.forward(x))
    layer.eval()
    refuses_to_go_back(layer, grad_output, last_layer(layer))
    layer.train()
    refuses_to_go_back(layer, grad_output, last_layer(layer))


@every_layer
def test_after_forward_in_inference(name):
    layer, x = layer_and_input(name)
    grad_output = upstream(layer.eval().forward(x))
    refuses_to_go_back(layer, grad_output, last_layer(layer))


@every_layer
def test_inference_in_between_does_not_count(name):
    # A pass in inference between the two is no forward pass to go back through, nor is the one before it.
    layer, x = layer_and_input(name)
    layer.forward(x)
    grad_output = upstream(layer.eval().forward(make_input(name, seed="other")))
    refuses_to_go_back(layer.train(), grad_output, last_layer(layer))


# ---- Memory ----------------------------------------------------------------------------------------


def arrays_in(value):
    """List the arrays that a module holds: state, gradients and whatever is kept for backward."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Module | Parameter | Buffer):
        for attribute in vars(value).values():
            yield from arrays_in(attribute)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from arrays_in(item)


def size(layer):
    return sum(array.nbytes for array in arrays_in(layer))


@every_layer
def test_what_is_kept_is_released(name):
    layer, x = layer_and_input(name)
    state = size(layer)
    y = layer.forward(x)
    assert size(layer) > state
    layer.backward(upstream(y))
    layer.zero_grad()
    assert size(layer) == state
    layer.forward(x)
    assert size(layer) > state
    layer.eval()
    assert size(layer) == state
    layer.forward(x)
    assert size(layer) == state


@every_single_layer
def test_what_is_kept_is_no_more_than_backward_needs(name):
    # An input, an output or as many indices, and a few numbers per channel.
    layer, x = layer_and_input(name)
    state = size(layer)
    layer.forward(x)
    per_channel = 4 * x.shape[1] * x.itemsize
    assert size(layer) - state <= x.nbytes + per_channel


# ---- Sequential ------------------------------------------------------------------------------------


class Recorder(Layer):
    """Multiplies, and writes down when it is called and with what."""

    def __init__(self, factor, log):
        self.factor, self.log = factor, log

    def forward(self, x):
        self.log.append(("forward", self.factor, x.item()))
        return self.factor * x

    def backward(self, grad_output):
        self.log.append(("backward", self.factor, grad_output.item()))
        return self.factor * grad_output


def test_sequential_goes_back_in_the_other_order():
    log = []
    chain = Sequential(Recorder(2, log), Sequential(Recorder(3, log), Recorder(5, log)), Recorder(7, log))
    assert chain.forward(np.array([1.0])).item() == 210
    assert log == [("forward", 2, 1), ("forward", 3, 2), ("forward", 5, 6), ("forward", 7, 30)]
    log.clear()
    assert chain.backward(np.array([1.0])).item() == 210
    assert log == [("backward", 7, 1), ("backward", 5, 7), ("backward", 3, 35), ("backward", 2, 105)]


def test_sequential_is_its_layers_one_by_one():
    chain, x = layer_and_input("chain")
    alone, _ = layer_and_input("chain")
    conv, prelu, norm, pool = alone.layers
    grad_x = there_and_back(chain, x)
    y = pool.forward(norm.forward(prelu.forward(conv.forward(x))))
    expected = conv.backward(prelu.backward(norm.backward(pool.backward(upstream(y)))))
    np.testing.assert_array_equal(grad_x, expected)
    for key, gradient in gradients(chain).items():
        np.testing.assert_array_equal(gradient, gradients(alone)[key])


def test_an_empty_sequential_hands_the_gradient_on():
    grad_output = Numbers(0).real(*X)
    np.testing.assert_array_equal(Sequential().backward(grad_output), grad_output)


# ---- Parameter -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_accumulate_adds(dtype):
    parameter = Parameter(np.zeros((2, 3), dtype))
    first, second, third = (Numbers(seed).real(2, 3).astype(dtype) for seed in range(3))
    assert parameter.grad is None
    parameter.accumulate(first)
    np.testing.assert_array_equal(parameter.grad, first)
    parameter.accumulate(second)
    parameter.accumulate(third)
    np.testing.assert_array_equal(parameter.grad, first + second + third)
    assert parameter.grad.dtype == dtype


def test_a_gradient_is_an_array_of_its_own():
    one, other = Parameter(np.zeros(3)), Parameter(np.zeros(3))
    given = np.ones(3)
    one.accumulate(given)
    other.accumulate(given)  # as when one gradient goes to both terms of a sum
    one.grad += 10
    assert given.tolist() == [1, 1, 1]
    assert other.grad.tolist() == [1, 1, 1]
    given[...] = 5
    assert one.grad.tolist() == [11, 11, 11]
    assert other.grad.tolist() == [1, 1, 1]
    one.accumulate(given)
    one.grad += 10
    assert given.tolist() == [5, 5, 5]


def test_accumulate_replaces_the_array_and_does_not_write_to_it():
    parameter = Parameter(np.zeros(3))
    parameter.accumulate(np.ones(3))
    before = parameter.grad
    parameter.accumulate(np.ones(3))
    assert before.tolist() == [1, 1, 1]
    assert parameter.grad.tolist() == [2, 2, 2]


@pytest.mark.parametrize("shape", [(3,), (3, 2), (1, 2, 3), ()])
@pytest.mark.parametrize("later", [False, True])
def test_accumulate_refuses_another_shape(shape, later):
    parameter = Parameter(np.zeros((2, 3)))
    if later:
        parameter.accumulate(np.ones((2, 3)))
    message = f"Parameter: gradient of shape {shape} for values of shape (2, 3)"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        parameter.accumulate(np.zeros(shape))
    assert (parameter.grad is not None) == later
