"""Landmark errors: by hand, by a slow twin, and who is measured at all."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minidet.boxes import mirror_landmarks
from minidet.errors import InputError
from minidet.evaluation.landmarks import LandmarkErrors, landmark_errors
from tests.evaluation.making import found, photograph

BOX, OTHER = [0, 0, 40, 40], [100, 0, 140, 40]
POINTS = np.array([[10, 10], [30, 10], [20, 20], [12, 30], [28, 30]], float)  # the eyes are 20 apart
NONE = np.full((5, 2), np.nan)

some_points = arrays(np.float32, (5, 2), elements=st.integers(-64, 64).map(lambda n: n / 4))


def errors_of(*pictures, **settings):
    return landmark_errors([d for d, _ in pictures], [f for _, f in pictures], **settings)


def moved(x, y, points=POINTS):
    """All points so far to the right and down."""
    return points + np.array([x, y])


def one(points, true=POINTS, box=BOX):
    """One face, found, with these points."""
    return errors_of((found((box, 0.9), landmarks=[points]), photograph(box, landmarks=[true])))


# ---- By hand ---------------------------------------------------------------------------------------


def test_no_error_at_all_is_zero():
    errors = one(POINTS)
    assert (errors.inter_ocular.tolist(), errors.box_size.tolist()) == ([0.0], [0.0])
    assert (errors.found, errors.faces) == (1, 1)


def test_all_points_off_by_a_triangle():
    errors = one(moved(3, -4))  # 5 pixels each
    assert errors.inter_ocular.tolist() == [5 / 20]
    assert errors.box_size.tolist() == [5 / 40]


def test_the_mean_over_the_five():
    points = POINTS.copy()
    points[2] += [0, 10]
    points[4] += [-20, 0]
    errors = one(points)
    assert errors.inter_ocular.tolist() == [(10 + 20) / 5 / 20]
    assert errors.box_size.tolist() == [(10 + 20) / 5 / 40]


def test_the_size_of_a_box_is_the_root_of_its_area():
    assert one(moved(6, 0), box=[0, 0, 20, 45]).box_size.tolist() == [6 / 30]


def test_true_eyes_and_true_box_are_the_measure():
    # The detection is twice as wide, and its eyes are 40 apart.
    points = POINTS * [2, 1]
    detections = found(([0, 0, 80, 40], 0.9), landmarks=[points])
    errors = errors_of((detections, photograph(BOX, landmarks=[POINTS])))
    off = (10 + 30 + 20 + 12 + 28) / 5
    assert errors.inter_ocular.tolist() == [off / 20]
    assert errors.box_size.tolist() == [off / 40]


def test_names_of_left_and_right_matter():
    # The true points of a symmetric face, left and right exchanged: eyes 20 off, corners 16, the nose 0.
    exchanged = POINTS[[1, 0, 2, 4, 3]]
    assert one(exchanged).inter_ocular.tolist() == [(20 + 20 + 0 + 16 + 16) / 5 / 20]
    # Mirrored with its names, that face is itself again.
    assert one(mirror_landmarks(POINTS[None], 40)[0]).inter_ocular.tolist() == [0]
    assert one(moved(40, 0, POINTS * [-1, 1])).inter_ocular.tolist() == [(20 + 20 + 0 + 16 + 16) / 5 / 20]


def test_eyes_on_one_spot():
    profile = POINTS.copy()
    profile[1] = profile[0]
    assert one(profile, true=profile).inter_ocular.tolist() == [0]
    errors = one(moved(0, 1, profile), true=profile)
    assert errors.inter_ocular.tolist() == [math.inf]
    assert errors.box_size.tolist() == [1 / 40]


# ---- Who is measured -------------------------------------------------------------------------------


def test_a_missed_face_has_no_error_but_is_one_of_the_faces():
    faces = photograph(BOX, OTHER, landmarks=[POINTS, moved(100, 0)])
    errors = errors_of((found((OTHER, 0.9), landmarks=[moved(102, 0)]), faces))
    assert errors.inter_ocular.tolist() == [2 / 20]
    assert (errors.found, errors.faces) == (1, 2)


def test_faces_without_landmarks_are_neither_faces_nor_errors():
    faces = photograph(BOX, OTHER, landmarks=[NONE, moved(100, 0)])
    detections = found((BOX, 0.9), (OTHER, 0.8), landmarks=[POINTS, moved(101, 0)])
    errors = errors_of((detections, faces))
    assert errors.inter_ocular.tolist() == [1 / 20]
    assert errors.faces == 1


def test_a_face_with_one_point_missing_has_no_landmarks():
    true = POINTS.copy()
    true[4, 1] = np.nan
    errors = one(POINTS, true=true)
    assert (errors.found, errors.faces) == (0, 0)


def test_mistakes_and_second_hits_have_no_error():
    boxes = [(BOX, 0.9), (BOX, 0.8), ([500, 0, 540, 40], 0.7)]
    detections = found(*boxes, landmarks=[moved(1, 0), POINTS, POINTS])
    errors = errors_of((detections, photograph(BOX, landmarks=[POINTS])))
    assert errors.inter_ocular.tolist() == [1 / 20]


def test_ignored_and_small_faces_are_left_out():
    low = [100, 0, 140, 20]
    faces = photograph(BOX, low, OTHER, landmarks=[POINTS] * 3, ignore=[2])
    detections = found((BOX, 0.9), (low, 0.9), (OTHER, 0.9), landmarks=[POINTS] * 3)
    assert (errors_of((detections, faces)).found, errors_of((detections, faces)).faces) == (2, 2)
    errors = errors_of((detections, faces), min_face_size=21)
    assert (errors.found, errors.faces) == (1, 1)


def test_the_overlap_that_is_wanted():
    picture = (found(([0, 0, 40, 28], 0.9), landmarks=[POINTS]), photograph(BOX, landmarks=[POINTS]))
    assert [errors_of(picture, iou_threshold=t).found for t in (0.7, 0.71)] == [1, 0]


def test_every_detection_is_held_against_its_own_face():
    # The faces of the annotation come in another order than the detections, and there are two photographs.
    faces = photograph(BOX, OTHER, landmarks=[POINTS, moved(100, 0)])
    detections = found((OTHER, 0.9), (BOX, 0.8), landmarks=[moved(104, 0), moved(2, 0)])
    errors = errors_of((detections, faces), (found((BOX, 0.9), landmarks=[POINTS]), faces))
    assert errors.inter_ocular.tolist() == [4 / 20, 2 / 20, 0]
    assert errors.faces == 4


def test_nothing_to_measure():
    for errors in (errors_of(), errors_of((found(), photograph())), errors_of((found(), photograph(BOX)))):
        assert (errors.found, errors.faces) == (0, 0)
        assert math.isnan(errors.failure_rate())


# ---- Failures --------------------------------------------------------------------------------------


def test_failures_are_above_the_limit():
    errors = LandmarkErrors(np.zeros(4), np.array([0.05, 0.1, 0.2, np.inf]), faces=9)
    assert errors.failure_rate() == 2 / 4  # 0.1 is not above 0.1
    assert errors.failure_rate(0.04) == 1
    assert errors.failure_rate(0.2) == 1 / 4


# ---- What is refused -------------------------------------------------------------------------------


def test_what_is_refused():
    with pytest.raises(InputError, match=r"^landmark_errors: 0 detections for 1 photographs"):
        landmark_errors([], [photograph()])
    with pytest.raises(InputError, match=r"^landmark_errors: iou_threshold=0;"):
        landmark_errors([], [], iou_threshold=0)
    with pytest.raises(InputError, match=r"^landmark_errors: min_face_size=-1;"):
        landmark_errors([], [], min_face_size=-1)


# ---- The definition, once more, slowly -------------------------------------------------------------


@given(some_points, some_points)
def test_equals_the_slow_twin(points, true):
    errors = one(points, true=true)
    off = sum(math.dist(p.tolist(), q.tolist()) for p, q in zip(points, true, strict=True)) / 5
    eyes = math.dist(true[0].tolist(), true[1].tolist())
    expected = off / eyes if eyes else (math.inf if off else 0)
    assert errors.inter_ocular[0] == pytest.approx(expected, rel=1e-12)
    assert errors.box_size[0] == pytest.approx(off / 40, rel=1e-12)


@given(some_points, some_points, st.sampled_from([0.25, 2, 8]))
def test_does_not_depend_on_the_size_of_the_photograph(points, true, factor):
    errors = one(points, true=true)
    larger = one(points * factor, true=true * factor, box=np.array(BOX) * factor)
    np.testing.assert_allclose(larger.inter_ocular, errors.inter_ocular, rtol=1e-12)
    np.testing.assert_allclose(larger.box_size, errors.box_size, rtol=1e-12)
