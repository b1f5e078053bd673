"""Non-maximum suppression: torchvision's indices, an exact slow twin, and what must hold for any boxes."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.boxes import iou, nms
from minidet.errors import InputError

ORACLE = Path(__file__).parent.parent / "oracles" / "torchvision_boxes.npz"

# Few positions, sizes and scores, so that overlaps and ties are common; a side of 0 is allowed.
position, side, score = st.integers(0, 6), st.integers(0, 6), st.integers(0, 4)
some_boxes = st.lists(st.tuples(position, position, side, side, score), max_size=12)
# Thresholds that floats hold exactly, so that "equal to the threshold" means the same to the twin.
exact_thresholds = st.sampled_from([0, Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), 1])


def as_arrays(rows, dtype=np.float32):
    """Turn (x, y, width, height, score) rows into boxes x1 y1 x2 y2 and scores."""
    table = np.array(rows, dtype).reshape(-1, 5)
    return np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1), table[:, 4]


def overlap_of(a, b, kind):
    """Share of two integer boxes, as an exact fraction."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return Fraction(0)
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    whole = min(area_a, area_b) if kind == "min" else area_a + area_b - width * height
    return Fraction(width * height, whole)


def nms_by_definition(boxes, scores, threshold, kind):
    """Take the boxes best first; keep one if it overlaps no kept one by more than the threshold."""
    boxes = boxes.astype(int).tolist()
    best_first = sorted(range(len(boxes)), key=lambda i: -scores[i])  # sorted() keeps the order of ties
    kept = []
    for i in best_first:
        if all(overlap_of(boxes[i], boxes[k], kind) <= threshold for k in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("percent", [30, 50, 70])
def test_against_torchvision(percent):
    with np.load(ORACLE) as oracle:
        boxes, scores, expected = oracle["nms_boxes"], oracle["nms_scores"], oracle[f"nms_keep_{percent}"]
    np.testing.assert_array_equal(nms(boxes, scores, percent / 100), expected)


@pytest.mark.parametrize("kind", ["union", "min"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(rows=some_boxes, threshold=exact_thresholds)
def test_against_the_exact_twin(dtype, kind, rows, threshold):
    boxes, scores = as_arrays(rows, dtype)
    kept = nms(boxes, scores, float(threshold), overlap=kind)
    assert kept.tolist() == nms_by_definition(boxes, scores, threshold, kind)


@given(rows=some_boxes, threshold=exact_thresholds)
def test_kept_boxes_overlap_each_other_by_no_more_than_the_threshold(rows, threshold):
    boxes, scores = as_arrays(rows)
    kept = boxes[nms(boxes, scores, float(threshold))]
    overlaps = iou(kept, kept)
    np.fill_diagonal(overlaps, 0)
    assert (overlaps <= float(threshold)).all()


@given(rows=some_boxes, threshold=exact_thresholds)
def test_every_dropped_box_overlaps_a_kept_one_at_least_as_good(rows, threshold):
    boxes, scores = as_arrays(rows)
    kept = nms(boxes, scores, float(threshold))
    for i in set(range(len(boxes))) - set(kept.tolist()):
        better = kept[scores[kept] >= scores[i]]
        assert (iou(boxes[i : i + 1], boxes[better]) > float(threshold)).any()


@given(rows=some_boxes, threshold=exact_thresholds)
def test_best_score_first_and_ties_in_the_order_given(rows, threshold):
    boxes, scores = as_arrays(rows)
    kept = nms(boxes, scores, float(threshold)).tolist()
    assert kept == sorted(kept, key=lambda i: (-scores[i], i))


@given(rows=some_boxes, threshold=exact_thresholds)
def test_doing_it_again_drops_nothing(rows, threshold):
    boxes, scores = as_arrays(rows)
    kept = nms(boxes, scores, float(threshold))
    again = nms(boxes[kept], scores[kept], float(threshold))
    assert again.tolist() == list(range(len(kept)))


def test_the_first_of_two_equal_boxes_is_kept():
    boxes = np.array([[0.0, 0.0, 4.0, 4.0]] * 2)
    assert nms(boxes, np.array([0.5, 0.5]), 0.5).tolist() == [0]


def test_an_overlap_equal_to_the_threshold_is_kept():
    boxes = np.array([[0.0, 0.0, 3.0, 1.0], [1.0, 0.0, 4.0, 1.0]])  # 2 of 4
    assert nms(boxes, np.array([0.9, 0.8]), 0.5).tolist() == [0, 1]
    assert nms(boxes, np.array([0.9, 0.8]), 0.499).tolist() == [0]


def test_the_threshold_is_compared_in_the_type_of_the_boxes():
    # They share 2 of 5. As float32 that is 0.4000000059..., above the float64 0.4 but not the float32 one.
    boxes = np.array([[0, 0, 4, 1], [2, 0, 5, 1]], np.float32)
    assert nms(boxes, np.array([0.9, 0.8], np.float32), 0.4).tolist() == [0, 1]


def test_min_drops_a_small_box_inside_a_large_one():
    boxes = np.array([[0.0, 0.0, 10.0, 10.0], [4.0, 4.0, 6.0, 6.0]])
    scores = np.array([0.9, 0.8])
    assert nms(boxes, scores, 0.5, overlap="union").tolist() == [0, 1]
    assert nms(boxes, scores, 0.5, overlap="min").tolist() == [0]


def test_a_dropped_box_drops_nobody():
    boxes = np.array([[0.0, 0.0, 5.0, 2.0], [1.0, 0.0, 6.0, 2.0], [2.0, 0.0, 7.0, 2.0]])
    assert nms(boxes, np.array([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 2]


@pytest.mark.parametrize("kind", ["union", "min"])
def test_boxes_without_area_or_inside_out_overlap_nobody(kind):
    boxes = np.array([[0.0, 0.0, 9.0, 9.0], [3.0, 3.0, 3.0, 3.0], [6.0, 6.0, 2.0, 2.0], [6.0, 2.0, 2.0, 6.0]])
    assert nms(boxes, np.arange(4.0)[::-1], 0.0, overlap=kind).tolist() == [0, 1, 2, 3]


def test_no_box():
    kept = nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5)
    assert kept.shape == (0,)
    assert np.zeros(3)[kept].shape == (0,)  # an integer array, good for indexing


def test_one_box():
    assert nms(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([0.1]), 0.5).tolist() == [0]


def test_indices_beyond_32767():
    # Three places, 40,000 boxes, better and better: 16-bit indices, as ports of MTCNN have, would wrap.
    places = np.array([[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]], np.float32)
    boxes = places[np.arange(40_000) % 3]
    assert nms(boxes, np.arange(40_000, dtype=np.float32), 0.5).tolist() == [39_999, 39_998, 39_997]


def test_the_arguments_are_not_changed():
    boxes, scores = np.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 4.0]]), np.array([0.1, 0.9])
    before = boxes.copy(), scores.copy()
    nms(boxes, scores, 0.5)
    np.testing.assert_array_equal(boxes, before[0])
    np.testing.assert_array_equal(scores, before[1])


def test_arrays_with_strides():
    boxes = np.asfortranarray([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 4.0], [9.0, 9.0, 11.0, 11.0]])[::-1]
    assert nms(boxes, np.array([0.1, 9.0, 0.3, 9.0, 0.2])[::2], 0.5).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": np.zeros((2, 5))}, "nms: `boxes` has shape (2, 5); expected (any number, 4)"),
        ({"scores": np.zeros(3)}, "nms: `scores` has shape (3,); expected (2,), one per box"),
        ({"scores": np.zeros((2, 1))}, "nms: `scores` has shape (2, 1); expected (2,), one per box"),
        ({"boxes": np.zeros((2, 4), int)}, "nms: `boxes` is int64; expected float32 or float64"),
        ({"scores": np.zeros(2, np.uint8)}, "nms: `scores` is uint8; expected float32 or float64"),
        ({"iou_threshold": 1.5}, "nms: iou_threshold=1.5; expected 0 to 1"),
        ({"iou_threshold": -0.1}, "nms: iou_threshold=-0.1; expected 0 to 1"),
        ({"iou_threshold": float("nan")}, "nms: iou_threshold=nan; expected 0 to 1"),
        ({"overlap": "iou"}, "nms: overlap='iou'; expected 'union' or 'min'"),
        ({"scores": np.array([0.5, np.nan])}, "nms: `scores` is not finite in row 1: nan"),
        (
            {"boxes": np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, np.inf, 1.0]])},
            "nms: `boxes` is not finite in row 1: [ 0.  0. inf  1.]",
        ),
    ],
)
def test_refused(change, message):
    arguments = {"boxes": np.zeros((2, 4)), "scores": np.zeros(2), "iou_threshold": 0.5} | change
    with pytest.raises(InputError) as caught:
        nms(**arguments)
    assert str(caught.value) == message
