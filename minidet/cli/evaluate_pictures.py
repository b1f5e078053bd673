"""The pictures that ``minidet evaluate --save`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from minidet.datasets import Annotation, Dataset
from minidet.detections import Detections
from minidet.evaluation import (
    Evaluation,
    MeasureSettings,
    Outcome,
    WiderCurve,
    best_f1,
    match_detections,
)
from minidet.viz.evaluation import (
    draw_landmark_errors,
    draw_precision_recall,
    draw_recall_by_iou,
    draw_recall_by_size,
    draw_true_against_false,
)
from minidet.viz.figure import new_axes, save_figure
from minidet.viz.mistakes import MarkedPicture, mistakes_sheet

ON_SHEET = 12
"""Photographs on the sheet of mistakes."""


def save_curves(folder: Path, evaluation: Evaluation) -> None:
    """Draw what the report says: precision and recall, false positives, sizes, overlaps, landmarks."""
    label = evaluation.recipe["detector"]["model"]
    curve = evaluation.curve
    if evaluation.exhaustive:
        curves = {label: (curve.recall, curve.precision, curve.value)}
        save_figure(draw_precision_recall(new_axes(), curves), folder / "precision_recall.png")
        save_figure(
            draw_true_against_false(new_axes(), {label: (curve.false_positives, curve.recall)}),
            folder / "false_positives.png",
        )
    bins = {bounds: (recall.found, recall.faces) for bounds, recall in evaluation.by_size.items()}
    save_figure(draw_recall_by_size(new_axes(), {label: bins}), folder / "recall_by_height.png")
    by_iou = ([*evaluation.by_iou], [recall.value for recall in evaluation.by_iou.values()])
    save_figure(draw_recall_by_iou(new_axes(), {label: by_iou}), folder / "recall_by_iou.png")
    errors = evaluation.landmarks
    if errors.faces:
        save_figure(
            draw_landmark_errors(new_axes(), {label: (errors.inter_ocular, errors.faces)}),
            folder / "landmark_errors.png",
        )


def save_wider_curves(folder: Path, curves: Mapping[str, WiderCurve]) -> None:
    """Draw precision against recall for easy, medium and hard."""
    lines = {subset: (curve.recall, curve.precision, curve.ap) for subset, curve in curves.items()}
    save_figure(draw_precision_recall(new_axes(), lines), folder / "widerface_precision_recall.png")


def save_mistakes(
    folder: Path,
    evaluation: Evaluation,
    detections: Sequence[Detections],
    dataset: Dataset,
    settings: MeasureSettings,
) -> None:
    """Draw the photographs with the most mistakes, at the score threshold that balances them best.

    Where not every face is annotated, a mistake is a face that was missed, and all detections count.
    """
    best = best_f1(evaluation.curve) if evaluation.exhaustive else None
    threshold = best["threshold"] if best else 0.0
    pictures = []
    for annotation, found in zip(dataset.annotations, detections, strict=True):
        shown = found[found.scores >= threshold]
        mistakes, picture = marked_picture(
            annotation.usable(), shown, settings, count_false=evaluation.exhaustive
        )
        if mistakes:
            pictures.append((mistakes, picture))
    pictures.sort(key=lambda pair: -pair[0])
    if pictures:
        mistakes_sheet([picture for _, picture in pictures[:ON_SHEET]]).save(folder / "mistakes.png")


def marked_picture(
    faces: Annotation, found: Detections, settings: MeasureSettings, *, count_false: bool
) -> tuple[int, MarkedPicture]:
    """Return how many mistakes a detector made on one photograph, and the picture that shows them."""
    matched = match_detections(
        found.boxes, faces, iou_threshold=settings.iou_threshold, min_face_size=settings.min_face_size
    )
    missed = matched.counted & ~matched.found
    false = (matched.outcome == Outcome.FALSE_POSITIVE) & count_false
    title = f"{faces.name}\n{int(missed.sum())} missed"
    if count_false:
        title += f", {int(false.sum())} false"
    return int(np.count_nonzero(missed) + np.count_nonzero(false)), MarkedPicture(
        image=faces.path if faces.on_disk else faces.read(),
        title=title,
        found_boxes=found.boxes[matched.face >= 0],
        missed_boxes=faces.boxes[missed],
        false_boxes=found.boxes[false],
        false_scores=found.scores[false],
        ignored_boxes=faces.boxes[~matched.counted],
    )
