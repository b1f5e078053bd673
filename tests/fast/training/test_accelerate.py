"""The swap itself: what stays, what falls back, and what a fast layer refuses."""

import copy
import gc

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.fast.training.accelerate import TWINS, accelerate
from minidet.fast.training.maps import memory_of, new_map
from minidet.models.mtcnn import ONet, PNet, RNet
from minidet.models.retinaface.retinaface import RetinaFaceNet
from minidet.nn import BatchNorm2d, Conv2d, DepthwiseConv2d, LeakyReLU, Linear, MaxPool2d, PReLU, ReLU
from minidet.training.optim import SGD

LAYERS = {
    "conv": (Conv2d(4, 5, 3), (2, 4, 6, 6)),
    "depthwise": (DepthwiseConv2d(4, 3), (2, 4, 6, 6)),
    "batch-norm": (BatchNorm2d(4), (2, 4, 6, 6)),
    "pool": (MaxPool2d(2, 2), (2, 4, 6, 6)),
    "linear": (Linear(4, 5), (2, 4)),
    "relu": (ReLU(), (2, 4)),
    "leaky-relu": (LeakyReLU(0.1), (2, 4)),
    "prelu": (PReLU(4), (2, 4)),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def fast(name):
    layer, shape = LAYERS[name]
    return accelerate(copy.deepcopy(layer)), np.random.default_rng(0).normal(size=shape)


def modules(module):
    yield module
    for _, part in module.parts():
        yield from modules(part)


@pytest.mark.parametrize("make", [PNet, RNet, ONet, RetinaFaceNet])
def test_objects_and_names_stay(make):
    network = make()
    before = list(modules(network))
    state = dict(network.state())
    assert accelerate(network) is network
    assert all(a is b for a, b in zip(modules(network), before, strict=True))
    assert list(dict(network.state())) == list(state)
    assert all(dict(network.state())[name] is array for name, array in state.items())


@pytest.mark.parametrize("make", [PNet, RNet, ONet, RetinaFaceNet])
def test_every_layer_that_has_a_twin_becomes_it(make):
    network = accelerate(make())
    assert not {type(module) for module in modules(network)} & set(TWINS)


def test_accelerating_twice_is_accelerating_once():
    network = accelerate(RetinaFaceNet())
    types = [type(module) for module in modules(network)]
    assert [type(module) for module in modules(accelerate(network))] == types


def test_a_subclass_of_a_layer_stays():
    class Own(Conv2d):
        pass

    assert type(accelerate(Own(3, 4, 1))) is Own


def test_an_optimiser_made_before_moves_what_the_fast_network_uses():
    network = PNet()
    optimizer = SGD(network.parameters(), lr=0.1)
    accelerate(network)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 12, 12)).astype(np.float32)
    logits, box_deltas, _ = network.forward(x)
    network.backward(np.ones_like(logits), np.ones_like(box_deltas))
    optimizer.step()
    assert (network.forward(x)[0] != logits).any()


@every_layer
def test_float64_goes_the_way_of_the_definition(name):
    layer = copy.deepcopy(LAYERS[name][0]).astype(np.float64)
    twin, x = fast(name)
    twin.astype(np.float64)
    y = twin.forward(x)
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, layer.forward(x))
    grad_output = np.random.default_rng(1).normal(size=y.shape)
    np.testing.assert_array_equal(twin.backward(grad_output), layer.backward(grad_output))
    for key, parameter in layer.parameters().items():
        np.testing.assert_array_equal(twin.parameters()[key].grad, parameter.grad)


@every_layer
def test_one_backward_for_one_forward(name):
    twin, x = fast(name)
    with pytest.raises(InputError, match="no forward pass to go back through"):
        twin.backward(x.astype(np.float32))
    y = twin.forward(x.astype(np.float32))
    twin.backward(y)
    with pytest.raises(InputError, match="no forward pass to go back through"):
        twin.backward(y)


@every_layer
def test_inference_keeps_nothing(name):
    twin, x = fast(name)
    y = twin.eval().forward(x.astype(np.float32))
    with pytest.raises(InputError, match="no forward pass to go back through"):
        twin.backward(y)


@every_layer
def test_gradients_add_up(name):
    twin, x = fast(name)
    for _ in range(2):
        y = twin.forward(x.astype(np.float32))
        twin.backward(np.ones_like(y))
    twice = {key: parameter.grad for key, parameter in twin.parameters().items()}
    twin.zero_grad()
    y = twin.forward(x.astype(np.float32))
    twin.backward(np.ones_like(y))
    for key, parameter in twin.parameters().items():
        np.testing.assert_allclose(twice[key], 2 * parameter.grad, rtol=1e-6)


@every_layer
def test_a_gradient_of_another_shape_or_type_is_refused(name):
    twin, x = fast(name)
    y = twin.forward(x.astype(np.float32))
    with pytest.raises(InputError, match="grad_output"):
        twin.backward(y.astype(np.float64))
    y = twin.forward(x.astype(np.float32))
    with pytest.raises(InputError, match="grad_output"):
        twin.backward(y[:1])


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv", (2, 3, 6, 6)),
        ("conv", (2, 4, 2, 2)),
        ("conv", (4, 6, 6)),
        ("depthwise", (2, 3, 6, 6)),
        ("batch-norm", (2, 3, 6, 6)),
        ("batch-norm", (1, 4, 1, 1)),
        ("pool", (2, 4, 1, 1)),
        ("linear", (2, 3)),
        ("prelu", (2, 3)),
    ],
)
def test_what_the_definition_refuses_the_twin_refuses_in_the_same_words(name, shape):
    x = np.zeros(shape, np.float32)
    with pytest.raises(InputError) as expected:
        copy.deepcopy(LAYERS[name][0]).forward(x)
    with pytest.raises(InputError) as refused:
        fast(name)[0].forward(x)
    assert str(refused.value) == str(expected.value)


def test_batch_norm_refuses_what_is_not_finite_and_keeps_its_statistics():
    twin, x = fast("batch-norm")
    x = x.astype(np.float32)
    x[1, 2, 3, 3] = np.nan
    with pytest.raises(InputError, match="channel 2"):
        twin.forward(x)
    np.testing.assert_array_equal(twin.running_mean.data, np.zeros(4))
    np.testing.assert_array_equal(twin.running_var.data, np.ones(4))


def test_batch_norm_in_inference_uses_the_running_statistics():
    twin, x = fast("batch-norm")
    twin.running_mean.data[:] = 3
    layer = copy.deepcopy(LAYERS["batch-norm"][0])
    layer.running_mean.data[:] = 3
    x = x.astype(np.float32)
    np.testing.assert_allclose(twin.eval().forward(x), layer.eval().forward(x), rtol=1e-5)
    np.testing.assert_array_equal(twin.running_mean.data, [3, 3, 3, 3])


@pytest.mark.parametrize("H", [1, 5])
@pytest.mark.parametrize("C", [3, 16, 40])
def test_a_map_is_recognised_and_its_parts_are_not(C, H):
    memory, view = new_map(2, C, H, H)
    memory[:] = 0
    view[:] = np.random.default_rng(0).normal(size=view.shape)
    assert memory_of(view).ctypes.data == memory.ctypes.data
    for part in (view[:, : C - 1], view[:1], view[:, ::-1], view.copy()):
        copied = memory_of(part)
        pixels = copied.reshape(len(part), H, H, -1)[..., : part.shape[1]]
        np.testing.assert_array_equal(pixels.transpose(0, 3, 1, 2), part)
    if C != 16:  # the zeros behind the channels are not those of the part
        assert memory_of(view[:, : C - 1]).ctypes.data != memory.ctypes.data


@pytest.mark.parametrize(
    "hold",
    [lambda memory, view: memory, lambda memory, view: view[1:, :2], lambda memory, view: memory_of(view)],
)
def test_memory_is_not_used_again_while_anybody_holds_a_view_of_it(hold):
    memory, view = new_map(2, 3, 5, 7)
    memory[:] = 1
    held = hold(memory, view)
    address, size = memory.ctypes.data, memory.nbytes
    del memory, view
    gc.collect()
    others = [new_map(2, 3, 5, 7)[0] for _ in range(5)]
    assert all(abs(other.ctypes.data - address) >= size for other in others)
    assert (held == 1).all() or held.base is not None
    del held, others
    gc.collect()
    again = [new_map(2, 3, 5, 7)[0] for _ in range(9)]
    assert address in {array.ctypes.data for array in again}
