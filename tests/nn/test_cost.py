"""Multiply-adds against those published and added up by hand."""

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.fast import accelerate
from minidet.models.mtcnn import ONet, PNet, RNet
from minidet.models.retinaface import Architecture, RetinaFaceNet
from minidet.nn import ReLU, multiply_adds


@pytest.mark.parametrize(
    ("make", "side", "count"), [(PNet, 12, 44_760), (RNet, 24, 1.531e6), (ONet, 48, 12.91e6)]
)
def test_mtcnn(make, side, count):
    assert multiply_adds(make(), side, side) == pytest.approx(count, rel=1e-3)


def test_retinaface():
    network = RetinaFaceNet()
    assert multiply_adds(network, 64, 64) * 100 == pytest.approx(0.981e9, rel=1e-3)
    assert multiply_adds(network, 128, 64) == 2 * multiply_adds(network, 64, 64)


def test_the_network_is_left_as_it_is():
    network = Architecture(levels=5).build().eval()
    before = network.state_dict()
    multiply_adds(network, 64, 64)
    assert not network.training
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_cascade_costs_two_branches_on_one_trunk():
    one, two, shared = (
        multiply_adds(Architecture(levels=5, **choice).build(), 64, 64)
        for choice in ({}, {"cascade": True}, {"shared_heads": True})
    )
    trunk = Architecture(levels=5).build().trunk
    assert two - one == one - multiply_adds(trunk, 64, 64)
    assert shared == one


def test_what_cannot_be_counted():
    with pytest.raises(InputError, match="ReLU has no convolution or linear layer"):
        multiply_adds(ReLU(), 8, 8)
    with pytest.raises(InputError, match="kept no input; is the network accelerated"):
        multiply_adds(accelerate(RetinaFaceNet()), 64, 64)
