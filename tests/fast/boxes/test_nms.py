"""Fast suppression: the same indices as the readable functions, for boxes of every kind."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet import boxes as readable
from minidet.detectors.inclusive_nms import inclusive_nms as readable_inclusive_nms
from minidet.errors import InputError
from minidet.fast.boxes import inclusive_nms, nms
from tests.check import FLOATS, LAYOUTS

TWINS = [(nms, readable.nms), (inclusive_nms, readable_inclusive_nms)]
BOTH = pytest.mark.parametrize(("fast", "twin"), TWINS, ids=["nms", "inclusive_nms"])

# Few positions, sizes and scores, so that overlaps and ties are common; a side may be 0 or inside out.
position, side, score = st.integers(0, 6), st.integers(-1, 6), st.integers(0, 4)
some_boxes = st.lists(st.tuples(position, position, side, side, score), max_size=40)
some_thresholds = st.sampled_from([0.0, 0.125, 0.25, 0.4, 0.5, 0.75, 1.0])


def as_arrays(rows, dtype):
    """Turn (x, y, width, height, score) rows into boxes x1 y1 x2 y2 and scores."""
    table = np.array(rows, dtype).reshape(-1, 5)
    return np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1), table[:, 4].copy()


def crowd(seed, K, dtype=np.float32, span=1000, largest=100):
    """Boxes with sides of 10 to ``largest`` pixels, anywhere in ``span`` x ``span``."""
    rng = np.random.default_rng(seed)
    corners, sides = rng.uniform(0, span, (K, 2)), rng.uniform(10, largest, (K, 2))
    return np.concatenate([corners, corners + sides], axis=1).astype(dtype), rng.random(K).astype(dtype)


@BOTH
@pytest.mark.parametrize("overlap", ["union", "min"])
@pytest.mark.parametrize("dtype", FLOATS)
@given(rows=some_boxes, threshold=some_thresholds)
def test_few_boxes_with_many_ties(fast, twin, dtype, overlap, rows, threshold):
    boxes, scores = as_arrays(rows, dtype)
    kept = fast(boxes, scores, threshold, overlap=overlap)
    np.testing.assert_array_equal(kept, twin(boxes, scores, threshold, overlap=overlap))


@BOTH
@pytest.mark.parametrize("overlap", ["union", "min"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("K", [0, 1, 2, 7, 15, 16, 17, 33, 500, 3000])
def test_crowds(fast, twin, K, dtype, overlap):
    for seed, threshold in enumerate([0.0, 0.3, 0.4, 0.7, 1.0]):
        boxes, scores = crowd(seed, K, dtype, span=300)
        kept = fast(boxes, scores, threshold, overlap=overlap)
        expected = twin(boxes, scores, threshold, overlap=overlap)
        assert kept.dtype == expected.dtype
        np.testing.assert_array_equal(kept, expected)


def test_ten_thousand():
    boxes, scores = crowd(0, 10_000)
    kept = nms(boxes, scores, 0.4)
    assert 1000 < len(kept) < 9000
    np.testing.assert_array_equal(kept, readable.nms(boxes, scores, 0.4))


@BOTH
def test_equal_scores_and_equal_boxes(fast, twin):
    boxes, _ = crowd(1, 400, span=60)
    boxes = np.concatenate([boxes, boxes])
    scores = np.full(800, 0.5, np.float32)
    np.testing.assert_array_equal(fast(boxes, scores, 0.5), twin(boxes, scores, 0.5))


@pytest.mark.parametrize("overlap", ["union", "min"])
def test_one_box_wider_than_all_the_others_together(overlap):
    boxes, scores = crowd(2, 300)
    boxes[0] = -5000, 400, 9000, 460  # it reaches over all that begin after it
    for best in (0.0, 2.0):
        scores[0] = best
        kept = nms(boxes, scores, 0.3, overlap=overlap)
        np.testing.assert_array_equal(kept, readable.nms(boxes, scores, 0.3, overlap=overlap))


@pytest.mark.parametrize("overlap", ["union", "min"])
def test_numbers_so_large_or_small_that_areas_are_infinite_or_zero(overlap):
    boxes, scores = crowd(3, 200, span=50)
    for factor in (1e-25, 1e18, 1e30):
        scaled = boxes * np.float32(factor)
        kept = nms(scaled, scores, 0.3, overlap=overlap)
        np.testing.assert_array_equal(kept, readable.nms(scaled, scores, 0.3, overlap=overlap))


def test_an_overlap_within_a_rounding_of_the_threshold():
    # 2 of 5 shared: as float32 above the float64 0.4, but not above the float32 one.
    boxes = np.array([[0, 0, 4, 1], [2, 0, 5, 1]], np.float32)
    assert nms(boxes, np.array([0.9, 0.8], np.float32), 0.4).tolist() == [0, 1]
    assert nms(
        boxes, np.array([0.9, 0.8], np.float32), np.nextafter(np.float32(0.4), np.float32(0))
    ).tolist() == [0]


@BOTH
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_and_the_arguments_are_not_changed(fast, twin, layout):
    boxes, scores = crowd(4, 100, span=200)
    expected = twin(boxes, scores, 0.4)
    given_boxes, given_scores = layout(boxes), layout(scores)
    np.testing.assert_array_equal(fast(given_boxes, given_scores, 0.4), expected)
    np.testing.assert_array_equal(given_boxes, boxes)
    np.testing.assert_array_equal(given_scores, scores)


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        {"boxes": np.zeros((2, 5))},
        {"scores": np.zeros(3)},
        {"boxes": np.zeros((2, 4), int)},
        {"iou_threshold": 1.5},
        {"overlap": "iou"},
        {"scores": np.array([0.5, np.nan])},
        {"boxes": np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, np.inf, 1.0]])},
    ],
)
def test_refused_with_the_words_of_the_twin(fast, twin, change):
    arguments = {"boxes": np.zeros((2, 4)), "scores": np.zeros(2), "iou_threshold": 0.5} | change
    messages = []
    for function in (fast, twin):
        try:
            function(**arguments)
        except (InputError, IndexError, ValueError, TypeError) as error:
            messages.append(str(error))
    assert len(messages) == 2
    assert messages[0] == messages[1]


@BOTH
def test_the_signature_is_that_of_the_twin(fast, twin):
    assert inspect.signature(fast) == inspect.signature(twin)
