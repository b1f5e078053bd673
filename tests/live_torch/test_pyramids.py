"""Networks of trunk and branch against their twins in PyTorch, element by element; a public checkpoint."""

import numpy as np
import pytest
import torch

import minidet
from minidet.models.retinaface import Architecture
from tests.check import assert_close
from tests.live_torch.twins import PyramidNet, load, pyramid_step
from tests.oracles.make_torch_files import public_resnet50
from tests.oracles.pyramid_cases import CASES, PyramidCase, expected, step, summarise

TOLERANCE = 1e-9
MORE = [
    PyramidCase("retinaface_resnet50_p2p6_shared_cascade", (1, 3, 33, 40), frozen=True),
    PyramidCase("retinaface_mobilenet025_cascade", (2, 3, 97, 130)),
]


@pytest.mark.parametrize("case", CASES + MORE, ids=str)
def test_outputs_gradients_and_statistics(case):
    ours, theirs = step(case, "float64"), pyramid_step(case, "float64")
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert_close(tensor, theirs[name], TOLERANCE)


def test_resnet_152_on_one_image():
    case = PyramidCase("retinaface_resnet152_p2p6_shared", (1, 3, 33, 40), frozen=True)
    ours, theirs = step(case, "float64"), pyramid_step(case, "float64")
    for name in ("box_deltas", "logits", "landmark_deltas", "gradient of x"):
        assert_close(ours[name], theirs[name], TOLERANCE)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_stored_oracle_is_what_torch_says_today(case):
    today = summarise(pyramid_step(case, "float64"))
    for name, row in expected(case).items():
        assert abs(today[name] - row).max() <= TOLERANCE * row[0]


@pytest.mark.parametrize("name", sorted({case.name for case in CASES + MORE}))
def test_names_shapes_and_counts_are_those_of_torch(name):
    ours, theirs = Architecture.from_name(name).build(), PyramidNet(name)
    shapes = {key: tuple(value.shape) for key, value in theirs.state_dict().items() if "num_b" not in key}
    assert {key: array.shape for key, array in ours.state_dict().items()} == shapes
    assert ours.parameter_count() == sum(parameter.numel() for parameter in theirs.parameters())


def public_name(ours):
    """What an array of the network is called in the public checkpoint; written from the other side."""
    part, _, rest = ours.partition(".")
    if part == "trunk" and rest.startswith("backbone."):
        return rest.replace("backbone.", "body.", 1)
    fpn = {"lateral3": "output1", "lateral4": "output2", "lateral5": "output3", "merge3": "merge1"}
    views = {"view3": "conv3X3", "shared": "conv5X5_1", "view5": "conv5X5_2", "middle7": "conv7X7_2"}
    heads = {"class_head": "ClassHead", "box_head": "BboxHead", "landmark_head": "LandmarkHead"}
    place = {"conv": "0", "norm": "1"}
    if part == "trunk":
        _, block, layer, kind = rest.split(".")
        return f"fpn.{fpn.get(block, 'merge2')}.{place[layer]}.{kind}"
    group, level, block, *layer, kind = rest.split(".")
    number = int(level[1]) - 3
    if group == "heads":
        return f"{heads[block]}.{number}.conv1x1.{kind}"
    return f"ssh{number + 1}.{views.get(block, 'conv7x7_3')}.{place[layer[0]]}.{kind}"


def test_a_public_checkpoint_computes_what_torch_computes(tmp_path):
    case = PyramidCase("retinaface_resnet50", (1, 3, 70, 90))
    state = {name: torch.tensor(array) for name, array in case.state().items()}
    public = {f"module.{public_name(name)}": tensor for name, tensor in state.items()}
    assert {f"module.{name}" for name in public_resnet50() if "num_batches" not in name} == public.keys()
    torch.save(public, tmp_path / "Resnet50_Final.pth")
    detector = minidet.RetinaFace(weights=tmp_path / "Resnet50_Final.pth", backend="readable")
    x = case.input("float32")
    box_deltas, scores, landmark_deltas = detector.network(x)
    with torch.no_grad():
        theirs = load(PyramidNet(case.name), case.state()).eval()(torch.tensor(x))
    assert_close(box_deltas, theirs["box_deltas"].numpy(), 1e-4)
    assert_close(landmark_deltas, theirs["landmark_deltas"].numpy(), 1e-4)
    np.testing.assert_allclose(scores, theirs["logits"].softmax(2).numpy(), atol=1e-3)
