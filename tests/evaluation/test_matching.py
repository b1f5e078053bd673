"""Which detection found which face: the four rules by hand, a slow twin in fractions, and properties."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.detections import Detections
from minidet.evaluation.matching import Outcome, match_detections
from tests.evaluation.making import exact_area, exact_iou, photograph, pictures, shared_area, tenths

FACE = [0, 0, 10, 10]
OTHER = [20, 0, 30, 10]
FAR = [500, 500, 510, 510]
WRONG, RIGHT, OUT = Outcome.FALSE_POSITIVE, Outcome.TRUE_POSITIVE, Outcome.LEFT_OUT


def outcomes(boxes, faces, **settings):
    return match_detections(boxes_of(*boxes), faces, **settings).outcome.tolist()


def boxes_of(*boxes):
    return np.array(boxes, np.float32).reshape(-1, 4)


# ---- Rule 1: faces that count ----------------------------------------------------------------------


def test_every_detection_finds_its_face():
    matched = match_detections(boxes_of(OTHER, FACE), photograph(FACE, OTHER, FAR))
    assert matched.outcome.tolist() == [RIGHT, RIGHT]
    assert matched.face.tolist() == [1, 0]
    assert matched.counted.tolist() == [True, True, True]
    assert matched.found.tolist() == [True, True, False]


def test_a_face_found_twice_is_a_mistake_the_second_time():
    # The better score has the right of way, however much better the second box fits.
    matched = match_detections(boxes_of([0, 0, 10, 8], FACE, FACE), photograph(FACE))
    assert matched.outcome.tolist() == [RIGHT, WRONG, WRONG]
    assert matched.face.tolist() == [0, -1, -1]


@pytest.mark.parametrize("rows", range(1, 11))
def test_an_overlap_of_exactly_the_threshold_is_enough(rows):
    # In float32, 7 / 10 and 9 / 10 would be less than the thresholds of that name.
    box = [0, 0, 10, rows]
    assert outcomes([box], photograph(FACE), iou_threshold=rows / 10) == [RIGHT]
    assert outcomes([box], photograph(FACE), iou_threshold=rows / 10 + 1e-9) == [WRONG]


def test_a_detection_asks_for_the_face_it_overlaps_most():
    # Both faces are overlapped by 3/5 or more.
    left, right = [0, 0, 10, 10], [2, 0, 12, 10]
    assert match_detections(boxes_of([1.5, 0, 11.5, 10]), photograph(left, right)).face.tolist() == [1]
    assert match_detections(boxes_of([0.5, 0, 10.5, 10]), photograph(left, right)).face.tolist() == [0]


def test_a_detection_does_not_turn_to_a_free_face_when_its_own_is_taken():
    # The second overlaps the free face by 8/12, too, but the taken one by 9/11.
    left, right = [0, 0, 10, 10], [3, 0, 13, 10]
    matched = match_detections(boxes_of(left, [1, 0, 11, 10]), photograph(left, right))
    assert matched.outcome.tolist() == [RIGHT, WRONG]
    assert matched.found.tolist() == [True, False]


def test_of_faces_that_fit_alike_the_first_is_asked_for():
    # As in Pascal VOC. A face annotated twice over can be found only once.
    matched = match_detections(boxes_of(FACE, FACE), photograph(FACE, FACE))
    assert matched.face.tolist() == [0, -1]
    assert matched.outcome.tolist() == [RIGHT, WRONG]


def test_a_small_detection_inside_a_face_has_not_found_it():
    assert outcomes([[2, 2, 4, 4]], photograph(FACE)) == [WRONG]


# ---- Rule 2: faces that do not count ---------------------------------------------------------------


def test_whatever_finds_an_ignored_face_is_left_out():
    matched = match_detections(boxes_of(FACE, FACE, FACE), photograph(FACE, ignore=[0]))
    assert matched.outcome.tolist() == [OUT, OUT, OUT]
    assert matched.face.tolist() == [-1, -1, -1]
    assert matched.counted.tolist() == [False]
    assert matched.found.tolist() == [False]


def test_a_face_that_counts_comes_before_an_ignored_one_that_fits_better():
    counted, ignored = [0, 0, 10, 10], [2, 0, 12, 10]
    matched = match_detections(boxes_of(ignored, ignored), photograph(counted, ignored, ignore=[1]))
    assert matched.outcome.tolist() == [RIGHT, WRONG]  # twice the same face, even so
    assert matched.face.tolist() == [0, -1]


def test_a_region_full_of_faces_holds_any_number_of_detections():
    region = [0, 0, 100, 100]
    small = [[x, y, x + 9, y + 9] for x in range(0, 90, 10) for y in range(0, 90, 10)]
    assert outcomes(small, photograph(region, ignore=[0])) == [OUT] * 81


def test_half_of_a_detection_has_to_lie_in_the_region():
    region = [0, 0, 100, 100]
    straddling = [[96, 0, 104, 8], [97, 0, 105, 8], [100, 0, 108, 8]]
    assert outcomes(straddling, photograph(region, ignore=[0])) == [OUT, WRONG, WRONG]


@pytest.mark.parametrize("rows", range(1, 11))
def test_a_share_inside_of_exactly_the_threshold_is_enough(rows):
    region = [0, 0, 1000, 10]
    box = [0, 10 - rows, 10, 20 - rows]
    assert outcomes([box], photograph(region, ignore=[0]), iou_threshold=rows / 10) == [OUT]
    assert outcomes([box], photograph(region, ignore=[0]), iou_threshold=rows / 10 + 1e-9) == [WRONG]


def test_a_detection_around_a_whole_region_is_a_mistake():
    # Everything of the region lies in the detection, and 1/16 of the detection in the region.
    assert outcomes([[0, 0, 40, 40]], photograph([10, 10, 20, 20], ignore=[0])) == [WRONG]


def test_a_face_inside_of_a_region_is_found_all_the_same():
    matched = match_detections(boxes_of(FACE, [30, 30, 40, 40]), photograph([0, 0, 50, 50], FACE, ignore=[0]))
    assert matched.outcome.tolist() == [RIGHT, OUT]
    assert matched.face.tolist() == [1, -1]


def test_two_regions_do_not_add_up():
    # A third of the detection in each.
    regions = photograph([0, 0, 10, 10], [20, 0, 30, 10], ignore=[0, 1])
    assert outcomes([[0, 0, 30, 10]], regions) == [WRONG]


# ---- Rule 3: the smallest face that counts ---------------------------------------------------------


def test_faces_below_the_smallest_size_do_not_count():
    faces = photograph([0, 0, 50, 9], [0, 20, 5, 30])  # wide and low; narrow and high
    matched = match_detections(boxes_of([0, 0, 50, 9], [0, 20, 5, 30]), faces, min_face_size=10)
    assert matched.counted.tolist() == [False, True]
    assert matched.outcome.tolist() == [OUT, RIGHT]


def test_a_high_detection_of_a_low_face_is_left_out():
    assert outcomes([[0, 0, 10, 12]], photograph([0, 0, 10, 9]), min_face_size=10) == [OUT]


def test_low_detections_of_nothing_are_left_out():
    boxes = [[500, 0, 600, 9.5], [500, 0, 505, 10], [500, 0, 600, 10.5]]
    assert outcomes(boxes, photograph(FACE), min_face_size=10) == [OUT, WRONG, WRONG]
    assert outcomes(boxes, photograph(), min_face_size=10) == [OUT, WRONG, WRONG]
    assert outcomes(boxes, photograph()) == [WRONG, WRONG, WRONG]


def test_a_low_detection_of_a_face_that_counts_is_judged():
    low = [0, 0, 10, 9]
    assert outcomes([low, low], photograph(FACE), min_face_size=10) == [RIGHT, WRONG]


def test_ignored_and_too_small_is_not_counted_once_more():
    assert match_detections(boxes_of(), photograph(FACE, ignore=[0]), min_face_size=99).counted.tolist() == [
        False
    ]


# ---- Rule 4, and nothing at all --------------------------------------------------------------------


def test_the_rest_is_wrong():
    assert outcomes([FAR, FACE], photograph(FACE)) == [WRONG, RIGHT]
    assert outcomes([FAR, FACE], photograph()) == [WRONG, WRONG]


def test_no_detections():
    matched = match_detections(Detections.empty().boxes, photograph(FACE, OTHER, ignore=[1]))
    assert matched.outcome.shape == matched.face.shape == (0,)
    assert matched.counted.tolist() == [True, False]
    assert matched.found.tolist() == [False, False]


def test_no_detections_and_no_faces():
    matched = match_detections(Detections.empty().boxes, photograph())
    assert [len(part) for part in (*matched, matched.found)] == [0, 0, 0, 0]


@pytest.mark.parametrize("box", [[5, 5, 5, 5], [5, 0, 5, 10], [0, 5, 10, 5]])
def test_a_detection_without_area_is_wrong(box):
    assert outcomes([box], photograph(FACE)) == [WRONG]
    assert outcomes([box], photograph(FACE, ignore=[0])) == [WRONG]


def test_the_arguments_stay_as_they_are():
    boxes, faces = boxes_of(FACE, FACE, FAR), photograph(FACE, OTHER, ignore=[1])
    before = [array.copy() for array in (boxes, faces.boxes, faces.ignore)]
    match_detections(boxes, faces, min_face_size=3)
    for array, copy in zip((boxes, faces.boxes, faces.ignore), before, strict=True):
        np.testing.assert_array_equal(array, copy)


# ---- The definition, once more, slowly -------------------------------------------------------------


def slow_match(boxes, faces, threshold, smallest):
    """The four rules word for word, in fractions: a list of (outcome, face)."""
    regions, ignore = faces.boxes.astype(int).tolist(), faces.ignore.tolist()
    counts = [not ignore[g] and region[3] - region[1] >= smallest for g, region in enumerate(regions)]
    taken, results = set(), []
    for box in boxes.astype(int).tolist():
        best, best_overlap = -1, Fraction(0)
        for g, region in enumerate(regions):
            if counts[g] and exact_iou(box, region) > best_overlap:
                best, best_overlap = g, exact_iou(box, region)
        left_out = box[3] - box[1] < smallest or any(
            exact_iou(box, region) >= threshold
            or Fraction(shared_area(box, region), exact_area(box)) >= threshold
            for g, region in enumerate(regions)
            if not counts[g]
        )
        if best_overlap >= threshold and best in taken:
            results.append((WRONG, -1))
        elif best_overlap >= threshold:
            taken.add(best)
            results.append((RIGHT, best))
        else:
            results.append((OUT if left_out else WRONG, -1))
    return results


@given(pictures(), tenths, st.integers(0, 8))
def test_equals_the_slow_twin(picture, threshold, smallest):
    detections, faces = picture
    matched = match_detections(
        detections.boxes, faces, iou_threshold=float(threshold), min_face_size=smallest
    )
    expected = slow_match(detections.boxes, faces, threshold, smallest)
    assert list(zip(matched.outcome.tolist(), matched.face.tolist(), strict=True)) == expected


# ---- Properties ------------------------------------------------------------------------------------


@given(pictures(), tenths, st.integers(0, 8))
def test_true_positives_and_found_faces_are_one_to_one(picture, threshold, smallest):
    detections, faces = picture
    matched = match_detections(
        detections.boxes, faces, iou_threshold=float(threshold), min_face_size=smallest
    )
    pairs = matched.face[matched.face >= 0].tolist()
    assert len(set(pairs)) == len(pairs)
    np.testing.assert_array_equal(matched.face >= 0, matched.outcome == RIGHT)
    np.testing.assert_array_equal(np.flatnonzero(matched.found), sorted(pairs))
    assert not (matched.found & ~matched.counted).any()


@given(pictures(), tenths, tenths)
def test_a_stricter_threshold_finds_no_other_face(picture, one, another):
    detections, faces = picture
    lax, strict = (
        match_detections(detections.boxes, faces, iou_threshold=float(threshold)).found
        for threshold in sorted((one, another))
    )
    assert not (strict & ~lax).any()


@given(pictures(), tenths)
def test_what_comes_later_changes_nothing(picture, threshold):
    detections, faces = picture
    whole = match_detections(detections.boxes, faces, iou_threshold=float(threshold))
    for k in range(len(detections)):
        first = match_detections(detections.boxes[:k], faces, iou_threshold=float(threshold))
        np.testing.assert_array_equal(first.outcome, whole.outcome[:k])
        np.testing.assert_array_equal(first.face, whole.face[:k])
