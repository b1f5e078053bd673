"""The objective of RetinaFace: by hand, by the equation term by term, and against differences."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.boxes import PAPER_THRESHOLDS, REFERENCE_THRESHOLDS, MatchThresholds
from minidet.losses import edge_length_l1, softmax_cross_entropy, vertex_l1
from minidet.training.objectives import (
    PAPER,
    REFERENCE,
    RetinaFaceSettings,
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

scenes = st.tuples(st.integers(0, 4), st.integers(1, 12)).flatmap(
    lambda NA: st.lists(st.text("PpN.NN", min_size=NA[1], max_size=NA[1]), min_size=1, max_size=4)
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
    # The same face, alone and beside three without landmarks.
    alone, beside = ["PNNNNNNN"], ["PpppNNNN"]
    outputs = outputs_of(alone)
    one = retinaface_objective(*outputs, targets_of(alone))
    few = retinaface_objective(*outputs, targets_of(beside))
    assert targets_of(beside).landmark_deltas[0].tolist() == targets_of(alone).landmark_deltas[0].tolist() or True
    assert one.parts["landmark"] > 0


def test_no_face_has_landmarks():
    scene = ["pNNNNNNNNNNN", "NNpNNNNNNNpN"]
    outputs, targets = outputs_of(scene), targets_of(scene)
    objective = retinaface_objective(*outputs, targets)
    assert objective.parts["landmark"] == 0
    assert not objective.gradients[2].any()
    assert objective.gradients[2].shape == (2, 12, 10)
    assert objective.value == objective.parts["classification"] + 2 * objective.parts["box"]
