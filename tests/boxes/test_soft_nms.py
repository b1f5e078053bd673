"""Soft non-maximum suppression: by hand, an exact slow twin, hard NMS as its limit, what always holds."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.boxes import iou, nms, soft_nms
from minidet.errors import InputError
from tests.check import FLOATS, LAYOUTS

METHODS = ["gaussian", "linear"]

# Few positions, sizes and scores, so that overlaps and ties are common; a side of 0 is allowed.
position, side = st.integers(0, 6), st.integers(0, 6)
some_boxes = st.lists(st.tuples(position, position, side, side, st.integers(0, 8)), max_size=12)


def as_arrays(rows, dtype=np.float64):
    """Turn (x, y, width, height, score in eighths) rows into boxes x1 y1 x2 y2 and scores."""
    table = np.array(rows, dtype).reshape(-1, 5)
    return np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1), table[:, 4] / 8


def overlap_of(a, b):
    """IoU of two integer boxes, as an exact fraction."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return Fraction(0)
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return Fraction(width * height, area_a + area_b - width * height)


def linear_by_definition(boxes, scores, threshold, lowest):
    """The list of (index, new score), in fractions."""
    waiting = {i: Fraction(score) for i, score in enumerate(scores.tolist())}
    boxes = boxes.astype(int).tolist()
    taken = []
    while waiting := {i: score for i, score in waiting.items() if score >= lowest}:
        best = max(waiting, key=lambda i: (waiting[i], -i))
        taken.append((best, waiting.pop(best)))
        for i in waiting:
            overlap = overlap_of(boxes[best], boxes[i])
            if overlap > threshold:
                waiting[i] *= 1 - overlap
    return taken


def gaussian_by_definition(boxes, scores, sigma, lowest):
    """The list of (index, new score). A score is a first score and an exponent, so ties stay exact."""
    boxes = boxes.astype(int).tolist()
    waiting = {i: (score, Fraction(0)) for i, score in enumerate(scores.tolist())}

    def value(i):
        score, exponent = waiting[i]
        return score * math.exp(-float(exponent))

    taken = []
    while waiting := {i: pair for i, pair in waiting.items() if value(i) >= lowest}:
        best = max(waiting, key=lambda i: (value(i), -i))
        taken.append((best, value(best)))
        del waiting[best]
        for i, (score, exponent) in waiting.items():
            waiting[i] = (score, exponent + overlap_of(boxes[best], boxes[i]) ** 2 / sigma)
    return taken


# ---- By hand ---------------------------------------------------------------------------------------

# Box 1 shares 2 of 4 with box 0, box 2 shares 2 of 4 with box 1 and 1 of 5 with box 0; box 3 is far away.
ROW = np.array([[0.0, 0.0, 3.0, 1.0], [1.0, 0.0, 4.0, 1.0], [2.0, 0.0, 5.0, 1.0], [9.0, 0.0, 12.0, 1.0]])
SCORES = np.array([0.8, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("dtype", FLOATS)
def test_linear_by_hand(dtype):
    # Box 0 halves box 1: 0.375. IoU 0.2 is not above 0.3, so box 2 keeps 0.5. It is next and halves box 1
    # again.
    kept, new_scores = soft_nms(ROW.astype(dtype), SCORES.astype(dtype), method="linear")
    assert kept.tolist() == [0, 2, 3, 1]
    np.testing.assert_array_equal(new_scores, np.array([0.8, 0.5, 0.25, 0.1875], dtype))
    assert new_scores.dtype == dtype


def test_linear_above_a_lower_threshold():
    # Now box 0 also lowers box 2, to 0.4, which is still more than the 0.375 of box 1.
    kept, new_scores = soft_nms(ROW, SCORES, method="linear", iou_threshold=0.1)
    assert kept.tolist() == [0, 2, 3, 1]
    np.testing.assert_allclose(new_scores, [0.8, 0.4, 0.25, 0.1875], rtol=1e-15)


def test_an_overlap_equal_to_the_threshold_lowers_nothing():
    kept, new_scores = soft_nms(ROW[:2], SCORES[:2], method="linear", iou_threshold=0.5)
    assert (kept.tolist(), new_scores.tolist()) == ([0, 1], [0.8, 0.75])
    _, new_scores = soft_nms(ROW[:2], SCORES[:2], method="linear", iou_threshold=0.499)
    assert new_scores.tolist() == [0.8, 0.375]


@pytest.mark.parametrize("dtype", FLOATS)
def test_gaussian_by_hand(dtype):
    # exp(-0.04 / 0.5) = 0.9231 leaves box 2 at 0.4616, exp(-0.25 / 0.5) = 0.6065 leaves box 1 at 0.4549.
    # Box 2 is next and lowers box 1 once more, to 0.2759.
    kept, new_scores = soft_nms(ROW.astype(dtype), SCORES.astype(dtype))
    assert kept.tolist() == [0, 2, 1, 3]
    np.testing.assert_allclose(
        new_scores, [0.8, 0.5 * math.exp(-0.08), 0.75 * math.exp(-0.5) ** 2, 0.25], rtol=1e-7
    )
    np.testing.assert_allclose(new_scores.round(4), [0.8, 0.4616, 0.2759, 0.25], rtol=1e-6)


def test_a_wider_gauss_lowers_less():
    _, new_scores = soft_nms(ROW[:2], SCORES[:2], sigma=0.25)
    np.testing.assert_allclose(new_scores, [0.8, 0.75 * math.exp(-1)], rtol=1e-15)
    _, new_scores = soft_nms(ROW[:2], SCORES[:2], sigma=2)
    np.testing.assert_allclose(new_scores, [0.8, 0.75 * math.exp(-0.125)], rtol=1e-15)


def test_a_score_below_the_threshold_is_dropped_and_one_equal_to_it_is_not():
    kept, _ = soft_nms(ROW, SCORES, method="linear", score_threshold=0.1875)
    assert kept.tolist() == [0, 2, 3, 1]
    kept, new_scores = soft_nms(ROW, SCORES, method="linear", score_threshold=0.19)
    assert (kept.tolist(), new_scores.tolist()) == ([0, 2, 3], [0.8, 0.5, 0.25])


def test_a_dropped_box_lowers_nobody():
    # Box 1 falls to 0.375 and is dropped, so box 2 is lowered by nobody although it shares half with box 1.
    scores = np.array([0.8, 0.75, 0.4])
    kept, new_scores = soft_nms(ROW[:3], scores, method="linear", score_threshold=0.38)
    assert (kept.tolist(), new_scores.tolist()) == ([0, 2], [0.8, 0.4])


def test_even_the_best_box_is_dropped_when_it_is_below_the_threshold():
    kept, new_scores = soft_nms(ROW, SCORES / 1000)
    assert kept.shape == new_scores.shape == (0,)


def test_the_threshold_is_compared_in_the_type_of_the_scores():
    # 0.7 in float32 is 0.699999988, below the float64 0.7.
    kept, _ = soft_nms(ROW[:1].astype(np.float32), np.array([0.7], np.float32), score_threshold=0.7)
    assert kept.tolist() == [0]


def test_a_threshold_of_zero_keeps_all_but_scores_below_zero():
    kept, _ = soft_nms(ROW, np.array([0.0, 0.5, -0.1, 0.2]), method="linear", score_threshold=0)
    assert kept.tolist() == [1, 3, 0]


@pytest.mark.parametrize("method", METHODS)
def test_of_equal_scores_the_lower_index_first(method):
    far = np.array([[20.0 * i, 0.0, 20.0 * i + 9, 9.0] for i in (3, 0, 2, 1)])
    assert soft_nms(far, np.array([0.5, 0.9, 0.5, 0.9]), method=method)[0].tolist() == [1, 3, 0, 2]


def test_of_two_boxes_that_are_the_same_linear_leaves_one():
    kept, new_scores = soft_nms(ROW[[0, 0]], np.array([0.9, 0.8]), method="linear")
    assert (kept.tolist(), new_scores.tolist()) == ([0], [0.9])
    _, new_scores = soft_nms(ROW[[0, 0]], np.array([0.9, 0.8]))
    np.testing.assert_allclose(new_scores, [0.9, 0.8 * math.exp(-2)], rtol=1e-15)


@pytest.mark.parametrize("method", METHODS)
def test_boxes_without_area_or_inside_out_overlap_nobody(method):
    boxes = np.array([[0.0, 0.0, 9.0, 9.0], [3.0, 3.0, 3.0, 3.0], [6.0, 6.0, 2.0, 2.0], [6.0, 2.0, 2.0, 6.0]])
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    kept, new_scores = soft_nms(boxes, scores, method=method, iou_threshold=0)
    assert kept.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(new_scores, scores)


# ---- The slow twins --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@given(rows=some_boxes, threshold=st.sampled_from([0, Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), 1]))
def test_linear_against_the_twin(dtype, rows, threshold):
    boxes, scores = as_arrays(rows, dtype)
    expected = linear_by_definition(boxes, scores, threshold, Fraction(1, 1024))
    options = {"iou_threshold": float(threshold), "score_threshold": 1 / 1024}
    kept, new_scores = soft_nms(boxes, scores, method="linear", **options)
    assert_equal_up_to_rounded_ties(kept, new_scores, expected)


@pytest.mark.parametrize("dtype", FLOATS)
@given(rows=some_boxes, sigma=st.sampled_from([Fraction(1, 8), Fraction(1, 2), Fraction(2)]))
def test_gaussian_against_the_twin(dtype, rows, sigma):
    boxes, scores = as_arrays(rows, dtype)
    expected = gaussian_by_definition(boxes, scores, sigma, 1 / 1024)
    kept, new_scores = soft_nms(boxes, scores, sigma=float(sigma), score_threshold=1 / 1024)
    assert_equal_up_to_rounded_ties(kept, new_scores, expected)


def assert_equal_up_to_rounded_ties(kept, new_scores, expected):
    # Scores that are equal in fractions may differ by a rounding in floats and then change places. Up to the
    # first such pair the indices are the same; without one all are.
    indices, values = [i for i, _ in expected], [float(value) for _, value in expected]
    different = [k for k, (a, b) in enumerate(zip(kept, indices, strict=False)) if a != b]
    if different:
        first = different[0]
        other = values[indices.index(kept[first])] if kept[first] in indices[first:] else None
        assert other == pytest.approx(values[first], rel=1e-9)
        return
    assert kept.tolist() == indices
    np.testing.assert_allclose(new_scores, values, rtol=1e-6)


# ---- Properties ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("method", METHODS)
@given(rows=some_boxes)
def test_what_holds_for_any_boxes(method, dtype, rows):
    boxes, scores = as_arrays(rows, dtype)
    kept, new_scores = soft_nms(boxes, scores, method=method, score_threshold=0.01)
    assert len(set(kept.tolist())) == len(kept)
    assert (new_scores <= scores[kept]).all()
    assert (np.diff(new_scores) <= 0).all()
    assert (new_scores >= 0.01).all()
    if scores.max(initial=0) >= 0.01:
        assert kept[0] == scores.argmax()
        assert new_scores[0] == scores.max()
    # A box that overlaps nobody keeps its score.
    overlaps = iou(boxes, boxes)
    np.fill_diagonal(overlaps, 0)
    alone = set(np.flatnonzero((overlaps == 0).all(axis=1) & (scores >= 0.01)).tolist())
    untouched = {i for i, score in zip(kept.tolist(), new_scores, strict=True) if score == scores[i]}
    assert alone <= untouched


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_boxes_does_not_matter_when_no_scores_are_equal(method, seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 10, (15, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 10, (15, 2))], axis=1)
    scores = rng.uniform(0, 1, 15)
    kept, new_scores = soft_nms(boxes, scores, method=method)
    shuffled = rng.permutation(15)
    kept_again, new_scores_again = soft_nms(boxes[shuffled], scores[shuffled], method=method)
    assert shuffled[kept_again].tolist() == kept.tolist()
    np.testing.assert_array_equal(new_scores_again, new_scores)


@given(rows=some_boxes)
def test_a_gauss_without_width_is_hard_nms_at_zero(rows):
    # The smallest overlap of these boxes is above 1/100, and exp(-1e-4 / 1e-8) is zero.
    boxes, scores = as_arrays(rows)
    kept, new_scores = soft_nms(boxes, scores, sigma=1e-8)
    hard = nms(boxes, scores, 0.0)
    hard = hard[scores[hard] >= 0.001]
    assert kept.tolist() == hard.tolist()
    np.testing.assert_array_equal(new_scores, scores[hard])


@given(rows=some_boxes, threshold=st.sampled_from([0.25, 0.5, 0.75]))
def test_linear_is_hard_nms_where_every_lowered_score_is_below_the_threshold(rows, threshold):
    # Scores from 0.9 to 1: lowered by an overlap above 1/4 none reaches 0.8.
    boxes, scores = as_arrays(rows)
    scores = 0.9 + scores / 10
    kept, new_scores = soft_nms(boxes, scores, method="linear", iou_threshold=threshold, score_threshold=0.8)
    assert kept.tolist() == nms(boxes, scores, threshold).tolist()
    np.testing.assert_array_equal(new_scores, scores[kept])


@given(rows=some_boxes)
def test_linear_at_one_only_sorts(rows):
    boxes, scores = as_arrays(rows)
    kept, new_scores = soft_nms(boxes, scores, method="linear", iou_threshold=1, score_threshold=0)
    np.testing.assert_array_equal(kept, np.argsort(-scores, kind="stable"))
    np.testing.assert_array_equal(new_scores, scores[kept])


# ---- Types, layouts, refusals ----------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_no_box(method):
    kept, new_scores = soft_nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), method=method)
    assert kept.shape == new_scores.shape == (0,)
    assert new_scores.dtype == np.float32
    assert np.zeros(3)[kept].shape == (0,)  # an integer array, good for indexing


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", METHODS)
def test_any_layout_and_the_arguments_are_not_changed(method, layout):
    boxes, scores = layout(ROW), layout(SCORES)
    kept, new_scores = soft_nms(boxes, scores, method=method)
    expected = soft_nms(ROW, SCORES, method=method)
    np.testing.assert_array_equal(kept, expected[0])
    np.testing.assert_array_equal(new_scores, expected[1])
    new_scores[:] = 0
    np.testing.assert_array_equal(boxes, ROW)
    np.testing.assert_array_equal(scores, SCORES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": np.zeros((2, 5))}, "`boxes` has shape (2, 5); expected (any number, 4)"),
        ({"scores": np.zeros(3)}, "`scores` has shape (3,); expected (2,), one per box"),
        ({"boxes": np.zeros((2, 4), int)}, "`boxes` is int64; expected float32 or float64"),
        ({"scores": np.zeros(2, np.uint8)}, "`scores` is uint8; expected float32 or float64"),
        ({"scores": np.array([0.5, np.nan])}, "`scores` is not finite in row 1: nan"),
        (
            {"boxes": np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, np.inf, 1.0]])},
            "`boxes` is not finite in row 1: [ 0.  0. inf  1.]",
        ),
        ({"method": "hard"}, "method='hard'; expected 'gaussian' or 'linear'"),
        ({"sigma": 0}, "sigma=0; expected a number above 0"),
        ({"sigma": float("nan")}, "sigma=nan; expected a number above 0"),
        ({"sigma": "0.5"}, "sigma='0.5'; expected a number above 0"),
        ({"iou_threshold": 1.5}, "iou_threshold=1.5; expected 0 to 1"),
        ({"iou_threshold": None}, "iou_threshold=None; expected 0 to 1"),
        ({"score_threshold": -0.1}, "score_threshold=-0.1; expected a number from 0 up"),
        ({"score_threshold": float("inf")}, "score_threshold=inf; expected a number from 0 up"),
    ],
)
def test_refused(change, message):
    arguments = {"boxes": np.zeros((2, 4)), "scores": np.zeros(2)} | change
    with pytest.raises(InputError) as caught:
        soft_nms(**arguments)
    assert str(caught.value) == f"soft_nms: {message}"
