"""The objective of RetinaFace: by hand, by the equation term by term, and against differences."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.boxes import PAPER_THRESHOLDS, REFERENCE_THRESHOLDS
from minidet.losses import edge_length_l1, softmax_cross_entropy, vertex_l1
from minidet.training.objectives import (
    PAPER,
    REFERENCE,
    RetinaFaceLossSettings,
    RetinaFaceTargets,
    retinaface_objective,
    retinaface_targets,
)
from tests.check import FLOATS, LAYOUTS, OP_TOLERANCE, assert_close
from tests.gradients import assert_gradients
from tests.losses.checks import assert_refuses
from tests.oracles.cases import Numbers

LN2, LN4, LN4_3 = math.log(2), math.log(4), math.log(4 / 3)
TASKS = ("box", "classification", "landmark")  # in the order of the outputs
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3], [3, 1, 2]])
V = 4  # vertices of a mesh

# A scene is one word per image, one letter per anchor: a positive anchor whose face has landmarks, and one
# whose face has none; a negative; an ignored one.
WITH, WITHOUT, NEGATIVE, IGNORED = "PpN."
SCENE = ["NPN.NpNN", "PNNNN.pP", "NNN..NNN"]


def targets_of(scene, seed="scene", dtype="float64", mesh=False):
    """Return random targets; every second face has a mesh."""
    letters = np.array([list(word) for word in scene]).reshape(len(scene), -1)  # (N, A)
    positive = (letters == WITH) | (letters == WITHOUT)
    P, numbers = np.count_nonzero(positive), Numbers(f"targets {seed}")
    has_landmarks = letters[positive] == WITH
    box_deltas, landmark_deltas = numbers.real(P, 4), numbers.real(P, 10) * has_landmarks[:, None]
    meshes = (numbers.real(P, V, 3).astype(dtype), np.arange(P) % 2 == 0) if mesh else (None, None)
    return RetinaFaceTargets(
        positive,
        letters == NEGATIVE,
        box_deltas.astype(dtype),
        landmark_deltas.astype(dtype),
        has_landmarks,
        *meshes,
    )


def outputs_of(scene, seed="scene", dtype="float64"):
    """Return random box_deltas, logits and landmark_deltas."""
    N, A = len(scene), len(scene[0])
    numbers = Numbers(f"outputs {seed}")
    return [numbers.real(N, A, values).astype(dtype) for values in (4, 2, 10)]


def vertices_of(scene, dtype="float64"):
    return Numbers("vertices").real(len(scene), len(scene[0]), V, 3).astype(dtype)


def smooth(d, beta):
    return d * d / (2 * beta) if abs(d) < beta else abs(d) - beta / 2


def by_the_equation(scene, outputs, targets, settings):
    """Return value, parts and kept anchors, one anchor and one number at a time."""
    box_deltas, logits, landmark_deltas = outputs
    costs, kept, faces, mined = {}, [], [], 0
    for n, word in enumerate(scene):
        for a, letter in enumerate(word):
            face = letter in (WITH, WITHOUT)
            costs[n, a] = math.log(1 + math.exp(logits[n, a, 1 - face] - logits[n, a, int(face)]))
            faces += [(n, a)] * face
        positives = word.count(WITH) + word.count(WITHOUT)
        negatives = [(n, a) for a, letter in enumerate(word) if letter == NEGATIVE]
        negatives.sort(key=costs.get, reverse=True)
        negatives = negatives[: max(settings.negative_ratio * positives, settings.min_negatives)]
        mined += len(negatives)
        kept += negatives
    kept += faces
    divisor = max(len(faces), mined / settings.negative_ratio, 1)
    parts = {"classification": sum(costs[at] for at in kept) / divisor, "box": 0.0, "landmark": 0.0}
    with_landmarks = max(int(targets.has_landmarks.sum()), 1)
    for p, at in enumerate(faces):
        errors = box_deltas[at] - targets.box_deltas[p]
        parts["box"] += sum(smooth(d, settings.beta) for d in errors) / len(faces)
        if targets.has_landmarks[p]:
            errors = landmark_deltas[at] - targets.landmark_deltas[p]
            parts["landmark"] += sum(smooth(d, settings.beta) for d in errors) / with_landmarks
    value = (
        parts["classification"]
        + settings.box_weight * parts["box"]
        + settings.landmark_weight * parts["landmark"]
    )
    return value, parts, sorted(kept)


def assert_objective(objective, value, parts, kept):
    assert objective.value == pytest.approx(value, rel=1e-12, abs=1e-15)
    assert objective.parts == pytest.approx(parts, rel=1e-12, abs=1e-15)
    assert list(objective.parts) == ["classification", "box", "landmark"]
    assert [tuple(at) for at in np.argwhere(objective.kept).tolist()] == kept


# ---- By hand ---------------------------------------------------------------------------------------


def hand_batch(dtype="float64"):
    """Two images with one and two faces; where an anchor has no say, it is far off.

    Scores of a face, and what they cost:

    image 0: positive 3/4 ln 4/3, negative 1/2 ln 2, ignored, negative 1/4 ln 4/3
    image 1: negative 3/4 ln 4, positive 1/2 ln 2, positive 1/4 ln 4, negative 1/4 ln 4/3
    """
    ln3 = math.log(3)
    scene = ["PN.N", "NpPN"]
    logits = np.array(
        [[[0, ln3], [5, 5], [-40, 40], [ln3, 0]], [[0, ln3], [-1, -1], [ln3, 0], [2 + ln3, 2]]], dtype
    )
    box_errors, landmark_errors = np.full((2, 4, 4), 60, dtype), np.full((2, 4, 10), 70, dtype)
    box_errors[0, 0] = [0.5, 0, 0, -3]  # 1/8 and 2 1/2
    box_errors[1, 1] = 0
    box_errors[1, 2] = [0, 2, 0, 0]  # 1 1/2
    landmark_errors[0, 0] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]  # 1/2
    landmark_errors[1, 2] = [0, 0, 0, 0, 0, 0, 0, 0, 0, -0.5]  # 1/8; anchor (1, 1) has no landmarks
    targets = RetinaFaceTargets(
        positive=np.array([[True, False, False, False], [False, True, True, False]]),
        negative=np.array([[False, True, False, True], [True, False, False, True]]),
        box_deltas=np.arange(12, dtype=dtype).reshape(3, 4),
        landmark_deltas=np.arange(30, dtype=dtype).reshape(3, 10),
        has_landmarks=np.array([True, False, True]),
    )
    box_deltas, landmark_deltas = box_errors.copy(), landmark_errors.copy()
    box_deltas[targets.positive] += targets.box_deltas
    landmark_deltas[targets.positive] += targets.landmark_deltas
    return scene, [box_deltas, logits, landmark_deltas], targets


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("settings", "of_boxes", "of_landmarks"), [(REFERENCE, 2.0, 1.0), (PAPER, 0.25, 0.1)]
)
def test_by_hand(settings, of_boxes, of_landmarks, dtype):
    _, outputs, targets = hand_batch(dtype)
    objective = retinaface_objective(*outputs, targets, settings=replace(settings, negative_ratio=1))

    # One negative of image 0, the harder, and both of image 1. Three faces, two of them with landmarks.
    assert objective.kept.tolist() == [[True, True, False, False], [True] * 4]
    classification = (LN4_3 + LN2 + LN4 + LN2 + LN4 + LN4_3) / 3
    parts = {"classification": classification, "box": 4.125 / 3, "landmark": 0.625 / 2}
    assert objective.parts == pytest.approx(parts, rel=1e-6)
    value = classification + of_boxes * 4.125 / 3 + of_landmarks * 0.625 / 2
    assert objective.value == pytest.approx(value, rel=1e-6)

    grad_box_deltas, grad_landmark_deltas = np.zeros((2, 4, 4)), np.zeros((2, 4, 10))
    grad_box_deltas[0, 0] = np.array([0.5, 0, 0, -1]) * of_boxes / 3
    grad_box_deltas[1, 2, 1] = of_boxes / 3
    grad_landmark_deltas[0, 0, 0] = of_landmarks / 2
    grad_landmark_deltas[1, 2, 9] = -0.5 * of_landmarks / 2
    grad_logits = np.zeros((2, 4, 2))
    grad_logits[0, :2, 1] = np.array([3 / 4 - 1, 1 / 2]) / 3
    grad_logits[1, :, 1] = np.array([3 / 4, 1 / 2 - 1, 1 / 4 - 1, 1 / 4]) / 3
    grad_logits[..., 0] = -grad_logits[..., 1]
    wanted = (grad_box_deltas, grad_logits, grad_landmark_deltas)
    for gradient, by_hand in zip(objective.gradients, wanted, strict=True):
        assert_close(gradient, by_hand.astype(dtype), OP_TOLERANCE[dtype])


def test_the_hand_example_is_the_equation():
    # Guards the twin below.
    scene, outputs, targets = hand_batch()
    settings = replace(PAPER, negative_ratio=1)
    objective = retinaface_objective(*outputs, targets, settings=settings)
    assert_objective(objective, *by_the_equation(scene, outputs, targets, settings))


def test_the_published_settings():
    assert (PAPER.box_weight, PAPER.landmark_weight, PAPER.mesh_weight) == (0.25, 0.1, 0.01)
    assert (PAPER.thresholds, PAPER.negative_ratio) == (PAPER_THRESHOLDS, 3)
    assert (REFERENCE.box_weight, REFERENCE.landmark_weight, REFERENCE.mesh_weight) == (2, 1, None)
    assert (REFERENCE.thresholds, REFERENCE.negative_ratio) == (REFERENCE_THRESHOLDS, 7)
    assert [(settings.min_negatives, settings.beta) for settings in (PAPER, REFERENCE)] == [(0, 1)] * 2


# ---- By the equation -------------------------------------------------------------------------------

scenes = st.integers(1, 12).flatmap(
    lambda A: st.lists(
        st.text(WITH + WITHOUT + NEGATIVE + IGNORED, min_size=A, max_size=A), min_size=1, max_size=4
    )
)


@given(
    scene=scenes,
    seed=st.integers(0, 2**31),
    ratio=st.integers(1, 7),
    at_least=st.integers(0, 5),
    beta=st.sampled_from([1 / 9, 1.0]),
)
def test_term_by_term(scene, seed, ratio, at_least, beta):
    settings = replace(PAPER, negative_ratio=ratio, min_negatives=at_least, beta=beta)
    outputs, targets = outputs_of(scene, seed), targets_of(scene, seed)
    objective = retinaface_objective(*outputs, targets, settings=settings)
    assert_objective(objective, *by_the_equation(scene, outputs, targets, settings))


def test_the_reference_settings_are_the_default():
    outputs, targets = outputs_of(SCENE), targets_of(SCENE)
    objective = retinaface_objective(*outputs, targets)
    assert_objective(objective, *by_the_equation(SCENE, outputs, targets, REFERENCE))


def test_the_corner_of_smooth_l1_is_a_setting():
    outputs, targets = outputs_of(SCENE), targets_of(SCENE)
    values = {
        beta: retinaface_objective(*outputs, targets, settings=replace(REFERENCE, beta=beta)).parts
        for beta in (1 / 9, 1.0)
    }
    assert values[1 / 9]["classification"] == values[1.0]["classification"]
    assert values[1 / 9]["box"] > values[1.0]["box"]
    assert values[1 / 9]["landmark"] > values[1.0]["landmark"]


@pytest.mark.parametrize("task", ["box", "landmark"])
def test_each_weight_reaches_its_task_and_no_other(task):
    outputs, targets = outputs_of(SCENE), targets_of(SCENE)
    usual = replace(REFERENCE, box_weight=1.0, landmark_weight=1.0)
    once = retinaface_objective(*outputs, targets, settings=usual)
    thrice = retinaface_objective(*outputs, targets, settings=replace(usual, **{f"{task}_weight": 3.0}))
    assert thrice.parts == once.parts
    assert thrice.value == pytest.approx(once.value + 2 * once.parts[task], rel=1e-14)
    for name, gradient, before in zip(TASKS, thrice.gradients, once.gradients, strict=True):
        assert before.any()
        np.testing.assert_allclose(gradient, before * (3 if name == task else 1), rtol=1e-14)


# ---- Who has a say in what -------------------------------------------------------------------------


def anchors_with_gradient(gradient):
    """Return the anchors (image, anchor) that have a gradient; all of their numbers or none."""
    has = gradient != 0
    assert (has.any(axis=-1) == has.all(axis=-1)).all()
    return {tuple(at) for at in np.argwhere(has.any(axis=-1)).tolist()}


def anchors(scene, letters):
    return {(n, a) for n, word in enumerate(scene) for a, letter in enumerate(word) if letter in letters}


@pytest.mark.parametrize("settings", [PAPER, REFERENCE], ids=["paper", "reference"])
def test_each_anchor_has_its_say_and_no_other(settings):
    objective = retinaface_objective(*outputs_of(SCENE), targets_of(SCENE), settings=settings)
    grad_box_deltas, grad_logits, grad_landmark_deltas = objective.gradients
    assert anchors_with_gradient(grad_box_deltas) == anchors(SCENE, WITH + WITHOUT)
    assert anchors_with_gradient(grad_landmark_deltas) == anchors(SCENE, WITH)
    kept = {tuple(at) for at in np.argwhere(objective.kept).tolist()}
    assert anchors_with_gradient(grad_logits) == kept
    assert anchors(SCENE, WITH + WITHOUT) < kept
    assert kept < anchors(SCENE, WITH + WITHOUT + NEGATIVE)


@pytest.mark.parametrize(("settings", "ratio"), [(PAPER, 3), (REFERENCE, 7)], ids=["paper", "reference"])
def test_so_many_negatives_per_positive_in_every_image(settings, ratio):
    # 0, 1, 2 and 5 positives; of 20 negatives the last has too few for the reference.
    scene = ["N" * 20 + "." * 5, "P" + "N" * 20 + "." * 4, "pP" + "N" * 20 + "...", "PPppP" + "N" * 20]
    outputs, targets = outputs_of(scene), targets_of(scene)
    objective = retinaface_objective(*outputs, targets, settings=settings)
    mined = objective.kept & ~targets.positive
    assert mined.sum(axis=1).tolist() == [0, ratio, 2 * ratio, min(5 * ratio, 20)]
    assert objective.kept[targets.positive].all()
    face_score = outputs[1][..., 1] - outputs[1][..., 0]  # a negative costs the more, the higher this is
    for n in range(4):
        dropped = targets.negative[n] & ~mined[n]
        assert face_score[n][mined[n]].min(initial=9) > face_score[n][dropped].max(initial=-9)


def test_an_ignored_anchor_is_never_kept_however_wrong():
    scene = ["P.N.N..N", "........", "N.......", "p......."]
    outputs, targets = outputs_of(scene), targets_of(scene)
    for score in (-50.0, 50.0):
        outputs[1][~targets.positive & ~targets.negative] = [0.0, score]
        objective = retinaface_objective(*outputs, targets, settings=replace(PAPER, min_negatives=8))
        kept = {tuple(at) for at in np.argwhere(objective.kept).tolist()}
        assert kept == anchors(scene, WITH + WITHOUT + NEGATIVE)
        assert_objective(
            objective, *by_the_equation(scene, outputs, targets, replace(PAPER, min_negatives=8))
        )


def test_what_has_no_say_changes_nothing():
    outputs, targets = outputs_of(SCENE), targets_of(SCENE)
    objective = retinaface_objective(*outputs, targets)
    with_landmarks = targets.positive.copy()
    with_landmarks[targets.positive] = targets.has_landmarks
    ignored = ~targets.positive & ~targets.negative
    others = [
        np.where(targets.positive[..., None], outputs[0], 1e6),
        np.where(ignored[..., None], [-1e6, 1e6], outputs[1]),
        np.where(with_landmarks[..., None], outputs[2], 1e6),
    ]
    # Target points of faces without landmarks are not read and may be anything.
    unread = np.where(targets.has_landmarks[:, None], targets.landmark_deltas, np.nan)
    same = retinaface_objective(*others, targets._replace(landmark_deltas=unread))
    assert same.value == objective.value
    assert same.parts == objective.parts
    for gradient, expected in zip(same.gradients, objective.gradients, strict=True):
        np.testing.assert_array_equal(gradient, expected)


# ---- Faces without landmarks, images without faces -------------------------------------------------


def test_faces_without_landmarks_do_not_thin_out_those_that_have_them():
    # The same face, beside three without landmarks and alone.
    outputs, targets = outputs_of(["PpppNNNN"]), targets_of(["PpppNNNN"])
    beside = retinaface_objective(*outputs, targets)
    alone = retinaface_objective(
        *outputs,
        RetinaFaceTargets(
            positive=np.array([[True] + [False] * 7]),
            negative=targets.negative,
            box_deltas=targets.box_deltas[:1],
            landmark_deltas=targets.landmark_deltas[:1],
            has_landmarks=np.array([True]),
        ),
    )
    assert beside.parts["landmark"] == alone.parts["landmark"] > 0
    np.testing.assert_array_equal(beside.gradients[2], alone.gradients[2])
    assert beside.parts["box"] != alone.parts["box"]


def test_no_face_has_landmarks():
    scene = ["pNNNNNNNNNNN", "NNpNNNNNNNpN"]
    outputs, targets = outputs_of(scene), targets_of(scene)
    objective = retinaface_objective(*outputs, targets)
    assert objective.parts["landmark"] == 0
    assert not objective.gradients[2].any()
    assert objective.gradients[2].shape == (2, 12, 10)
    assert objective.value == objective.parts["classification"] + 2 * objective.parts["box"]


def test_unknown_points_do_no_harm():
    # From the annotation on: the second face has no landmarks, and its points are NaN.
    boxes = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [40.0, 0.0, 50.0, 10.0]])
    landmarks = np.concatenate([np.full((1, 5, 2), 4.0), np.full((1, 5, 2), np.nan)])
    targets = retinaface_targets(
        boxes, [boxes[:2] + 1], [landmarks], [np.array([True, False])], REFERENCE_THRESHOLDS
    )
    assert targets.positive.tolist() == [[True, True, False]]
    box_deltas, logits, landmark_deltas = outputs_of(["PpN"])
    objective = retinaface_objective(box_deltas, logits, landmark_deltas, targets)
    assert math.isfinite(objective.value)
    assert all(np.isfinite(gradient).all() for gradient in objective.gradients)
    assert anchors_with_gradient(objective.gradients[2]) == {(0, 0)}
    assert anchors_with_gradient(objective.gradients[0]) == {(0, 0), (0, 1)}


def test_an_image_without_faces_changes_nothing_and_learns_nothing():
    with_it, without = ["NPN.NpNN", "NNN..NNN"], ["NPN.NpNN"]
    outputs, targets = outputs_of(with_it), targets_of(without)
    objective = retinaface_objective(*outputs, targets_of(with_it))
    alone = retinaface_objective(*(output[:1] for output in outputs), targets)
    assert objective.value == alone.value
    assert objective.parts == alone.parts
    assert not objective.kept[1].any()
    for gradient, expected in zip(objective.gradients, alone.gradients, strict=True):
        np.testing.assert_array_equal(gradient[:1], expected)
        assert not gradient[1].any()


@pytest.mark.parametrize("scene", [["NNN.N", "NN.NN"], ["....."], [], ["", ""]])
def test_a_batch_without_any_face_learns_nothing(scene):
    N, A = len(scene), len(scene[0]) if scene else 5
    outputs = [Numbers(0).real(N, A, values) for values in (4, 2, 10)]
    negative = np.array([[letter == NEGATIVE for letter in word] for word in scene], bool).reshape(N, A)
    none = RetinaFaceTargets(
        np.zeros((N, A), bool), negative, np.zeros((0, 4)), np.zeros((0, 10)), np.zeros(0, bool)
    )
    objective = retinaface_objective(*outputs, none)
    assert objective.value == 0
    assert objective.parts == {"classification": 0, "box": 0, "landmark": 0}
    assert not objective.kept.any()
    for gradient, output in zip(objective.gradients, outputs, strict=True):
        assert gradient.shape == output.shape
        assert not gradient.any()


def test_with_min_negatives_a_batch_without_any_face_learns_what_is_none():
    scene = ["NNN.N", "NN.NN"]
    outputs, targets = outputs_of(scene), targets_of(scene)
    objective = retinaface_objective(*outputs, targets, settings=replace(PAPER, min_negatives=3))
    assert objective.kept.sum(axis=1).tolist() == [3, 3]
    assert objective.value == objective.parts["classification"] > 0
    grad_box_deltas, grad_logits, grad_landmark_deltas = objective.gradients
    assert not grad_box_deltas.any()
    assert not grad_landmark_deltas.any()
    # Less "face", more "no face": where anchors are kept and nowhere else.
    np.testing.assert_array_equal(grad_logits[..., 1] > 0, objective.kept)
    np.testing.assert_array_equal(grad_logits[..., 0] < 0, objective.kept)


# ---- Divisors --------------------------------------------------------------------------------------


def unsure_batch(scene):
    """Outputs of zeros, so that every anchor costs ln 2 and every box and point d**2 / 2 with d = 1."""
    outputs = [np.zeros((len(scene), len(scene[0]), values)) for values in (4, 2, 10)]
    targets = targets_of(scene)
    return outputs, targets._replace(
        box_deltas=np.ones_like(targets.box_deltas), landmark_deltas=np.ones_like(targets.landmark_deltas)
    )


@pytest.mark.parametrize(
    ("scene", "at_least", "classified"),
    [
        (["PNNNN", "ppNNN"], 0, (1 + 3 + 2 + 3) / 3),
        (["PNNNNNN", "NNNNNNN"], 0, (1 + 3) / 1),
        # Beside the three negatives of a face, three of no face: six count like those of two faces.
        (["PNNNNNN", "NNNNNNN"], 3, (1 + 3 + 3) / 2),
        (["PNNNNNN", "NNNNNNN"], 2, (1 + 3 + 2) / (5 / 3)),
        (["NNNNNNN", "NNNNNNN"], 6, 12 / 4),
        (["NNNNNNN"], 1, 1),  # a third of a face is counted as one
        (["PN", "PN"], 6, 4 / 2),  # too few negatives for the ratio: the faces are what counts
    ],
)
def test_the_classification_is_divided_by_faces_or_what_they_would_be(scene, at_least, classified):
    outputs, targets = unsure_batch(scene)
    objective = retinaface_objective(*outputs, targets, settings=replace(PAPER, min_negatives=at_least))
    assert objective.parts["classification"] == pytest.approx(classified * LN2, rel=1e-14)


@pytest.mark.parametrize("scene", [["PNNNNNNN", "NNNNNNNN"], ["NNNNNNNN", "NNNNNNNN"]])
def test_all_negatives_together_never_weigh_more_than_where_the_ratio_holds(scene):
    # There each face comes with three negatives; a score of 1/2 gives each of them the gradient 1/2.
    outputs, targets = unsure_batch(scene)
    for at_least in range(9):
        objective = retinaface_objective(*outputs, targets, settings=replace(PAPER, min_negatives=at_least))
        grad_face = objective.gradients[1][..., 1]
        assert grad_face[targets.negative].sum() <= 3 / 2 + 1e-12


@pytest.mark.parametrize("scene", [["PNNNN", "ppNNN"], ["PpPP"], ["PPNN", "NNNN"]])
def test_a_number_off_by_one_costs_half_however_many_faces_there_are(scene):
    outputs, targets = unsure_batch(scene)
    objective = retinaface_objective(*outputs, targets, settings=replace(PAPER, min_negatives=4))
    assert objective.parts["box"] == 4 * 0.5
    assert objective.parts["landmark"] == 10 * 0.5


# ---- Mesh ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_mesh_by_hand(dtype):
    # Two faces; the first has no mesh. That of the second is a triangle with sides of 3, 5 and 4, whose third
    # corner is 3 too high: (0 + 0 + 3) / 3 for the corners, (0 + sqrt 58 - 5 + 3) / 3 for the edges.
    scene = ["pNp"]
    wanted = np.array([[0, 0, 0], [3, 0, 0], [0, 4, 0]], dtype)
    targets = targets_of(scene, dtype=dtype)._replace(
        vertices=np.stack([np.full((3, 3), np.nan, dtype), wanted]), has_mesh=np.array([False, True])
    )
    vertices = np.full((1, 3, 3, 3), 50, dtype)
    vertices[0, 2] = wanted
    vertices[0, 2, 2, 1] = 7
    outputs = outputs_of(scene, dtype=dtype)
    objective = retinaface_objective(
        *outputs, targets, settings=PAPER, vertices=vertices, triangles=np.array([[0, 1, 2]])
    )
    without = retinaface_objective(*outputs, targets, settings=PAPER)
    of_edges = (math.sqrt(58) - 5 + 3) / 3
    assert list(objective.parts) == ["classification", "box", "landmark", "mesh"]
    assert objective.parts == pytest.approx({**without.parts, "mesh": 1 + of_edges}, rel=1e-6)
    assert objective.value == pytest.approx(without.value + 0.01 * (1 + of_edges), rel=1e-6)

    # Upwards is wrong for the third corner as such, and along both of its edges.
    gradient = np.zeros((1, 3, 3, 3))
    along = np.array([-3, 7, 0]) / math.sqrt(58)
    gradient[0, 2, 2] = (np.array([0, 1, 0]) + along + np.array([0, 1, 0])) / 3
    gradient[0, 2, 1] = -along / 3
    gradient[0, 2, 0] = np.array([0, -1, 0]) / 3
    assert_close(objective.gradients[3], (0.01 * gradient).astype(dtype), OP_TOLERANCE[dtype])
    for with_mesh, expected in zip(objective.gradients[:3], without.gradients, strict=True):
        np.testing.assert_array_equal(with_mesh, expected)


def test_meshes_are_the_sum_of_both_terms_over_the_faces_that_have_one():
    outputs, targets, vertices = outputs_of(SCENE), targets_of(SCENE, mesh=True), vertices_of(SCENE)
    assert targets.has_mesh.tolist() == [True, False, True, False, True]
    objective = retinaface_objective(
        *outputs, targets, settings=PAPER, vertices=vertices, triangles=TRIANGLES
    )
    found, wanted = vertices[targets.positive][::2], targets.vertices[::2]
    at_vertices, _ = vertex_l1(found, wanted)
    of_edges, _ = edge_length_l1(found, wanted, TRIANGLES)
    assert objective.parts["mesh"] == pytest.approx(at_vertices + of_edges, rel=1e-14)
    letters = [at for at in sorted(anchors(SCENE, WITH + WITHOUT))][::2]
    assert {tuple(at) for at in np.argwhere(objective.gradients[3].any(axis=(2, 3))).tolist()} == set(letters)


def test_no_face_has_a_mesh():
    outputs, targets = outputs_of(SCENE), targets_of(SCENE, mesh=True)
    targets = targets._replace(has_mesh=np.zeros(5, bool))
    objective = retinaface_objective(
        *outputs, targets, settings=PAPER, vertices=vertices_of(SCENE), triangles=TRIANGLES
    )
    assert objective.parts["mesh"] == 0
    assert objective.gradients[3].shape == (*targets.positive.shape, V, 3)
    assert not objective.gradients[3].any()


def test_targets_with_meshes_serve_a_network_without():
    outputs = outputs_of(SCENE)
    with_meshes = retinaface_objective(*outputs, targets_of(SCENE, mesh=True), settings=PAPER)
    assert with_meshes.value == retinaface_objective(*outputs, targets_of(SCENE), settings=PAPER).value
    assert len(with_meshes.gradients) == 3


# ---- Against differences ---------------------------------------------------------------------------

SETTINGS = {
    "paper": PAPER,
    "reference": REFERENCE,
    "paper-1": replace(PAPER, negative_ratio=1),
    "reference-2-at-least-3": replace(REFERENCE, negative_ratio=2, min_negatives=3),
    "insightface": replace(PAPER, beta=1 / 9),
}


@pytest.mark.parametrize("scene", [SCENE, ["NNN.", "NN.N"], ["pN", "p."], ["P"]], ids=" ".join)
@pytest.mark.parametrize("name", SETTINGS)
def test_gradients(name, scene):
    settings, outputs, targets = SETTINGS[name], outputs_of(scene), targets_of(scene)
    objective = retinaface_objective(*outputs, targets, settings=settings)
    assert_mining_is_far_from_changing(outputs[1], targets, objective.kept)
    assert_gradients(
        lambda: retinaface_objective(*outputs, targets, settings=settings).value,
        dict(zip(TASKS, outputs, strict=True)),
        dict(zip(TASKS, objective.gradients, strict=True)),
    )


def assert_mining_is_far_from_changing(logits, targets, kept):
    """Require that no step of the differences can exchange a kept negative for another."""
    labels = targets.positive.astype(int)
    costs, _ = softmax_cross_entropy(logits.reshape(-1, 2), labels.ravel(), reduction="none")
    for n, of_image in enumerate(costs.reshape(labels.shape)):
        mined, dropped = targets.negative[n] & kept[n], targets.negative[n] & ~kept[n]
        assert of_image[mined].min(initial=np.inf) - of_image[dropped].max(initial=0) > 1e-3


def test_gradients_with_meshes():
    outputs, targets, vertices = outputs_of(SCENE), targets_of(SCENE, mesh=True), vertices_of(SCENE)
    settings = replace(PAPER, mesh_weight=0.3)

    def call():
        return retinaface_objective(
            *outputs, targets, settings=settings, vertices=vertices, triangles=TRIANGLES
        )

    # Away from the kinks of both terms.
    found, wanted = vertices[targets.positive], targets.vertices
    starts, ends = TRIANGLES.ravel(), np.roll(TRIANGLES, -1, axis=1).ravel()
    lengths = [np.linalg.norm(mesh[:, ends] - mesh[:, starts], axis=2) for mesh in (found, wanted)]
    assert min(np.abs(found - wanted).min(), np.abs(lengths[0] - lengths[1]).min(), lengths[0].min()) > 1e-3

    names = (*TASKS, "mesh")
    assert_gradients(
        lambda: call().value,
        dict(zip(names, [*outputs, vertices], strict=True)),
        dict(zip(names, call().gradients, strict=True)),
    )


# ---- Types, layouts --------------------------------------------------------------------------------


def in_type(targets, dtype):
    return RetinaFaceTargets(
        *(array.astype(dtype) if array.dtype == np.float64 else array for array in targets)
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("number", [float, np.float64])
def test_types(number, dtype):
    settings = RetinaFaceLossSettings(
        number(2), number(1), number(0.5), REFERENCE_THRESHOLDS, 7, 2, number(0.5)
    )
    results = []
    for each in ("float64", dtype):
        results.append(
            retinaface_objective(
                *outputs_of(SCENE, dtype=each),
                targets_of(SCENE, dtype=each, mesh=True),
                settings=settings,
                vertices=vertices_of(SCENE, each),
                triangles=TRIANGLES,
            )
        )
    precise, objective = results
    assert isinstance(objective.value, float)
    assert {type(part) for part in objective.parts.values()} == {float}
    assert objective.kept.dtype == np.bool_
    assert objective.value == pytest.approx(precise.value, rel=OP_TOLERANCE[dtype])
    for gradient, reference in zip(objective.gradients, precise.gradients, strict=True):
        assert_close(gradient, reference.astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_and_nothing_is_changed(layout):
    arrays = [*outputs_of(SCENE), vertices_of(SCENE)]
    targets = [array for array in targets_of(SCENE, mesh=True) if array is not None]  # faces: for a cascade
    plain_outputs, laid_out = arrays, [layout(array) for array in arrays]
    laid_out_targets = [layout(array) if array.dtype == np.float64 else array.copy() for array in targets]

    def call(outputs, targets):
        *outputs, vertices = outputs
        targets = RetinaFaceTargets(*targets)
        return retinaface_objective(*outputs, targets, settings=PAPER, vertices=vertices, triangles=TRIANGLES)

    plain, objective = call(plain_outputs, targets), call(laid_out, laid_out_targets)
    assert objective.value == plain.value
    inputs = [*laid_out, *laid_out_targets]
    for result, expected in zip(
        [*objective.gradients, objective.kept], [*plain.gradients, plain.kept], strict=True
    ):
        np.testing.assert_array_equal(result, expected)
        assert not any(np.shares_memory(result, array) for array in inputs)
        result[...] = 1
    for array, expected in zip(inputs, [*arrays, *targets], strict=True):
        np.testing.assert_array_equal(array, expected)


# ---- Refusals --------------------------------------------------------------------------------------


def refuses(message, *, settings=PAPER, triangles=TRIANGLES, **changes):
    """Require this message of a good batch in which one array is replaced, or changed by a function."""
    names = ("box_deltas", "logits", "landmark_deltas")
    arrays = dict(zip(names, outputs_of(SCENE), strict=True)) | {"vertices": vertices_of(SCENE)}
    arrays |= {f"targets.{name}": array for name, array in targets_of(SCENE, mesh=True)._asdict().items()}
    for name, change in changes.items():
        arrays[name] = change(arrays[name]) if callable(change) else change
    targets = {name.removeprefix("targets."): arrays[name] for name in arrays if name.startswith("targets.")}
    assert_refuses(
        f"retinaface_objective: {message}",
        retinaface_objective,
        *(arrays[name] for name in names),
        RetinaFaceTargets(**targets),
        settings=settings,
        vertices=arrays["vertices"],
        triangles=triangles,
    )


def with_value(value, *index):
    """Return a function that puts ``value`` into a copy of an array."""

    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


def test_logits_of_another_number_of_axes():
    refuses("`logits` has shape (24, 2); expected (N, A, 2)", logits=np.zeros((24, 2)))


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("logits", (3, 8, 1), (3, 8, 2)),
        ("box_deltas", (3, 7, 4), (3, 8, 4)),
        ("box_deltas", (2, 8, 4), (3, 8, 4)),
        ("landmark_deltas", (3, 8, 5, 2), (3, 8, 10)),
    ],
)
def test_outputs_of_another_shape(name, shape, expected):
    message = f"`{name}` has shape {shape}; expected {expected}, one row per image and anchor"
    refuses(message, **{name: np.zeros(shape)})


@pytest.mark.parametrize("name", ["positive", "negative"])
def test_masks_of_another_shape(name):
    message = f"`targets.{name}` has shape (3, 7); expected (3, 8), one per image and anchor"
    refuses(message, **{f"targets.{name}": np.zeros((3, 7), bool)})


@pytest.mark.parametrize("name", ["has_landmarks", "has_mesh"])
def test_answers_for_another_number_of_faces(name):
    message = f"`targets.{name}` has shape (4,); expected (5,), one per positive anchor"
    refuses(message, **{f"targets.{name}": np.zeros(4, bool)})


@pytest.mark.parametrize("name", ["positive", "negative", "has_landmarks", "has_mesh"])
def test_masks_of_numbers_would_choose_other_rows(name):
    message = f"`targets.{name}` is int64; expected bool"
    refuses(message, **{f"targets.{name}": lambda mask: mask.astype(np.int64)})


@pytest.mark.parametrize(("name", "values"), [("box_deltas", 4), ("landmark_deltas", 10)])
def test_targets_of_another_shape(name, values):
    for shape in [(4, values), (5, values - 1), (5, values, 1)]:
        message = f"`targets.{name}` has shape {shape}; expected (5, {values}), one row per positive anchor"
        refuses(message, **{f"targets.{name}": np.zeros(shape)})


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["box_deltas", "logits", "landmark_deltas"])
def test_an_output_that_is_not_finite_names_its_anchor(name, value):
    message = f"`{name}` is not finite in image 1, anchor 5, value 1: {value}"
    refuses(message, **{name: with_value(value, 1, 5, 1)})


@pytest.mark.parametrize("name", ["box_deltas", "landmark_deltas"])
def test_a_target_that_is_not_finite_names_its_place(name):
    message = f"`targets.{name}` is not finite in positive anchor 2, value 3: nan"
    refuses(message, **{f"targets.{name}": with_value(np.nan, 2, 3)})


@pytest.mark.parametrize(
    "name", ["box_deltas", "landmark_deltas", "targets.box_deltas", "targets.landmark_deltas", "vertices"]
)
def test_another_type_than_that_of_the_logits(name):
    message = f"`{name}` is float32, `logits` is float64; cast one with .astype()"
    refuses(message, **{name: lambda array: array.astype(np.float32)})


@pytest.mark.parametrize("name", ["logits", "targets.landmark_deltas", "vertices"])
def test_no_float_type(name):
    message = f"`{name}` is int64; expected float32 or float64"
    refuses(message, **{name: lambda array: array.astype(np.int64)})


def test_positive_and_negative_at_once():
    outputs, targets = outputs_of(SCENE), targets_of(SCENE)
    targets.negative[1, 0] = True
    assert_refuses(
        "mine_negatives: `positive` and `negative` are both true in image 1, anchor 0; expected one at most",
        retinaface_objective,
        *outputs,
        targets,
    )


@pytest.mark.parametrize("missing", ["triangles", "targets.vertices", "targets.has_mesh"])
def test_a_mesh_without_all_that_goes_with_it(missing):
    message = "`vertices` is given without `triangles`, `targets.vertices` or `targets.has_mesh`"
    refuses(message, **{missing: None})


def test_a_mesh_without_a_weight():
    refuses("`vertices` is given, but settings.mesh_weight is None", settings=REFERENCE)


@pytest.mark.parametrize("shape", [(3, 8, 12), (3, 7, V, 3), (2, 8, V, 3), (3, 8, V, 2)])
def test_vertices_of_another_shape(shape):
    refuses(f"`vertices` has shape {shape}; expected (3, 8, V, 3)", vertices=np.zeros(shape))


@pytest.mark.parametrize("shape", [(5, V + 1, 3), (4, V, 3), (5, V, 2)])
def test_target_vertices_of_another_shape(shape):
    message = f"`targets.vertices` has shape {shape}; expected (5, {V}, 3), one mesh per positive anchor"
    refuses(message, **{"targets.vertices": np.zeros(shape)})


def test_target_vertices_of_another_type():
    message = "`targets.vertices` is float32, `vertices` is float64; cast one with .astype()"
    refuses(message, **{"targets.vertices": lambda array: array.astype(np.float32)})


def test_a_vertex_that_is_not_finite_names_its_place():
    message = "`vertices` is not finite in image 2, anchor 4, vertex 3: [ 0. nan  0.]"
    refuses(message, vertices=lambda array: with_value(np.nan, 2, 4, 3, 1)(np.zeros_like(array)))
    message = "`targets.vertices` is not finite in positive anchor 2, vertex 1: [ 0.  0. inf]"
    change = with_value(np.inf, 2, 1, 2)
    refuses(message, **{"targets.vertices": lambda array: change(np.zeros_like(array))})


def test_triangles_are_looked_at_even_if_no_face_has_a_mesh():
    outputs, targets = outputs_of(SCENE), targets_of(SCENE, mesh=True)
    targets = targets._replace(has_mesh=np.zeros(5, bool))
    assert_refuses(
        "edge_length_l1: `triangles` is 4 in triangle 1; expected 0 to 3",
        retinaface_objective,
        *outputs,
        targets,
        settings=PAPER,
        vertices=vertices_of(SCENE),
        triangles=np.array([[0, 1, 2], [2, 3, 4]]),
    )


@pytest.mark.parametrize("value", [-0.5, math.inf, math.nan, "1"])
@pytest.mark.parametrize("name", ["box_weight", "landmark_weight", "mesh_weight"])
def test_a_weight_that_is_none(name, value):
    message = f"RetinaFaceLossSettings: {name}={value!r}; expected a number from 0 up"
    assert_refuses(message, replace, PAPER, **{name: value})


@pytest.mark.parametrize("name", ["box_weight", "landmark_weight"])
def test_only_the_mesh_may_have_no_weight(name):
    message = f"RetinaFaceLossSettings: {name}=None; expected a number from 0 up"
    assert_refuses(message, replace, PAPER, **{name: None})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"negative_ratio": -1}, "negative_ratio=-1; expected a whole number from 0 up"),
        ({"negative_ratio": 2.5}, "negative_ratio=2.5; expected a whole number from 0 up"),
        ({"min_negatives": -1}, "min_negatives=-1; expected a whole number from 0 up"),
        ({"beta": -1.0}, "beta=-1.0; expected a number from 0 up"),
        ({"thresholds": (0.5, 0.3)}, "thresholds=(0.5, 0.3); expected MatchThresholds"),
    ],
)
def test_other_settings_out_of_range(change, message):
    assert_refuses(f"RetinaFaceLossSettings: {message}", replace, PAPER, **change)
