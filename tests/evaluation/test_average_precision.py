"""Average precision: by hand, by cutting at every threshold in turn, and properties."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.detections import Detections
from minidet.errors import InputError
from minidet.evaluation.average_precision import AveragePrecision, average_precision
from minidet.evaluation.matching import Outcome, match_detections
from tests.evaluation.making import found, photograph, pictures, tenths

A, B, C, D = [0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10], [300, 0, 310, 10]
FAR, FARTHER = [900, 900, 910, 910], [800, 800, 810, 810]
data_sets = st.lists(pictures(most_faces=3, most_detections=4), max_size=4)


def curve_of(*pictures, **settings):
    """Measure pairs (detections, photograph)."""
    return average_precision([d for d, _ in pictures], [f for _, f in pictures], **settings)


def ap(*pictures, **settings):
    return curve_of(*pictures, **settings).value


def same(a, b):
    return (
        all(
            np.array_equal(getattr(a, name), getattr(b, name))
            for name in ("thresholds", "true_positives", "false_positives")
        )
        and a.faces == b.faces
    )


# ---- By hand ---------------------------------------------------------------------------------------


def test_everything_found_and_nothing_else():
    assert ap((found((A, 0.9), (B, 0.2)), photograph(A, B))) == 1


def test_nothing_found():
    assert ap((found(), photograph(A, B))) == 0
    assert ap((found((FAR, 0.9)), photograph(A, B))) == 0


def test_a_mistake_before_the_face():
    assert ap((found((FAR, 0.9), (A, 0.8)), photograph(A))) == 1 / 2


def test_a_mistake_after_the_last_face():
    assert ap((found((A, 0.9), (FAR, 0.8)), photograph(A))) == 1


def test_a_missed_face():
    assert ap((found((A, 0.9)), photograph(A, B, C, D))) == 1 / 4


def test_the_curve_by_hand():
    # right, wrong, right, wrong, right, over four faces.
    picture = (found((A, 0.9), (FAR, 0.8), (B, 0.7), (FARTHER, 0.6), (C, 0.5)), photograph(A, B, C, D))
    curve = curve_of(picture)
    np.testing.assert_array_equal(curve.thresholds, np.float32([0.9, 0.8, 0.7, 0.6, 0.5]))
    assert curve.true_positives.tolist() == [1, 1, 2, 2, 3]
    assert curve.false_positives.tolist() == [0, 1, 1, 2, 2]
    assert curve.faces == 4
    np.testing.assert_array_equal(curve.recall, [1 / 4, 1 / 4, 2 / 4, 2 / 4, 3 / 4])
    np.testing.assert_array_equal(curve.precision, [1, 1 / 2, 2 / 3, 2 / 4, 3 / 5])
    assert curve.value == pytest.approx((1 + 2 / 3 + 3 / 5) / 4, abs=1e-15)


def test_a_second_hit_counts_as_a_mistake():
    assert ap((found((A, 0.9), (A, 0.8), (B, 0.7)), photograph(A, B))) == pytest.approx(
        (1 + 2 / 3) / 2, abs=1e-15
    )


def test_scores_are_compared_across_photographs():
    first, second = (found((A, 0.9), (FAR, 0.3)), photograph(A)), (found((FAR, 0.8), (A, 0.7)), photograph(A))
    # 0.9 right, 0.8 wrong, 0.7 right, 0.3 wrong.
    assert ap(first, second) == pytest.approx((1 + 2 / 3) / 2, abs=1e-15)


def test_equal_scores_of_two_photographs_are_one_point():
    right, wrong = (found((A, 0.5)), photograph(A)), (found((FAR, 0.5)), photograph())
    for order in ((right, wrong), (wrong, right)):
        curve = curve_of(*order)
        np.testing.assert_array_equal(curve.thresholds, [0.5])
        assert (curve.true_positives.tolist(), curve.false_positives.tolist()) == ([1], [1])
        assert curve.value == 1 / 2


def test_equal_scores_within_a_photograph_are_one_point():
    assert ap((found((FAR, 0.5), (A, 0.5)), photograph(A))) == 1 / 2
    assert ap((found((A, 0.5), (FAR, 0.5)), photograph(A))) == 1 / 2


def test_what_is_left_out_is_nowhere_on_the_curve():
    curve = curve_of((found((A, 0.9), (B, 0.8), (FAR, 0.7)), photograph(A, B, ignore=[0])))
    np.testing.assert_array_equal(curve.thresholds, np.float32([0.8, 0.7]))
    assert curve.true_positives.tolist() == [1, 1]
    assert curve.false_positives.tolist() == [0, 1]
    assert (curve.faces, curve.value) == (1, 1)


def test_the_smallest_face():
    low = [100, 0, 150, 9]
    picture = (found((low, 0.9), ([500, 0, 550, 9], 0.8), (A, 0.7)), photograph(A, low))
    assert curve_of(picture).faces == 2
    assert ap(picture) == pytest.approx((1 + 2 / 3) / 2, abs=1e-15)
    assert curve_of(picture, min_face_size=10).faces == 1
    assert ap(picture, min_face_size=10) == 1


def test_the_overlap_that_is_wanted():
    picture = (found(([0, 0, 10, 7], 0.9)), photograph(A))
    assert [ap(picture, iou_threshold=t) for t in (0.5, 0.7, 0.71)] == [1, 1, 0]


@pytest.mark.parametrize("boxes", [(), (FAR,)])
def test_photographs_without_faces(boxes):
    curve = curve_of((found(*((box, 0.9) for box in boxes)), photograph()))
    assert (curve.faces, curve.value) == (0, 0)
    assert curve.recall.tolist() == [0] * len(boxes)
    assert curve.false_positives.tolist() == [1] * len(boxes)


def test_no_photographs():
    curve = average_precision([], [])
    assert (curve.faces, curve.value, len(curve.thresholds)) == (0, 0, 0)
    assert curve.recall.shape == curve.precision.shape == (0,)
    assert curve.at(0.5) == (1, 0)
    assert curve.recall_at_false_positives(10) == 0


# ---- Points of the curve ---------------------------------------------------------------------------

FIVE = (found((A, 0.9), (FAR, 0.8), (B, 0.7), (FARTHER, 0.6), (C, 0.5)), photograph(A, B, C, D))


@pytest.mark.parametrize(
    ("threshold", "precision", "recall"),
    [
        (1.0, 1, 0),  # nothing is left
        (0.9, 1, 1 / 4),  # a score of exactly the threshold is in, although 0.9 is no float32
        (0.85, 1, 1 / 4),
        (0.8, 1 / 2, 1 / 4),
        (0.65, 2 / 3, 1 / 2),
        (0.0, 3 / 5, 3 / 4),
    ],
)
def test_at_a_threshold(threshold, precision, recall):
    assert curve_of(FIVE).at(threshold) == (precision, recall)


@pytest.mark.parametrize(
    ("false_positives", "recall"), [(0, 1 / 4), (1, 1 / 2), (2, 3 / 4), (3, 3 / 4), (1000, 3 / 4)]
)
def test_recall_at_false_positives(false_positives, recall):
    assert curve_of(FIVE).recall_at_false_positives(false_positives) == recall


def test_a_tie_is_affordable_only_as_a_whole():
    curve = curve_of((found((A, 0.5), (FAR, 0.5), (B, 0.4)), photograph(A, B)))
    assert curve.recall_at_false_positives(0) == 0
    assert curve.recall_at_false_positives(1) == 1


def test_precision_where_nothing_counts_is_one():
    none = AveragePrecision(np.float32([0.5]), np.array([0]), np.array([0]), faces=1)
    assert none.precision.tolist() == [1]


# ---- What is refused -------------------------------------------------------------------------------


def test_one_result_per_photograph():
    with pytest.raises(InputError, match=r"^average_precision: 1 detections for 2 photographs; expected one"):
        average_precision([found()], [photograph(A), photograph(B)])


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01, np.nan, np.inf])
def test_iou_threshold_out_of_range(threshold):
    with pytest.raises(
        InputError, match=r"^average_precision: iou_threshold=.*; expected above 0 and up to 1"
    ):
        average_precision([], [], iou_threshold=threshold)


@pytest.mark.parametrize("size", [-1, np.nan, np.inf])
def test_min_face_size_out_of_range(size):
    with pytest.raises(
        InputError, match=r"^average_precision: min_face_size=.*; expected a number of pixels"
    ):
        average_precision([], [], min_face_size=size)


# ---- The definition, once more, slowly -------------------------------------------------------------


def slow_ap(pictures, threshold, smallest):
    """Throw away all below a score, match anew, count; again for every score; then integrate by steps."""
    scores = sorted({float(score) for detections, _ in pictures for score in detections.scores}, reverse=True)
    points, faces = [], 0
    for score in scores or [0.0]:
        right = wrong = faces = 0
        for detections, annotated in pictures:
            kept = detections[detections.scores >= score]
            matched = match_detections(
                kept.boxes, annotated, iou_threshold=float(threshold), min_face_size=smallest
            )
            right += matched.outcome.tolist().count(Outcome.TRUE_POSITIVE)
            wrong += matched.outcome.tolist().count(Outcome.FALSE_POSITIVE)
            faces += matched.counted.tolist().count(True)
        if right + wrong:
            points.append((Fraction(right, max(faces, 1)), Fraction(right, right + wrong)))
    total, before = Fraction(0), Fraction(0)
    for recall in sorted({recall for recall, _ in points}):
        total += (recall - before) * max(precision for other, precision in points if other >= recall)
        before = recall
    return float(total)


@given(data_sets, tenths, st.integers(0, 8))
def test_equals_the_slow_twin(pictures, threshold, smallest):
    value = ap(*pictures, iou_threshold=float(threshold), min_face_size=smallest)
    assert value == pytest.approx(slow_ap(pictures, threshold, smallest), abs=1e-14)


@given(data_sets, st.integers(0, 8).map(lambda n: n / 8))
def test_at_equals_counting_anew(pictures, score):
    curve = curve_of(*pictures)
    outcome = [
        matched
        for detections, annotated in pictures
        for matched in match_detections(
            detections[detections.scores >= score].boxes, annotated
        ).outcome.tolist()
    ]
    right, wrong = outcome.count(Outcome.TRUE_POSITIVE), outcome.count(Outcome.FALSE_POSITIVE)
    expected = (right / (right + wrong), right / max(curve.faces, 1)) if right + wrong else (1, 0)
    assert curve.at(score) == expected


# ---- Properties ------------------------------------------------------------------------------------


@given(data_sets, st.randoms(use_true_random=False))
def test_the_order_of_photographs_does_not_matter(pictures, random):
    shuffled = random.sample(pictures, len(pictures))
    assert same(curve_of(*pictures), curve_of(*shuffled))


@given(data_sets)
def test_only_the_order_of_scores_matters(pictures):
    curve = curve_of(*pictures)
    for change in (np.square, np.sqrt, lambda scores: scores * 0.25 + 0.5, lambda scores: scores - 8):
        changed = [(Detections(d.boxes, change(d.scores), d.landmarks), faces) for d, faces in pictures]
        assert curve_of(*changed).value == curve.value


@given(data_sets)
def test_the_right_answer_scores_one(pictures):
    faces = [annotated for _, annotated in pictures]
    answers = []
    for annotated in faces:
        # Of faces that lie on one another only the first can be found.
        _, first = np.unique(annotated.boxes[~annotated.ignore], axis=0, return_index=True)
        answers.append(found(*((annotated.boxes[~annotated.ignore][i], 0.5) for i in first)))
    curve = average_precision(answers, faces, iou_threshold=1)
    distinct = sum(len(answer) for answer in answers)
    assert curve.value == pytest.approx(distinct / max(curve.faces, 1), abs=1e-15)


@given(data_sets, st.integers(0, 8).map(lambda n: n / 8), st.integers(0, 3))
def test_a_mistake_more_never_raises_it(pictures, score, which):
    if not pictures:
        return
    detections, annotated = pictures[which % len(pictures)]
    worse = Detections(
        [*detections.boxes, FAR],
        [*detections.scores, score],
        np.zeros((len(detections) + 1, 5, 2)),
    )
    others = [picture for i, picture in enumerate(pictures) if i != which % len(pictures)]
    assert ap(*others, (worse, annotated)) <= ap(*pictures) + 1e-15
    if score == 0:  # below all others: after the last face it takes nothing away
        assert ap(*others, (worse, annotated)) == pytest.approx(ap(*pictures), abs=1e-15)


@given(data_sets)
def test_counts_never_fall_and_thresholds_do(pictures):
    curve = curve_of(*pictures)
    assert (np.diff(curve.thresholds) < 0).all()
    assert (np.diff(curve.true_positives) >= 0).all()
    assert (np.diff(curve.false_positives) >= 0).all()
    assert 0 <= curve.value <= curve.recall.max(initial=0) <= 1
    recalls = [curve.recall_at_false_positives(n) for n in range(20)]
    assert recalls == sorted(recalls)


@given(data_sets, tenths, tenths)
def test_a_stricter_overlap_finds_no_more(pictures, one, another):
    lax, strict = (curve_of(*pictures, iou_threshold=float(t)) for t in sorted((one, another)))
    assert lax.true_positives[-1:].sum() >= strict.true_positives[-1:].sum()
    assert lax.faces == strict.faces
