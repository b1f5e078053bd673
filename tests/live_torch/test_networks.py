"""Every network against its twin in PyTorch, in both float types: the stored cases, and larger ones."""

import numpy as np
import pytest

from tests.check import FLOATS, NETWORK_TOLERANCE, assert_close
from tests.live_torch.twins import TWINS, run, twin
from tests.oracles.network_cases import CASES, NETWORKS, NetworkCase, expected, outputs, random_state

LARGER = [
    *[
        NetworkCase(network, "random", shape)
        for network, shape in [
            ("pnet_landmarks", (2, 3, 121, 160)),
            ("rnet_landmarks", (17, 3, 24, 24)),
        ]
    ],
    *[
        NetworkCase(network, weights, shape)
        for weights in ("shipped", "random")
        for network, shape in [
            ("pnet", (1, 3, 240, 321)),
            ("pnet", (3, 3, 57, 11)),
            ("rnet", (33, 3, 24, 24)),
            ("onet", (9, 3, 48, 48)),
            ("retinaface", (1, 3, 240, 320)),
            ("retinaface", (1, 3, 223, 161)),
            ("retinaface", (2, 3, 97, 130)),
            ("retinaface", (1, 3, 480, 7)),
        ]
    ],
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", [case for case in CASES + LARGER if not case.training], ids=str)
def test_forward(case, dtype):
    x = case.input(dtype)
    theirs = run(twin(case.network, case.state(), dtype), x)
    ours = outputs(case, case.module(dtype), x)
    assert ours.keys() == theirs.keys()
    for name, output in ours.items():
        assert_close(output, theirs[name], NETWORK_TOLERANCE[dtype])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_stored_oracle_is_what_torch_says_today(case):
    network = twin(case.network, case.state(), "float64").train(case.training)
    today = run(network, case.input("float64"))
    today |= {name: buffer.numpy() for name, buffer in network.named_buffers() if case.training}
    for name, output in expected(case).items():
        assert_close(output, today[name], NETWORK_TOLERANCE["float64"])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("weights", ["shipped", "random"])
@pytest.mark.parametrize("size", [(64, 64), (97, 130), (1, 1)])
def test_every_map_of_retinaface(size, weights, dtype):
    case = NetworkCase("retinaface", weights, (1, 3, *size))
    theirs = run(twin("retinaface", case.state(), dtype).features, case.input(dtype))
    ours = case.module(dtype).features(case.input(dtype))
    assert ours.keys() == theirs.keys()
    for name, output in ours.items():
        assert_close(output, theirs[name], NETWORK_TOLERANCE[dtype])


# In float64 only, see tests/models/test_networks_equal_torch.py.
@pytest.mark.parametrize("weights", ["shipped", "random"])
def test_three_training_steps_of_the_batch_norms(weights):
    case = NetworkCase("retinaface", weights, (2, 3, 97, 130), training=True)
    ours = case.module("float64")
    theirs = twin("retinaface", case.state(), "float64").train()
    for step in range(3):
        x = case.input("float64") + step
        results = outputs(case, ours, x)
        for name, output in run(theirs, x).items():
            assert_close(results[name], output, NETWORK_TOLERANCE["float64"])
    for name, array in ours.state_dict().items():
        assert_close(array, theirs.state_dict()[name].numpy(), NETWORK_TOLERANCE["float64"])


@pytest.mark.parametrize("network", NETWORKS)
def test_names_shapes_and_counts_are_those_of_torch(network):
    ours, theirs = NETWORKS[network](), TWINS[network]()
    state = {name: value for name, value in theirs.state_dict().items() if "num_batches" not in name}
    assert {name: array.shape for name, array in ours.state_dict().items()} == {
        name: tuple(value.shape) for name, value in state.items()
    }
    assert ours.parameters().keys() == dict(theirs.named_parameters()).keys()
    assert ours.parameter_count() == sum(parameter.numel() for parameter in theirs.parameters())


@pytest.mark.parametrize("network", NETWORKS)
def test_a_state_dict_goes_to_torch_and_back(network):
    there = twin(network, random_state(network), "float32")
    back = NETWORKS[network]()
    own = {name: value.numpy() for name, value in there.state_dict().items() if "num_batches" not in name}
    back.load_state_dict(own)
    for name, array in back.state_dict().items():
        np.testing.assert_array_equal(array, random_state(network)[name])
