"""What holds for every network: its size, its names, and that inference leaves no trace."""

import numpy as np
import pytest

from minidet.errors import InputError
from tests.check import NETWORK_TOLERANCE, assert_close
from tests.oracles.cases import Numbers
from tests.oracles.network_cases import NETWORKS, NetworkCase, outputs, random_state, shipped_state

SHAPES = {
    "pnet": (3, 3, 15, 18),
    "pnet_landmarks": (3, 3, 15, 18),
    "rnet": (3, 3, 24, 24),
    "rnet_landmarks": (3, 3, 24, 24),
    "onet": (3, 3, 48, 48),
    "retinaface": (3, 3, 40, 33),
}
every_network = pytest.mark.parametrize("network", NETWORKS)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        ("pnet", 6_632),
        ("pnet_landmarks", 6_632 + 32 * 10 + 10),
        ("rnet", 100_178),
        ("rnet_landmarks", 100_178 + 128 * 10 + 10),
        ("onet", 389_040),
        ("retinaface", 426_608),
    ],
)
def test_parameter_count(network, count):
    assert NETWORKS[network]().parameter_count() == count


@pytest.mark.parametrize("network", ["pnet", "rnet", "onet", "retinaface"])
def test_shipped_weights_fit_and_come_back(network):
    state = shipped_state(network)
    module = NETWORKS[network]()
    module.load_state_dict(state)
    assert module.state_dict().keys() == state.keys()
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


@pytest.mark.parametrize("network", ["pnet", "rnet"])
def test_shipped_weights_do_not_fit_a_landmark_head(network):
    module = NETWORKS[f"{network}_landmarks"]()
    with pytest.raises(InputError, match=r"missing landmark_head\.weight, landmark_head\.bias$"):
        module.load_state_dict(shipped_state(network))


@every_network
def test_a_batch_is_its_images_one_by_one(network):
    case = NetworkCase(network, "random", SHAPES[network])
    module, x = case.module("float64"), case.input("float64")
    batch = outputs(case, module, x)
    for n in range(len(x)):
        for name, alone in outputs(case, module, x[n : n + 1]).items():
            assert_close(alone, batch[name][n : n + 1], NETWORK_TOLERANCE["float64"])


@every_network
def test_an_empty_batch_gives_empty_outputs(network):
    case = NetworkCase(network, "random", SHAPES[network])
    module, x = case.module("float32"), case.input("float32")
    full = outputs(case, module, x)
    for name, empty in outputs(case, module, x[:0]).items():
        assert empty.shape == (0, *full[name].shape[1:])
        assert empty.dtype == np.float32


@every_network
def test_the_layout_of_the_input_does_not_matter(network):
    case = NetworkCase(network, "random", SHAPES[network])
    module, x = case.module("float64"), case.input("float64")
    read_only = np.asfortranarray(x)
    read_only.flags.writeable = False
    contiguous = outputs(case, module, x)
    for name, output in outputs(case, module, read_only).items():
        assert_close(output, contiguous[name], NETWORK_TOLERANCE["float64"])


@every_network
def test_inference_modifies_neither_network_nor_input(network):
    case = NetworkCase(network, "random", SHAPES[network])
    module, x = case.module("float32"), case.input("float32")
    before, attributes = x.copy(), sorted(everything_in(module))
    module.forward(x)
    np.testing.assert_array_equal(x, before)
    assert sorted(everything_in(module)) == attributes
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, random_state(network)[name])


def everything_in(module, path=""):
    """List the attributes of a network and its parts, with the objects they hold."""
    for name, value in vars(module).items():
        yield f"{path}{name}", id(value)
    for name, part in module.parts():
        yield from everything_in(part, f"{path}{name}.")


@every_network
def test_two_networks_share_no_state(network):
    first, second = NETWORKS[network](), NETWORKS[network]()
    for (_, a), (_, b) in zip(first.state(), second.state(), strict=True):
        assert not np.shares_memory(a.data, b.data)


@every_network
def test_refuses_four_channels(network):
    N, _, H, W = SHAPES[network]
    message = rf"^conv2d: `weight` expects 3 input channels, `x` has 4 \(shape \({N}, 4, {H}, {W}\)\)$"
    with pytest.raises(InputError, match=message):
        NETWORKS[network]().forward(np.zeros((N, 4, H, W), np.float32))


@every_network
def test_refuses_another_float_type_than_the_weights(network):
    with pytest.raises(InputError, match=r"^conv2d: `weight` is float32, `x` is float64; cast one"):
        NETWORKS[network]().forward(Numbers(0).real(*SHAPES[network]))
