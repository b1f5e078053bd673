"""Weights decide which RetinaFace the detector is."""

import numpy as np
import pytest

import minidet
from minidet.boxes import PAPER_ANCHORS, REFERENCE_ANCHORS
from minidet.fast.plans.retinaface import CompiledRetinaFace
from minidet.fast.training.conv import FastConv2d
from minidet.fast.training.deform import FastDeformConv2d
from minidet.models.retinaface import Architecture
from minidet.nn import Conv2d, initialise
from minidet.weights import save_npz
from tests.oracles.cases import Numbers

BACKENDS = pytest.mark.parametrize("backend", ["fast", "readable"])


@pytest.fixture
def five_levels(tmp_path):
    """Random weights for five levels, behind a stem that brings pixels down to numbers around one."""
    architecture = Architecture(levels=5)
    network = architecture.build()
    initialise(network, np.random.default_rng(0))
    network.parameters()[architecture.stem].data *= 0.01
    save_npz(tmp_path / "five.npz", network.state_dict(), architecture=architecture.name)
    return tmp_path / "five.npz"


@pytest.fixture
def image():
    return Numbers("image").whole(0, 255, 70, 90, 3).astype(np.uint8)


def test_both_backends_find_the_same(five_levels, image):
    fast, readable = (
        minidet.RetinaFace(0.3, max_faces=50, weights=five_levels, backend=backend)
        for backend in ("fast", "readable")
    )
    ours, theirs = fast.trace(image), readable.trace(image)
    for name in ("box_deltas", "scores", "landmark_deltas"):
        expected = theirs["network"][name]
        assert abs(ours["network"][name] - expected).max() <= 1e-4 * abs(expected).max()
    found, expected = ours.detections, theirs.detections
    assert 1 < len(expected.scores) <= 50
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
    assert ours.features.keys() == theirs.features.keys()
    assert len(ours.features) == 4 + 5 + 5


@BACKENDS
def test_the_anchors_are_those_of_the_weights(five_levels, image, backend):
    detector = minidet.RetinaFace(weights=five_levels, backend=backend)
    assert detector.anchors == PAPER_ANCHORS
    np.testing.assert_array_equal(detector.trace(image)["anchors"]["anchors"], PAPER_ANCHORS.lay(70, 90))
    shipped = minidet.RetinaFace(backend=backend)
    assert shipped.anchors == REFERENCE_ANCHORS
    np.testing.assert_array_equal(shipped.trace(image)["anchors"]["anchors"], REFERENCE_ANCHORS.lay(70, 90))


def test_what_the_backends_run_on(five_levels):
    assert isinstance(minidet.RetinaFace().network, CompiledRetinaFace)
    for backend, layer in [("fast", FastConv2d), ("readable", Conv2d)]:
        detector = minidet.RetinaFace(weights=five_levels, backend=backend)
        assert type(detector._model.trunk.fpn.merge2.conv) is layer
        assert detector.recipe["backend"] == backend


def test_a_deformable_network_runs_on_fast_layers_and_finds_the_same(tmp_path, image):
    architecture = Architecture(context="deform")
    network = architecture.build()
    initialise(network, np.random.default_rng(0))
    numbers = Numbers("offsets")
    for name, parameter in network.parameters().items():
        if name.endswith("conv_offset_mask.bias"):
            parameter.data = numbers.real(*parameter.data.shape).astype(np.float32)
    network.parameters()[architecture.stem].data *= 0.01
    save_npz(tmp_path / "deform.npz", network.state_dict(), architecture=architecture.name)
    fast, readable = (
        minidet.RetinaFace(0.3, weights=tmp_path / "deform.npz", backend=backend)
        for backend in ("fast", "readable")
    )
    assert type(fast._model.trunk.fpn.merge3.conv) is FastDeformConv2d
    assert type(fast._model.trunk.fpn.lateral3.conv) is FastConv2d
    ours, theirs = fast.trace(image), readable.trace(image)
    for name in ("box_deltas", "scores", "landmark_deltas"):
        expected = theirs["network"][name]
        assert abs(ours["network"][name] - expected).max() <= 1e-4 * abs(expected).max()
    network.trunk.fpn.merge3.conv.conv_offset_mask.bias.data[:] += 1
    changed = network.eval().predict(ours["input"]["x"])[0]
    assert abs(changed - theirs["network"]["box_deltas"]).max() > 1e-2 * abs(changed).max()


def test_boxes_come_out_in_pixels_of_the_image_given(five_levels, image):
    detector = minidet.RetinaFace(0.3, weights=five_levels, max_side=45)
    trace = detector.trace(image)
    assert trace["input"]["x"].shape[2:] == (35, 45)
    candidates = trace["candidates"]["candidates"]
    boxes = minidet.boxes.decode_boxes(
        trace["network"]["box_deltas"][0, candidates], PAPER_ANCHORS.lay(35, 45)[candidates]
    )
    np.testing.assert_allclose(trace["decode"]["boxes"], 2 * boxes, rtol=1e-5, atol=1e-3)


def test_weights_of_an_unknown_architecture_are_refused(tmp_path):
    save_npz(tmp_path / "odd.npz", {"a": np.zeros(1)}, architecture="retinaface_resnet18")
    with pytest.raises(minidet.InputError, match="'retinaface_resnet18' is the name of no RetinaFace"):
        minidet.RetinaFace(weights=tmp_path / "odd.npz")
