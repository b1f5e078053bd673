"""The deformable context module against its twin in PyTorch, forward and backward, in float64."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from minidet.models.retinaface.context import Context
from minidet.nn import DeformConv2d
from tests.check import NETWORK_TOLERANCE, assert_close
from tests.live_torch.twins import Deformable
from tests.oracles.cases import Numbers

TOLERANCE = NETWORK_TOLERANCE["float64"]


class Block(nn.Module):
    def __init__(self, inputs, outputs, masked, slope):
        super().__init__()
        self.conv = Deformable(inputs, outputs, masked)
        self.norm = nn.BatchNorm2d(outputs)
        self.slope = slope

    def forward(self, x):
        return functional.leaky_relu(self.norm(self.conv(x)), self.slope)


class ContextTwin(nn.Module):
    def __init__(self, channels, masked):
        super().__init__()
        slope = 0.1 if channels <= 64 else 0.0
        half, quarter = channels // 2, channels // 4
        self.view3 = Block(channels, half, masked, 1)
        self.shared = Block(channels, quarter, masked, slope)
        self.view5 = Block(quarter, quarter, masked, 1)
        self.middle7 = Block(quarter, quarter, masked, slope)
        self.view7 = Block(quarter, quarter, masked, 1)

    def forward(self, x):
        shared = self.shared(x)
        views = self.view3(x), self.view5(shared), self.view7(self.middle7(shared))
        return torch.cat(views, dim=1).relu()


def random_state(module):
    """Make offsets of some pixels; variances above zero."""
    numbers = Numbers("state")
    return {
        name: numbers.positive(*array.shape)
        if name.endswith("var")
        else numbers.real(*array.shape) / np.sqrt(array[0].size)
        for name, array in module.state_dict().items()
    }


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("masked", [False, True], ids=["deformable", "modulated"])
@pytest.mark.parametrize("shape", [(2, 64, 7, 10), (1, 72, 9, 5), (2, 8, 1, 2)])
def test_forward_and_backward(shape, masked, training):
    channels = shape[1]
    ours = Context(channels, conv=partial(DeformConv2d, modulated=masked)).astype("float64")
    theirs = ContextTwin(channels, masked).double().train(training)
    state = random_state(ours)
    ours.load_state_dict(state)
    counters = {name: value for name, value in theirs.state_dict().items() if "num_batches" in name}
    theirs.load_state_dict({name: torch.tensor(array) for name, array in state.items()} | counters)
    x = Numbers(str(shape)).real(*shape)

    if not training:
        with torch.no_grad():
            assert_close(ours.eval().forward(x), theirs(torch.tensor(x)).numpy(), TOLERANCE)
        return
    y = ours.forward(x)
    tensor = torch.tensor(x, requires_grad=True)
    out = theirs(tensor)
    assert_close(y, out.detach().numpy(), TOLERANCE)
    grad_output = Numbers("upstream").real(*y.shape)
    grad_x = ours.backward(grad_output)
    out.backward(torch.tensor(grad_output))
    assert_close(grad_x, tensor.grad.numpy(), TOLERANCE)
    of_theirs = dict(theirs.named_parameters())
    assert of_theirs.keys() == ours.parameters().keys()
    for name, parameter in ours.parameters().items():
        assert_close(parameter.grad, of_theirs[name].grad.numpy(), TOLERANCE)
