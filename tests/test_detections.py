"""``Detections`` and ``Face``: what every detector returns."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minidet import Detections, Face, InputError

BOXES = np.array([[10, 20, 40, 60], [1, 2, 3, 4], [-5, 0, 50, 90]], np.float32)
SCORES = np.array([0.5, 0.9, 0.7], np.float32)
POINTS = np.arange(30, dtype=np.float32).reshape(3, 5, 2)
BEST_FIRST = [1, 2, 0]


@pytest.fixture
def faces():
    return Detections(BOXES, SCORES, POINTS)


def assert_same(a, b):
    np.testing.assert_array_equal(a.boxes, b.boxes)
    np.testing.assert_array_equal(a.scores, b.scores)
    np.testing.assert_array_equal(a.landmarks, b.landmarks)


# ---- making ----


def test_best_score_first_in_all_three_arrays(faces):
    np.testing.assert_array_equal(faces.boxes, BOXES[BEST_FIRST])
    np.testing.assert_array_equal(faces.scores, SCORES[BEST_FIRST])
    np.testing.assert_array_equal(faces.landmarks, POINTS[BEST_FIRST])


def test_equal_scores_keep_their_order():
    K = 40  # of a handful, any sort keeps the order
    boxes = np.repeat(np.arange(K)[:, None], 4, axis=1)
    faces = Detections(boxes, np.tile([0.5, 0.8], K // 2), np.zeros((K, 5, 2)))
    assert faces.boxes[:, 0].tolist() == [*range(1, K, 2), *range(0, K, 2)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_float32_whatever_comes_in(dtype):
    faces = Detections(BOXES.astype(dtype), SCORES.astype(dtype), POINTS.astype(dtype))
    assert {faces.boxes.dtype, faces.scores.dtype, faces.landmarks.dtype} == {np.dtype(np.float32)}


def test_lists_will_do():
    faces = Detections([[10, 20, 40, 60]], [0.5], [[[1, 2]] * 5])
    assert faces.boxes.tolist() == [[10, 20, 40, 60]]


def test_the_arrays_given_are_copied():
    boxes = BOXES.copy()
    faces = Detections(boxes, SCORES, POINTS)
    boxes[:] = 0
    np.testing.assert_array_equal(faces.boxes, BOXES[BEST_FIRST])


@pytest.mark.parametrize(
    "faces",
    [Detections.empty(), Detections(np.zeros((0, 4)), [], np.zeros((0, 5, 2)))],
    ids=["empty", "made"],
)
def test_no_face(faces):
    assert (faces.boxes.shape, faces.scores.shape, faces.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))
    assert {faces.boxes.dtype, faces.scores.dtype, faces.landmarks.dtype} == {np.dtype(np.float32)}
    assert len(faces) == 0
    assert not faces
    assert list(faces) == []
    assert faces.to_dicts() == []
    assert faces.to_json() == "[]"
    assert faces.to_xywh().shape == (0, 4)
    assert len(faces.clip(10, 10)) == 0
    assert repr(faces) == "Detections: 0 faces"


@pytest.mark.parametrize(
    ("boxes", "scores", "landmarks"),
    [
        ((2, 4), (3,), (3, 5, 2)),
        ((3, 4), (3,), (2, 5, 2)),
        ((3, 5), (3,), (3, 5, 2)),
        ((3, 4), (3, 1), (3, 5, 2)),
        ((3, 4), (3,), (3, 10)),
        ((0,), (0,), (0, 5, 2)),
    ],
)
def test_shapes_that_disagree(boxes, scores, landmarks):
    with pytest.raises(InputError) as caught:
        Detections(np.zeros(boxes), np.zeros(scores), np.zeros(landmarks))
    assert str(caught.value) == (
        f"Detections: shapes {boxes}, {scores}, {landmarks}; "
        "expected (K, 4) boxes, (K,) scores, (K, 5, 2) landmarks"
    )


# ---- taking apart ----


def test_len(faces):
    assert len(faces) == 3


def test_iterating_gives_faces_best_first(faces):
    assert [face.score for face in faces] == pytest.approx([0.9, 0.7, 0.5])
    for face, index in zip(faces, BEST_FIRST, strict=True):
        assert isinstance(face, Face)
        np.testing.assert_array_equal(face.box, BOXES[index])
        np.testing.assert_array_equal(face.landmarks, POINTS[index])


def test_iterating_twice(faces):
    assert len(list(faces)) == len(list(faces)) == 3


@pytest.mark.parametrize(("index", "row"), [(0, 1), (2, 0), (-1, 0)])
def test_index(faces, index, row):
    face = faces[index]
    assert face.box.tolist() == BOXES[row].tolist()
    assert face.box.dtype == np.float32
    assert type(face.score) is float
    assert face.landmarks.shape == (5, 2)


def test_index_beyond_the_last(faces):
    with pytest.raises(IndexError):
        faces[3]


def test_a_face_cannot_be_reassigned(faces):
    with pytest.raises(AttributeError):
        faces[0].score = 1.0


@pytest.mark.parametrize(
    "keep", [np.array([True, False, True]), np.array([0, 2]), np.array([2, 0]), slice(None, None, 2)]
)
def test_select(faces, keep):
    chosen = faces[keep]
    assert isinstance(chosen, Detections)
    assert chosen.boxes.tolist() == [
        BOXES[1].tolist(),
        BOXES[0].tolist(),
    ]  # best first, whatever the order asked
    assert chosen.scores.tolist() == [SCORES[1], SCORES[0]]
    assert chosen.landmarks.tolist() == [POINTS[1].tolist(), POINTS[0].tolist()]


def test_select_none(faces):
    assert faces[np.zeros(3, bool)].landmarks.shape == (0, 5, 2)


def test_a_slice_of_one_is_still_detections(faces):
    assert isinstance(faces[:1], Detections)
    assert faces[:1].boxes.tolist() == faces.boxes[:1].tolist()


# ---- other forms ----


def test_clip_cuts_boxes_and_leaves_the_rest(faces):
    cut = faces.clip(45, 70)
    assert cut.boxes.tolist() == [[1, 2, 3, 4], [0, 0, 45, 70], [10, 20, 40, 60]]
    assert cut.boxes.dtype == np.float32
    np.testing.assert_array_equal(cut.scores, faces.scores)
    np.testing.assert_array_equal(cut.landmarks, faces.landmarks)


def test_clip_cuts_x_at_the_width_and_y_at_the_height(faces):
    assert faces.clip(30, 50).boxes[2].tolist() == [10, 20, 30, 50]


def test_clip_does_not_change_its_own(faces):
    faces.clip(1, 1)
    np.testing.assert_array_equal(faces.boxes, BOXES[BEST_FIRST])


def test_to_xywh(faces):
    assert faces.to_xywh().tolist() == [[1, 2, 2, 2], [-5, 0, 55, 90], [10, 20, 30, 40]]
    assert faces.to_xywh().dtype == np.float32


def test_to_dicts_has_plain_numbers(faces):
    best = faces.to_dicts()[0]
    assert best == {
        "box": [1.0, 2.0, 3.0, 4.0],
        "score": 0.9,  # not 0.8999999761581421
        "landmarks": [[10.0, 11.0], [12.0, 13.0], [14.0, 15.0], [16.0, 17.0], [18.0, 19.0]],
    }
    assert type(best["score"]) is float
    assert {type(value) for value in best["box"]} == {float}


@given(
    boxes=arrays(np.float32, (2, 4), elements=st.floats(-8000, 8000, width=32)),
    scores=arrays(np.float32, (2,), elements=st.floats(0, 1, width=32)),
    landmarks=arrays(np.float32, (2, 5, 2), elements=st.floats(-8000, 8000, width=32)),
)
def test_json_there_and_back_again(boxes, scores, landmarks):
    faces = Detections(boxes, scores, landmarks)
    rows = json.loads(faces.to_json())
    again = Detections(*([row[name] for row in rows] for name in ("box", "score", "landmarks")))
    assert_same(again, faces)


def test_json_can_be_indented(faces):
    assert json.loads(faces.to_json(indent=2)) == json.loads(faces.to_json())
    assert "\n  " in faces.to_json(indent=2)


def test_repr():
    one = Detections([[10, 20.25, 40, 60]], [0.98761], POINTS[:1])
    assert repr(one) == "Detections: 1 face\n  score 0.9876  box 10.0 20.2 40.0 60.0"


def test_repr_has_a_line_per_face(faces):
    lines = repr(faces).splitlines()
    assert lines[0] == "Detections: 3 faces"
    assert [line.split()[1] for line in lines[1:]] == ["0.9000", "0.7000", "0.5000"]
