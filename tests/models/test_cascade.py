"""The second branch of a cascade starts from the boxes of the first."""

import math

import numpy as np
import pytest

from minidet.boxes import PAPER_ANCHORS, REFERENCE_ANCHORS, decode_boxes, decode_landmarks
from minidet.models.retinaface import Architecture, CascadeNet
from minidet.models.retinaface.cascade import (
    MOST_FACTOR,
    MOST_SHIFT,
    compose_boxes,
    compose_landmarks,
    limit_boxes,
)
from minidet.nn import initialise
from minidet.ops import softmax_forward
from tests.oracles.cases import Numbers

A = 40
ANCHORS = REFERENCE_ANCHORS.lay(40, 40)[:A].astype(np.float64)


def deltas(name, values=4, scale=1.0):
    return Numbers(name).real(A, values) * scale


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_two_steps_at_once_lead_to_the_same_box(scale):
    first, second = deltas("first", scale=scale), deltas("second", scale=scale)
    at_once = decode_boxes(compose_boxes(first, second), ANCHORS)
    np.testing.assert_allclose(at_once, decode_boxes(second, decode_boxes(first, ANCHORS)), rtol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_landmarks_from_the_first_box_and_from_the_anchor_are_the_same_points(scale):
    first, points = deltas("first", scale=scale), deltas("points", 10, scale)
    at_once = decode_landmarks(compose_landmarks(first, points), ANCHORS)
    in_turn = decode_landmarks(points, decode_boxes(first, ANCHORS))
    np.testing.assert_allclose(at_once, in_turn, rtol=1e-9, atol=1e-9)


def test_wild_first_boxes_are_limited_before_the_second_step():
    first = np.array([[1e9, -1e9, 1e9, -1e9]])
    box = decode_boxes(limit_boxes(first), np.array([[0.0, 0.0, 10.0, 10.0]]))[0]
    centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    np.testing.assert_allclose(centre, [5 + 10 * MOST_SHIFT, 5 - 10 * MOST_SHIFT])
    np.testing.assert_allclose(size, [10 * MOST_FACTOR, 10 / MOST_FACTOR])
    nothing = np.zeros((1, 4))
    np.testing.assert_array_equal(compose_boxes(first, nothing), limit_boxes(first))
    np.testing.assert_array_equal(
        compose_landmarks(first, np.zeros((1, 10))), np.tile(limit_boxes(first)[:, :2], 5)
    )


def test_usual_first_boxes_are_not_limited():
    usual = np.array([99.0, -99.0, 5 * math.log(15.9), -5 * math.log(15.9)])
    np.testing.assert_array_equal(limit_boxes(usual), usual)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_type_stays(dtype):
    first, second = deltas("first").astype(dtype), deltas("second").astype(dtype)
    assert limit_boxes(first).dtype == dtype
    assert compose_boxes(first, second).dtype == dtype
    assert compose_landmarks(first, deltas("points", 10).astype(dtype)).dtype == dtype


# ---- The network -----------------------------------------------------------------------------------


@pytest.fixture
def network():
    network = Architecture(levels=5, cascade=True).build()
    initialise(network, np.random.default_rng(0))
    network.trunk.backbone.stage1.layers[0].conv.weight.data *= 0.01
    return network


def image(*shape, dtype="float32"):
    return Numbers("image").whole(-120, 150, *shape).astype(dtype)


def test_there_are_two_branches_on_one_trunk(network):
    assert isinstance(network, CascadeNet)
    one = Architecture(levels=5).build()
    branch = one.branch.parameter_count()
    assert network.parameter_count() == one.parameter_count() + branch
    assert network.first.parameter_count() == network.second.parameter_count() == branch
    outputs = network.forward(image(2, 3, 40, 50))
    count = len(PAPER_ANCHORS.lay(40, 50))
    assert [y.shape for y in outputs] == 2 * [(2, count, 4), (2, count, 2), (2, count, 10)]
    assert abs(outputs[1] - outputs[4]).max() > 0


def test_predict_counts_from_the_anchors_and_trusts_the_second(network):
    x = image(1, 3, 40, 50)
    first, _, _, second, logits, points = network.eval().forward(x)
    box_deltas, scores, landmark_deltas = network.predict(x)
    anchors = PAPER_ANCHORS.lay(40, 50)
    boxes = decode_boxes(limit_boxes(first)[0], anchors)
    np.testing.assert_allclose(
        decode_boxes(box_deltas[0], anchors), decode_boxes(second[0], boxes), rtol=1e-4, atol=1e-2
    )
    np.testing.assert_allclose(
        decode_landmarks(landmark_deltas[0], anchors),
        decode_landmarks(points[0], boxes),
        rtol=1e-4,
        atol=1e-2,
    )
    np.testing.assert_array_equal(scores, softmax_forward(logits, axis=2))


def test_either_branch_has_the_gradient_it_would_have_alone(network):
    """And the trunk has the sum of both."""
    network.astype("float64")
    x = image(2, 3, 40, 50, dtype="float64")
    alone = Architecture(levels=5).build().astype("float64")
    outputs = network.forward(x)
    grads = [Numbers(f"grad {i}").real(*y.shape) for i, y in enumerate(outputs)]
    grad_x = network.backward(*grads)
    sums = {name: 0 for name in alone.trunk.parameters()}
    total = 0
    for branch, own in [(network.first, grads[:3]), (network.second, grads[3:])]:
        state = {f"trunk.{name}": array for name, array in network.trunk.state_dict().items()}
        state |= {f"branch.{name}": array for name, array in branch.state_dict().items()}
        alone.load_state_dict(state)
        alone.zero_grad()
        alone.forward(x)
        total = total + alone.backward(*own)
        for name, parameter in alone.branch.parameters().items():
            np.testing.assert_allclose(branch.parameters()[name].grad, parameter.grad, rtol=1e-12)
        for name, parameter in alone.trunk.parameters().items():
            sums[name] = sums[name] + parameter.grad
    np.testing.assert_allclose(grad_x, total, rtol=1e-9, atol=1e-9 * abs(total).max())
    for name, parameter in network.trunk.parameters().items():
        expected = sums[name]
        np.testing.assert_allclose(parameter.grad, expected, rtol=0, atol=1e-9 * abs(expected).max())


def test_features_show_the_second_context(network):
    x = image(1, 3, 40, 50)
    maps = network.eval().features(x)
    assert [name for name in maps if name.startswith("context")] == [f"context{n}" for n in range(2, 7)]
    p = network.trunk.forward(x)
    np.testing.assert_array_equal(maps["context2"], network.second.contexts.forward(p)[0])
    assert abs(maps["context2"] - network.first.contexts.forward(p)[0]).max() > 0
