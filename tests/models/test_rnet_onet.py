import numpy as np
import pytest

from minidet.errors import InputError
from minidet.models.mtcnn import ONet, RNet


def test_rnet_outputs():
    logits, box_deltas, landmark_deltas = RNet().forward(np.zeros((5, 3, 24, 24), np.float32))
    assert logits.shape == (5, 2)
    assert box_deltas.shape == (5, 4)
    assert landmark_deltas is None


def test_rnet_with_landmark_head():
    *_, landmark_deltas = RNet(landmark_head=True).forward(np.zeros((5, 3, 24, 24), np.float32))
    assert landmark_deltas.shape == (5, 10)


def test_onet_outputs():
    logits, box_deltas, landmark_deltas = ONet().forward(np.zeros((5, 3, 48, 48), np.float32))
    assert logits.shape == (5, 2)
    assert box_deltas.shape == (5, 4)
    assert landmark_deltas.shape == (5, 10)


@pytest.mark.parametrize(
    ("network", "side", "message"),
    [
        (RNet, 20, r"linear: `weight` expects 576 inputs, `x` has 256 \(shape \(1, 256\)\)"),
        (ONet, 40, r"linear: `weight` expects 1152 inputs, `x` has 512 \(shape \(1, 512\)\)"),
        (RNet, 5, "conv2d: a window of 3 does not fit a side of 1 "),
        (ONet, 20, "max_pool2d|conv2d: a window of .* does not fit a side of"),
    ],
)
def test_refuses_crops_of_another_size(network, side, message):
    with pytest.raises(InputError, match=message):
        network().forward(np.zeros((1, 3, side, side), np.float32))
