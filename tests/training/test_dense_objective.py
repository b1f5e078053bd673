"""What the dense branches minimise, and what they are fed."""

from dataclasses import replace

import numpy as np
import pytest

from minidet.boxes import (
    PAPER_ANCHORS,
    REFERENCE_ANCHORS,
    REFERENCE_THRESHOLDS,
    MatchThresholds,
    decode_boxes,
    decode_landmarks,
    decode_vertices,
    encode_landmarks,
    match_anchors,
)
from minidet.datasets.meshes import mesh_face_dataset
from minidet.errors import InputError
from minidet.image import retinaface_input
from minidet.losses import edge_length_l1, pixel_l1, smooth_l1, vertex_l1
from minidet.models.retinaface import PixelBranch
from minidet.training.mesh_face_batches import MeshFaceBatches
from minidet.training.objectives import (
    PAPER,
    anchor_crops,
    mesh_objective,
    pixel_objective,
    retinaface_objective,
    retinaface_targets,
    with_meshes,
)
from tests.gradients import assert_gradients
from tests.mesh.scenes import grid
from tests.models.test_dense import decoder
from tests.oracles.cases import Numbers

ANCHORS = REFERENCE_ANCHORS.lay(32, 32).astype(np.float64)
A = len(ANCHORS)
SETTINGS = replace(PAPER, thresholds=REFERENCE_THRESHOLDS)
TOPOLOGY, FLAT = grid(4, 5)
BOXES = [
    np.array([[2.0, 3.0, 17.0, 18.0], [14.0, 12.0, 31.0, 30.0]]),
    np.zeros((0, 4)),
    np.array([[8.0, 8.0, 25.0, 24.0]]),
]
MESHES = [
    box.reshape(-1, 1, 4)[..., :1] + 8 + 8 * FLAT[None] + Numbers("m").real(len(box), 20, 3) for box in BOXES
]
UNKNOWN = [mesh.copy() for mesh in MESHES]
UNKNOWN[0][1] = np.nan


def faces(boxes=BOXES, meshes=UNKNOWN, landmarked=False):
    """Targets; ``landmarked``: the first face of every image has landmarks."""
    points = [16 + 8 * Numbers("points").real(len(box), 5, 2) for box in boxes]
    known = [landmarked & (np.arange(len(box)) == 0) for box in boxes]
    targets = retinaface_targets(ANCHORS, boxes, points, known, SETTINGS.thresholds)
    return with_meshes(targets, ANCHORS, boxes, meshes, TOPOLOGY, SETTINGS.thresholds)


def outputs(values, seed="outputs"):
    numbers = Numbers(seed)
    return [numbers.real(3, A, size) for size in (4, 2, 10, values)]


# ---- Targets ---------------------------------------------------------------------------------------


def test_the_mesh_of_each_positive_anchor_is_that_of_its_face():
    targets = faces(meshes=MESHES)
    assert targets.has_mesh.all()
    image, anchor = np.nonzero(targets.positive)
    assert len(image) >= 4
    decoded = decode_vertices(targets.vertices, ANCHORS[anchor])
    for n, vertices in zip(image, decoded, strict=True):
        distances = [np.abs(vertices[:, :2] - mesh[:, :2]).max() for mesh in MESHES[n]]
        assert min(distances) < 1e-9
        nearest = MESHES[n][int(np.argmin(distances))]
        np.testing.assert_allclose(vertices[:, 2], nearest[:, 2] - nearest[TOPOLOGY.nose, 2], atol=1e-9)
    assert len(targets.vertices) == int(targets.positive.sum())


def test_a_face_without_a_mesh_is_not_asked_for_one():
    targets = faces()
    image, _ = np.nonzero(targets.positive)
    assert not targets.has_mesh.all()
    assert targets.has_mesh[image == 2].all()
    assert np.isfinite(targets.vertices).all()
    full = faces(meshes=MESHES)
    np.testing.assert_array_equal(targets.vertices[targets.has_mesh], full.vertices[targets.has_mesh])


def test_a_mesh_that_is_known_in_part_is_not_known():
    torn = [mesh.copy() for mesh in MESHES]
    torn[0][1, 3, 2] = np.nan
    np.testing.assert_array_equal(faces(meshes=torn).has_mesh, faces().has_mesh)


def test_meshes_are_given_by_the_matcher_that_is_asked():
    def backwards(anchors, boxes, thresholds):
        match = match_anchors(anchors, boxes, thresholds)
        return match._replace(face=np.where(match.face >= 0, len(boxes) - 1 - match.face, match.face))

    targets = with_meshes(faces(), ANCHORS, BOXES, MESHES, TOPOLOGY, SETTINGS.thresholds, matcher=backwards)
    swapped = faces(meshes=[mesh[::-1] for mesh in MESHES])
    np.testing.assert_array_equal(targets.vertices, swapped.vertices)
    assert not np.array_equal(targets.vertices, faces(meshes=MESHES).vertices)


def test_with_meshes_refuses():
    targets = faces()
    with pytest.raises(InputError, match="3 `boxes`, 2 `vertices`, targets of 3 images"):
        with_meshes(targets, ANCHORS, BOXES, MESHES[:2], TOPOLOGY, SETTINGS.thresholds)
    with pytest.raises(InputError, match=r"`vertices` has shape \(2, 19, 3\); expected \(2, 20, 3\)"):
        with_meshes(targets, ANCHORS, BOXES, [m[:, 1:] for m in MESHES], TOPOLOGY, SETTINGS.thresholds)
    moved = [box + 9 for box in BOXES]
    with pytest.raises(InputError, match="other anchors are positive"):
        with_meshes(targets, ANCHORS, moved, MESHES, TOPOLOGY, SETTINGS.thresholds)


# ---- The mesh --------------------------------------------------------------------------------------


def test_mesh_objective_adds_both_terms_with_lambda_three():
    targets, (*others, dense) = faces(), outputs(60)
    objective = mesh_objective(*others, dense, targets, TOPOLOGY, settings=SETTINGS)
    plain = retinaface_objective(*others, targets, settings=SETTINGS)
    rows = dense.reshape(3, A, 20, 3)[targets.positive][targets.has_mesh]
    wanted = targets.vertices[targets.has_mesh]
    mesh = vertex_l1(rows, wanted)[0] + edge_length_l1(rows, wanted, TOPOLOGY.triangles)[0]
    assert objective.parts["mesh"] == pytest.approx(mesh, rel=1e-12)
    assert objective.value == pytest.approx(plain.value + 0.01 * mesh, rel=1e-12)
    for ours, theirs in zip(objective.gradients[:3], plain.gradients, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(objective.kept, plain.kept)
    used = targets.positive.copy()
    used[targets.positive] = targets.has_mesh
    grad = objective.gradients[3]
    assert grad.shape == dense.shape
    assert not grad[~used].any()
    assert grad[used].any(axis=1).all()


def test_mesh_objective_gradient():
    targets, (*others, dense) = faces(), outputs(60)
    objective = mesh_objective(*others, dense, targets, TOPOLOGY, settings=SETTINGS)
    image, anchor = np.argwhere(targets.positive)[0]
    row = dense[image, anchor]

    def loss():
        return mesh_objective(*others, dense, targets, TOPOLOGY, settings=SETTINGS).value

    assert_gradients(loss, {"dense": row}, {"dense": objective.gradients[3][image, anchor]}, tolerance=1e-5)


def test_mesh_objective_refuses_another_size():
    targets, (*others, dense) = faces(), outputs(57)
    with pytest.raises(InputError, match=r"`dense` has shape .* expected \(3, \d+, 60\), 3 per vertex"):
        mesh_objective(*others, dense, targets, TOPOLOGY, settings=SETTINGS)


# ---- The picture -----------------------------------------------------------------------------------


def pixel_case():
    targets = faces(landmarked=True)
    topology, made = decoder()
    branch = PixelBranch(made, topology, side=8)
    P = int(targets.positive.sum())
    crops = 0.5 + 0.2 * Numbers("crops").real(P, 8, 8, 3)
    visible = Numbers("visible").whole(0, 2, P, 8, 8) > 0
    *others, dense = outputs(20)
    return targets, branch, crops, visible, others, 0.1 * dense


def test_pixel_objective_is_in_grey_levels():
    targets, branch, crops, visible, others, dense = pixel_case()
    objective = pixel_objective(*others, dense, targets, crops, visible, branch, settings=SETTINGS)
    plain = retinaface_objective(*others, targets, settings=SETTINGS)
    pictures, covered, _ = branch.forward(dense[targets.positive])
    pixel, _ = pixel_l1(pictures, crops, covered & visible)
    assert objective.parts["pixel"] == pytest.approx(255 * pixel, rel=1e-12)
    assert objective.value == pytest.approx(plain.value + 0.01 * 255 * pixel, rel=1e-12)
    for ours, theirs in zip(objective.gradients[:3], plain.gradients, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(objective.kept, plain.kept)
    assert not objective.gradients[3][~targets.positive].any()


def test_pixel_objective_gradient_of_colours():
    # Light and colours move nothing, so there are no jumps at all.
    targets, branch, crops, visible, others, dense = pixel_case()
    objective = pixel_objective(
        *others, dense, targets, crops, visible, branch, settings=SETTINGS, pixel_weight=0.5
    )
    image, anchor = np.argwhere(targets.positive)[-1]
    light = dense[image, anchor, -6:]

    def loss():
        arguments = (*others, dense, targets, crops, visible, branch)
        return pixel_objective(*arguments, settings=SETTINGS, pixel_weight=0.5).value

    assert_gradients(
        loss, {"light": light}, {"light": objective.gradients[3][image, anchor, -6:]}, tolerance=1e-5
    )


def test_drawn_landmarks_are_compared_as_those_of_the_heads():
    targets, branch, crops, visible, others, dense = pixel_case()
    arguments = (*others, dense, targets, crops, visible, branch)
    without = pixel_objective(*arguments, settings=SETTINGS)
    objective = pixel_objective(*arguments, settings=SETTINGS, drawn_weight=0.5)
    known = targets.has_landmarks
    assert 0 < known.sum() < len(known)
    landmarks = branch.forward(dense[targets.positive]).landmarks[known]  # in pixels of a crop of 8
    sides = np.tile(np.array([0.0, 0.0, 8.0, 8.0]), (len(landmarks), 1))
    deltas = encode_landmarks(landmarks, sides).reshape(-1, 10)
    wanted, _ = smooth_l1(deltas, targets.landmark_deltas[known], beta=SETTINGS.beta, reduction="sum")
    assert wanted > 0
    assert objective.parts["drawn"] == pytest.approx(wanted / known.sum(), rel=1e-12)
    assert objective.value == pytest.approx(without.value + 0.5 * wanted / known.sum(), rel=1e-12)


def test_where_no_landmark_is_known_none_is_compared():
    _, branch, crops, visible, others, dense = pixel_case()
    targets = faces()
    arguments = (*others, dense, targets, crops, visible, branch)
    with_term, without = (pixel_objective(*arguments, settings=SETTINGS, drawn_weight=w) for w in (0.5, 0.0))
    assert with_term.parts["drawn"] == 0
    assert with_term.value == without.value
    np.testing.assert_array_equal(with_term.gradients[3], without.gradients[3])


def test_pixel_objective_gradient_of_drawn_landmarks():
    # Without pixels there are no jumps, so the whole row can be moved.
    targets, branch, crops, visible, others, dense = pixel_case()
    visible[:] = False
    image, anchor = np.argwhere(targets.positive)[np.flatnonzero(targets.has_landmarks)[-1]]
    row = dense[image, anchor]

    def objective():
        arguments = (*others, dense, targets, crops, visible, branch)
        return pixel_objective(*arguments, settings=SETTINGS, drawn_weight=0.5)

    found = objective().gradients[3][image, anchor]
    assert found[:11].all()
    assert_gradients(lambda: objective().value, {"dense": row}, {"dense": found}, tolerance=1e-5)


def test_no_positive_anchor_costs_no_pixel():
    _, branch, crops, visible, others, dense = pixel_case()
    nobody = faces([np.zeros((0, 4))] * 3, [np.zeros((0, 20, 3))] * 3)
    objective = pixel_objective(*others, dense, nobody, crops[:0], visible[:0], branch, settings=SETTINGS)
    assert objective.parts["pixel"] == 0
    assert not objective.gradients[3].any()


def test_pixel_objective_refuses():
    targets, branch, crops, visible, others, dense = pixel_case()
    for name in ("pixel_weight", "drawn_weight"):
        with pytest.raises(InputError, match=f"{name}=-1"):
            pixel_objective(*others, dense, targets, crops, visible, branch, **{name: -1})
    broken = dense.copy()
    broken[2, np.flatnonzero(~targets.positive[2])[0], 5] = np.nan
    with pytest.raises(InputError, match="pixel_objective: `dense` is not finite in image 2"):
        pixel_objective(*others, broken, targets, crops, visible, branch, settings=SETTINGS)
    with pytest.raises(InputError, match=r"expected \(3, \d+, 20\)"):
        pixel_objective(*others, dense[..., 1:], targets, crops, visible, branch)
    with pytest.raises(InputError, match=r"`visible` has shape .* one mask per crop"):
        pixel_objective(*others, dense, targets, crops, visible[1:], branch, settings=SETTINGS)
    with pytest.raises(InputError, match="pixel_l1: `crops` has shape"):
        pixel_objective(*others, dense, targets, crops[1:], visible, branch, settings=SETTINGS)


def test_crops_are_in_the_order_of_the_targets():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(2)]
    anchors = np.array([[0.0, 0.0, 8.0, 8.0], [8.0, 16.0, 16.0, 24.0], [28.0, 28.0, 36.0, 36.0]])
    positive = np.array([[True, False, True], [False, True, False]])
    crops = anchor_crops(images, anchors, positive, 8)
    assert crops.dtype == np.float32
    np.testing.assert_allclose(crops[0], images[0][:8, :8] / 255, atol=1e-6)
    np.testing.assert_allclose(crops[1, :4, :4], images[0][28:, 28:] / 255, atol=1e-6)
    assert not crops[1, 4:].any()  # beyond the border
    np.testing.assert_allclose(crops[2], images[1][16:24, 8:16] / 255, atol=1e-6)
    assert anchor_crops(images, anchors, np.zeros((2, 3), bool), 8).shape == (0, 8, 8, 3)
    with pytest.raises(InputError, match="1 images, `positive` has 2"):
        anchor_crops(images[:1], anchors, positive, 8)


# ---- Batches ---------------------------------------------------------------------------------------


def test_batches_are_a_function_of_their_number():
    dataset = mesh_face_dataset(5)
    batches = MeshFaceBatches(dataset, batch_size=2, seed=1, side=16)
    again = MeshFaceBatches(dataset, batch_size=2, seed=1, side=16)
    assert batches.steps_per_epoch == 3
    batch = batches.batch(4)
    for ours, theirs in ((batch.x, again.batch(4).x), (batch.targets.crops, again.batch(4).targets.crops)):
        np.testing.assert_array_equal(ours, theirs)
    names = [name for step in range(5) for name in batches.batch(step).names]
    assert len(set(names[:5])) == len(set(names[5:])) == 5
    assert names[:5] != names[5:]
    P = int(batch.targets.faces.positive.sum())
    assert batch.x.shape == (2, 3, 64, 64)
    assert batch.targets.faces.vertices.shape == (P, 399, 3)
    assert batch.targets.crops.shape == (P, 16, 16, 3)
    assert batch.targets.visible.shape == (P, 16, 16)
    assert 0.1 < batch.targets.visible.mean() < 0.9
    for number, row in zip(batch.names, batch.targets.faces.positive, strict=True):
        assert row.any(), number


def test_a_batch_holds_what_its_pictures_show():
    dataset = mesh_face_dataset(4)
    annotations = {one.name: one for one in dataset.annotations}
    batches = MeshFaceBatches(dataset, batch_size=3, seed=1, side=16)
    batch = batches.batch(0)
    faces, crops, visible = batch.targets
    image, anchor = np.nonzero(faces.positive)
    anchors = batches.anchors[anchor]
    meshes = decode_vertices(faces.vertices, anchors)
    boxes = decode_boxes(faces.box_deltas, anchors)
    landmarks = decode_landmarks(faces.landmark_deltas, anchors)
    assert faces.has_landmarks.all()
    assert faces.has_mesh.all()
    for n, name in enumerate(batch.names):
        one, rows = annotations[name], image == n
        picture = one.read()
        np.testing.assert_array_equal(batch.x[n], retinaface_input(picture)[0])
        for found, wanted in ((meshes, one.vertices), (boxes, one.boxes), (landmarks, one.landmarks)):
            np.testing.assert_allclose(found[rows], wanted.repeat(rows.sum(), axis=0), atol=1e-3)
        around = anchors[rows]
        every = np.ones((1, len(around)), bool)
        np.testing.assert_array_equal(crops[rows], anchor_crops([picture], around, every, 16))
        white = np.repeat(255 * one.mask().astype(np.uint8)[..., None], 3, axis=2)
        share = anchor_crops([white], around, every, 16)[..., 0]  # of each pixel that is of the face
        np.testing.assert_array_equal(visible[rows], share == 1)
        assert ((share > 0) & (share < 1)).any()


def test_batches_of_other_anchors_and_thresholds():
    dataset = mesh_face_dataset(2)
    choices = {"thresholds": MatchThresholds(0.6, 0.1, force_best=None), "anchors": PAPER_ANCHORS}
    batches = MeshFaceBatches(dataset, batch_size=2, seed=0, **choices)
    np.testing.assert_array_equal(batches.anchors, PAPER_ANCHORS.lay(64, 64))
    found = batches.batch(0)
    shown = [next(one for one in dataset.annotations if one.name == name) for name in found.names]
    wanted = retinaface_targets(
        PAPER_ANCHORS.lay(64, 64),
        [one.boxes for one in shown],
        [one.landmarks for one in shown],
        [one.landmark_mask for one in shown],
        choices["thresholds"],
    )
    np.testing.assert_array_equal(found.targets.faces.positive, wanted.positive)
    np.testing.assert_array_equal(found.targets.faces.negative, wanted.negative)
    assert wanted.positive.any()


def test_another_seed_is_another_order():
    dataset = mesh_face_dataset(8)
    orders = {
        tuple(MeshFaceBatches(dataset, batch_size=8, seed=seed, side=8).batch(0).names) for seed in range(3)
    }
    assert len(orders) == 3


def test_batches_refuse():
    with pytest.raises(InputError, match="no picture to learn from"):
        MeshFaceBatches(mesh_face_dataset(0), batch_size=2, seed=1)
    with pytest.raises(InputError, match="step=-1"):
        MeshFaceBatches(mesh_face_dataset(1), batch_size=1, seed=1).batch(-1)
