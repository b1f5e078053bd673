"""Measuring detectors: average precision, recall, landmark errors, the WIDER FACE protocol.

Where to read on::

    matching           which detection found which face
    average_precision  the curve of precision over recall, and its area; recall, landmarks: further measures
    widerface          the official protocol of WIDER FACE, on prediction files (widerface_files)
    views              test-time settings: sizes (resize_rule), mirror, turns, and how results are merged
    predict            a detector over a data set, in parallel, resumable (journal)
    evaluate           all figures with their recipe; report: in words
    rotation           recall against the angle of a face
    label              a detector as a teacher: what it finds completes annotations
"""

from minidet.evaluation.average_precision import AveragePrecision, average_precision
from minidet.evaluation.evaluate import (
    Evaluation,
    MeasureSettings,
    best_f1,
    data_recipe,
    detection_recipe,
    measure,
)
from minidet.evaluation.faces import AnnotatedFaces
from minidet.evaluation.label import (
    LabelCounts,
    Labelled,
    LabelSettings,
    describe_labels,
    label_photograph,
    label_photographs,
)
from minidet.evaluation.landmarks import LandmarkErrors, landmark_errors
from minidet.evaluation.matching import Matched, Outcome, match_detections
from minidet.evaluation.predict import predict
from minidet.evaluation.recall import Recall, recall_by_iou, recall_by_size
from minidet.evaluation.report import describe, describe_recipe, describe_wider, height_label
from minidet.evaluation.resize_rule import NATIVE, ResizeRule
from minidet.evaluation.rotation import recall_by_angle, turned
from minidet.evaluation.views import FaceDetector, Merge, ViewSettings, detect_views, merge_detections
from minidet.evaluation.widerface import WiderCurve, widerface_ap, widerface_curves
from minidet.evaluation.widerface_files import read_predictions, write_predictions

__all__ = [
    "NATIVE",
    "AnnotatedFaces",
    "AveragePrecision",
    "Evaluation",
    "FaceDetector",
    "LabelCounts",
    "LabelSettings",
    "Labelled",
    "LandmarkErrors",
    "Matched",
    "MeasureSettings",
    "Merge",
    "Outcome",
    "Recall",
    "ResizeRule",
    "ViewSettings",
    "WiderCurve",
    "average_precision",
    "best_f1",
    "data_recipe",
    "describe",
    "describe_labels",
    "describe_recipe",
    "describe_wider",
    "detect_views",
    "detection_recipe",
    "height_label",
    "label_photograph",
    "label_photographs",
    "landmark_errors",
    "match_detections",
    "measure",
    "merge_detections",
    "predict",
    "read_predictions",
    "recall_by_angle",
    "recall_by_iou",
    "recall_by_size",
    "turned",
    "widerface_ap",
    "widerface_curves",
    "write_predictions",
]
