"""Box voting: by hand, a slow twin, and what must hold for any boxes."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.boxes import Voted, box_voting, iou
from minidet.errors import InputError
from tests.check import FLOATS, LAYOUTS

# Few positions, sizes and scores, so that overlaps and ties are common; sides and scores of 0 are allowed.
position, side = st.integers(0, 6), st.integers(0, 6)
some_boxes = st.lists(st.tuples(position, position, side, side, st.integers(0, 8)), max_size=12)
some_thresholds = st.sampled_from([Fraction(1, 8), Fraction(2, 5), Fraction(1, 2), Fraction(3, 4)])


def as_arrays(rows, dtype=np.float64):
    """Turn (x, y, width, height, score in eighths) rows into boxes x1 y1 x2 y2, scores and landmarks."""
    table = np.array(rows, dtype).reshape(-1, 5)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    # The points move with the box, each in its own way. Every third face has none.
    landmarks = boxes[:, None, :2] * np.arange(1, 6)[:, None] + np.arange(10).reshape(5, 2)
    landmarks[::3] = np.nan
    return boxes, table[:, 4] / 8, landmarks.astype(dtype)


def overlap_of(a, b):
    """IoU of two integer boxes, as an exact fraction."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return Fraction(0)
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return Fraction(width * height, area_a + area_b - width * height)


def groups_by_definition(boxes, scores, threshold):
    """The members of every group, best first, and whether anybody was left after it."""
    boxes = boxes.astype(int).tolist()
    left = sorted(range(len(boxes)), key=lambda i: -scores[i])  # sorted() keeps the order of ties
    while left:
        best = left[0]
        members = [i for i in left if i == best or overlap_of(boxes[best], boxes[i]) >= threshold]
        left = [i for i in left if i not in members]
        yield members, bool(left)


def mean_by_definition(numbers, weights):
    """Weighted mean of lists of numbers, in fractions."""
    weights = [Fraction(weight) for weight in weights] if any(weights) else [Fraction(1)] * len(weights)
    columns = zip(*numbers, strict=True)
    return [
        float(sum(w * Fraction(n) for w, n in zip(weights, column, strict=True)) / sum(weights))
        for column in columns
    ]


def voting_by_definition(boxes, scores, threshold, landmarks, keep_single):
    """Boxes, scores and landmarks as lists, one group after the other."""
    voted = []
    for members, someone_left in groups_by_definition(boxes, scores, threshold):
        if len(members) == 1 and someone_left and not keep_single:
            continue
        weights = scores[members].tolist()
        box = mean_by_definition(boxes[members].tolist(), weights)
        with_points = [i for i in members if not np.isnan(landmarks[i]).any()]
        points = [np.nan] * 10
        if with_points:
            points = mean_by_definition(
                landmarks[with_points].reshape(-1, 10).tolist(), scores[with_points].tolist()
            )
        voted.append((box, max(weights), points))
    return voted


# ---- By hand ---------------------------------------------------------------------------------------

# Boxes 0 and 1 share 3 of 5, boxes 1 and 2 too, boxes 0 and 2 share 2 of 6; boxes 3 and 4 are alone.
ROW = np.array(
    [[0.0, 0.0, 4.0, 1.0], [1.0, 0.0, 5.0, 1.0], [2.0, 0.0, 6.0, 1.0], [20.0, 0, 24, 1], [30.0, 0, 34, 1]]
)
POINTS = np.arange(50.0).reshape(5, 5, 2)


@pytest.mark.parametrize("dtype", FLOATS)
def test_two_boxes_and_their_points_are_averaged_by_score(dtype):
    # Weights 3 to 1: a quarter of the way from box 0 to box 1.
    scores = np.array([0.75, 0.25], dtype)
    voted = box_voting(ROW[:2].astype(dtype), scores, landmarks=POINTS[:2].astype(dtype))
    assert isinstance(voted, Voted)
    np.testing.assert_array_equal(voted.boxes, np.array([[0.25, 0, 4.25, 1]], dtype))
    np.testing.assert_array_equal(voted.scores, np.array([0.75], dtype))
    np.testing.assert_array_equal(voted.landmarks, (POINTS[:1] + 2.5).astype(dtype))
    assert [array.dtype for array in voted] == [dtype] * 3


def test_the_better_box_counts_more_wherever_it_stands():
    voted = box_voting(ROW[:2], np.array([0.25, 0.75]), landmarks=POINTS[:2])
    np.testing.assert_array_equal(voted.boxes, [[0.75, 0, 4.75, 1]])
    np.testing.assert_array_equal(voted.landmarks, POINTS[:1] + 7.5)


def test_members_are_those_that_overlap_the_best_box_not_each_other():
    # Box 2 overlaps box 1 by 0.6 but box 0, the best, by a third only. So it waits, and is the last.
    voted = box_voting(ROW[:3], np.array([0.9, 0.9, 0.5]))
    np.testing.assert_allclose(voted.boxes, [[0.5, 0, 4.5, 1], [2, 0, 6, 1]])
    assert voted.scores.tolist() == [0.9, 0.5]
    # Where box 1 is the best, all three are one.
    voted = box_voting(ROW[:3], np.array([0.5, 1.0, 0.5]))
    np.testing.assert_allclose(voted.boxes, [[1, 0, 5, 1]])


def test_a_box_that_nobody_confirms_is_dropped_but_not_the_last():
    scores = np.array([0.8, 0.4, 0.3, 0.9, 0.2])
    voted = box_voting(ROW, scores)
    np.testing.assert_allclose(voted.boxes, [[1 / 3, 0, 13 / 3, 1], [30, 0, 34, 1]])
    assert voted.scores.tolist() == [0.8, 0.2]
    voted = box_voting(ROW, scores, keep_single=True)
    assert voted.scores.tolist() == [0.9, 0.8, 0.3, 0.2]
    np.testing.assert_array_equal(voted.boxes[[0, 2, 3]], ROW[[3, 2, 4]])


@pytest.mark.parametrize("keep_single", [False, True])
def test_the_only_box_stays(keep_single):
    voted = box_voting(ROW[:1], np.array([0.1]), landmarks=POINTS[:1], keep_single=keep_single)
    np.testing.assert_array_equal(voted.boxes, ROW[:1])
    np.testing.assert_array_equal(voted.landmarks, POINTS[:1])
    assert voted.scores.tolist() == [0.1]


@pytest.mark.parametrize("dtype", FLOATS)
def test_an_overlap_equal_to_the_threshold_agrees(dtype):
    # They share 2 of 5: 0.4, which neither float type holds exactly.
    boxes, scores = np.array([[0, 0, 4, 1], [2, 0, 5, 1]], dtype), np.array([0.5, 0.5], dtype)
    assert box_voting(boxes, scores, 0.4).boxes.tolist() == [[1, 0, 4.5, 1]]
    assert len(box_voting(boxes, scores, 0.401, keep_single=True).boxes) == 2


def test_overlaps_are_computed_in_float64():
    # 11744049 / 16777213 is 0.7 - 6e-9. In float32 it is 0.7.
    boxes = np.array([[0, 0, 16777213, 1], [0, 0, 11744049, 1]], np.float32)
    assert len(box_voting(boxes, np.array([0.9, 0.8]), 0.7, keep_single=True).boxes) == 2
    assert len(box_voting(boxes, np.array([0.9, 0.8]), 0.7 - 1e-8, keep_single=True).boxes) == 1


def test_of_equal_scores_the_lower_index_is_the_better_box():
    boxes = ROW[[2, 0, 1]]  # the first and the third are one, the second is left
    voted = box_voting(boxes, np.full(3, 0.5))
    np.testing.assert_array_equal(voted.boxes, [[1.5, 0, 5.5, 1], [0, 0, 4, 1]])


def test_no_more_than_max_faces():
    voted = box_voting(ROW, np.array([0.8, 0.4, 0.3, 0.9, 0.2]), keep_single=True, max_faces=2)
    assert voted.scores.tolist() == [0.9, 0.8]
    # A dropped box does not count as a face.
    voted = box_voting(ROW, np.array([0.8, 0.4, 0.3, 0.9, 0.2]), max_faces=1)
    assert voted.scores.tolist() == [0.8]


def test_a_thousand_faces_are_cut_at_750():
    boxes = np.array([[20.0 * i, 0, 20 * i + 9, 9] for i in range(1000)])
    voted = box_voting(np.repeat(boxes, 2, axis=0), np.repeat(np.linspace(1, 0.5, 1000), 2))
    np.testing.assert_allclose(voted.boxes, boxes[:750])


def test_faces_without_points_vote_for_the_box_only():
    scores = np.array([0.75, 0.25])
    landmarks = POINTS[:2].copy()
    landmarks[0] = np.nan
    voted = box_voting(ROW[:2], scores, landmarks=landmarks)
    np.testing.assert_array_equal(voted.boxes, [[0.25, 0, 4.25, 1]])
    np.testing.assert_array_equal(voted.landmarks, POINTS[1:2])
    landmarks[1, 4, 1] = np.nan  # one of ten is enough
    assert np.isnan(box_voting(ROW[:2], scores, landmarks=landmarks).landmarks).all()


def test_boxes_that_all_score_zero_count_the_same():
    voted = box_voting(ROW[:2], np.zeros(2), landmarks=POINTS[:2])
    np.testing.assert_array_equal(voted.boxes, [[0.5, 0, 4.5, 1]])
    np.testing.assert_array_equal(voted.landmarks, POINTS[:1] + 5)
    assert voted.scores.tolist() == [0]


def test_a_point_whose_only_voter_scores_zero():
    landmarks = POINTS[:2].copy()
    landmarks[0] = np.nan
    voted = box_voting(ROW[:2], np.array([0.5, 0.0]), landmarks=landmarks)
    np.testing.assert_array_equal(voted.boxes, ROW[:1])
    np.testing.assert_array_equal(voted.landmarks, POINTS[1:2])


def test_boxes_without_area_or_inside_out_are_alone():
    boxes = np.array([[0.0, 0.0, 9.0, 9.0], [3.0, 3.0, 3.0, 3.0], [6.0, 6.0, 2.0, 2.0], [6.0, 2.0, 2.0, 6.0]])
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    np.testing.assert_array_equal(box_voting(boxes, scores, keep_single=True).boxes, boxes)
    np.testing.assert_array_equal(box_voting(boxes, scores).boxes, boxes[3:])


# ---- The slow twin ---------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_single", [False, True])
@pytest.mark.parametrize("dtype", FLOATS)
@given(rows=some_boxes, threshold=some_thresholds)
def test_against_the_twin(dtype, keep_single, rows, threshold):
    boxes, scores, landmarks = as_arrays(rows, dtype)
    voted = box_voting(boxes, scores, float(threshold), landmarks=landmarks, keep_single=keep_single)
    expected = voting_by_definition(boxes, scores, threshold, landmarks, keep_single)
    assert len(voted.boxes) == len(voted.scores) == len(voted.landmarks) == len(expected)
    for box, score, points, (true_box, true_score, true_points) in zip(*voted, expected, strict=True):
        np.testing.assert_allclose(box, true_box, rtol=1e-6)
        np.testing.assert_allclose(points.ravel(), true_points, rtol=1e-6)
        assert score == true_score


# ---- Properties ------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_single", [False, True])
@given(rows=some_boxes, threshold=some_thresholds)
def test_scores_are_descending_and_among_those_given(keep_single, rows, threshold):
    boxes, scores, _ = as_arrays(rows)
    voted = box_voting(boxes, scores, float(threshold), keep_single=keep_single)
    assert (np.diff(voted.scores) <= 0).all()
    assert set(voted.scores.tolist()) <= set(scores.tolist())
    if len(boxes) and keep_single:
        assert voted.scores[0] == scores.max()


@given(rows=some_boxes, threshold=some_thresholds)
def test_a_voted_box_lies_within_those_of_its_members(rows, threshold):
    boxes, scores, landmarks = as_arrays(rows)
    voted = box_voting(boxes, scores, float(threshold), landmarks=landmarks, keep_single=True)
    groups = [members for members, _ in groups_by_definition(boxes, scores, threshold)]
    for box, points, members in zip(voted.boxes, voted.landmarks, groups, strict=True):
        assert (box >= boxes[members].min(axis=0) - 1e-12).all()
        assert (box <= boxes[members].max(axis=0) + 1e-12).all()
        known = landmarks[members][~np.isnan(landmarks[members]).any(axis=(1, 2))]
        assert np.isnan(points).all() == (len(known) == 0)
        if len(known):
            assert (points >= known.min(axis=0) - 1e-12).all()
            assert (points <= known.max(axis=0) + 1e-12).all()


@given(rows=some_boxes, threshold=some_thresholds)
def test_voting_again_changes_nothing_where_the_voted_boxes_are_apart(rows, threshold):
    boxes, scores, landmarks = as_arrays(rows)
    voted = box_voting(boxes, scores, float(threshold), landmarks=landmarks, keep_single=True)
    overlaps = iou(voted.boxes, voted.boxes)
    np.fill_diagonal(overlaps, 0)
    if (overlaps >= float(threshold)).any():
        return  # means may come closer to each other than their members were
    again = box_voting(
        voted.boxes, voted.scores, float(threshold), landmarks=voted.landmarks, keep_single=True
    )
    for array, array_again in zip(voted, again, strict=True):
        np.testing.assert_array_equal(array, array_again)


@given(rows=some_boxes, threshold=some_thresholds)
def test_dropping_singles_drops_only_singles(rows, threshold):
    boxes, scores, _ = as_arrays(rows)
    kept = box_voting(boxes, scores, float(threshold), keep_single=True)
    dropped = box_voting(boxes, scores, float(threshold))
    groups = list(groups_by_definition(boxes, scores, threshold))
    stays = [len(members) > 1 or not someone_left for members, someone_left in groups]
    np.testing.assert_array_equal(kept.boxes[stays], dropped.boxes)
    np.testing.assert_array_equal(kept.scores[stays], dropped.scores)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_boxes_does_not_matter_when_no_scores_are_equal(seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 10, (15, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 10, (15, 2))], axis=1)
    scores = rng.uniform(0, 1, 15)
    shuffled = rng.permutation(15)
    voted, again = box_voting(boxes, scores), box_voting(boxes[shuffled], scores[shuffled])
    np.testing.assert_array_equal(voted.boxes, again.boxes)
    np.testing.assert_array_equal(voted.scores, again.scores)


# ---- Types, layouts, refusals ----------------------------------------------------------------------


@pytest.mark.parametrize("with_landmarks", [False, True])
def test_no_box(with_landmarks):
    landmarks = np.zeros((0, 5, 2), np.float64) if with_landmarks else None
    voted = box_voting(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), landmarks=landmarks)
    assert (voted.boxes.shape, voted.scores.shape) == ((0, 4), (0,))
    assert voted.boxes.dtype == voted.scores.dtype == np.float32
    if with_landmarks:
        assert voted.landmarks.shape == (0, 5, 2)
        assert voted.landmarks.dtype == np.float64
    else:
        assert voted.landmarks is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_and_the_arguments_are_not_changed(layout):
    scores = np.array([0.8, 0.4, 0.3, 0.9, 0.2])
    given_arrays = layout(ROW), layout(scores), layout(POINTS)
    voted = box_voting(*given_arrays[:2], landmarks=given_arrays[2], keep_single=True)
    expected = box_voting(ROW, scores, landmarks=POINTS, keep_single=True)
    for array, expected_array in zip(voted, expected, strict=True):
        np.testing.assert_array_equal(array, expected_array)
        array[...] = -1
    for array, original in zip(given_arrays, (ROW, scores, POINTS), strict=True):
        np.testing.assert_array_equal(array, original)


INFINITE = np.zeros((2, 5, 2))
INFINITE[1, 2, 0] = np.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": np.zeros((2, 5))}, "`boxes` has shape (2, 5); expected (any number, 4)"),
        ({"scores": np.zeros(3)}, "`scores` has shape (3,); expected (2,), one per box"),
        ({"boxes": np.zeros((2, 4), int)}, "`boxes` is int64; expected float32 or float64"),
        ({"scores": np.array([0.5, np.nan])}, "`scores` is not finite in row 1: nan"),
        ({"boxes": np.full((2, 4), np.nan)}, "`boxes` is not finite in row 0: [nan nan nan nan]"),
        ({"scores": np.array([0.5, -0.1])}, "`scores` is -0.1 in row 1; expected weights from 0 up"),
        ({"iou_threshold": 1.1}, "iou_threshold=1.1; expected 0 to 1"),
        ({"iou_threshold": "0.4"}, "iou_threshold='0.4'; expected 0 to 1"),
        ({"max_faces": 0}, "max_faces=0; expected a whole number from 1 up"),
        ({"max_faces": 2.5}, "max_faces=2.5; expected a whole number from 1 up"),
        (
            {"landmarks": np.zeros((2, 10))},
            "`landmarks` has shape (2, 10); expected (2, 5, 2), five points per box",
        ),
        ({"landmarks": np.zeros((2, 5, 2), int)}, "`landmarks` is int64; expected float32 or float64"),
        (
            {"landmarks": INFINITE},
            "`landmarks` is infinite in row 1: [[0.0, 0.0], [0.0, 0.0], [inf, 0.0], [0.0, 0.0], [0.0, 0.0]]",
        ),
    ],
)
def test_refused(change, message):
    arguments = {"boxes": np.zeros((2, 4)), "scores": np.zeros(2)} | change
    with pytest.raises(InputError) as caught:
        box_voting(**arguments)
    assert str(caught.value) == f"box_voting: {message}"
