"""All figures about a detector on a data set, together with the recipe that leads to them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minidet.datasets import Annotation, Dataset
from minidet.detections import Detections
from minidet.evaluation.average_precision import AveragePrecision, average_precision
from minidet.evaluation.landmarks import FAILURE, LandmarkErrors, landmark_errors
from minidet.evaluation.recall import Recall, recall_by_iou, recall_by_size
from minidet.evaluation.views import ViewSettings

FALSE_POSITIVES = (10, 100, 1000)
"""Where FDDB's curve is quoted."""


@dataclass(frozen=True)
class MeasureSettings:
    """What counts as found, and what counts at all.

    Attributes
    ----------
    iou_threshold : float
        How well a box has to fit. 0.5 is the rule of Pascal VOC, FDDB and WIDER FACE.
    min_face_size : float
        Faces of a smaller height, in pixels, do not count. Below 10 neither people nor detectors agree on
        what is a face; WIDER FACE draws its line there, too.
    """

    iou_threshold: float = 0.5
    min_face_size: float = 10


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Every figure of one run.

    Attributes
    ----------
    recipe : dict
        All that decides the figures, in plain values.
    curve : AveragePrecision
    by_iou : dict of IoU to Recall
    by_size : dict of (lower, upper) height to Recall
    landmarks : LandmarkErrors
    exhaustive : bool
        Whether every face of the photographs is annotated; where not, there is no average precision.
    """

    recipe: dict[str, Any]
    curve: AveragePrecision
    by_iou: dict[float, Recall]
    by_size: dict[tuple[float, float], Recall]
    landmarks: LandmarkErrors
    exhaustive: bool

    @property
    def recall(self) -> Recall:
        """Of all detections, whatever their score, at the IoU of the recipe."""
        found = int(self.curve.true_positives[-1]) if len(self.curve.true_positives) else 0
        return Recall(found, self.curve.faces)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe and all figures as plain values, ready for JSON; what does not exist is None."""
        figures: dict[str, Any] = {
            "average_precision": self.curve.value if self.exhaustive and self.curve.faces else None,
            "recall": _plain(self.recall.value),
            "faces": self.curve.faces,
            "found": self.recall.found,
            "false_positives": _last(self.curve.false_positives) if self.exhaustive else None,
        }
        if self.exhaustive:
            figures["best_f1"] = best_f1(self.curve)
            figures["recall_at_false_positives"] = {
                str(count): self.curve.recall_at_false_positives(count) if self.curve.faces else None
                for count in FALSE_POSITIVES
            }
        figures["recall_by_iou"] = [
            {"iou": threshold, **asdict(recall), "recall": _plain(recall.value)}
            for threshold, recall in self.by_iou.items()
        ]
        figures["recall_by_height"] = [
            {"from": lower, "to": _plain(upper), **asdict(recall), "recall": _plain(recall.value)}
            for (lower, upper), recall in self.by_size.items()
        ]
        figures["landmarks"] = _landmark_figures(self.landmarks)
        return {"recipe": self.recipe, "figures": figures}


def measure(
    detections: Sequence[Detections],
    dataset: Dataset,
    settings: MeasureSettings | None = None,
    *,
    detector: dict[str, Any] | None = None,
    views: ViewSettings | None = None,
) -> Evaluation:
    """Compare what a detector found with the annotations of a data set.

    Parameters
    ----------
    detections : sequence of Detections
        One per photograph, as :func:`minidet.evaluation.predict` returns them.
    dataset : Dataset
    settings : MeasureSettings, optional
    detector : dict, optional
        The ``recipe`` of the detector, which becomes part of the evaluation's.
    views : ViewSettings, optional
        How the photographs were shown to it, likewise.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        If there is not one result per photograph, or a setting is out of range.
    """
    settings = settings or MeasureSettings()
    faces = [annotation.usable() for annotation in dataset.annotations]
    iou, size = settings.iou_threshold, settings.min_face_size
    curve = average_precision(detections, faces, iou_threshold=iou, min_face_size=size)
    recipe = {
        **detection_recipe(dataset, detector or {}, views or ViewSettings()),
        "measure": asdict(settings),
        "counts": count_faces(dataset.annotations, curve.faces),
    }
    return Evaluation(
        recipe=recipe,
        curve=curve,
        by_iou=recall_by_iou(detections, faces, min_face_size=size),
        by_size=recall_by_size(detections, faces, iou_threshold=iou),
        landmarks=landmark_errors(detections, faces, iou_threshold=iou, min_face_size=size),
        exhaustive=dataset.exhaustive,
    )


def detection_recipe(dataset: Dataset, detector: dict[str, Any], views: ViewSettings) -> dict[str, Any]:
    """Return all that decides the detections, in plain values: the part of a recipe a journal goes by.

    Parameters
    ----------
    dataset : Dataset
    detector : dict
        The ``recipe`` of a detector.
    views : ViewSettings

    Returns
    -------
    dict
    """
    return {
        "data": data_recipe(dataset),
        "views": {
            **asdict(views),
            "scales": [str(rule) for rule in views.scales],
            "turns": list(views.turns),
        },
        "detector": detector,
    }


def data_recipe(dataset: Dataset) -> dict[str, Any]:
    """Return what identifies a data set, in plain values.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    dict
    """
    return {"source": dataset.source, "sha256": annotation_checksum(dataset.annotations)}


def annotation_checksum(annotations: Sequence[Annotation]) -> str:
    """Return the SHA-256 of names, boxes, landmarks and what is ignored."""
    digest = hashlib.sha256()
    for one in annotations:
        digest.update(f"{one.name} {len(one.boxes)}\n".encode("utf-8", "surrogatepass"))
        for array in (one.boxes, one.landmarks, one.ignore):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def count_faces(annotations: Sequence[Annotation], counted: int) -> dict[str, int]:
    """Return how many photographs and faces there are, and what became of the faces that do not count."""
    boxes = sum(len(one.boxes) for one in annotations)
    usable = [one.usable() for one in annotations]
    ignored = sum(int(one.ignore.sum()) for one in usable)
    proper = sum(len(one.boxes) for one in usable)
    return {
        "photographs": len(annotations),
        "boxes": boxes,
        "without_area": boxes - proper,
        "ignored": ignored,
        "too_small": proper - ignored - counted,
        "faces": counted,
    }


def best_f1(curve: AveragePrecision) -> dict[str, float] | None:
    """Return the score threshold with the best balance of precision and recall, and both.

    F1 is their harmonic mean, 2 p r / (p + r). Where no face is found it is 0 at every threshold, and none
    of them is best: None.

    Parameters
    ----------
    curve : AveragePrecision

    Returns
    -------
    dict of str to float, or None
    """
    if not curve.true_positives.any():
        return None
    precision, recall = curve.precision, curve.recall
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    best = int(f1.argmax())
    return {
        "threshold": float(curve.thresholds[best]),
        "precision": float(precision[best]),
        "recall": float(recall[best]),
        "f1": float(f1[best]),
    }


def _landmark_figures(errors: LandmarkErrors) -> dict[str, Any] | None:
    if not errors.faces:
        return None
    figures: dict[str, Any] = {"faces": errors.faces, "found": errors.found}
    for name, values in (("inter_ocular", errors.inter_ocular), ("box_size", errors.box_size)):
        mean, median = (values.mean(), np.median(values)) if errors.found else (np.nan, np.nan)
        figures[name] = {"mean": _plain(mean), "median": _plain(median)}
    figures["failure_rate"] = _plain(errors.failure_rate())
    figures["failure_limit"] = FAILURE
    return figures


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _last(counts: np.ndarray[Any, Any]) -> int:
    return int(counts[-1]) if len(counts) else 0
