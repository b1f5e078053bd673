"""The dense branches learn from drawn faces."""

import numpy as np
import pytest

from minidet.boxes import MatchThresholds
from minidet.datasets.meshes import (
    CODE_SIZE,
    MeshFaceSettings,
    coloured_head,
    head_topology,
    mesh_face_dataset,
)
from minidet.errors import InputError
from minidet.losses import pixel_l1
from minidet.mesh import render_forward
from minidet.models.retinaface import MeshDecoder, PixelBranch
from minidet.training.fit_pixels import fit_pixels
from minidet.training.log import RunLog
from minidet.training.mesh_face_batches import MeshFaceBatches
from minidet.training.objectives import mesh_objective, pixel_objective
from minidet.training.train_mesh_branch import decoded_meshes, new_mesh_net, train_mesh_branch, vertex_error
from minidet.training.train_mesh_decoder import train_mesh_decoder
from minidet.training.train_pixel_branch import drawn_faces, new_pixel_net, train_pixel_branch
from tests.models.test_dense import decoder
from tests.oracles.cases import Numbers


def exact_decoder():
    """A decoder that is the mean head, whatever the code."""
    decoder = MeshDecoder(head_topology(), CODE_SIZE, channels=2)
    decoder.mean.data = np.concatenate(coloured_head(np.zeros(CODE_SIZE)), axis=1).astype(np.float32)
    return decoder


def test_a_decoder_learns_the_meshes_of_codes():
    decoder = MeshDecoder(head_topology(), CODE_SIZE, channels=8)
    losses = train_mesh_decoder(decoder, coloured_head, steps=60, seed=0, batch_size=4)
    assert np.mean(losses[-10:]) < losses[0] / 2
    again = MeshDecoder(head_topology(), CODE_SIZE, channels=8)
    assert train_mesh_decoder(again, coloured_head, steps=60, seed=0, batch_size=4) == losses


def test_a_decoder_of_other_meshes_is_refused():
    decoder = MeshDecoder(head_topology(), CODE_SIZE, channels=2)
    with pytest.raises(InputError, match="a mesh has 3 vertices, the decoder 399"):
        train_mesh_decoder(decoder, lambda code: (np.zeros((3, 3)), np.zeros((3, 3))), steps=1, seed=0)


def test_the_gradients_find_a_light_and_a_pose():
    # The crops are drawn with a camera and a light a little off what zeros mean.
    topology = head_topology()
    branch = PixelBranch(exact_decoder(), topology, side=24)
    hidden = np.zeros((1, branch.parameter_count_per_anchor), np.float32)
    hidden[0, CODE_SIZE : CODE_SIZE + 2] = [0.2, -0.15]  # aside
    hidden[0, CODE_SIZE + 3] = 0.33  # yaw
    hidden[0, -6:] = [0.25, 0.1, -0.25, -0.5, -0.4, -0.3]  # light
    crops, visible, _ = branch.forward(hidden)
    found, losses = fit_pixels(branch, crops, visible, steps=60)
    assert len(losses) == 61
    assert losses[-1] < losses[0] / 4
    assert found[0, CODE_SIZE] > 0.1
    assert found[0, CODE_SIZE + 3] > 0.16


def test_a_fit_is_adam_on_the_loss_in_grey_levels():
    topology, made = decoder()
    branch = PixelBranch(made, topology, side=12)
    numbers = Numbers("fit")
    crops, visible = 0.5 + 0.2 * numbers.real(2, 12, 12, 3), numbers.whole(0, 2, 2, 12, 12) > 0
    found, losses = fit_pixels(branch, crops, visible, steps=3, lr=0.1)
    assert all(parameter.grad is None for parameter in made.parameters().values())

    parameters, mean, square, wanted = np.zeros((2, 20)), 0, 0, []
    for step in range(4):
        pictures, covered, _ = branch.forward(parameters)
        value, grad_pictures = pixel_l1(255 * pictures, 255 * crops, covered & visible)
        wanted.append(value)
        grad = branch.backward(grad_pictures)
        mean, square = 0.9 * mean + 0.1 * grad, 0.999 * square + 0.001 * grad**2
        size = np.sqrt(square / (1 - 0.999 ** (step + 1))) + 1e-8
        lr = 0.1 * (1 + np.cos(np.pi * step / 3)) / 2  # 0 in the last round
        parameters = parameters - lr * mean / (1 - 0.9 ** (step + 1)) / size
    assert losses == pytest.approx(wanted, rel=1e-9)
    assert losses[0] > losses[-1]
    np.testing.assert_allclose(found, parameters, rtol=1e-9, atol=1e-12)


def test_a_fit_takes_a_step_at_least():
    topology, made = decoder()
    branch = PixelBranch(made, topology, side=12)
    with pytest.raises(InputError, match="fit_pixels: steps=0"):
        fit_pixels(branch, np.zeros((1, 12, 12, 3)), np.ones((1, 12, 12), bool), steps=0)


@pytest.mark.slow
def test_pixel_loss_falls_by_three_times():
    batch = pixel_case(24, 24).batch(0)
    decoder = MeshDecoder(head_topology(), CODE_SIZE)
    train_mesh_decoder(decoder, coloured_head, steps=300, seed=0)
    branch = PixelBranch(decoder, head_topology())
    _, losses = fit_pixels(branch, batch.targets.crops, batch.targets.visible, steps=200)
    assert losses[-1] < losses[0] / 3


def pixel_case(count, batch_size):
    settings = MeshFaceSettings(side=96, heights=(0.6, 0.75))
    thresholds = MatchThresholds(positive=0.5, negative=0.3, force_best=0.3)
    dataset = mesh_face_dataset(count, settings=settings)
    return MeshFaceBatches(dataset, batch_size=batch_size, seed=0, thresholds=thresholds)


def test_a_pixel_net_is_the_mesh_net_but_for_what_it_says_of_meshes():
    branch = PixelBranch(exact_decoder(), head_topology())
    mesh_net = new_mesh_net(399, seed=3)
    network = new_pixel_net(branch, mesh_net)
    own, other = network.state_dict(), mesh_net.state_dict()
    dense = [name for name in own if ".dense." in name]
    assert dense
    for name in own:
        assert not own[name].any() if name in dense else np.array_equal(own[name], other[name]), name
    batches = pixel_case(2, 1)
    pictures, pixel = drawn_faces(network, branch, batches)
    assert not network.training
    targets = batches.batch(0).targets
    zeros = np.zeros((len(pictures), branch.parameter_count_per_anchor), np.float32)
    straight, covered, _ = branch.forward(zeros)
    np.testing.assert_allclose(pictures, straight, atol=1e-5)
    shown = (covered & targets.visible)[..., None]
    difference = 255 * np.abs(straight - targets.crops) * shown
    assert pixel == pytest.approx(difference.sum() / len(pictures) / 32**2, rel=1e-4)
    x = batches.batch(0).x
    still = {name: array.copy() for name, array in network.state_dict().items()}
    network.train().forward(x)
    for name, array in network.state_dict().items():  # the statistics of the norms stay
        np.testing.assert_array_equal(array, still[name], err_msg=name)


def test_steps_of_the_pixel_branch_are_logged(tmp_path):
    branch = PixelBranch(exact_decoder(), head_topology())
    first_decoder = {name: array.copy() for name, array in branch.decoder.state_dict().items()}
    batches = pixel_case(2, 2)
    network, twin = (new_pixel_net(branch, new_mesh_net(399, seed=0)) for _ in range(2))
    train_pixel_branch(
        network,
        branch,
        batches,
        steps=2,
        folder=tmp_path,
        lr=1e-3,
        pixel_weight=0.2,
        drawn_weight=0.3,
        progress=False,
    )
    assert all(parameter.grad is None for parameter in branch.decoder.parameters().values())
    first, second = (line for line in RunLog.read(tmp_path / "log.jsonl") if line["kind"] == "train")
    assert first["lr"] == pytest.approx(1e-3)
    assert second["lr"] == pytest.approx(5e-4)
    batch = batches.batch(0)
    wanted = pixel_objective(
        *twin.forward(batch.x),
        batch.targets.faces,
        batch.targets.crops,
        batch.targets.visible,
        branch,
        pixel_weight=0.2,
        drawn_weight=0.3,
    )
    assert first["loss"] == pytest.approx(wanted.value, rel=1e-4)
    assert first["drawn"] == pytest.approx(wanted.parts["drawn"], rel=1e-4)
    first_weights = twin.state_dict()
    moved = {name: np.abs(one - first_weights[name]).max() for name, one in network.state_dict().items()}
    assert max(one for name, one in moved.items() if ".dense." in name) > 1e-3  # the rate, Adam's first step
    assert max(moved.values()) < 1.6e-3
    for name, array in branch.decoder.state_dict().items():
        np.testing.assert_array_equal(array, first_decoder[name])


@pytest.mark.slow
def test_a_network_learns_from_pixels(tmp_path):
    # By three times and more in the longer training of scripts/train_meshes.py, see docs/mesh.md.
    decoder = MeshDecoder(head_topology(), CODE_SIZE)
    train_mesh_decoder(decoder, coloured_head, steps=300, seed=0)
    branch = PixelBranch(decoder, head_topology())
    batches = pixel_case(4, 4)
    mesh_net = new_mesh_net(399, seed=0)
    train_mesh_branch(mesh_net, batches, steps=60, folder=tmp_path / "mesh", lr=1e-2, progress=False)
    network = new_pixel_net(branch, mesh_net)
    _, before = drawn_faces(network, branch, batches)
    train_pixel_branch(network, branch, batches, steps=100, folder=tmp_path / "pixel", progress=False)
    _, after = drawn_faces(network, branch, batches)
    assert after < before / 2


@pytest.mark.slow
def test_vertex_error_falls_by_four_times(tmp_path):
    # By ten and more in the longer training of scripts/train_meshes.py, see docs/mesh.md.
    dataset = mesh_face_dataset(4)
    batches = MeshFaceBatches(dataset, batch_size=4, seed=0)
    network = new_mesh_net(dataset.topology.vertex_count, seed=0)
    before = vertex_error(network, batches)
    assert before > 15  # all vertices are in the anchor's centre
    train_mesh_branch(network, batches, steps=300, folder=tmp_path, progress=False)
    assert vertex_error(network, batches) < before / 4


def test_vertices_begin_in_the_centres_of_their_anchors():
    first, again, other = (new_mesh_net(5, seed=seed) for seed in (1, 1, 2))
    x = np.random.default_rng(0).normal(0, 50, (1, 3, 64, 64)).astype(np.float32)
    outputs = first.eval().forward(x)
    assert outputs[3].shape == (1, len(first.anchors.lay(64, 64)), 15)
    assert not outputs[3].any()
    assert outputs[0].any()
    np.testing.assert_array_equal(again.eval().forward(x)[0], outputs[0])
    assert not np.array_equal(other.eval().forward(x)[0], outputs[0])


def test_steps_of_the_mesh_branch_are_logged(tmp_path):
    dataset = mesh_face_dataset(2)
    thresholds = MatchThresholds(positive=0.6, negative=0.3, force_best=0.2)
    batches = MeshFaceBatches(dataset, batch_size=2, seed=0, thresholds=thresholds)
    network, twin = (new_mesh_net(dataset.topology.vertex_count, seed=0) for _ in range(2))
    before = {name: parameter.data.copy() for name, parameter in network.parameters().items()}
    train_mesh_branch(network, batches, steps=2, folder=tmp_path, lr=1e-3, progress=False)
    first, second = (line for line in RunLog.read(tmp_path / "log.jsonl") if line["kind"] == "train")

    batch = batches.batch(0)
    outputs = twin.forward(batch.x)
    wanted = mesh_objective(*outputs, batch.targets.faces, dataset.topology)
    assert {name: first[name] for name in wanted.parts} == pytest.approx(wanted.parts, rel=1e-3)
    assert first["loss"] == pytest.approx(wanted.value, rel=1e-3)
    assert (first["lr"], second["lr"]) == (1e-3, 5e-4)
    learnt = {
        name for name, parameter in network.parameters().items() if (parameter.data != before[name]).any()
    }
    # Of the coarse levels no anchor is positive.
    assert set(before) - learnt == {
        f"branch.heads.dense.{level}.{kind}" for level in ("p4", "p5") for kind in ("weight", "bias")
    }
    with pytest.raises(InputError, match=r"another recipe \(lr: 0.001 there, 0.002 here\)"):
        train_mesh_branch(network, batches, steps=2, folder=tmp_path, lr=2e-3, progress=False)
    (saved,) = tmp_path.glob("checkpoint-*.npz")
    assert saved.stem == "checkpoint-00000002"


class Off:
    """Answers with the meshes of a batch, each vertex 13 units away from where it should be."""

    def __init__(self, batches, step):
        faces = batches.batch(step).targets.faces
        self.dense = np.zeros((*faces.positive.shape, faces.vertices[0].size), np.float32)
        answers = faces.vertices + np.array([3, 4, 12], np.float32)
        self.dense[faces.positive] = answers.reshape(len(answers), -1)

    def eval(self):
        return self

    def forward(self, x):
        return None, None, None, self.dense


def test_vertex_error_is_a_distance_in_space():
    dataset = mesh_face_dataset(4)
    batches = MeshFaceBatches(dataset, batch_size=3, seed=0)
    meshes = {one.name: one.vertices[0] for one in dataset.annotations}
    for step in (0, 1):
        batch = batches.batch(step)
        image, anchor = np.nonzero(batch.targets.faces.positive)
        sides = np.diff(batches.anchors[anchor][:, [0, 2]], axis=1)
        found, wanted = decoded_meshes(Off(batches, step), batches, step)
        true = np.stack([meshes[batch.names[n]] for n in image])
        np.testing.assert_allclose(wanted, true, atol=1e-3)
        np.testing.assert_allclose(
            np.linalg.norm(found - wanted, axis=2), 1.3 * sides * np.ones(399), rtol=1e-3
        )
        if step == 0:
            assert vertex_error(Off(batches, 0), batches) == pytest.approx(1.3 * sides.mean(), rel=1e-4)


def test_looking_at_the_error_teaches_nothing():
    batches = MeshFaceBatches(mesh_face_dataset(2), batch_size=2, seed=0)
    network = new_mesh_net(399, seed=0)
    before = {name: array.copy() for name, array in network.state_dict().items()}
    assert vertex_error(network, batches) == vertex_error(network, batches) > 15
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_what_is_drawn_with_the_true_numbers_is_the_picture():
    # The decoder knows the mesh, so the crop of an anchor that covers the whole picture can be drawn exactly.
    annotation = mesh_face_dataset(1, settings=MeshFaceSettings(spread=0)).annotations[0]
    vertices, colours = exact_decoder().forward(np.zeros((1, CODE_SIZE), np.float32))
    camera, light = (one[None].astype(np.float32) for one in (annotation.face.camera, annotation.face.light))
    pictures, cache = render_forward(vertices, colours, camera, light, head_topology().triangles, 64)
    seen = (cache.shown[0] >= 0) & annotation.mask()
    assert seen.sum() > 0.98 * annotation.mask().sum()
    difference = np.abs(255 * pictures[0] - annotation.read())[seen]
    assert np.median(difference) < 1
