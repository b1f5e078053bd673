"""Weights with a mesh branch: what the detector and its trace know of the meshes."""

from dataclasses import replace

import numpy as np
import pytest

import minidet
from minidet.boxes import decode_vertices
from minidet.errors import InputError
from minidet.models.retinaface import Architecture, DenseNet, dense_net
from minidet.training.recipes import RETINAFACE
from minidet.weights import load_npz, save_npz, split_topology
from tests.mesh.weights import MESHES, save_mesh_weights
from tests.oracles.cases import Numbers


@pytest.fixture
def weights(tmp_path):
    save_mesh_weights(tmp_path / "meshes.npz")
    return tmp_path / "meshes.npz"


@pytest.fixture
def image():
    return Numbers("image").whole(0, 255, 60, 90, 3).astype(np.uint8)


# ---- Names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("retinaface_mobilenet025_mesh5", Architecture(vertices=5)),
        ("retinaface_mobilenet025_shared_mesh399", Architecture(shared_heads=True, vertices=399)),
        ("retinaface_resnet50_p2p6_deform_mesh12", Architecture("resnet50", 5, "deform", vertices=12)),
    ],
)
def test_a_name_tells_the_number_of_vertices(name, architecture):
    assert architecture.name == name
    assert Architecture.from_name(name) == architecture


@pytest.mark.parametrize("end", ["mesh", "mesh0", "mesh05", "mesh-5", "mesh5_shared", "mesh5_mesh5", "mesh٥"])
def test_no_other_name_is_a_mesh(end):
    with pytest.raises(InputError, match="is the name of no RetinaFace"):
        Architecture.from_name(f"retinaface_mobilenet025_{end}")


def test_what_meshes_do_not_go_with():
    with pytest.raises(InputError, match="vertices go with neither cascade nor anchor_free"):
        Architecture(cascade=True, vertices=5)
    with pytest.raises(InputError, match="vertices go with neither cascade nor anchor_free"):
        Architecture.from_name("retinaface_mobilenet025_anchorfree_mesh5")
    with pytest.raises(InputError, match="vertices=-1; expected a whole number from 0 up"):
        Architecture(vertices=-1)
    with pytest.raises(InputError, match="mesh20 has meshes, and photographs have none to learn from"):
        replace(RETINAFACE, network=MESHES)


def test_the_network_is_that_of_dense_net():
    ours, theirs = MESHES.build().state_dict(), dense_net(60).state_dict()
    assert {name: array.shape for name, array in ours.items()} == {
        name: array.shape for name, array in theirs.items()
    }


def test_every_anchor_has_three_numbers_for_a_vertex():
    network = Architecture(vertices=5).build().eval()
    assert isinstance(network, DenseNet)
    dense = network.forward(np.zeros((1, 3, 32, 32), np.float32))[3]
    assert dense.shape == (1, 42, 15)


# ---- The detector ----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["fast", "readable"])
def test_the_trace_has_a_mesh_for_every_face(weights, image, backend):
    detector = minidet.RetinaFace(0.3, max_side=45, max_faces=7, weights=weights, backend=backend)
    trace = detector.trace(image)
    vertices = trace["mesh"]["vertices"]
    assert vertices.shape == (len(trace.detections), 20, 3)
    assert len(trace.detections) == 7

    # Once more for all anchors, from the network's own output; the image was made half as large.
    dense = detector._model.forward(trace["input"]["x"])[3][0]
    every = 2 * decode_vertices(dense.reshape(-1, 20, 3), trace["anchors"]["anchors"])
    rows = trace["candidates"]["candidates"][trace["nms"]["kept"]]
    np.testing.assert_allclose(vertices, every[rows], rtol=1e-5, atol=1e-3)
    assert np.ptp(vertices[:, :, 2]) > 1

    faces = detector.detect(image)
    np.testing.assert_array_equal(faces.boxes, trace.detections.boxes)
    assert {"c3", "p3", "context5"} <= set(trace.features)


def test_without_faces_there_are_no_meshes(weights, image):
    trace = minidet.RetinaFace(1.0, weights=weights).trace(image)
    assert trace["mesh"]["vertices"].shape == (0, 20, 3)


def test_the_topology_comes_from_the_file(tmp_path):
    topology = save_mesh_weights(tmp_path / "meshes.npz")
    detector = minidet.RetinaFace(weights=tmp_path / "meshes.npz")
    assert detector.architecture == MESHES
    assert detector.topology.vertex_count == 20
    assert detector.topology.landmarks == topology.landmarks
    np.testing.assert_array_equal(detector.topology.triangles, topology.triangles)
    assert detector.topology.edges.tolist() == topology.edges.tolist()


def test_other_networks_have_no_meshes(image):
    detector = minidet.RetinaFace()
    assert detector.topology is None
    assert "mesh" not in [step.name for step in detector.trace(image)]


# ---- Files that do not fit -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"topology.triangles": None}, "they are for meshes, but have no `topology.triangles`"),
        ({"topology.landmarks": None}, "or no `topology.landmarks`"),
        ({"topology.landmarks": np.arange(4)}, r"`topology.landmarks` is int64 \(4,\); expected five whole"),
        ({"topology.landmarks": np.zeros(5)}, "`topology.landmarks` is float64"),
        ({"topology.triangles": np.zeros((2, 3))}, "`triangles` is float64"),
        ({"topology.triangles": np.array([[0, 1, 20]])}, "names vertex 20; expected 0 to 19"),
    ],
)
def test_a_bad_topology_is_refused(weights, tmp_path, change, message):
    name, state = load_npz(weights)
    changed = {key: array for key, array in {**state, **change}.items() if array is not None}
    save_npz(tmp_path / "bad.npz", changed, architecture=name)
    with pytest.raises(InputError, match=message):
        minidet.RetinaFace(weights=tmp_path / "bad.npz")


def test_the_file_is_checked_with_its_topology(weights):
    _, state = load_npz(weights)
    rest, _ = split_topology(state, 20)
    assert minidet.RetinaFace(weights=weights).recipe["sha256"] == minidet.weights.checksum(state)
    assert not [key for key in rest if key.startswith("topology")]
    assert len(state) == len(rest) + 2  # what was given is not changed
