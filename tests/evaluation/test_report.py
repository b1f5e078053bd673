"""An evaluation in words."""

import numpy as np

from minidet.datasets import Annotation, Dataset
from minidet.detections import Detections
from minidet.evaluation import MeasureSettings, ResizeRule, ViewSettings, describe, measure

FIVE = np.array([[[8, 12], [18, 12], [13, 18], [9, 22], [17, 22]]], float)
DETECTOR = {
    "model": "retinaface",
    "weights": "some",
    "sha256": "0123456789abcdef",
    "backend": "fast",
    "settings": {"score_threshold": 0.02, "max_side": None},
}


def lines(text):
    return dict(line.split("  ", 1) for line in text.splitlines() if line)


def test_every_line_of_an_exhaustive_set():
    annotations = [
        Annotation("a.png", "a.png", [[0, 0, 20, 30], [50, 0, 70, 12], [0, 0, 5, 4]], None, [0, 1, 0]),
        Annotation("b.png", "b.png", [[0, 0, 20, 20], [3, 3, 3, 9]]),
    ]
    found = [
        Detections([[0, 0, 20, 30], [90, 90, 120, 120]], [0.9, 0.8], np.zeros((2, 5, 2))),
        Detections.empty(),
    ]
    views = ViewSettings((ResizeRule.parse("short=500"),), flip=True, turns=(0, 2), merge="soft-gaussian")
    evaluation = measure(found, Dataset(annotations, "voc:x"), detector=DETECTOR, views=views)
    text = {name: value.strip() for name, value in lines(describe(evaluation)).items()}
    assert text == {
        "data": "voc:x: 2 photographs, 2 faces (1 marked to be ignored, 1 too small, 1 without area besides)",
        "detector": "retinaface, weights some (sha256 0123456789ab), backend fast, score_threshold=0.02",
        "views": "size short=500; mirrored too; turned by 0, 180 degrees; merged by soft-gaussian",
        "measure": "found from IoU 0.5 up; faces of 10 px and more count",
        "average precision": "0.5000",
        "recall": "0.5000 (1 of 2)",
        "recall by false positives": "0.500 at 10, 0.500 at 100, 0.500 at 1000",
        "best threshold": "0.900: precision 1.000, recall 0.500, F1 0.667",
        "recall by IoU": ", ".join(f"0.500 at 0.{i}" for i in range(3, 10)),
        "recall, 0-10 px": "0.0000 (0 of 1)",
        "recall, 16-24 px": "0.0000 (0 of 1)",
        "recall, 24-32 px": "1.0000 (1 of 1)",
    }


def test_a_set_that_is_not_exhaustive_has_no_precision_but_landmarks():
    annotations = [Annotation("a.png", "a.png", [[0, 0, 25, 36]], FIVE)]
    found = [
        Detections(
            [[0, 0, 25, 36], [90, 90, 120, 120]], [0.9, 0.8], np.concatenate([FIVE + np.array([3, 0]), FIVE])
        )
    ]
    dataset = Dataset(annotations, "points:x", exhaustive=False)
    evaluation = measure(found, dataset, MeasureSettings(min_face_size=0), detector=DETECTOR)
    text = describe(evaluation)
    assert "precision" not in text
    assert "false" not in text
    assert text.splitlines()[-4:] == [
        "landmarks                  1 of 1 faces with landmarks found",
        "error by distance of eyes  mean 30.00 %, median 30.00 %",  # 3 of 10 pixels
        "error by size of box       mean 10.00 %, median 10.00 %",  # 3 of sqrt(25 * 36) = 30
        "failures                   0.00 % of them above 10 % of the size of the box",
    ]


def test_no_detection_at_all():
    annotations = [Annotation("a.png", "a.png", [])]
    evaluation = measure([Detections.empty()], Dataset(annotations, "voc:x"), detector=DETECTOR)
    text = describe(evaluation)
    assert "no faces" in text
    assert "nan" not in text


def test_detections_but_no_faces():
    found = Detections([[10, 10, 40, 40]], [0.9], np.zeros((1, 5, 2)))
    evaluation = measure([found], Dataset([Annotation("a.png", "a.png", [])], "voc:x"), detector=DETECTOR)
    assert describe(evaluation).splitlines()[-2:] == [  # and no share of nothing, nor a best threshold
        "average precision  no faces",
        "recall             no faces",
    ]
