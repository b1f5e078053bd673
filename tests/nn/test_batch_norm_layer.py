"""The one layer whose forward pass writes: in training, and never in inference."""

import numpy as np
import pytest

from minidet.nn import BatchNorm2d, Buffer, Sequential
from minidet.ops import batch_norm2d_forward
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
