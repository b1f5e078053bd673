"""The objective of P-Net, R-Net and O-Net: by hand, by the equation term by term, and against differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.losses import softmax_cross_entropy
from minidet.training.objectives import (
    ALPHA_ONET,
    ALPHA_PNET,
    ALPHA_RNET,
    Alpha,
    MTCNNTargets,
    SampleType,
    mtcnn_objective,
)
from tests.check import FLOATS, LAYOUTS, OP_TOLERANCE, assert_close
from tests.gradients import assert_gradients
from tests.losses.checks import assert_refuses
from tests.oracles.cases import Numbers

NEGATIVE, POSITIVE, PART, LANDMARK = SampleType
LN2, LN4 = math.log(2), math.log(4)
TASKS = ("classification", "box", "landmark")

# The table of the paper, once more and from the paper.
SAYS = {
    NEGATIVE: {"classification"},
    POSITIVE: {"classification", "box"},
    PART: {"box"},
    LANDMARK: {"landmark"},
}
EVERY_TYPE = [NEGATIVE, POSITIVE, PART, LANDMARK]
MIXED = [POSITIVE, LANDMARK, NEGATIVE, PART, NEGATIVE, POSITIVE, PART, NEGATIVE, LANDMARK, NEGATIVE, POSITIVE]


def random_batch(types, seed="batch", dtype="float64"):
    """Return outputs and targets of samples of these types: all different, all wrong."""
    M, numbers = len(types), Numbers(seed)
    outputs = [numbers.real(M, values).astype(dtype) for values in (2, 4, 10)]
    box_deltas, landmark_deltas = (numbers.real(M, values).astype(dtype) for values in (4, 10))
    return outputs, MTCNNTargets(np.array(types, int), box_deltas, landmark_deltas)


def as_maps(outputs):
    """The same outputs as P-Net has them: maps of one cell."""
    return [output[:, :, None, None] for output in outputs]


def by_the_equation(outputs, targets, alpha, share, reduction):
    """Return value, parts and kept samples, one sample and one number at a time."""
    logits, box_deltas, landmark_deltas = outputs
    terms = {task: {} for task in TASKS}
    for i, kind in enumerate(targets.sample_types):
        if kind in (NEGATIVE, POSITIVE):
            scores = [math.exp(z) / sum(map(math.exp, logits[i])) for z in logits[i]]
            y, p = (1 if kind == POSITIVE else 0), scores[1]
            terms["classification"][i] = -(y * math.log(p) + (1 - y) * math.log(1 - p))
        if kind in (POSITIVE, PART):
            errors = [box_deltas[i, j] - targets.box_deltas[i, j] for j in range(4)]
            terms["box"][i] = sum(error**2 for error in errors)
        if kind == LANDMARK:
            errors = [landmark_deltas[i, j] - targets.landmark_deltas[i, j] for j in range(10)]
            terms["landmark"][i] = sum(error**2 for error in errors)
    costs = terms["classification"]
    hardest = sorted(costs, key=costs.get, reverse=True)[: max(1, math.floor(share * len(costs) + 1e-9))]
    terms["classification"] = {i: costs[i] for i in hardest}
    parts = {
        task: sum(of_task.values()) / (max(len(of_task), 1) if reduction == "mean" else 1)
        for task, of_task in terms.items()
    }
    value = sum(getattr(alpha, task) * part for task, part in parts.items())
    return value, parts, sorted(hardest)


def assert_objective(objective, value, parts, kept):
    assert objective.value == pytest.approx(value, rel=1e-12)
    assert objective.parts == pytest.approx(parts, rel=1e-12)
    assert list(objective.parts) == list(TASKS)
    assert np.flatnonzero(objective.kept).tolist() == kept


# ---- By hand ---------------------------------------------------------------------------------------


def hand_batch(dtype="float64"):
    """One sample of each type and a second background; where a sample has no say, it is far off.

    Scores of a face 3/4, 3/4, -, -, 1/2, so costs ln 4, ln 4/3, -, -, ln 2: of three, two are kept.
    """
    ln3 = math.log(3)
    types = np.array([NEGATIVE, POSITIVE, PART, LANDMARK, NEGATIVE])
    logits = np.array([[0, ln3], [1, 1 + ln3], [0, 50], [60, 0], [-2, -2]], dtype)
    wanted_boxes = np.arange(20, dtype=dtype).reshape(5, 4)
    wanted_landmarks = np.arange(50, dtype=dtype).reshape(5, 10)
    box_errors = np.full((5, 4), 70, dtype)
    box_errors[[1, 2]] = [[0.5, 0, -0.5, 0], [0, 1, 0, 2]]  # 0.5 and 5
    landmark_errors = np.full((5, 10), 80, dtype)
    landmark_errors[3] = [0.25, 0, 0, 0, 0, -0.5, 0, 0, 0, 0]  # 0.3125
    outputs = [logits, wanted_boxes + box_errors, wanted_landmarks + landmark_errors]
    return outputs, MTCNNTargets(types, wanted_boxes, wanted_landmarks), box_errors, landmark_errors


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("alpha", "of_landmarks"), [(ALPHA_PNET, 0.5), (ALPHA_RNET, 0.5), (ALPHA_ONET, 1.0)])
def test_by_hand(alpha, of_landmarks, dtype):
    outputs, targets, box_errors, landmark_errors = hand_batch(dtype)
    objective = mtcnn_objective(*outputs, targets, alpha=alpha)

    parts = {"classification": (LN4 + LN2) / 2, "box": (0.5 + 5) / 2, "landmark": 0.3125}
    assert objective.parts == pytest.approx(parts, rel=1e-6)
    value = (LN4 + LN2) / 2 + 0.5 * 5.5 / 2 + of_landmarks * 0.3125
    assert objective.value == pytest.approx(value, rel=1e-6)
    assert objective.kept.tolist() == [True, False, False, False, True]

    # (score - 1 of the right class) over two kept; 0.5 * 2 d over two boxes; alpha * 2 d over one face.
    grad_logits = np.array([[-0.75, 0.75], [0, 0], [0, 0], [0, 0], [-0.5, 0.5]]) / 2
    grad_boxes, grad_landmarks = np.zeros((5, 4)), np.zeros((5, 10))
    grad_boxes[[1, 2]] = 0.5 * 2 * box_errors[[1, 2]] / 2
    grad_landmarks[3] = of_landmarks * 2 * landmark_errors[3]
    wanted = (grad_logits, grad_boxes, grad_landmarks)
    for gradient, by_hand in zip(objective.gradients, wanted, strict=True):
        assert_close(gradient, by_hand.astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_sum_by_hand(dtype):
    outputs, targets, box_errors, landmark_errors = hand_batch(dtype)
    objective = mtcnn_objective(*outputs, targets, alpha=ALPHA_ONET, reduction="sum")
    assert objective.parts == pytest.approx({"classification": LN4 + LN2, "box": 5.5, "landmark": 0.3125})
    assert objective.value == pytest.approx(LN4 + LN2 + 2.75 + 0.3125)
    grad_logits, grad_boxes, grad_landmarks = objective.gradients
    wanted = np.array([[-0.75, 0.75], [0, 0], [0, 0], [0, 0], [-0.5, 0.5]], dtype)
    assert_close(grad_logits, wanted, OP_TOLERANCE[dtype])
    assert_close(grad_boxes[[1, 2]], box_errors[[1, 2]], OP_TOLERANCE[dtype])
    assert_close(grad_landmarks[3], 2 * landmark_errors[3], OP_TOLERANCE[dtype])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_focal_by_hand(reduction):
    """Scores of the truth 1/4, 3/4 and 1/2; boxes and landmarks as before; nothing is mined."""
    outputs, targets, _, _ = hand_batch(np.float64)
    mined = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET, mined_share=0.1, reduction=reduction)
    objective = mtcnn_objective(
        *outputs, targets, alpha=ALPHA_PNET, mined_share=0.1, classification="focal", reduction=reduction
    )
    cost = 3 / 4 * (3 / 4) ** 2 * LN4 + 1 / 4 * (1 / 4) ** 2 * np.log(4 / 3) + 3 / 4 * (1 / 2) ** 2 * LN2
    cost /= 3 if reduction == "mean" else 1
    assert objective.parts == pytest.approx(mined.parts | {"classification": cost})
    assert objective.kept.tolist() == [True, True, False, False, True]
    assert objective.value - cost == pytest.approx(mined.value - mined.parts["classification"])
    assert objective.gradients[0][[2, 3]].tolist() == [[0, 0], [0, 0]]
    for mine, other in zip(objective.gradients[1:], mined.gradients[1:], strict=True):
        assert np.array_equal(mine, other)


@pytest.mark.parametrize(
    ("alpha", "published"),
    [(ALPHA_PNET, (1, 0.5, 0.5)), (ALPHA_RNET, (1, 0.5, 0.5)), (ALPHA_ONET, (1, 0.5, 1))],
)
def test_the_published_weights(alpha, published):
    assert (alpha.classification, alpha.box, alpha.landmark) == published


# ---- By the equation -------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@given(
    types=st.lists(st.sampled_from(EVERY_TYPE), max_size=25),
    seed=st.integers(0, 2**31),
    tenths=st.integers(0, 10),
)
def test_term_by_term(reduction, types, seed, tenths):
    outputs, targets = random_batch(types, seed)
    alpha = Alpha(classification=0.75, box=2.0, landmark=3.0)
    objective = mtcnn_objective(*outputs, targets, alpha=alpha, mined_share=tenths / 10, reduction=reduction)
    assert_objective(objective, *by_the_equation(outputs, targets, alpha, tenths / 10, reduction))


def test_the_defaults_are_seven_tenths_and_the_mean():
    outputs, targets = random_batch(MIXED)
    objective = mtcnn_objective(*outputs, targets, alpha=ALPHA_ONET)
    assert_objective(objective, *by_the_equation(outputs, targets, ALPHA_ONET, 0.7, "mean"))


@pytest.mark.parametrize("task", TASKS)
def test_each_task_alone(task):
    outputs, targets = random_batch(MIXED)
    alone = Alpha(**{name: 3.0 if name == task else 0.0 for name in TASKS})
    objective = mtcnn_objective(*outputs, targets, alpha=alone)
    all_together = mtcnn_objective(*outputs, targets, alpha=Alpha(1, 1, 1))
    assert objective.parts == all_together.parts
    assert objective.value == 3 * objective.parts[task]
    for name, gradient, of_all in zip(TASKS, objective.gradients, all_together.gradients, strict=True):
        assert gradient.any() == (name == task)
        np.testing.assert_allclose(gradient, (3 if name == task else 0) * of_all, rtol=1e-15)


# ---- Who has a say in what -------------------------------------------------------------------------


def rows_with_gradient(objective):
    """Return, by task, which samples have a gradient; all of its numbers or none."""
    rows = {}
    for task, gradient in zip(TASKS, objective.gradients, strict=True):
        has = gradient.reshape(len(gradient), -1) != 0
        assert (has.any(axis=1) == has.all(axis=1)).all()
        rows[task] = np.flatnonzero(has.any(axis=1)).tolist()
    return rows


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_each_type_has_its_say_and_no_other(reduction):
    outputs, targets = random_batch(MIXED)
    objective = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET, mined_share=1.0, reduction=reduction)
    assert rows_with_gradient(objective) == {
        task: [i for i, kind in enumerate(MIXED) if task in SAYS[kind]] for task in TASKS
    }


@pytest.mark.parametrize("kind", EVERY_TYPE)
def test_a_batch_of_one_type(kind):
    outputs, targets = random_batch([kind] * 3)
    objective = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET, mined_share=1.0)
    assert {task for task, part in objective.parts.items() if part != 0} == SAYS[kind]
    assert {task for task, rows in rows_with_gradient(objective).items() if rows} == SAYS[kind]
    assert objective.kept.tolist() == ["classification" in SAYS[kind]] * 3
    for gradient, output in zip(objective.gradients, outputs, strict=True):
        assert gradient.shape == output.shape
    assert_objective(objective, *by_the_equation(outputs, targets, ALPHA_PNET, 1.0, "mean"))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_what_has_no_say_changes_nothing(reduction):
    outputs, targets = random_batch(MIXED)
    objective = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET, reduction=reduction)
    says = {task: np.array([task in SAYS[kind] for kind in MIXED]) for task in TASKS}
    others = [np.where(says[task][:, None], output, 1e6) for task, output in zip(TASKS, outputs, strict=True)]
    # Targets that are not read may be anything.
    other_targets = MTCNNTargets(
        targets.sample_types,
        np.where(says["box"][:, None], targets.box_deltas, np.nan),
        np.where(says["landmark"][:, None], targets.landmark_deltas, np.inf),
    )
    same = mtcnn_objective(*others, other_targets, alpha=ALPHA_PNET, reduction=reduction)
    assert same.value == objective.value
    for gradient, expected in zip(same.gradients, objective.gradients, strict=True):
        np.testing.assert_array_equal(gradient, expected)


def test_the_sum_is_the_mean_times_the_number_of_each_task():
    outputs, targets = random_batch(MIXED)
    mean = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET)
    total = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET, reduction="sum")
    counts = {"classification": 4, "box": 5, "landmark": 2}  # 7 classified, of which 4.9 are kept
    for task, grad_mean, grad_sum in zip(TASKS, mean.gradients, total.gradients, strict=True):
        assert total.parts[task] == pytest.approx(counts[task] * mean.parts[task], rel=1e-14)
        np.testing.assert_allclose(grad_sum, counts[task] * grad_mean, rtol=1e-14)
    np.testing.assert_array_equal(total.kept, mean.kept)


# ---- Mining ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [0, 20])
def test_seven_tenths_of_the_classified_are_kept_however_many_others_there_are(others):
    types = [NEGATIVE, POSITIVE] * 5 + [PART, LANDMARK] * (others // 2)
    order = np.argsort(Numbers("order").real(len(types)))
    types = [types[i] for i in order]
    outputs, targets = random_batch(types)
    objective = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET)
    assert np.count_nonzero(objective.kept) == 7
    assert rows_with_gradient(objective)["classification"] == np.flatnonzero(objective.kept).tolist()
    _, _, hardest = by_the_equation(outputs, targets, ALPHA_PNET, 0.7, "mean")
    assert np.flatnonzero(objective.kept).tolist() == hardest


def test_positives_and_negatives_are_mined_together():
    # Four sure backgrounds and six faces that are missed, the first the worst: no negative is kept.
    targets = MTCNNTargets(np.array([NEGATIVE] * 4 + [POSITIVE] * 6), np.zeros((10, 4)), np.zeros((10, 10)))
    logits = np.stack([np.arange(20.0, 0.0, -2), np.zeros(10)], axis=1)
    objective = mtcnn_objective(logits, np.zeros((10, 4)), None, targets, alpha=ALPHA_PNET, mined_share=0.6)
    assert objective.kept.tolist() == [False] * 4 + [True] * 6


def test_of_equal_samples_the_earlier_is_kept():
    targets = MTCNNTargets(np.array([PART] + [NEGATIVE] * 4), np.zeros((5, 4)), np.zeros((5, 10)))
    objective = mtcnn_objective(
        np.zeros((5, 2)), np.zeros((5, 4)), None, targets, alpha=ALPHA_PNET, mined_share=0.5
    )
    assert objective.kept.tolist() == [False, True, True, False, False]


def test_box_and_landmarks_are_never_mined():
    # Faces that are recognised for certain are not kept, and still teach where their boxes are.
    outputs, targets = random_batch([POSITIVE] * 6 + [NEGATIVE] * 4 + [PART] * 2 + [LANDMARK] * 3)
    outputs[0][:6] = [-40.0, 40.0]
    objective = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET, mined_share=0.4)
    assert np.flatnonzero(objective.kept).tolist() == [6, 7, 8, 9]
    rows = rows_with_gradient(objective)
    assert rows["box"] == [*range(6), 10, 11]
    assert rows["landmark"] == [12, 13, 14]


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_a_single_sample_is_kept_whatever_the_share(share):
    outputs, targets = random_batch([NEGATIVE, PART])
    objective = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET, mined_share=share)
    assert objective.kept.tolist() == [True, False]


# ---- Tasks without samples -------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_an_all_negative_batch_learns_to_say_no_and_nothing_else(reduction):
    outputs, targets = random_batch([NEGATIVE] * 10)
    objective = mtcnn_objective(*outputs, targets, alpha=ALPHA_ONET, reduction=reduction)
    assert objective.value == objective.parts["classification"] > 0
    grad_logits, grad_boxes, grad_landmarks = objective.gradients
    assert not grad_boxes.any()
    assert not grad_landmarks.any()
    assert np.count_nonzero(grad_logits[:, 0] < 0) == np.count_nonzero(grad_logits[:, 1] > 0) == 7


@pytest.mark.parametrize("landmark_head", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("maps", [True, False])
def test_an_empty_batch_costs_nothing(maps, reduction, landmark_head):
    outputs, targets = random_batch([])
    outputs = as_maps(outputs) if maps else outputs
    if not landmark_head:
        outputs[2] = None
    objective = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET, reduction=reduction)
    assert objective.value == 0
    assert objective.parts == dict.fromkeys(TASKS, 0.0)
    assert objective.kept.shape == (0,)
    for gradient, output in zip(objective.gradients, outputs, strict=True):
        assert (gradient is None) if output is None else (gradient.shape == output.shape)


# ---- Shapes of the outputs -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_maps_of_one_cell_give_the_same_numbers_in_their_own_shape(reduction, dtype):
    outputs, targets = random_batch(MIXED, dtype=dtype)
    rows = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET, reduction=reduction)
    maps = mtcnn_objective(*as_maps(outputs), targets, alpha=ALPHA_PNET, reduction=reduction)
    assert maps.value == rows.value
    assert maps.parts == rows.parts
    np.testing.assert_array_equal(maps.kept, rows.kept)
    for of_maps, of_rows in zip(maps.gradients, as_maps(rows.gradients), strict=True):
        assert of_maps.shape == of_rows.shape
        np.testing.assert_array_equal(of_maps, of_rows)


@pytest.mark.parametrize("maps", [True, False])
def test_without_a_landmark_head(maps):
    outputs, targets = random_batch(MIXED)
    outputs = as_maps(outputs) if maps else outputs
    whole = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET)
    without = mtcnn_objective(*outputs[:2], None, targets, alpha=ALPHA_PNET)
    assert without.gradients[2] is None
    assert without.parts == {**whole.parts, "landmark": 0.0}
    assert without.value == pytest.approx(whole.value - 0.5 * whole.parts["landmark"], rel=1e-14)
    for gradient, expected in zip(without.gradients[:2], whole.gradients[:2], strict=True):
        np.testing.assert_array_equal(gradient, expected)


# ---- Against differences ---------------------------------------------------------------------------


@pytest.mark.parametrize("maps", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("share", [0.7, 1.0])
@pytest.mark.parametrize("alpha", [ALPHA_PNET, ALPHA_ONET, Alpha(0.3, 2, 5)])
def test_gradients(alpha, share, reduction, maps):
    outputs, targets = random_batch(MIXED)
    outputs = as_maps(outputs) if maps else outputs
    options = {"alpha": alpha, "mined_share": share, "reduction": reduction}
    objective = mtcnn_objective(*outputs, targets, **options)

    costs = classification_costs(outputs, targets)
    dropped = np.isfinite(costs) & ~objective.kept
    assert costs[objective.kept].min() - costs[dropped].max(initial=0) > 1e-3  # no step changes who is kept

    assert_gradients(
        lambda: mtcnn_objective(*outputs, targets, **options).value,
        dict(zip(TASKS, outputs, strict=True)),
        dict(zip(TASKS, objective.gradients, strict=True)),
    )


def classification_costs(outputs, targets):
    """Return the cost of each sample's class; infinite where it has none."""
    positive = targets.sample_types == POSITIVE
    costs, _ = softmax_cross_entropy(outputs[0].reshape(-1, 2), positive.astype(int), reduction="none")
    return np.where(positive | (targets.sample_types == NEGATIVE), costs, np.inf)


@pytest.mark.parametrize("landmark_head", [True, False])
@pytest.mark.parametrize("kind", EVERY_TYPE)
def test_gradients_of_a_single_type(kind, landmark_head):
    outputs, targets = random_batch([kind] * 2)
    if not landmark_head:
        outputs[2] = None

    def call():
        return mtcnn_objective(*outputs, targets, alpha=ALPHA_ONET, mined_share=1.0)

    names = TASKS if landmark_head else TASKS[:2]
    gradients = dict(zip(names, call().gradients, strict=False))
    assert_gradients(lambda: call().value, dict(zip(names, outputs, strict=False)), gradients)


# ---- Types, layouts --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("number", [float, np.float64])
def test_types(number, dtype):
    outputs, targets = random_batch(MIXED, dtype=dtype)
    alpha = Alpha(number(1), number(0.5), number(0.5))
    objective = mtcnn_objective(*outputs, targets, alpha=alpha, mined_share=number(0.75))
    assert {gradient.dtype for gradient in objective.gradients} == {np.dtype(dtype)}
    assert isinstance(objective.value, float)
    assert {type(part) for part in objective.parts.values()} == {float}
    assert objective.kept.dtype == np.bool_
    precise = mtcnn_objective(
        *random_batch(MIXED)[0], random_batch(MIXED)[1], alpha=ALPHA_PNET, mined_share=0.75
    )
    assert objective.value == pytest.approx(precise.value, rel=OP_TOLERANCE[dtype])
    for gradient, reference in zip(objective.gradients, precise.gradients, strict=True):
        assert_close(gradient, reference.astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("integer", [np.int8, np.uint8, np.int32, np.int64])
def test_any_integers_are_sample_types(integer):
    outputs, targets = random_batch(MIXED)
    small = MTCNNTargets(targets.sample_types.astype(integer), *_arrays(targets))
    assert mtcnn_objective(*outputs, small, alpha=ALPHA_PNET).value == (
        mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET).value
    )


def _arrays(targets):
    return targets.box_deltas, targets.landmark_deltas


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_and_nothing_is_changed(layout):
    outputs, targets = random_batch(MIXED)
    plain = mtcnn_objective(*outputs, targets, alpha=ALPHA_PNET)
    laid_out = [layout(output) for output in outputs]
    laid_out_targets = MTCNNTargets(targets.sample_types.copy(), *map(layout, _arrays(targets)))
    objective = mtcnn_objective(*laid_out, laid_out_targets, alpha=ALPHA_PNET)
    assert objective.value == plain.value
    inputs = [*laid_out, laid_out_targets.sample_types, *_arrays(laid_out_targets)]
    for gradient, expected in zip(objective.gradients, plain.gradients, strict=True):
        np.testing.assert_array_equal(gradient, expected)
        assert not any(np.shares_memory(gradient, array) for array in inputs)
        gradient[...] = 7
    for array, expected in zip(inputs, [*outputs, targets.sample_types, *_arrays(targets)], strict=True):
        np.testing.assert_array_equal(array, expected)


# ---- Refusals --------------------------------------------------------------------------------------


def refuses(message, *, maps=False, reduction="mean", mined_share=0.7, classification="mined", **changes):
    """Require this message of a good batch in which one array is replaced, or changed by a function."""
    outputs, targets = random_batch(MIXED)
    arrays = dict(
        zip(("logits", "box_deltas", "landmark_deltas"), as_maps(outputs) if maps else outputs, strict=True)
    )
    arrays |= {"targets.sample_types": targets.sample_types}
    arrays |= {"targets.box_deltas": targets.box_deltas, "targets.landmark_deltas": targets.landmark_deltas}
    options = {"alpha": ALPHA_PNET, "reduction": reduction, "mined_share": mined_share}
    options["classification"] = classification
    for name, change in changes.items():
        arrays[name] = change(arrays[name]) if callable(change) else change
    *outputs, types, box_deltas, landmark_deltas = arrays.values()
    targets = MTCNNTargets(types, box_deltas, landmark_deltas)
    assert_refuses(message, mtcnn_objective, *outputs, targets, **options)


def with_value(value, *index):
    """Return a function that puts ``value`` into a copy of an array."""

    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


NUMBERS = [("logits", 2), ("box_deltas", 4), ("landmark_deltas", 10)]


@pytest.mark.parametrize("ending", [(), (1, 1)])
@pytest.mark.parametrize(("samples", "more"), [(10, 0), (12, 0), (11, 1), (11, -1)])
@pytest.mark.parametrize(("name", "values"), NUMBERS)
def test_outputs_of_another_shape(name, values, samples, more, ending):
    shape = (samples, values + more, *ending)
    message = f"`{name}` has shape {shape}; expected (11, {values}), one row per sample type"
    refuses(f"mtcnn_objective: {message}", **{name: np.zeros(shape)})


@pytest.mark.parametrize("ending", [(1,), (1, 2), (2, 1), (1, 1, 1)])
@pytest.mark.parametrize(("name", "values"), NUMBERS)
def test_maps_of_several_cells(name, values, ending):
    shape = (11, values, *ending)
    message = f"`{name}` has shape {shape}; expected (11, {values}), one row per sample type"
    refuses(f"mtcnn_objective: {message}", **{name: np.zeros(shape)})


@pytest.mark.parametrize(("name", "values"), [("targets.box_deltas", 4), ("targets.landmark_deltas", 10)])
def test_targets_of_another_shape(name, values):
    for shape in [(10, values), (11, values + 1), (11, values, 1, 1)]:
        message = f"`{name}` has shape {shape}; expected (11, {values}), one row per sample type"
        refuses(f"mtcnn_objective: {message}", **{name: np.zeros(shape)})


def test_types_of_another_shape():
    message = "mtcnn_objective: `sample_types` has shape (11, 1); expected (M,)"
    refuses(message, **{"targets.sample_types": lambda types: types[:, None]})


@pytest.mark.parametrize("unknown", [-1, 4])
def test_an_unknown_type_names_its_sample(unknown):
    message = f"mtcnn_objective: `sample_types` is {unknown} in sample 5; expected 0 to 3"
    refuses(message, **{"targets.sample_types": with_value(unknown, 5)})


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize("name", ["logits", "box_deltas", "landmark_deltas"])
def test_an_output_that_is_not_finite_names_its_sample(name, maps, value):
    index = (6, 1, 0, 0) if maps else (6, 1)
    message = f"mtcnn_objective: `{name}` is not finite in sample 6, value 1: {value}"
    refuses(message, maps=maps, **{name: with_value(value, *index)})


# The first samples that are read: a part, a landmark face.
@pytest.mark.parametrize(("name", "sample"), [("targets.box_deltas", 3), ("targets.landmark_deltas", 8)])
def test_a_target_that_is_not_finite_names_its_sample(name, sample):
    message = f"mtcnn_objective: `{name}` is not finite in sample {sample}, value 2: nan"
    refuses(message, **{name: with_value(np.nan, sample, 2)})


@pytest.mark.parametrize(
    "name", ["box_deltas", "landmark_deltas", "targets.box_deltas", "targets.landmark_deltas"]
)
def test_another_type_than_that_of_the_logits(name):
    message = f"mtcnn_objective: `{name}` is float32, `logits` is float64; cast one with .astype()"
    refuses(message, **{name: lambda array: array.astype(np.float32)})


@pytest.mark.parametrize("dtype", ["float16", "int64"])
@pytest.mark.parametrize("name", ["logits", "targets.box_deltas"])
def test_no_float_type(name, dtype):
    message = f"mtcnn_objective: `{name}` is {dtype}; expected float32 or float64"
    refuses(message, **{name: lambda array: array.astype(dtype)})


@pytest.mark.parametrize("classification", ["hinge", None])
def test_an_unknown_classification(classification):
    message = f"mtcnn_objective: classification={classification!r}; expected 'mined' or 'focal'"
    refuses(message, classification=classification)


@pytest.mark.parametrize("reduction", ["none", "avg", None])
def test_an_unknown_reduction(reduction):
    refuses(f"mtcnn_objective: reduction={reduction!r}; expected 'mean' or 'sum'", reduction=reduction)


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan, "0.7", None])
def test_a_share_that_is_none(share):
    refuses(f"keep_hardest: share={share!r}; expected 0 to 1", mined_share=share)


@pytest.mark.parametrize("value", [-0.5, np.inf, np.nan, "1", None])
@pytest.mark.parametrize("task", TASKS)
def test_a_weight_that_is_none(task, value):
    weights = {**dict.fromkeys(TASKS, 1.0), task: value}
    assert_refuses(f"Alpha: {task}={value!r}; expected a number from 0 up", Alpha, **weights)


@pytest.mark.parametrize("dtype", [bool, float])
def test_sample_types_are_whole_numbers(dtype):
    message = f"mtcnn_objective: `sample_types` is {np.dtype(dtype)}; expected whole numbers"
    refuses(message, **{"targets.sample_types": lambda types: (types == 1).astype(dtype)})
