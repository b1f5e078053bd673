"""Recall by overlap and by height."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.errors import InputError
from minidet.evaluation.matching import match_detections
from minidet.evaluation.recall import IOU_THRESHOLDS, SIZE_EDGES, Recall, recall_by_iou, recall_by_size
from tests.evaluation.making import found, photograph, pictures

FACE = [0, 0, 10, 10]
data_sets = st.lists(pictures(), max_size=4)
some_edges = st.lists(st.integers(0, 12), min_size=1, max_size=5, unique=True).map(sorted)


def by_iou(*pictures, **settings):
    return recall_by_iou([d for d, _ in pictures], [f for _, f in pictures], **settings)


def by_size(*pictures, **settings):
    return recall_by_size([d for d, _ in pictures], [f for _, f in pictures], **settings)


def tall(*heights):
    """Faces of these heights, side by side."""
    return [[100 * i, 0, 100 * i + 50, height] for i, height in enumerate(heights)]


# ---- By hand ---------------------------------------------------------------------------------------


def test_a_share():
    assert Recall(3, 4).value == 0.75
    assert Recall(0, 4).value == 0
    assert math.isnan(Recall(0, 0).value)


def test_by_iou():
    # Rows in common: 10, 7 and 4 of 10.
    boxes = [[0, 0, 10, 10], [100, 0, 110, 7], [200, 0, 210, 4]]
    faces = photograph(FACE, [100, 0, 110, 10], [200, 0, 210, 10], [300, 0, 310, 10])
    recalls = by_iou((found(*((box, 0.1) for box in boxes)), faces))
    assert list(recalls) == list(IOU_THRESHOLDS)
    assert [recall.found for recall in recalls.values()] == [3, 3, 2, 2, 2, 1, 1]
    assert {recall.faces for recall in recalls.values()} == {4}


def test_by_iou_adds_up_photographs():
    recalls = by_iou((found((FACE, 0.9)), photograph(FACE)), (found(), photograph(FACE, FACE)))
    assert recalls[0.5] == Recall(1, 3)


def test_by_iou_leaves_out_what_does_not_count():
    faces = photograph(FACE, [100, 0, 110, 10], [200, 0, 240, 9], ignore=[1])
    hits = found((FACE, 0.9), ([100, 0, 110, 10], 0.9), ([200, 0, 240, 9], 0.9))
    assert by_iou((hits, faces), min_face_size=10)[0.5] == Recall(1, 1)
    assert by_iou((hits, faces))[0.5] == Recall(2, 2)


def test_by_iou_takes_the_thresholds_it_is_given():
    recalls = by_iou((found(([0, 0, 10, 7], 0.9)), photograph(FACE)), iou_thresholds=(0.7, 0.71))
    assert recalls == {0.7: Recall(1, 1), 0.71: Recall(0, 1)}
    assert by_iou(iou_thresholds=()) == {}


def test_by_size():
    boxes = tall(9, 10, 15, 16, 300)
    hits = found((boxes[0], 0.9), (boxes[2], 0.01), (boxes[3], 0.9), (boxes[4], 0.9))
    recalls = by_size((hits, photograph(*boxes)))
    assert recalls[0, 10] == Recall(1, 1)
    assert recalls[10, 16] == Recall(1, 2)  # from 10, included, to 16, excluded
    assert recalls[16, 24] == Recall(1, 1)
    assert recalls[24, 32] == Recall(0, 0)
    assert recalls[256, math.inf] == Recall(1, 1)
    assert list(recalls) == list(zip(SIZE_EDGES, (*SIZE_EDGES[1:], math.inf), strict=True))


def test_by_size_goes_by_height():
    assert by_size((found(), photograph([0, 0, 100, 5])), edges=(0, 50)) == {
        (0, 50): Recall(0, 1),
        (50, math.inf): Recall(0, 0),
    }


def test_by_size_leaves_out_ignored_faces_and_those_below_the_first_edge():
    boxes = tall(5, 20, 20)
    hits = found(*((box, 0.9) for box in boxes))
    assert by_size((hits, photograph(*boxes, ignore=[1])), edges=(10,)) == {(10, math.inf): Recall(1, 1)}


def test_by_size_takes_the_overlap_it_is_given():
    picture = (found(([0, 0, 10, 7], 0.9)), photograph(FACE))
    assert by_size(picture, edges=(0,), iou_threshold=0.7) == {(0, math.inf): Recall(1, 1)}
    assert by_size(picture, edges=(0,), iou_threshold=0.71) == {(0, math.inf): Recall(0, 1)}


def test_no_photographs():
    assert set(by_iou().values()) == set(by_size().values()) == {Recall(0, 0)}


# ---- What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("edges", [(), (10, 5), (0, 10, 10)])
def test_edges_that_do_not_rise(edges):
    with pytest.raises(InputError, match=r"^recall_by_size: edges=.*; expected rising heights"):
        by_size(edges=edges)


@pytest.mark.parametrize("measure", [recall_by_iou, recall_by_size])
def test_one_result_per_photograph(measure):
    with pytest.raises(InputError, match=rf"^{measure.__name__}: 1 detections for 2 photographs"):
        measure([found()], [photograph(FACE), photograph(FACE)])


def test_thresholds_out_of_range():
    with pytest.raises(InputError, match=r"^recall_by_iou: iou_threshold=0;"):
        by_iou(iou_thresholds=(0.5, 0))
    with pytest.raises(InputError, match=r"^recall_by_size: iou_threshold=1.5;"):
        by_size(iou_threshold=1.5)
    with pytest.raises(InputError, match=r"^recall_by_iou: min_face_size=-1;"):
        by_iou(min_face_size=-1)


# ---- Properties ------------------------------------------------------------------------------------


@given(data_sets)
def test_never_rises_with_the_overlap_that_is_wanted(pictures):
    recalls = list(by_iou(*pictures, iou_thresholds=np.arange(1, 21) / 20).values())
    for lax, strict in pairwise(recalls):
        assert strict.found <= lax.found
        assert strict.faces == lax.faces


@given(data_sets, some_edges)
def test_bins_share_the_faces_out(pictures, edges):
    recalls = by_size(*pictures, edges=edges)
    heights, hits = [], []
    for detections, annotated in pictures:
        matched = match_detections(detections.boxes, annotated)
        for g in range(len(annotated.boxes)):
            if not annotated.ignore[g]:
                heights.append(annotated.boxes[g, 3] - annotated.boxes[g, 1])
                hits.append(bool(matched.found[g]))
    assert sum(recall.faces for recall in recalls.values()) == sum(h >= edges[0] for h in heights)
    for (lower, upper), recall in recalls.items():
        inside = [hit for height, hit in zip(heights, hits, strict=True) if lower <= height < upper]
        assert recall == Recall(sum(inside), len(inside))


@given(data_sets)
def test_the_two_agree(pictures):
    whole = by_iou(*pictures, iou_thresholds=(0.5,))[0.5]
    bins = by_size(*pictures).values()
    assert whole == Recall(sum(r.found for r in bins), sum(r.faces for r in bins))
