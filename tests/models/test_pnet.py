import math

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.models.mtcnn import PNet
from tests.check import NETWORK_TOLERANCE, assert_close
from tests.oracles.network_cases import NetworkCase


@pytest.mark.parametrize("side", range(11, 41))
def test_the_map_has_the_size_of_the_formula(side):
    cells = math.ceil((side - 2) / 2) - 4
    logits, box_deltas, landmark_deltas = PNet().forward(np.zeros((1, 3, side, 12), np.float32))
    assert logits.shape == (1, 2, cells, 1)
    assert box_deltas.shape == (1, 4, cells, 1)
    assert landmark_deltas is None
    logits, _, _ = PNet().forward(np.zeros((1, 3, 12, side), np.float32))
    assert logits.shape == (1, 2, 1, cells)


def test_the_landmark_head_has_ten_outputs_per_cell():
    *_, landmark_deltas = PNet(landmark_head=True).forward(np.zeros((2, 3, 13, 17), np.float32))
    assert landmark_deltas.shape == (2, 10, 2, 4)


@pytest.mark.parametrize(("H", "W"), [(10, 12), (12, 10), (2, 12), (0, 12), (12, 0), (1, 1)])
def test_refuses_an_image_without_a_single_window(H, W):
    with pytest.raises(InputError, match="does not fit a side of"):
        PNet().forward(np.zeros((1, 3, H, W), np.float32))


@pytest.mark.parametrize("weights", ["shipped", "random"])
def test_a_cell_is_the_network_run_on_its_window(weights):
    # Cell (j, i) has looked at the 12x12 pixels whose top left corner is (2 j, 2 i), and at nothing else.
    case = NetworkCase("pnet", weights, (1, 3, 24, 30))
    network, x = case.module("float64"), case.input("float64")
    logits, box_deltas, _ = network.forward(x)
    assert logits.shape == (1, 2, 7, 10)
    for i, j in np.ndindex(7, 10):
        window = x[:, :, 2 * i : 2 * i + 12, 2 * j : 2 * j + 12]
        alone_logits, alone_deltas, _ = network.forward(window)
        assert_close(alone_logits[..., 0, 0], logits[..., i, j], NETWORK_TOLERANCE["float64"])
        assert_close(alone_deltas[..., 0, 0], box_deltas[..., i, j], NETWORK_TOLERANCE["float64"])
