"""NMS with inclusive corners, against a twin that counts pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.detectors.inclusive_nms import inclusive_nms

position, side, score = st.integers(0, 6), st.integers(0, 6), st.integers(0, 4)
some_boxes = st.lists(st.tuples(position, position, side, side, score), max_size=12)
exact_thresholds = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0])


def pixels(box):
    """List the pixels of a box whose two corner pixels belong to it."""
    x1, y1, x2, y2 = box.astype(int)
    return {(x, y) for x in range(x1, x2 + 1) for y in range(y1, y2 + 1)}


def slow_nms(boxes, scores, threshold, overlap):
    """Keep a box if it shares no more than the threshold with every box kept before it."""
    kept = []
    for i in scores.argsort()[::-1].tolist():  # the default sort, as in both references
        mine = pixels(boxes[i])
        others = [pixels(boxes[k]) for k in kept]
        wholes = [min(len(mine), len(other)) if overlap == "min" else len(mine | other) for other in others]
        if all(len(mine & other) <= threshold * whole for other, whole in zip(others, wholes, strict=True)):
            kept.append(i)
    return kept


@pytest.mark.parametrize("method", ["union", "min"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(rows=some_boxes, threshold=exact_thresholds)
def test_against_counting_pixels(dtype, method, rows, threshold):
    table = np.array(rows, dtype).reshape(-1, 5)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    kept = inclusive_nms(boxes, table[:, 4], threshold, overlap=method)
    assert kept.tolist() == slow_nms(boxes, table[:, 4], threshold, method)


@pytest.mark.parametrize(("threshold", "kept"), [(0.5, [0, 1]), (0.49, [0])])
def test_corners_belong_to_the_box(threshold, kept):
    # Pixels 0 to 2 and 1 to 3: they share 2 of 4. As continuous boxes they would share 1 of 3.
    boxes = np.array([[0.0, 0.0, 2.0, 0.0], [1.0, 0.0, 3.0, 0.0]])
    assert inclusive_nms(boxes, np.array([0.9, 0.8]), threshold).tolist() == kept


@pytest.mark.parametrize("K", [3, 40, 700])
def test_of_equal_scores_the_same_ones_first_as_in_the_references(K):
    corners = np.repeat(2 * np.arange(K, dtype=np.float32)[:, None], 2, axis=1)
    boxes = np.concatenate([corners, corners + 5], axis=1)  # each overlaps only its neighbours by enough
    scores = np.array([0.5, 0.25], np.float32)[np.arange(K) % 2]
    kept = inclusive_nms(boxes, scores, 0.25)
    assert 1 < len(kept) < K
    assert kept.tolist() == slow_nms(boxes, scores, 0.25, "union")


def test_best_score_first():
    boxes = np.array([[0.0, 0.0, 4.0, 4.0], [20.0, 0.0, 24.0, 4.0], [1.0, 0.0, 5.0, 4.0]])
    assert inclusive_nms(boxes, np.array([0.5, 0.4, 0.6]), 0.5).tolist() == [2, 1]


def test_no_box():
    assert inclusive_nms(np.zeros((0, 4)), np.zeros(0), 0.5).shape == (0,)


def test_the_boxes_are_not_changed():
    boxes = np.array([[0.0, 0.0, 4.0, 4.0]])
    inclusive_nms(boxes, np.array([0.5]), 0.5)
    assert boxes.tolist() == [[0, 0, 4, 4]]
