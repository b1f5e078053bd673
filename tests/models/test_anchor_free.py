"""Heads that answer for locations: shapes, order, what a new network says, forward and backward."""

import math

import numpy as np
import pytest

from minidet.boxes.distances import MOST_LOG
from minidet.errors import InputError
from minidet.fast import accelerate
from minidet.models.retinaface import AnchorFreeNet, Architecture
from minidet.models.retinaface.anchor_free import FIRST_SCORE, LocationHeads, limited_exp
from minidet.models.retinaface.levels import HeadsPerLevel
from minidet.nn import initialise
from tests.gradients import assert_gradients
from tests.oracles.cases import Numbers

SMALL, FIVE = Architecture(anchor_free=True), Architecture(levels=5, anchor_free=True)
VALUES = (4, 2, 1, 10)


def with_random_state(module):
    module = module.astype("float64")
    module.load_state_dict({n: Numbers(n).real(*a.shape) for n, a in module.state_dict().items()})
    return module


def maps_of(*planes, channels=3):
    return [Numbers(f"map {i}").real(2, channels, *plane) for i, plane in enumerate(planes)]


def new_network(architecture=SMALL):
    network = architecture.build()
    initialise(network, np.random.default_rng(0))
    return network.eval()


# ---- The network -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("H", "W"), [(64, 96), (33, 50), (1, 1)])
@pytest.mark.parametrize("architecture", [SMALL, FIVE], ids=str)
def test_answers(architecture, H, W):
    network = architecture.build().eval()
    assert isinstance(network, AnchorFreeNet)
    x = np.zeros((2, 3, H, W), np.float32)
    L = len(architecture.locations.lay(H, W).points)
    outputs = network.forward(x)
    assert [y.shape for y in outputs] == [(2, L, values) for values in VALUES]
    distances, scores, landmark_deltas = network.predict(x)
    assert distances.shape == (2, L, 4)
    assert scores.shape == (2, L)
    assert landmark_deltas.shape == (2, L, 10)
    maps = network.features(x)
    assert list(maps)[-2 * architecture.levels :] == [
        f"{kind}{level}" for kind in ("p", "context") for level in network.trunk.levels
    ]


def test_the_trunk_and_the_contexts_are_those_of_the_network_with_anchors():
    free, anchored = SMALL.build(), Architecture(shared_heads=True).build()
    ours, theirs = free.state_dict(), anchored.state_dict()
    common = {name for name in theirs if not name.startswith("branch.heads")}
    assert {name for name in ours if not name.startswith("branch.heads")} == common
    assert {name: ours[name].shape for name in common} == {name: theirs[name].shape for name in common}
    # 64 weights and a bias for each of 17 outputs, on three levels; with two anchors each there are 32.
    assert free.parameter_count() == 426_608 - 3 * 65 * (32 - 17)


def test_a_score_is_the_geometric_mean_of_that_of_a_face_and_the_centre_ness():
    network = new_network()
    x = Numbers("image").real(1, 3, 40, 56).astype(np.float32)
    log_distances, logits, centre_logits, landmark_deltas = network.forward(x)
    distances, scores, points = network.predict(x)
    face = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
    np.testing.assert_allclose(scores**2, face / (1 + np.exp(-centre_logits[..., 0])), rtol=1e-4)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(distances, np.exp(log_distances), rtol=1e-5)
    np.testing.assert_array_equal(points, landmark_deltas)
    assert scores.std() > 0


def test_sure_centres_do_not_overflow():
    network = new_network()
    for level, bias in zip((3, 4, 5), (1e4, -1e4, 0), strict=True):
        network.branch.heads.heads[level].centre_head.bias.data[:] = bias
        network.branch.heads.heads[level].centre_head.weight.data[:] = 0
        network.branch.heads.heads[level].class_head.weight.data[:] = 0
    _, scores, _ = network.predict(np.zeros((1, 3, 32, 32), np.float32))
    one, half = math.sqrt(FIRST_SCORE), math.sqrt(FIRST_SCORE / 2)
    assert scores[0] == pytest.approx([one] * 16 + [0] * 4 + [half], rel=1e-5)


def test_a_new_network_expects_no_face():
    """Whatever is random, the first scores are near a hundredth."""
    _, logits, _, _ = SMALL.build().eval().forward(np.ones((1, 3, 32, 32), np.float32))
    difference = logits[..., 1] - logits[..., 0]
    np.testing.assert_allclose(1 / (1 + np.exp(-difference)), FIRST_SCORE, rtol=1e-5)


def test_distances_are_limited():
    far = limited_exp(np.array([1e9, -1e9, MOST_LOG, -MOST_LOG, 1.0, 0.0]))
    np.testing.assert_allclose(far, np.exp([MOST_LOG, -MOST_LOG, MOST_LOG, -MOST_LOG, 1, 0]))


def test_fast_layers_say_the_same():
    x = Numbers("image").whole(-120, 150, 1, 3, 40, 56).astype(np.float32)
    readable, quick = new_network(), accelerate(new_network())
    for ours, theirs in zip(quick.predict(x), readable.predict(x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


# ---- Order and gradients ---------------------------------------------------------------------------


def test_positions_follow_each_other_in_the_order_of_the_locations():
    """Heads that add up a map of coordinates answer with the location's own."""
    settings = SMALL.locations
    points = settings.lay(40, 56).points
    maps, start = [], 0
    for stride in settings.strides:
        rows, columns = math.ceil(40 / stride), math.ceil(56 / stride)
        level = points[start : start + rows * columns].reshape(1, rows, columns, 2)
        maps.append(np.ascontiguousarray(level.transpose(0, 3, 1, 2)))
        start += rows * columns
    heads = HeadsPerLevel((3, 4, 5), [LocationHeads(2) for _ in range(3)])
    for level in heads.heads.values():
        level.distance_head.weight.data[:2, :, 0, 0] = np.eye(2)
        level.centre_head.weight.data[0, :, 0, 0] = [0, 1]
        level.landmark_head.weight.data[8:, :, 0, 0] = np.eye(2)
    log_distances, _, centre_logits, landmark_deltas = heads.forward(maps)
    np.testing.assert_array_equal(log_distances[0, :, :2], points)
    np.testing.assert_array_equal(centre_logits[0, :, 0], points[:, 1])
    np.testing.assert_array_equal(landmark_deltas[0, :, 8:], points)


def test_gradients_of_the_heads():
    heads = with_random_state(LocationHeads(3))
    (x,) = maps_of((2, 3))
    outputs = heads.forward(x)
    assert [y.shape for y in outputs] == [(2, 6, values) for values in VALUES]
    grads = [Numbers(f"grad {values}").real(*y.shape) for values, y in zip(VALUES, outputs, strict=True)]

    def weighted_sum():
        return sum(float(np.vdot(grad, y)) for grad, y in zip(grads, heads.forward(x), strict=True))

    arrays = {"x": x} | {name: parameter.data for name, parameter in heads.parameters().items()}
    gradients = {"x": heads.backward(*grads)}
    gradients |= {name: parameter.grad for name, parameter in heads.parameters().items()}
    assert len(arrays) == 9
    assert_gradients(weighted_sum, arrays, gradients)


def test_every_level_has_its_own_heads_and_gradients():
    planes = [(3, 4), (2, 2), (1, 1)]
    heads = with_random_state(HeadsPerLevel((3, 4, 5), [LocationHeads(3) for _ in range(3)]))
    maps = maps_of(*planes)
    outputs = heads.forward(maps)
    grads = [Numbers(f"grad {values}").real(*y.shape) for values, y in zip(VALUES, outputs, strict=True)]
    grad_maps = heads.backward(*grads)
    start = 0
    for level, x, grad_x in zip((3, 4, 5), maps, grad_maps, strict=True):
        alone = LocationHeads(3).astype("float64")
        alone.load_state_dict(heads.heads[level].state_dict())
        here = slice(start, start + x.shape[2] * x.shape[3])
        start = here.stop
        for ours, theirs in zip(outputs, alone.forward(x), strict=True):
            np.testing.assert_array_equal(ours[:, here], theirs)
        np.testing.assert_array_equal(alone.backward(*(grad[:, here] for grad in grads)), grad_x)
        for name, parameter in alone.parameters().items():
            np.testing.assert_array_equal(heads.heads[level].parameters()[name].grad, parameter.grad)
    assert start == outputs[0].shape[1]


# ---- Names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [3, 5])
@pytest.mark.parametrize("backbone", ["mobilenet025", "resnet50", "resnet152"])
def test_a_name_says_it_all(backbone, levels):
    architecture = Architecture(backbone, levels, anchor_free=True)
    assert architecture.name.endswith("_anchorfree")
    assert Architecture.from_name(architecture.name) == architecture


def test_locations_have_the_strides_of_the_levels():
    assert SMALL.locations.strides == (8, 16, 32)
    assert FIVE.locations.strides == (4, 8, 16, 32, 64)


@pytest.mark.parametrize("other", ["shared_heads", "cascade"])
def test_what_does_not_go_together(other):
    with pytest.raises(InputError, match="anchor_free goes with neither shared_heads nor cascade"):
        Architecture(anchor_free=True, **{other: True})


@pytest.mark.parametrize("name", ["retinaface_mobilenet025_anchorfree_cascade", "retinaface_anchorfree"])
def test_unknown_names(name):
    with pytest.raises(InputError, match="is the name of no RetinaFace"):
        Architecture.from_name(name)
