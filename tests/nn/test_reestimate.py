"""Batch norms that learn new statistics: inference stays the same, and training starts where inference is."""

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.fast import accelerate
from minidet.models.mtcnn import PNet
from minidet.models.retinaface import RetinaFaceNet
from minidet.models.retinaface.blocks import ConvBlock
from minidet.nn import BatchNorm2d, Conv2d, ReLU, Sequential, initialise, reestimate_batch_norms
from minidet.ops import batch_norm2d_forward
from minidet.weights import load_weights
from tests.check import assert_close, disagreement


def shipped(dtype="float32"):
    """RetinaFace as shipped, with its neutral norms, ready for inference."""
    network = RetinaFaceNet()
    network.load_state_dict(load_weights("retinaface_mobilenet025", architecture="retinaface_mobilenet025"))
    return network.astype(dtype).eval()


def two_norms(seed=0, dtype="float64"):
    """A small network whose norms hold arbitrary numbers."""
    rng = np.random.default_rng(seed)
    network = Sequential(Conv2d(3, 4, 3), BatchNorm2d(4), ReLU(), Conv2d(4, 5, 1), BatchNorm2d(5, eps=1e-3))
    initialise(network, rng)
    network.astype(dtype)
    for norm in norms_of(network):
        C = len(norm.weight.data)
        norm.weight.data = rng.normal(size=C).astype(dtype)
        norm.bias.data = rng.normal(size=C).astype(dtype)
        norm.running_mean.data = rng.normal(size=C).astype(dtype)
        norm.running_var.data = rng.uniform(0.2, 5, size=C).astype(dtype)
    return network.eval()


def norms_of(network):
    return [layer for layer in network.layers if isinstance(layer, BatchNorm2d)]


def batches(*counts, seed=1, dtype="float64", size=7):
    rng = np.random.default_rng(seed)
    # Each batch has a level of its own, so that the spread between batches counts.
    return [(rng.normal(size=(N, 3, size, size)) * 2 + 3 * k).astype(dtype) for k, N in enumerate(counts)]


def photographs(portrait, count=4, side=160):
    """Pieces of the portrait, in RetinaFace's colours."""
    rng = np.random.default_rng(3)
    height, width = portrait.shape[:2]
    corners = [(rng.integers(height - side), rng.integers(width - side)) for _ in range(count)]
    pieces = np.stack([portrait[y : y + side, x : x + side, ::-1] for y, x in corners]).astype(np.float32)
    return np.ascontiguousarray((pieces - np.float32([104, 117, 123])).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("seed", range(4))
def test_inference_stays_the_same(seed):
    network, data = two_norms(seed), batches(3, 5, seed=seed)
    x = batches(2, seed=100)[0]
    before = network.forward(x)
    state = network.state_dict()
    reestimate_batch_norms(network, data)
    assert_close(network.forward(x), before, 1e-12)
    for name, array in network.state_dict().items():
        changed = not np.array_equal(array, state[name])
        assert changed == (name.split(".")[0] in ("1", "4")), name  # the norms, in full, and nothing else


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_statistics_are_mean_and_variance_of_all_values(dtype):
    network, data = two_norms(dtype=dtype), batches(3, 1, 5, dtype=dtype)
    first, second = norms_of(network)
    arrives = [network.layers[0].forward(x) for x in data]
    at_first = np.concatenate(arrives).astype(np.float64)
    at_second = []
    for x in arrives:
        for layer in network.layers[1:4]:
            x = layer.forward(x)
        at_second.append(x)
    at_second = np.concatenate(at_second).astype(np.float64)

    reestimate_batch_norms(network, data)
    tolerance = 1e-12 if dtype == "float64" else 2e-6
    for norm, values in [(first, at_first), (second, at_second)]:
        assert_close(norm.running_mean.data, values.mean(axis=(0, 2, 3)).astype(dtype), tolerance)
        assert_close(norm.running_var.data, values.var(axis=(0, 2, 3)).astype(dtype), tolerance)
        assert norm.weight.data.dtype == norm.bias.data.dtype == dtype


def test_several_batches_are_one_large_one():
    data = batches(1, 4, 2)
    one, several = two_norms(), two_norms()
    reestimate_batch_norms(one, [np.concatenate(data)])
    reestimate_batch_norms(several, iter(data))
    for name, array in one.state_dict().items():
        assert_close(several.state_dict()[name], array, 1e-12)


def test_an_empty_batch_changes_nothing():
    one, other = two_norms(), two_norms()
    reestimate_batch_norms(one, batches(2))
    reestimate_batch_norms(other, [np.zeros((0, 3, 7, 7)), *batches(2), np.zeros((0, 3, 7, 7))])
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)


def test_training_computes_what_inference_does():
    network = two_norms()
    (x,) = batches(6)
    assert disagreement(network.train().forward(x), network.eval().forward(x)) > 0.1
    network = two_norms()
    reestimate_batch_norms(network, [x])
    assert_close(network.train().forward(x), two_norms().forward(x), 1e-12)


def test_a_large_mean_costs_no_digits_of_the_spread():
    norm = BatchNorm2d(1).eval()
    x = (1000 + np.random.default_rng(0).normal(size=(4, 1, 50, 50))).astype(np.float32)
    exact = x.astype(np.float64)
    norm.running_mean.data[:] = 1000  # else inference, too, has no digits
    before = norm.forward(x)
    reestimate_batch_norms(norm, [x])
    np.testing.assert_allclose(norm.running_var.data, exact.var(), rtol=1e-5)
    np.testing.assert_allclose(norm.running_mean.data, exact.mean(), rtol=1e-6)
    assert_close(norm.forward(x), before, 2e-5)


@pytest.mark.parametrize("eps", [1e-5, 0.0])
def test_a_channel_that_never_varies(eps):
    norm = BatchNorm2d(2, eps=eps).astype("float64").eval()
    x = np.random.default_rng(0).normal(size=(2, 2, 4, 4))
    x[:, 1] = 3.0
    other = np.random.default_rng(1).normal(size=(2, 2, 4, 4))
    before = norm.forward(x), norm.forward(other)
    reestimate_batch_norms(norm, [x])
    assert all(np.isfinite(array).all() for array in norm.state_dict().values())
    assert_close(norm.forward(x), before[0], 1e-12)
    assert_close(norm.forward(other), before[1], 1e-9)
    assert norm.running_mean.data[1] == pytest.approx(3)
    assert norm.running_var.data[1] == (1 if eps == 0 else 0)


def test_shipped_weights_stay_the_same_and_can_be_trained(portrait):
    x = photographs(portrait)
    network = shipped()
    before = network.forward(x)
    statistics_of_a_batch = network.train().forward(x)
    network = shipped()
    reestimate_batch_norms(network, [x[:2], x[2:]])
    for after, reference in zip(network.forward(x), before, strict=True):
        assert_close(after, reference, 1e-5)
    for after, trained, reference in zip(
        network.train().forward(x), statistics_of_a_batch, before, strict=True
    ):
        assert disagreement(trained, reference) > 0.1
        assert disagreement(after, reference) < 2e-4


def test_shipped_weights_in_float64(portrait):
    x = photographs(portrait, 2, 96).astype(np.float64)
    network = shipped("float64")
    before = network.forward(x)
    reestimate_batch_norms(network, [x])
    for after, reference in zip(network.forward(x), before, strict=True):
        assert_close(after, reference, 1e-9)


def test_accelerated_afterwards_it_trains_on_where_inference_is(portrait):
    x = photographs(portrait, 2, 96)
    network = shipped()
    before = network.forward(x)
    reestimate_batch_norms(network, [x])
    for after, reference in zip(accelerate(network).train().forward(x), before, strict=True):
        assert disagreement(after, reference) < 2e-4


def test_an_accelerated_network_is_refused():
    network = accelerate(shipped())
    state = network.state_dict()
    with pytest.raises(
        InputError, match=r"'backbone.* of RetinaFaceNet kept nothing; .* not accelerated yet"
    ):
        reestimate_batch_norms(network, [np.zeros((1, 3, 64, 64), np.float32)])
    assert_unchanged(network, state)
    with pytest.raises(InputError, match="not accelerated yet"):  # a norm alone keeps something else
        reestimate_batch_norms(accelerate(BatchNorm2d(3)), [np.ones((1, 3, 2, 2), np.float32)])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_modes_come_back(training, fails):
    network = two_norms()
    first, second = norms_of(network)
    network.layers[2].training = training
    first.training, first.frozen = training, True
    (x,) = batches(2)
    if fails:
        x[0, 0, 0, 0] = np.nan
        state = network.state_dict()
        with pytest.raises(InputError, match=r"NaN, infinity .* in channel 0 of what arrives at '1'"):
            reestimate_batch_norms(network, [x])
        assert_unchanged(network, state)
    else:
        reestimate_batch_norms(network, [x])
    assert (first.frozen, second.frozen) == (True, False)
    assert (first.training, second.training, network.training) == (training, False, False)
    assert network.layers[2].training == training
    assert all(layer._kept is None for layer in network.layers)


def test_a_forward_of_ones_own():
    norm, seen = BatchNorm2d(3).astype("float64"), []

    def forward(x):
        seen.append(x)
        return norm.forward(x + 5)

    data = batches(1, 2)
    reestimate_batch_norms(norm, data, forward)
    assert [x.shape for x in seen] == [x.shape for x in data]
    np.testing.assert_allclose(norm.running_mean.data, np.concatenate(data).mean(axis=(0, 2, 3)) + 5)


def test_weights_of_before_are_not_written_into():
    network = two_norms()
    arrays = [value.data for _, value in network.state()]
    copies = [array.copy() for array in arrays]
    reestimate_batch_norms(network, batches(2))
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_norm_that_is_not_reached_is_refused():
    network = two_norms()
    state = network.state_dict()
    with pytest.raises(InputError, match="batch norm '4' of Sequential kept nothing"):
        reestimate_batch_norms(
            network, batches(2), lambda x: network.layers[1].forward(network.layers[0].forward(x))
        )
    assert_unchanged(network, state)


def test_a_norm_that_one_input_does_not_reach_is_refused():
    network, seen = two_norms(), []

    def forward(x):
        seen.append(x)
        for layer in network.layers[: 5 if len(seen) == 1 else 3]:
            x = layer.forward(x)

    with pytest.raises(InputError, match="batch norm '4' of Sequential kept nothing"):
        reestimate_batch_norms(network, batches(2, 2), forward)


def test_sums_of_many_float32_values_are_exact():
    norm = BatchNorm2d(2)
    x = (3 + np.random.default_rng(0).normal(size=(40_000, 2, 1, 2))).astype(np.float32)
    exact = x.astype(np.float64)
    reestimate_batch_norms(norm, [x])
    np.testing.assert_allclose(norm.running_mean.data, exact.mean(axis=(0, 2, 3)), rtol=1.2e-7)
    np.testing.assert_allclose(norm.running_var.data, exact.var(axis=(0, 2, 3)), rtol=1.2e-7)


def test_infinity_is_refused():
    x = np.ones((1, 2, 2, 2))
    x[0, 1, 0, 0] = 1e200
    with pytest.raises(InputError, match="in channel 1 of what arrives at ''"):
        reestimate_batch_norms(BatchNorm2d(2).astype("float64"), [x])


@pytest.mark.parametrize("inputs", [[], [np.zeros((0, 3, 7, 7))]])
def test_nothing_to_measure_on(inputs):
    with pytest.raises(InputError, match="no inputs; expected batches to measure Sequential on"):
        reestimate_batch_norms(two_norms(), inputs)


def test_nothing_to_measure():
    with pytest.raises(InputError, match="PNet has no batch norms"):
        reestimate_batch_norms(PNet(), [np.zeros((1, 3, 12, 12), np.float32)])


def test_a_part_of_a_network():
    block = ConvBlock(3, 4, 3)
    initialise(block, np.random.default_rng(0))
    (x,) = batches(4, dtype="float32")
    before = block.eval().forward(x)
    reestimate_batch_norms(block, [x])
    assert_close(block.train().forward(x), before, 1e-5)


def assert_unchanged(network, state):
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


def test_the_twin_in_one_line():
    """The new numbers, put into the operation by hand."""
    norm = BatchNorm2d(2).astype("float64").eval()
    norm.weight.data, norm.bias.data = np.array([-2.0, 0.5]), np.array([1.0, 3.0])
    norm.running_mean.data, norm.running_var.data = np.array([0.5, -1.0]), np.array([4.0, 9.0])
    x = np.random.default_rng(0).normal(size=(3, 2, 5, 5))
    before = norm.forward(x)
    reestimate_batch_norms(norm, [x])
    zero = np.zeros(2)
    y, _ = batch_norm2d_forward(x, norm.weight.data, norm.bias.data, zero, zero, training=True, eps=norm.eps)
    assert_close(y, before, 1e-12)
