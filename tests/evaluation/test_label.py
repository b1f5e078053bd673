"""A detector as a teacher: which detection becomes what, on boxes that can be checked by eye."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from minidet.datasets import Annotation
from minidet.detections import Detections
from minidet.errors import InputError
from minidet.evaluation import (
    LabelCounts,
    LabelSettings,
    ResizeRule,
    ViewSettings,
    describe_labels,
    label_photograph,
    label_photographs,
)

SIZE = (200, 100)
POINTS = np.array([[6, 8], [14, 8], [10, 12], [7, 16], [13, 16]], np.float32)
"""Of a face in the box 0 0 20 20."""
FACE = [0, 0, 20, 20]


def at(x, y=0):
    """A face of 20 pixels, moved."""
    return [x, y, x + 20, y + 20]


def points_at(x, y=0):
    """The points of such a face."""
    return POINTS + np.float32([x, y])


def found(*faces):
    """Detections of (box, score); each has the points of its place."""
    return Detections(
        np.reshape([box for box, _ in faces], (-1, 4)),
        [score for _, score in faces],
        np.reshape([POINTS + box[:2] for box, _ in faces], (-1, 5, 2)),
    )


def annotated(*boxes, points=None, ignore=None):
    return Annotation("a.jpg", "a.jpg", list(boxes), points, ignore)


def label(annotation, detections, **settings):
    return label_photograph(annotation, detections, SIZE, LabelSettings(**settings))


def changed(counts):
    """The counts that are not 0, without the number of photographs."""
    return {name: number for name, number in counts._asdict().items() if number and name != "photographs"}


def test_nothing_annotated_sure_doubtful_and_no_face():
    faces = found((at(0), 0.9), (at(40), 0.81), (at(80), 0.8), (at(120), 0.31), (at(160), 0.3))
    result, counts = label(annotated(), faces)
    np.testing.assert_array_equal(result.boxes, [at(0), at(40), at(80), at(120)])
    np.testing.assert_array_equal(result.ignore, [False, False, True, True])
    np.testing.assert_array_equal(result.landmark_mask, [True, True, False, False])
    np.testing.assert_array_equal(result.landmarks[1], points_at(40, 0))
    assert (result.name, result.size, str(result.path)) == ("a.jpg", SIZE, "a.jpg")
    assert changed(counts) == {"added": 2, "ignored": 2}
    assert counts.photographs == 1


def test_no_doubtful_faces_on_request():
    result, counts = label(annotated(), found((at(0), 0.9), (at(40), 0.5)), ignore_score=None)
    np.testing.assert_array_equal(result.boxes, [at(0)])
    assert changed(counts) == {"added": 1}


def test_a_face_without_landmarks_gets_them_and_keeps_its_box():
    moved = [2, 1, 22, 21]  # IoU 18 * 19 / (800 - 342) = 0.75
    result, counts = label(annotated(at(100), FACE), found((moved, 0.9)))
    np.testing.assert_array_equal(result.boxes, [at(100), FACE])
    np.testing.assert_array_equal(result.landmark_mask, [False, True])
    np.testing.assert_array_equal(result.landmarks[1], points_at(2, 1))
    assert changed(counts) == {"kept": 2, "got_landmarks": 1}


def test_a_doubtful_detection_gives_no_landmarks():
    result, counts = label(annotated(FACE), found((FACE, 0.6)))
    assert not result.landmark_mask.any()
    assert changed(counts) == {"kept": 1}


def test_landmarks_that_are_there_stay():
    points = POINTS[None] + 0.5
    for teacher_boxes in (False, True):
        result, counts = label(
            annotated(FACE, points=points), found(([1, 0, 21, 20], 0.9)), teacher_boxes=teacher_boxes
        )
        np.testing.assert_array_equal(result.landmarks, points)
        np.testing.assert_array_equal(result.boxes, [[1, 0, 21, 20] if teacher_boxes else FACE])
        assert changed(counts) == {"kept": 1, "agree": 1}


@pytest.mark.parametrize(("shift", "agrees"), [(1.4, True), (1.6, False)])
def test_landmarks_agree_up_to_a_share_of_the_box(shift, agrees):
    # 0.075 of a box of 20 x 20 is 1.5 pixels.
    points = POINTS[None] + [0, shift]
    result, counts = label(annotated(FACE, points=points), found(([0, 0, 20, 19], 0.9)), teacher_boxes=True)
    assert changed(counts) == {"kept": 1, "agree" if agrees else "disagree": 1}
    np.testing.assert_array_equal(result.boxes, [[0, 0, 20, 19] if agrees else FACE])
    np.testing.assert_array_equal(result.landmarks, points.astype(np.float32))


def test_the_mean_distance_decides():
    points = POINTS[None].copy()
    points[0, 0, 1] += 7  # 7 / 5 = 1.4
    _, counts = label(annotated(FACE, points=points), found((FACE, 0.9)))
    assert changed(counts) == {"kept": 1, "agree": 1}


def test_a_face_without_landmarks_keeps_its_box_whatever_is_asked_for():
    result, _ = label(annotated(FACE), found(([1, 0, 21, 20], 0.9)), teacher_boxes=True)
    np.testing.assert_array_equal(result.boxes, [FACE])


def test_a_box_between_the_thresholds_is_left_undecided():
    for x, expected in [
        (6, {"kept": 1, "got_landmarks": 1}),  # 14 / 26 = 0.54
        (8, {"kept": 1, "undecided": 1}),  # 12 / 28 = 0.43
        (13, {"kept": 1, "undecided": 1}),  # 7 / 33 = 0.21
        (14, {"kept": 1, "added": 1}),  # 6 / 34 = 0.18
    ]:
        result, counts = label(annotated(FACE), found((at(x), 0.9)))
        assert changed(counts) == expected
        assert len(result.boxes) == 1 + counts.added


def test_a_doubtful_box_near_an_annotated_face_is_left_out():
    result, counts = label(annotated(FACE), found((at(10), 0.5), (at(60), 0.5)))
    np.testing.assert_array_equal(result.boxes, [FACE, at(60)])
    assert changed(counts) == {"kept": 1, "ignored": 1}


def test_a_face_found_twice_is_not_added():
    result, counts = label(annotated(FACE), found((at(1), 0.9), (at(2), 0.85)))
    np.testing.assert_array_equal(result.landmarks, [points_at(1, 0)])
    assert changed(counts) == {"kept": 1, "got_landmarks": 1, "undecided": 1}


def test_ignored_faces_stay_and_nothing_is_added_inside_them():
    crowd = [0, 0, 100, 100]
    faces = found((at(10, 10), 0.9), (at(50, 50), 0.5), (at(95), 0.9))
    result, counts = label(annotated(crowd, ignore=[True]), faces)
    np.testing.assert_array_equal(result.boxes, [crowd, at(95)])  # a quarter of the last is inside
    np.testing.assert_array_equal(result.ignore, [True, False])
    np.testing.assert_array_equal(result.landmark_mask, [False, True])
    assert changed(counts) == {"kept": 1, "added": 1}


def test_only_what_is_annotated():
    result, counts = label(
        annotated(FACE), found((FACE, 0.9), (at(60), 0.9), (at(100), 0.5)), add_faces=False
    )
    np.testing.assert_array_equal(result.boxes, [FACE])
    assert result.landmark_mask.all()
    assert changed(counts) == {"kept": 1, "got_landmarks": 1}


def test_small_detections_are_doubtful():
    small = [100, 0, 110, 19]
    result, counts = label(annotated(), found((at(0), 0.9), (small, 0.9)), min_face=20)
    np.testing.assert_array_equal(result.boxes, [at(0), small])
    np.testing.assert_array_equal(result.ignore, [False, True])
    result, _ = label(annotated(), found((at(0), 0.9), (small, 0.9)), min_face=20, ignore_score=None)
    np.testing.assert_array_equal(result.boxes, [at(0)])
    _, counts = label(annotated(small), found((small, 0.9)), min_face=20)
    assert changed(counts) == {"kept": 1}


def test_boxes_are_cut_at_the_edges():
    faces = found(([-5, -6, 20, 20], 0.9), ([190, 90, 210, 120], 0.85), ([200, 0, 220, 20], 0.95))
    result, counts = label(annotated(), faces)
    np.testing.assert_array_equal(result.boxes, [[0, 0, 20, 20], [190, 90, 200, 100]])
    assert changed(counts) == {"added": 2}  # the third is outside


def test_nothing_found():
    result, counts = label(annotated(FACE), Detections.empty())
    np.testing.assert_array_equal(result.boxes, [FACE])
    assert changed(counts) == {"kept": 1}
    result, counts = label(annotated(), Detections.empty())
    assert result.boxes.shape == (0, 4)
    assert changed(counts) == {}


def test_a_box_without_area_stays():
    result, _ = label(annotated([5, 5, 5, 9]), found((FACE, 0.9)))
    np.testing.assert_array_equal(result.boxes, [[5, 5, 5, 9], FACE])


def test_the_annotation_given_is_not_written_to():
    annotation = annotated(FACE, at(40), points=[np.full((5, 2), np.nan), points_at(40, 0)])
    boxes, landmarks = annotation.boxes.copy(), annotation.landmarks.copy()
    label(annotation, found((at(1), 0.9), (at(41), 0.9)), teacher_boxes=True, agreement=0.5)
    np.testing.assert_array_equal(annotation.boxes, boxes)
    np.testing.assert_array_equal(annotation.landmarks, landmarks)


# ---- many photographs ----


class ByBrightness:
    """A detector that reports one face, as far to the right as the photograph is bright."""

    def __init__(self):
        self.threads = set()

    def detect(self, image):
        self.threads.add(threading.get_ident())
        if image[0, 0, 0] == 66:
            raise InputError("too dull")
        return found((at(int(image[0, 0, 0])), 0.9))


@pytest.fixture
def photographs(tmp_path):
    """Annotations of six grey photographs."""
    annotations = []
    for shade in (10, 20, 30, 40, 50, 60):
        path = tmp_path / f"{shade}.png"
        Image.new("RGB", (120, 90), (shade,) * 3).save(path)
        annotations.append(Annotation(path, path.name, []))
    return annotations


@pytest.mark.parametrize("jobs", [1, 2])
def test_photographs_in_their_order(photographs, jobs):
    result = label_photographs(photographs, ByBrightness(), jobs=jobs, progress=False)
    assert [one.boxes.tolist() for one in result.annotations] == [[at(x)] for x in (10, 20, 30, 40, 50, 60)]
    assert [one.name for one in result.annotations] == [one.name for one in photographs]
    assert {one.size for one in result.annotations} == {(120, 90)}
    assert result.counts == LabelCounts(photographs=6, added=6)
    assert result.unreadable == 0


def test_what_cannot_be_read_is_reported_and_left_out(photographs, tmp_path):
    (tmp_path / "20.png").write_text("no picture")
    Image.new("RGB", (120, 90), (66, 0, 0)).save(tmp_path / "40.png")
    (tmp_path / "50.png").unlink()
    told = []
    result = label_photographs(
        photographs,
        ByBrightness(),
        jobs=2,
        on_error=lambda annotation, error: told.append((annotation.name, str(error))),
        progress=False,
    )
    assert [one.name for one in result.annotations] == ["10.png", "30.png", "60.png"]
    assert result.counts == LabelCounts(photographs=3, added=3)
    assert result.unreadable == 3
    assert [name for name, _ in told] == ["20.png", "40.png", "50.png"]
    assert told[1][1] == "too dull"


def test_without_somebody_to_tell_the_error_is_raised(photographs, tmp_path):
    Image.new("RGB", (120, 90), (66, 0, 0)).save(tmp_path / "40.png")
    with pytest.raises(InputError, match=r"40\.png: too dull"):
        label_photographs(photographs, ByBrightness(), progress=False)


def test_nothing_to_label():
    assert label_photographs([], ByBrightness(), progress=False) == ([], LabelCounts(), 0)


def test_views_and_settings_reach_the_detector(photographs):
    views = ViewSettings(scales=(ResizeRule.parse("240x180"),))
    result = label_photographs(photographs[:1], ByBrightness(), views=views, progress=False)
    np.testing.assert_allclose(result.annotations[0].boxes, [[5, 0, 15, 10]])  # seen at twice the size
    result = label_photographs(
        photographs[:1], ByBrightness(), LabelSettings(min_score=0.95, ignore_score=0.5), progress=False
    )
    assert result.counts == LabelCounts(photographs=1, ignored=1)


# ---- settings, words ----


def test_defaults_want_a_sure_teacher():
    settings = LabelSettings()
    assert (settings.min_score, settings.least_score, settings.add_faces) == (0.8, 0.3, True)
    assert replace(settings, ignore_score=None).least_score == 0.8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_score": 1.2}, "min_score=1.2; expected 0 to 1"),
        ({"iou_threshold": -1}, "iou_threshold=-1; expected 0 to 1"),
        ({"new_face_iou": float("nan")}, "new_face_iou=nan; expected 0 to 1"),
        (
            {"ignore_score": 0.8},
            r"ignore_score=0\.8; expected 0 or more and less than min_score=0\.8, or None",
        ),
        ({"ignore_score": -0.1}, r"ignore_score=-0\.1; expected 0 or more"),
        ({"new_face_iou": 0.6}, r"new_face_iou=0\.6 is above iou_threshold=0\.5"),
        ({"min_face": -1}, "min_face=-1; expected 0 or more"),
        ({"agreement": float("inf")}, "agreement=inf; expected 0 or more"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(InputError, match=message):
        LabelSettings(**settings)


@pytest.mark.parametrize(
    ("counts", "settings", "text"),
    [
        (LabelCounts(1), {}, "1 photograph: no faces"),
        (
            LabelCounts(2, kept=1, agree=1),
            {},
            "2 photographs: 1 face kept, 1 with landmarks like the teacher's",
        ),
        (
            LabelCounts(683, kept=835, agree=832, disagree=3, added=1),
            {"teacher_boxes": True},
            "683 photographs: 835 faces kept, 832 got the teacher's box, 3 with other landmarks than the "
            "teacher's, 1 face added",
        ),
    ],
)
def test_in_words(counts, settings, text):
    assert describe_labels(counts, LabelSettings(**settings)) == text
