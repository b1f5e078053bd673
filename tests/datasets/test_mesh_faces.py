"""Faces drawn from codes."""

import numpy as np
import pytest

from minidet.datasets import Dataset
from minidet.datasets.meshes import (
    CODE_SIZE,
    MeshFaceDataset,
    MeshFaceSettings,
    coloured_head,
    head_topology,
    mesh_face_dataset,
)
from minidet.errors import InputError
from minidet.mesh import render_forward

SET = mesh_face_dataset(6, seed=3)


def test_a_picture_depends_on_seed_and_number_only():
    longer = mesh_face_dataset(8, seed=3)
    for number in (0, 5):
        np.testing.assert_array_equal(longer[number].image, SET[number].image)
        np.testing.assert_array_equal(longer.annotations[number].vertices, SET.annotations[number].vertices)
    assert (mesh_face_dataset(1, seed=4)[0].image != SET[0].image).any()
    assert (SET[0].image != SET[1].image).any()


def test_boxes_and_landmarks_are_those_of_the_vertices():
    topology = head_topology()
    for annotation in SET.annotations:
        flat = annotation.vertices[0, :, :2]
        np.testing.assert_allclose(annotation.boxes[0], [*flat.min(axis=0), *flat.max(axis=0)], rtol=1e-6)
        np.testing.assert_allclose(annotation.landmarks[0], flat[list(topology.landmarks)], rtol=1e-6)
        assert annotation.vertices[0, topology.nose, 2] == 0


def test_depth_has_the_unit_of_the_picture():
    # Without turns and at the nose's distance, a step back is as long as the same step aside.
    settings = MeshFaceSettings(max_yaw=0, max_pitch=0, max_roll=0, spread=0)
    annotation = mesh_face_dataset(1, seed=1, settings=settings).annotations[0]
    head, _ = coloured_head(np.zeros(CODE_SIZE))
    depth = annotation.vertices[0, :, 2]
    nose = head_topology().nose
    pixels = annotation.face.camera[6] / (8 + head[nose, 2]) * 32
    np.testing.assert_allclose(depth, (head[:, 2] - head[nose, 2]) * pixels, atol=1e-4)
    assert (depth >= 0).all()  # nothing is nearer than the tip of the nose


def test_the_picture_shows_the_face_that_it_was_drawn_from():
    annotation = SET.annotations[2]
    face, side = annotation.face, 64
    vertices, colours = coloured_head(face.code)
    arguments = [array[None] for array in (vertices, colours, face.camera, face.light)]
    (picture,), cache = render_forward(*arguments, head_topology().triangles, side)
    covered = cache.shown[0] >= 0
    image = annotation.read()
    np.testing.assert_array_equal(annotation.mask(), covered)
    assert 0.1 < covered.mean() < 0.8
    wanted = np.clip(255 * picture[covered], 0, 255)
    assert np.abs(image[covered] - wanted).max() <= 0.5 + 1e-9
    x1, y1, x2, y2 = annotation.boxes[0]
    rows, columns = np.nonzero(covered)
    assert (columns.min() + 1 > x1, columns.max() < x2) == (True, True)
    assert (rows.min() + 1 > y1, rows.max() < y2) == (True, True)


def test_every_number_of_a_code_changes_shape_or_colours():
    vertices, colours = coloured_head(np.zeros(CODE_SIZE))
    for place in range(CODE_SIZE):
        other, other_colours = coloured_head(np.eye(CODE_SIZE)[place])
        assert (other != vertices).any() == (place < 10)
        assert (other_colours != colours).any() == (place >= 10)


def test_colours_stay_colours():
    rng = np.random.default_rng(0)
    for _ in range(50):
        _, colours = coloured_head(np.clip(rng.normal(0, 0.5, CODE_SIZE), -1, 1))
        assert colours.min() > -0.05
        assert colours.max() < 1.05


def test_settings_are_kept():
    settings = MeshFaceSettings(side=40, heights=(0.5, 0.5), max_yaw=0, max_pitch=0, max_roll=0, spread=0)
    dataset = mesh_face_dataset(3, settings=settings)
    for sample, annotation in zip(dataset, dataset.annotations, strict=True):
        assert sample.image.shape == (40, 40, 3)
        assert sample.image.dtype == np.uint8
        x1, y1, x2, y2 = annotation.boxes[0]
        assert y2 - y1 == pytest.approx(20, abs=1.5)  # the nose is nearer than the middle of the head
        assert min(x1, y1) > -2
        assert max(x2, y2) < 42
    assert len({tuple(one.boxes[0].tolist()) for one in dataset.annotations}) == 3


def test_a_slice_is_a_dataset_with_meshes():
    part = SET[::2]
    assert isinstance(part, MeshFaceDataset)
    assert isinstance(SET, Dataset)
    assert [one.name for one in part.annotations] == [f"mesh/{number:06d}.png" for number in (0, 2, 4)]
    assert part.topology is SET.topology


@pytest.mark.parametrize(
    "settings",
    [{"side": 4}, {"heights": (0.9, 0.5)}, {"heights": (0, 0.5)}, {"max_yaw": 80}, {"spread": -1}],
)
def test_refuses_settings(settings):
    with pytest.raises(InputError, match=f"MeshFaceSettings: {next(iter(settings))}="):
        MeshFaceSettings(**settings)


def test_refuses():
    with pytest.raises(InputError, match="count=-1"):
        mesh_face_dataset(-1)
    with pytest.raises(InputError, match=r"^coloured_head: `code` has shape \(17,\); expected \(18,\)$"):
        coloured_head(np.zeros(17))
