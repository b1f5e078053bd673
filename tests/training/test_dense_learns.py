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
from minidet.mesh import render_forward
from minidet.models.retinaface import MeshDecoder, PixelBranch
from minidet.training.fit_pixels import fit_pixels
from minidet.training.mesh_face_batches import MeshFaceBatches
from minidet.training.train_mesh_branch import new_mesh_net, train_mesh_branch, vertex_error
from minidet.training.train_mesh_decoder import train_mesh_decoder


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


@pytest.mark.slow
def test_pixel_loss_falls_by_three_times():
    settings = MeshFaceSettings(side=96, heights=(0.6, 0.75))
    thresholds = MatchThresholds(positive=0.5, negative=0.3, force_best=0.3)
    dataset = mesh_face_dataset(24, settings=settings)
    batch = MeshFaceBatches(dataset, batch_size=24, seed=0, thresholds=thresholds).batch(0)
    decoder = MeshDecoder(head_topology(), CODE_SIZE)
    train_mesh_decoder(decoder, coloured_head, steps=300, seed=0)
    branch = PixelBranch(decoder, head_topology())
    _, losses = fit_pixels(branch, batch.targets.crops, batch.targets.visible, steps=200)
    assert losses[-1] < losses[0] / 3


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
