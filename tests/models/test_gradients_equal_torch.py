"""Whole networks against PyTorch's stored gradients of everything they minimise, on fixed data."""

import numpy as np
import pytest

from minidet.training.objectives import SampleType
from tests.oracles.cases import stored
from tests.oracles.gradient_cases import (
    CASES,
    FILE,
    FLOAT32_FACTOR,
    RETINAFACE_OBJECTIVES,
    disagreements,
    expected,
    float32_ratios,
    kinks,
    mtcnn_batch,
    retinaface_batch,
    step,
    summarise,
)

TOLERANCE = 1e-9


def test_the_oracle_has_every_case_and_no_other():
    assert {key.split("/")[0] for key in stored(FILE)} == {str(case) for case in CASES}


# ---- The data ask for everything -------------------------------------------------------------------


@pytest.mark.parametrize("network", ["pnet", "rnet", "onet"])
def test_a_minibatch_of_mtcnn_has_all_sample_types(network):
    targets = mtcnn_batch(network, "any", "float64").targets
    assert [int(np.sum(targets.sample_types == kind)) for kind in SampleType] == [6, 4, 3, 3]


@pytest.mark.parametrize("objective", RETINAFACE_OBJECTIVES)
def test_a_batch_of_retinaface_has_faces_of_all_kinds(objective):
    targets = retinaface_batch(objective, "any", "float64").targets
    by_level = np.split(targets.positive, [9 * 13 * 2, 9 * 13 * 2 + 5 * 7 * 2], axis=1)
    assert all(level.any() for level in by_level)
    assert targets.positive.any(axis=1).tolist() == [True, False, True]
    assert 0 < targets.has_landmarks.sum() < len(targets.has_landmarks)
    ignored = ~targets.positive & ~targets.negative
    assert ignored.any() == (objective != "reference")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_parameter_and_the_input_has_a_gradient(case):
    reference = expected(case)
    gradients = ["running" not in name for name in reference.names]
    assert np.all(reference.largest[gradients] > 1e-4)
    assert sum(gradients) == len(case.module("float32").parameters()) + 1
    assert len(gradients) == sum(gradients) + (94 if case.network == "retinaface" else 0)


# ---- float64 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients(case):
    reference, ours = expected(case), step(case, "float64")
    assert ours.value == pytest.approx(reference.value, rel=TOLERANCE)
    np.testing.assert_array_equal(ours.kept, reference.kept)
    names = sorted(ours.tensors)
    assert names == reference.names.tolist()
    figures = disagreements(summarise(ours.tensors, names), reference.summaries, reference.largest)
    print(f"worst: {names[figures.argmax()]} {figures.max():.1e}")
    assert np.all(figures <= TOLERANCE), [
        (name, figure) for name, figure in zip(names, figures, strict=True) if not figure <= TOLERANCE
    ]


@pytest.mark.parametrize("case", [case for case in CASES if case.frozen], ids=str)
def test_frozen_statistics_stay(case):
    tensors, state = step(case, "float64").tensors, case.state()
    running = [name for name in tensors if "running" in name]
    assert len(running) == 94
    for name in running:
        np.testing.assert_array_equal(tensors[name], state[name])


# ---- float32 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=str)
def test_float32_crosses_no_kink(case):
    pairs = list(zip(kinks(case, "float64"), kinks(case, "float32"), strict=True))
    assert len(pairs) == {"pnet": 4, "rnet": 6, "onet": 8, "retinaface": 41}[case.family]
    for exact, rounded in pairs:
        np.testing.assert_array_equal(rounded, exact)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_float32_gradients_are_as_exact_as_those_of_torch(case):
    reference, ours = expected(case), step(case, "float32")
    assert {array.dtype for array in ours.tensors.values()} == {np.dtype("float32")}
    np.testing.assert_array_equal(ours.kept, reference.kept)
    names = reference.names.tolist()
    errors = disagreements(summarise(ours.tensors, names), reference.summaries, reference.largest)
    ratios = float32_ratios(errors, reference.float32_errors)
    worst = ratios.argmax()
    print(f"worst: {names[worst]} {errors[worst]:.1e}, {ratios[worst]:.2f}; median {np.median(ratios):.2f}")
    assert np.all(ratios <= FLOAT32_FACTOR), [
        (name, ratio) for name, ratio in zip(names, ratios, strict=True) if not ratio <= FLOAT32_FACTOR
    ]
    assert np.median(ratios) < 1
