"""The network without anchors and its objective against PyTorch: a step of training, element by element."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from minidet.boxes import LocationSettings
from minidet.models.retinaface import Architecture
from minidet.nn import freeze_batch_norms
from minidet.training.objectives import FCOS, Faces, anchor_free_objective, anchor_free_targets
from tests.check import assert_close
from tests.live_torch import twins
from tests.oracles.cases import Numbers
from tests.oracles.pyramid_cases import random_state

NAMES = ("log_distances", "logits", "centre_logits", "landmark_deltas")
TOLERANCE = 1e-9
CASES = [
    ("retinaface_mobilenet025_anchorfree", (2, 3, 72, 100), False),
    ("retinaface_mobilenet025_anchorfree", (1, 3, 97, 61), True),
    ("retinaface_mobilenet025_p2p6_anchorfree", (2, 3, 61, 90), True),
    pytest.param("retinaface_resnet50_anchorfree", (1, 3, 45, 70), True, marks=pytest.mark.slow),
]


class Heads(nn.Module):
    """Four convolutions on every position."""

    def __init__(self, channels):
        super().__init__()
        self.class_head, self.distance_head = nn.Conv2d(channels, 2, 1), nn.Conv2d(channels, 4, 1)
        self.centre_head, self.landmark_head = nn.Conv2d(channels, 1, 1), nn.Conv2d(channels, 10, 1)

    def forward(self, x):
        heads = (self.distance_head, self.class_head, self.centre_head, self.landmark_head)
        return [head(x).flatten(2).mT for head in heads]


class Branch(nn.Module):
    """Context modules and heads of every level."""

    def __init__(self, levels, channels):
        super().__init__()
        self.contexts = nn.ModuleDict({f"p{level}": twins.Context(channels) for level in levels})
        self.heads = nn.ModuleDict({f"p{level}": Heads(channels) for level in levels})

    def forward(self, maps):
        levels = [self.heads[name](self.contexts[name](x)) for name, x in zip(self.heads, maps, strict=True)]
        return [torch.cat(outputs, 1) for outputs in zip(*levels, strict=True)]


class AnchorFreeNet(nn.Module):
    """Trunk of the twin with anchors, branch without."""

    def __init__(self, name):
        super().__init__()
        self.trunk = twins.PyramidNet(name.removesuffix("_anchorfree")).trunk
        levels = (2, 3, 4, 5, 6) if "p2p6" in name else (3, 4, 5)
        self.branch = Branch(levels, 64 if "mobilenet" in name else 256)

    def forward(self, x):
        return dict(zip(NAMES, self.branch(self.trunk(x)), strict=True))


def torch_objective(outputs, targets):
    """FCOS, equation 2, with landmarks."""
    positive, negative = torch.tensor(targets.positive), torch.tensor(targets.negative)
    asked, P = positive | negative, positive.sum()
    p = functional.softmax(outputs["logits"], dim=2)[..., 1]
    right = torch.where(positive, p, 1 - p)
    alpha = torch.where(positive, 0.25, 0.75)
    focal = -(alpha * (1 - right) ** 2 * right.log())[asked].sum() / P

    left, top, right, bottom = outputs["log_distances"][positive].exp().T
    true_left, true_top, true_right, true_bottom = torch.tensor(targets.distances).T
    width = torch.minimum(left, true_left) + torch.minimum(right, true_right)
    height = torch.minimum(top, true_top) + torch.minimum(bottom, true_bottom)
    shared = width * height
    both = (left + right) * (top + bottom) + (true_left + true_right) * (true_top + true_bottom) - shared
    box = -(shared / both).log().sum() / P

    centre = functional.binary_cross_entropy_with_logits(
        outputs["centre_logits"][positive][:, 0], torch.tensor(targets.centre_ness)
    )
    known = torch.tensor(targets.has_landmarks)
    landmark = functional.smooth_l1_loss(
        outputs["landmark_deltas"][positive][known],
        torch.tensor(targets.landmark_deltas)[known],
        reduction="sum",
    )
    return focal + box + centre + FCOS.landmark_weight * landmark / known.sum()


def targets_of(name, shape):
    N, _, H, W = shape
    settings: LocationSettings = Architecture.from_name(name).locations
    images = []
    for n in range(N):
        boxes = np.array([[3, 5, 24 + n, 30], [20, 14, 58, 52 - n], [30, 30, 39, 41]], np.float64)[: 3 - n]
        points = np.linspace(boxes[:, :2], boxes[:, 2:], 5, axis=1)
        has = np.arange(len(boxes)) != 1
        images.append(Faces(boxes, points, has, np.array([[0.0, 30.0, 16.0, 45.0]])))
    targets = anchor_free_targets(settings.lay(H, W), images, settings)
    return type(targets)(*(a if a.dtype == bool else a.astype(np.float64) for a in targets))


@pytest.mark.parametrize(("name", "shape", "frozen"), CASES)
def test_a_step(name, shape, frozen):
    state = {
        # Weights of the heads are small, so that distances stay within their limits.
        key: array * 0.005 if "branch.heads" in key else array
        for key, array in random_state(name).items()
    }
    x, targets = Numbers(name).whole(-120, 150, *shape).astype(np.float64), targets_of(name, shape)
    ours = Architecture.from_name(name).build().astype("float64")
    ours.load_state_dict(state)
    theirs = twins.load(AnchorFreeNet(name).double(), state).train()
    if frozen:
        freeze_batch_norms(ours)
        twins.freeze_batch_norms(theirs)
    ours.train()

    outputs = ours.forward(x)
    objective = anchor_free_objective(*outputs, targets)
    grad_x = ours.backward(*objective.gradients)

    their_x = torch.tensor(x, requires_grad=True)
    their_outputs = theirs(their_x)
    value = torch_objective(their_outputs, targets)
    value.backward()

    for output, their_name in zip(outputs, NAMES, strict=True):
        assert_close(output, their_outputs[their_name].detach().numpy(), TOLERANCE)
    assert abs(outputs[0][targets.positive]).max() < 8
    assert objective.value == pytest.approx(value.item(), rel=TOLERANCE)
    assert_close(grad_x, their_x.grad.numpy(), TOLERANCE)
    gradients = {key: parameter.grad.numpy() for key, parameter in theirs.named_parameters()}
    assert gradients.keys() == ours.parameters().keys()
    for key, parameter in ours.parameters().items():
        assert_close(parameter.grad, gradients[key], TOLERANCE)


@pytest.mark.parametrize(
    "name", ["retinaface_mobilenet025_anchorfree", "retinaface_resnet50_p2p6_anchorfree"]
)
def test_names_shapes_and_counts_are_those_of_torch(name):
    ours, theirs = Architecture.from_name(name).build(), AnchorFreeNet(name)
    shapes = {key: tuple(value.shape) for key, value in theirs.state_dict().items() if "num_b" not in key}
    assert {key: array.shape for key, array in ours.state_dict().items()} == shapes
    assert ours.parameter_count() == sum(parameter.numel() for parameter in theirs.parameters())
