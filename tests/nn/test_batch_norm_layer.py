"""The one layer whose forward pass writes: in training, and never in inference."""

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.models.retinaface import RetinaFaceNet
from minidet.nn import BatchNorm2d, Buffer, ReLU, Sequential, freeze_batch_norms
from minidet.ops import batch_norm2d_forward
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import Numbers

SHAPE = (2, 3, 4, 5)


def test_training_normalises_with_the_batch():
    y = BatchNorm2d(3).train().forward(10 + Numbers(0).real(*SHAPE).astype(np.float32))
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, atol=1e-4)


def test_inference_normalises_with_the_running_statistics():
    layer = BatchNorm2d(3).eval()
    layer.running_mean.data = np.full(3, 10, np.float32)
    layer.running_var.data = np.full(3, 4 - layer.eps, np.float32)
    y = layer.forward(np.full(SHAPE, 16, np.float32))
    np.testing.assert_allclose(y, 3, rtol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.1, 0.5, 1.0])
def test_every_training_step_moves_the_running_statistics(momentum):
    layer = BatchNorm2d(3, momentum=momentum).astype("float64").train()
    mean, var = np.zeros(3), np.ones(3)
    for step in range(3):
        x = Numbers(step).real(*SHAPE)
        layer.forward(x)
        mean = (1 - momentum) * mean + momentum * x.mean(axis=(0, 2, 3))
        var = (1 - momentum) * var + momentum * x.var(axis=(0, 2, 3), ddof=1)
        np.testing.assert_allclose(layer.running_mean.data, mean, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(layer.running_var.data, var, rtol=1e-12)


def test_training_leaves_weight_and_bias_alone():
    layer = BatchNorm2d(3).train()
    layer.forward(Numbers(0).real(*SHAPE).astype(np.float32))
    assert (layer.weight.data == 1).all()
    assert (layer.bias.data == 0).all()


def test_the_type_stays_through_training():
    layer = BatchNorm2d(3).train()
    y = layer.forward(Numbers(0).real(*SHAPE).astype(np.float32))
    assert {y.dtype} | {array.dtype for array in layer.state_dict().values()} == {np.dtype("float32")}


def test_a_training_step_does_not_write_into_a_state_dict_taken_before():
    layer = BatchNorm2d(3).train()
    before = layer.state_dict()
    layer.forward(Numbers(0).real(*SHAPE).astype(np.float32))
    assert (before["running_mean"] == 0).all()
    assert (layer.running_mean.data != 0).all()


class Untouchable(Buffer):
    """A buffer that can be read only."""

    data = property(lambda self: self.__dict__["data"])

    def __init__(self, data):
        self.__dict__["data"] = data


def test_inference_does_not_even_write_the_same_values_back():
    # Threads share the layer: what one writes back late would undo what another has loaded meanwhile.
    layer = BatchNorm2d(3).eval()
    layer.running_mean = Untouchable(layer.running_mean.data)
    layer.running_var = Untouchable(layer.running_var.data)
    layer.forward(Numbers(0).real(*SHAPE).astype(np.float32))


def test_momentum_and_eps_reach_the_operation():
    x = Numbers(0).real(*SHAPE)
    layer = BatchNorm2d(3, momentum=0.3, eps=0.5).astype("float64").train()
    y, cache = batch_norm2d_forward(
        x, np.ones(3), np.zeros(3), np.zeros(3), np.ones(3), training=True, momentum=0.3, eps=0.5
    )
    np.testing.assert_array_equal(layer.forward(x), y)
    np.testing.assert_array_equal(layer.running_mean.data, cache.running_mean)
    np.testing.assert_array_equal(layer.running_var.data, cache.running_var)


def test_inside_a_sequential_the_mode_decides_as_well():
    x = Numbers(0).real(*SHAPE).astype(np.float32)
    chain = Sequential(Sequential(BatchNorm2d(3)))
    chain.eval().forward(x)
    assert (chain.state_dict()["0.0.running_mean"] == 0).all()
    chain.train().forward(x)
    assert (chain.state_dict()["0.0.running_mean"] != 0).all()


# ---- Frozen ----------------------------------------------------------------------------------------


def frozen_layer(dtype="float64"):
    """Return a frozen layer in training, with weights and running statistics that are all different."""
    layer = BatchNorm2d(3, eps=0.25).train()
    numbers = Numbers("frozen")
    layer.load_state_dict(
        {
            name: numbers.positive(3) if name == "running_var" else numbers.real(3)
            for name in layer.state_dict()
        }
    )
    freeze_batch_norms(layer)
    return layer.astype(dtype)


def batch_norms_of(module):
    if isinstance(module, BatchNorm2d):
        yield module
    for _, part in module.parts():
        yield from batch_norms_of(part)


def test_a_new_layer_is_not_frozen():
    assert BatchNorm2d(3).frozen is False


@pytest.mark.parametrize("dtype", FLOATS)
def test_frozen_training_is_inference(dtype):
    layer, x = frozen_layer(dtype), Numbers(0).real(*SHAPE).astype(dtype)
    assert layer.training
    y = layer.forward(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, layer.eval().forward(x))


def test_frozen_training_leaves_the_running_statistics_alone():
    layer = frozen_layer()
    before = layer.state_dict()
    layer.running_mean = Untouchable(layer.running_mean.data)
    layer.running_var = Untouchable(layer.running_var.data)
    for step in range(2):
        layer.backward(layer.forward(Numbers(step).real(*SHAPE)))
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("dtype", FLOATS)
def test_frozen_gradients_by_the_formula(dtype):
    # The statistics are constants, so per channel y = scale * x + shift.
    layer = frozen_layer(dtype)
    x, grad_y = (Numbers(seed).real(*SHAPE).astype(dtype) for seed in range(2))
    layer.forward(x)
    grad_x = layer.backward(grad_y)
    mean, var = (
        array.data[:, None, None].astype("float64") for array in (layer.running_mean, layer.running_var)
    )
    weight = layer.weight.data[:, None, None].astype("float64")
    x_hat = (x - mean) / np.sqrt(var + 0.25)
    assert_close(grad_x, (grad_y * weight / np.sqrt(var + 0.25)).astype(dtype), OP_TOLERANCE[dtype])
    wanted = (grad_y * x_hat).sum(axis=(0, 2, 3)).astype(dtype)
    assert_close(layer.weight.grad, wanted, OP_TOLERANCE[dtype])
    wanted = grad_y.sum(axis=(0, 2, 3), dtype="float64").astype(dtype)
    assert_close(layer.bias.grad, wanted, OP_TOLERANCE[dtype])


def test_frozen_a_value_knows_nothing_of_the_others():
    # In training every input moves every output of its channel; frozen, only its own.
    x, grad_y = Numbers(0).real(*SHAPE), np.zeros(SHAPE)
    grad_y[1, 2, 3, 4] = 1
    layer = frozen_layer()
    layer.forward(x)
    assert np.count_nonzero(layer.backward(grad_y)) == 1
    layer.frozen = False
    layer.forward(x)
    assert np.count_nonzero(layer.backward(grad_y)) == 2 * 4 * 5


def test_frozen_training_needs_no_batch():
    layer = frozen_layer()
    assert layer.forward(np.ones((1, 3, 1, 1))).shape == (1, 3, 1, 1)
    assert layer.backward(np.ones((1, 3, 1, 1))).shape == (1, 3, 1, 1)
    layer.frozen = False
    with pytest.raises(InputError, match=r"has 1 value\(s\) per channel; training needs two"):
        layer.forward(np.ones((1, 3, 1, 1)))


def test_freezing_reaches_every_part():
    network = RetinaFaceNet()
    chain = Sequential(BatchNorm2d(3), Sequential(ReLU(), Sequential(BatchNorm2d(3))))
    for module, count in [(network, 47), (chain, 2)]:
        norms = list(batch_norms_of(module))
        assert len(norms) == count
        freeze_batch_norms(module)
        assert all(norm.frozen for norm in norms)


def test_freezing_a_part_leaves_the_others():
    chain = Sequential(BatchNorm2d(3), Sequential(BatchNorm2d(3)))
    freeze_batch_norms(chain.layers[1])
    assert [norm.frozen for norm in batch_norms_of(chain)] == [False, True]


@pytest.mark.parametrize("switch", [BatchNorm2d.train, BatchNorm2d.eval])
def test_switching_modes_does_not_thaw(switch):
    layer = frozen_layer()
    switch(layer)
    assert layer.frozen


def test_weight_and_bias_still_learn():
    layer = frozen_layer()
    layer.backward(layer.forward(Numbers(0).real(*SHAPE)))
    assert layer.weight.grad.all()
    assert layer.bias.grad.all()
    assert list(layer.parameters()) == ["weight", "bias"]
