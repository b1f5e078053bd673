"""All figures of a run: plain values whatever was found, counts that add up, recipes that tell runs apart."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minidet
from minidet.datasets import Annotation, Dataset
from minidet.errors import InputError
from minidet.evaluation import average_precision, landmark_errors
from minidet.evaluation.average_precision import AveragePrecision
from minidet.evaluation.evaluate import (
    MeasureSettings,
    annotation_checksum,
    best_f1,
    count_faces,
    detection_recipe,
    measure,
)
from minidet.evaluation.resize_rule import NATIVE, ResizeRule
from minidet.evaluation.views import ViewSettings
from tests.evaluation.making import found, photograph, pictures

A, B, C = [0, 0, 40, 40], [100, 0, 140, 40], [200, 0, 240, 40]
LOW, FLAT, FAR = [300, 0, 340, 9], [400, 0, 440, 0], [900, 0, 940, 40]
POINTS = np.array([[10, 10], [30, 10], [20, 20], [12, 30], [28, 30]], float)
ONE_EYE = POINTS[[0, 0, 2, 3, 4]]
NONE = np.full((5, 2), np.nan)


def evaluate(*pictures, settings=None, exhaustive=True, **options):
    """Measure pairs (detections, photograph)."""
    dataset = Dataset([faces for _, faces in pictures], "test:some", exhaustive=exhaustive)
    return measure([detections for detections, _ in pictures], dataset, settings, **options)


def figures(*pictures, **options):
    """The same as plain values that have been JSON."""
    return as_json(evaluate(*pictures, **options).to_dict())["figures"]


def as_json(document):
    """Write and read; strict JSON has no NaN and no infinity."""
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again == document  # no tuples, no NumPy numbers, no keys but text
    return again


# ---- One run by hand -------------------------------------------------------------------------------

# Three faces that count, one ignored, one too low, one without area, over two photographs. Two are found; one
# mistake lies between them. Points of the first are off by 2 of 20 and of 40 pixels.
FIRST = (
    found((A, 0.75), (FAR, 0.5), (LOW, 0.5), landmarks=[POINTS + np.array([2, 0]), POINTS, POINTS]),
    photograph(A, LOW, FLAT, landmarks=[POINTS, NONE, NONE]),
)
SECOND = (
    found((B, 0.25), (C, 0.9)),
    photograph(A, B, C, ignore=[2], landmarks=[POINTS, NONE, POINTS], name="b.png"),
)


def test_figures_by_hand():
    result = figures(FIRST, SECOND)
    assert result["average_precision"] == pytest.approx((1 + 2 / 3) / 3, abs=1e-15)
    assert (result["faces"], result["found"], result["false_positives"]) == (3, 2, 1)
    assert result["recall"] == 2 / 3
    # Right, wrong, right: F1 is 1/2, 2/5, 2/3.
    assert result["best_f1"] == pytest.approx(
        {"threshold": 0.25, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3}, abs=1e-15
    )
    assert result["recall_at_false_positives"] == {"10": 2 / 3, "100": 2 / 3, "1000": 2 / 3}
    assert result["recall_by_iou"] == [
        {"iou": iou, "found": 2, "faces": 3, "recall": 2 / 3} for iou in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    ]
    heights = {(one["from"], one["to"]): one for one in result["recall_by_height"]}
    assert heights[0, 10] == {"from": 0, "to": 10, "found": 1, "faces": 1, "recall": 1}  # too low to count
    assert heights[32, 48] == {"from": 32, "to": 48, "found": 2, "faces": 3, "recall": 2 / 3}
    assert heights[256, None] == {"from": 256, "to": None, "found": 0, "faces": 0, "recall": None}
    assert result["landmarks"] == {
        "faces": 2,
        "found": 1,
        "inter_ocular": {"mean": 0.1, "median": 0.1},
        "box_size": {"mean": 0.05, "median": 0.05},
        "failure_rate": 0,
        "failure_limit": 0.1,
    }


def test_recipe_by_hand():
    views = ViewSettings(scales=(NATIVE, ResizeRule("short", 60, longest=99)), flip=True, merge="vote")
    settings = MeasureSettings(iou_threshold=0.4, min_face_size=12)
    detector = {"model": "test", "settings": {"threshold": 0.5, "side": None}}
    evaluation = evaluate(FIRST, SECOND, settings=settings, detector=detector, views=views)
    recipe = as_json(evaluation.to_dict())["recipe"]
    assert recipe == {
        "data": {"source": "test:some", "sha256": annotation_checksum([FIRST[1], SECOND[1]])},
        "detector": detector,
        "views": {
            "scales": ["native", "short=60:99"],
            "flip": True,
            "turns": [0],
            "merge": "vote",
            "iou_threshold": 0.4,
        },
        "measure": {"iou_threshold": 0.4, "min_face_size": 12},
        "counts": {
            "photographs": 2,
            "boxes": 6,
            "without_area": 1,
            "ignored": 1,
            "too_small": 1,
            "faces": 3,
        },
    }


def test_recall_of_a_run():
    recall = evaluate(FIRST, SECOND).recall
    assert (recall.found, recall.faces) == (2, 3)


def test_boxes_without_area_are_left_out_before_they_are_measured():
    # With it, the box would be a face that cannot be found.
    assert figures((found((A, 0.9)), photograph(A, FLAT)))["recall"] == 1


def test_settings_reach_every_measure():
    low = [0, 0, 40, 28]
    picture = (found((low, 0.9), landmarks=[POINTS]), photograph(A, LOW, landmarks=[POINTS, POINTS]))
    strict = figures(picture, settings=MeasureSettings(iou_threshold=0.75, min_face_size=0))
    assert (strict["found"], strict["faces"], strict["landmarks"]["found"]) == (0, 2, 0)
    assert strict["landmarks"]["faces"] == 2
    assert sum(one["found"] for one in strict["recall_by_height"]) == 0
    lax = figures(picture, settings=MeasureSettings(iou_threshold=0.7, min_face_size=10))
    assert (lax["found"], lax["faces"], lax["landmarks"]["found"]) == (1, 1, 1)
    assert lax["landmarks"]["faces"] == 1
    assert sum(one["found"] for one in lax["recall_by_height"]) == 1
    assert {one["faces"] for one in lax["recall_by_iou"]} == {1}


def test_the_measures_are_those_of_their_own_files():
    pictures = [FIRST, SECOND]
    detections, faces = [d for d, _ in pictures], [f.usable() for _, f in pictures]
    evaluation = evaluate(*pictures)
    assert evaluation.curve.value == average_precision(detections, faces, min_face_size=10).value
    expected = landmark_errors(detections, faces, min_face_size=10)
    np.testing.assert_array_equal(evaluation.landmarks.inter_ocular, expected.inter_ocular)


# ---- Where something is missing --------------------------------------------------------------------


@pytest.mark.parametrize("exhaustive", [True, False])
@pytest.mark.parametrize(
    "pictures",
    [
        [],
        [(found(), photograph())],
        [(found((A, 0.5)), photograph())],
        [(found(), photograph(A, landmarks=[POINTS]))],
        [(found((A, 0.5)), photograph(A))],
        [(found((LOW, 0.5)), photograph(LOW, FLAT, A, ignore=[2]))],
        [(found((A, 0.5), landmarks=[POINTS]), photograph(A, landmarks=[ONE_EYE]))],
        [(found((A, 0.5), landmarks=[ONE_EYE]), photograph(A, landmarks=[ONE_EYE]))],
        [(found((A, 0)), photograph(A))],
    ],
    ids=[
        "no photographs",
        "no faces, no detections",
        "no faces",
        "no detections",
        "no landmarks",
        "no face that counts",
        "eyes on one spot",
        "eyes on one spot, and seen there",
        "a score of 0",
    ],
)
def test_is_json_all_the_same(pictures, exhaustive):
    result = figures(*pictures, exhaustive=exhaustive)
    assert (result["average_precision"] is None) == (not exhaustive or result["faces"] == 0)
    assert (result["recall"] is None) == (result["faces"] == 0)


def test_without_any_photograph():
    result = figures()
    assert (result["faces"], result["found"], result["false_positives"]) == (0, 0, 0)
    assert result["recall"] is result["best_f1"] is result["landmarks"] is None


def test_without_landmarks():
    assert figures((found((A, 0.9)), photograph(A)))["landmarks"] is None


def test_landmarks_without_a_face_found():
    assert figures((found(), photograph(A, landmarks=[POINTS])))["landmarks"] == {
        "faces": 1,
        "found": 0,
        "inter_ocular": {"mean": None, "median": None},
        "box_size": {"mean": None, "median": None},
        "failure_rate": None,
        "failure_limit": 0.1,
    }


def test_infinite_errors():
    # One face in profile among three spoils the mean and not the median; of two, both.
    profile = (found((A, 0.5), landmarks=[POINTS]), photograph(A, landmarks=[ONE_EYE]))
    straight = (
        found((A, 0.5), landmarks=[POINTS + np.array([0, 2])]),
        photograph(A, landmarks=[POINTS]),
    )
    assert figures(profile, straight, straight)["landmarks"]["inter_ocular"] == {"mean": None, "median": 0.1}
    assert figures(profile, profile)["landmarks"]["inter_ocular"] == {"mean": None, "median": None}
    assert figures(profile, straight)["landmarks"]["inter_ocular"] == {"mean": None, "median": None}


def test_where_not_every_face_is_annotated():
    result = figures(FIRST, SECOND, exhaustive=False)
    assert result["average_precision"] is result["false_positives"] is None
    assert not {"best_f1", "recall_at_false_positives"} & set(result)
    assert result["recall"] == 2 / 3


@given(st.lists(pictures(), max_size=4), st.integers(0, 12), st.booleans())
def test_is_json_and_adds_up_for_anything(pictures, smallest, exhaustive):
    evaluation = evaluate(*pictures, settings=MeasureSettings(min_face_size=smallest), exhaustive=exhaustive)
    document = as_json(evaluation.to_dict())
    counts, result = document["recipe"]["counts"], document["figures"]
    assert counts["photographs"] == len(pictures)
    assert counts["boxes"] == sum(counts[name] for name in ("without_area", "ignored", "too_small", "faces"))
    assert result["faces"] == counts["faces"]
    assert {one["faces"] for one in result["recall_by_iou"]} == {counts["faces"]}
    # Heights are told of small faces, too.
    assert sum(one["faces"] for one in result["recall_by_height"]) == counts["faces"] + counts["too_small"]
    assert result["found"] == next(one["found"] for one in result["recall_by_iou"] if one["iou"] == 0.5)
    if exhaustive:
        judged = result["found"] + result["false_positives"]
        assert judged <= sum(len(detections) for detections, _ in pictures)


# ---- Counting --------------------------------------------------------------------------------------


def test_every_box_is_counted_once():
    # Flat and ignored is flat; low and ignored is ignored.
    faces = photograph(A, LOW, FLAT, FLAT, LOW, ignore=[3, 4])
    assert count_faces([faces, photograph()], counted=1) == {
        "photographs": 2,
        "boxes": 5,
        "without_area": 2,
        "ignored": 1,
        "too_small": 1,
        "faces": 1,
    }
    assert evaluate((found(), faces), (found(), photograph())).recipe["counts"]["faces"] == 1


# ---- F1 --------------------------------------------------------------------------------------------


def test_best_f1():
    curve = AveragePrecision(np.float32([0.9, 0.5, 0.1]), np.array([1, 2, 2]), np.array([0, 0, 6]), faces=3)
    # p, r: 1, 1/3; 1, 2/3; 1/4, 2/3
    assert best_f1(curve) == pytest.approx({"threshold": 0.5, "precision": 1, "recall": 2 / 3, "f1": 0.8})


def test_best_f1_of_nothing():
    empty = np.zeros(0, int)
    assert best_f1(AveragePrecision(np.zeros(0, np.float32), empty, empty, faces=3)) is None
    wrong = AveragePrecision(np.float32([0.5]), np.array([0]), np.array([1]), faces=3)
    assert best_f1(wrong) is None  # F1 is 0 at every threshold: none is best


# ---- Recipes ---------------------------------------------------------------------------------------


def checksum(*annotations):
    return annotation_checksum(annotations)


def test_a_checksum_is_that_of_what_is_annotated():
    def face(name="a.png", box=A, landmarks=None, ignore=None, path="x"):
        return Annotation(path, name, [box], landmarks, ignore)

    same = checksum(face())
    assert len(same) == 64
    assert checksum(face(path="another/folder")) == same
    assert checksum(face(landmarks=[NONE], ignore=[False])) == same
    others = [
        checksum(face(name="b.png")),
        checksum(face(box=B)),
        checksum(face(landmarks=[POINTS])),
        checksum(face(landmarks=[ONE_EYE])),
        checksum(face(ignore=[True])),
        checksum(face(), face()),
        checksum(),
        checksum(Annotation("x", "a.png", [])),
        checksum(Annotation("x", "a.png", [A, A])),
    ]
    assert len({same, *others}) == len(others) + 1


def test_a_checksum_depends_on_the_order():
    one, other = photograph(A), photograph(B, name="b.png")
    assert checksum(one, other) != checksum(other, one)


def test_a_checksum_of_a_name_that_is_no_text():
    # A file name of bytes that are no UTF-8, as Python reads it.
    assert checksum(photograph(A, name=b"caf\xe9.png".decode("utf-8", "surrogateescape"))) != checksum(
        photograph(A, name="cafe.png")
    )


def test_detection_recipe_is_what_decides_the_detections():
    dataset, views = Dataset([photograph(A)], "test:some"), ViewSettings()
    recipe = as_json(detection_recipe(dataset, {"model": "m"}, views))
    assert list(recipe) == ["data", "views", "detector"]
    others = [
        detection_recipe(Dataset([photograph(B)], "test:some"), {"model": "m"}, views),
        detection_recipe(Dataset([photograph(A)], "test:other"), {"model": "m"}, views),
        detection_recipe(dataset, {"model": "n"}, views),
        detection_recipe(dataset, {"model": "m"}, ViewSettings(turns=(1,))),
        detection_recipe(dataset, {"model": "m"}, ViewSettings(flip=True, merge="nms")),
        detection_recipe(dataset, {"model": "m"}, ViewSettings(scales=(ResizeRule("long", 9),))),
        detection_recipe(dataset, {"model": "m"}, ViewSettings(merge="vote")),
        detection_recipe(dataset, {"model": "m"}, ViewSettings(iou_threshold=0.3)),
    ]
    assert len({json.dumps(one) for one in (recipe, *others)}) == len(others) + 1
    assert evaluate((found(), photograph(A))).recipe["views"] == recipe["views"]


@pytest.mark.parametrize("model", [minidet.RetinaFace, minidet.MTCNN])
def test_the_recipe_of_a_real_detector_is_in_it(model):
    recipe = model().recipe
    document = as_json_text(evaluate((found(), photograph(A)), detector=recipe).to_dict())
    assert document["recipe"]["detector"]["sha256"] == recipe["sha256"]
    assert len(recipe["sha256"]) == 64
    assert document["recipe"]["detector"]["weights"] == recipe["weights"]
    other = {minidet.RetinaFace: {"score_threshold": 0.25}, minidet.MTCNN: {"min_face_size": 33}}[model]
    changed = model(**other).recipe
    assert changed != recipe
    assert changed["settings"] | {name: recipe["settings"][name] for name in other} == recipe["settings"]


def as_json_text(document):
    """Write and read as strict JSON; tuples become lists."""
    return json.loads(json.dumps(document, allow_nan=False))


# ---- What is refused -------------------------------------------------------------------------------


def test_one_result_per_photograph():
    with pytest.raises(InputError, match=r"1 detections for 0 photographs; expected one for each"):
        measure([found()], Dataset([], "nothing"))


@pytest.mark.parametrize(
    "settings",
    [MeasureSettings(iou_threshold=0), MeasureSettings(min_face_size=-1), MeasureSettings(math.nan)],
)
def test_settings_out_of_range(settings):
    with pytest.raises(InputError, match=r"expected"):
        measure([], Dataset([], "nothing"), settings)


def test_of_no_faces_no_share_is_told():
    result = figures((found((A, 0.5)), photograph()))
    assert result["false_positives"] == 1
    assert result["best_f1"] is None
    assert result["recall_at_false_positives"] == {"10": None, "100": None, "1000": None}
