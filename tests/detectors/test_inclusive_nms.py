"""NMS with inclusive corners, against the NumPy code that both reference implementations use."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.detectors.inclusive_nms import inclusive_nms

position, side, score = st.integers(0, 6), st.integers(0, 6), st.integers(0, 4)
some_boxes = st.lists(st.tuples(position, position, side, side, score), max_size=12)
exact_thresholds = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0])


def reference_nms(boxes, scores, threshold, method):
    """``py_cpu_nms`` and facenet-pytorch's ``nms_numpy`` ("Min"), with indices of 64 bits."""
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order = scores.argsort()[::-1]  # where equal scores go depends on NumPy and the machine
    keep = []
    while order.size > 0:
        i, rest = order[0], order[1:]
        keep.append(int(i))
        width = np.maximum(0, np.minimum(x2[i], x2[rest]) - np.maximum(x1[i], x1[rest]) + 1)
        height = np.maximum(0, np.minimum(y2[i], y2[rest]) - np.maximum(y1[i], y1[rest]) + 1)
        inter = width * height
        whole = np.minimum(areas[i], areas[rest]) if method == "min" else areas[i] + areas[rest] - inter
        order = rest[inter / whole <= threshold]
    return keep


@pytest.mark.parametrize("method", ["union", "min"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(rows=some_boxes, threshold=exact_thresholds)
def test_against_the_reference_code(dtype, method, rows, threshold):
    table = np.array(rows, dtype).reshape(-1, 5)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    kept = inclusive_nms(boxes, table[:, 4], threshold, overlap=method)
    assert kept.tolist() == reference_nms(boxes, table[:, 4], threshold, method)


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
    assert kept.tolist() == reference_nms(boxes, scores, 0.25, "union")


def test_best_score_first():
    boxes = np.array([[0.0, 0.0, 4.0, 4.0], [20.0, 0.0, 24.0, 4.0], [1.0, 0.0, 5.0, 4.0]])
    assert inclusive_nms(boxes, np.array([0.5, 0.4, 0.6]), 0.5).tolist() == [2, 1]


def test_no_box():
    assert inclusive_nms(np.zeros((0, 4)), np.zeros(0), 0.5).shape == (0,)


def test_the_boxes_are_not_changed():
    boxes = np.array([[0.0, 0.0, 4.0, 4.0]])
    inclusive_nms(boxes, np.array([0.5]), 0.5)
    assert boxes.tolist() == [[0, 0, 4, 4]]
