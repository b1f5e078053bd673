"""The judges let right results pass, say how good they are, and refuse wrong ones."""

import numpy as np
import pytest

from minidet.benchmark.agreement import (
    DisagreementError,
    equal_arrays,
    most_faces,
    same_faces,
    tensors_within,
)

BOXES = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [40.0, 0.0, 50.0, 10.0]])
FACES = {"boxes": BOXES, "scores": np.array([0.9, 0.8, 0.7])}


def test_tensors_within():
    judge = tensors_within(1e-3)
    reference = {"a": np.array([1.0, -100.0]), "b": np.zeros(2)}
    assert judge(reference, {"a": np.array([1.05, -100.0]), "b": np.zeros(2)}) == "within 5.0e-04"
    assert judge(reference, reference | {"more": np.ones(1)}) == "within 0.0e+00"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": np.array([1.2, -100.0])}, "a differs by 2.0e-03 of its largest value, allowed 1e-03"),
        ({"a": np.array([np.nan, -100.0])}, "a differs by nan of its largest value, allowed 1e-03"),
        ({"b": np.array([0.0, 1e-9])}, "b differs by inf of its largest value, allowed 1e-03"),
        ({"a": np.array([[1.0, -100.0]])}, r"a is \(1, 2\), expected \(2,\)"),
    ],
)
def test_tensors_that_are_wrong(change, message):
    reference = {"a": np.array([1.0, -100.0]), "b": np.zeros(2)}
    with pytest.raises(DisagreementError, match=message):
        tensors_within(1e-3)(reference, reference | change)


def test_a_tensor_that_is_missing():
    with pytest.raises(DisagreementError, match="b is nothing"):
        tensors_within(1.0)({"b": np.ones(1)}, {})


def test_equal_arrays():
    reference = {"kept": np.array([3, 1])}
    assert equal_arrays(reference, reference) == "the same"
    for wrong in ({}, {"kept": np.array([1, 3])}, {"kept": np.array([3])}):
        with pytest.raises(DisagreementError, match="kept is not the same"):
            equal_arrays(reference, wrong)


def test_same_faces():
    assert same_faces(FACES, FACES | {"boxes": BOXES + 0.04}) == "3 faces within 0.040 px"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": BOXES + 0.06}, "boxes differ by 0.060 px"),
        ({"boxes": BOXES[::-1]}, "boxes differ"),
        ({"boxes": BOXES * np.nan}, "boxes differ"),
        ({"scores": np.array([0.9, 0.8, 0.7002])}, "scores by 2.0e-04"),
        ({"boxes": BOXES[:2], "scores": FACES["scores"][:2]}, "2 faces, expected 3"),
    ],
)
def test_faces_that_are_not_the_same(change, message):
    with pytest.raises(DisagreementError, match=message):
        same_faces(FACES, FACES | change)


def test_most_faces_in_any_order():
    assert most_faces(1.0)(FACES, {"boxes": BOXES[::-1] + 1}) == "3 of 3 faces"


def test_a_box_counts_for_one_face_only():
    twice = {"boxes": np.concatenate([BOXES[:1], BOXES[:1]])}
    assert most_faces(0.2)(FACES, twice) == "1 of 3 faces and 1 more"
    assert most_faces(0.2)(twice, FACES) == "1 of 2 faces and 2 more"


def test_too_few_faces_or_too_many():
    with pytest.raises(DisagreementError, match="2 of 3 faces, expected 90% to be the same"):
        most_faces(0.9)(FACES, {"boxes": BOXES[:2]})
    with pytest.raises(DisagreementError, match="3 of 3 faces and 3 more"):
        most_faces(0.9)(FACES, {"boxes": np.concatenate([BOXES, BOXES + 100])})


def test_no_faces_at_all():
    none = {"boxes": np.zeros((0, 4))}
    assert most_faces(0.9)(none, none) == "0 of 0 faces"


def test_faces_of_equal_scores_may_change_places():
    boxes = np.array([[0.0, 0, 9, 9], [50, 0, 59, 9], [0, 50, 9, 59]])
    scores = np.array([0.9, 0.9, 0.8])
    reference = {"boxes": boxes, "scores": scores}
    assert same_faces(reference, {"boxes": boxes[[1, 0, 2]], "scores": scores}) == "3 faces within 0.000 px"
    with pytest.raises(DisagreementError, match="scores by 1"):
        same_faces(reference, {"boxes": boxes[[2, 1, 0]], "scores": scores})
    with pytest.raises(DisagreementError, match="two faces are nearest to the same one"):
        same_faces(reference, {"boxes": boxes[[0, 0, 2]], "scores": scores})
