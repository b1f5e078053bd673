"""What ``minidet evaluate`` does once its options are known."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minidet
from minidet.api import Detector
from minidet.boxes import xyxy_to_xywh
from minidet.cli.files import make_writable, open_photographs
from minidet.cli.terminal import show
from minidet.datasets import Dataset, WiderImage, read_widerface_ground_truth
from minidet.detections import Detections
from minidet.detectors import MTCNNSettings
from minidet.errors import InputError
from minidet.evaluation import (
    Evaluation,
    MeasureSettings,
    Merge,
    ResizeRule,
    ViewSettings,
    WiderCurve,
    describe,
    describe_wider,
    detection_recipe,
    measure,
    predict,
    read_predictions,
    widerface_curves,
    write_predictions,
)

MIN_SCORE = 0.02
"""Of RetinaFace: low enough for the whole curve, as its reference code evaluates."""

MERGE_IOU = {"soft-linear": 0.3}
"""Where the usual overlap is not 0.4."""

FOR_FILES = ("predictions", "ground_truth", "save", "json", "data", "run", "default")
"""Options that mean something where prediction files are measured."""


def run_evaluate(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
    folder = None if options.save is None else Path(options.save)
    if options.predictions is not None:
        return run_predictions(options, folder)
    if options.data is None:
        raise InputError("nothing to measure on; expected --data KIND:PATH, see minidet evaluate --help")
    dataset = open_photographs(options.data, options.slice, options.only)
    views = make_views(options)
    detector = make_detector(options, views)
    settings = MeasureSettings(iou_threshold=options.iou, min_face_size=options.min_height)
    ground_truth = read_ground_truth(options, dataset)
    if folder is not None:
        make_writable(folder)

    detections = predict(
        dataset,
        detector,
        views,
        jobs=options.jobs,
        journal=None if folder is None else folder / "detections.jsonl",
        recipe=detection_recipe(dataset, detector.recipe, views),
        progress=sys.stderr is not None and sys.stderr.isatty(),
    )
    evaluation = measure(detections, dataset, settings, detector=detector.recipe, views=views)
    wider = None if ground_truth is None else measure_wider(ground_truth, folder, dataset, detections)
    report = {"minidet": minidet.__version__, **evaluation.to_dict()}
    if wider:
        report["widerface"] = wider_figures(wider)
    if options.json:
        show(json.dumps(report, indent=2))
    else:
        show(describe(evaluation))
        if wider:
            show("\n" + describe_wider(wider))
    if folder is not None:
        save(folder, report, evaluation, wider, detections, dataset, settings)
        show(f"written to {folder}", file=sys.stderr)
    return 0


def run_predictions(options: argparse.Namespace, folder: Path | None) -> int:
    """Measure prediction files of WIDER FACE, whoever made them."""
    if options.ground_truth is None:
        raise InputError("--predictions needs --ground-truth DIR, the folder with wider_face_val.mat")
    if options.data is not None:
        raise InputError("--predictions measures files and --data runs a detector; expected one of the two")
    for name, value in vars(options).items():
        if name not in FOR_FILES and value != options.default(name):
            raise InputError(f"--{name.replace('_', '-')} is for --data; the protocol of WIDER FACE is fixed")
    curves = widerface_curves(
        read_predictions(options.predictions), read_widerface_ground_truth(options.ground_truth)
    )
    report = {
        "minidet": minidet.__version__,
        "predictions": options.predictions,
        "widerface": wider_figures(curves),
    }
    show(json.dumps(report, indent=2) if options.json else describe_wider(curves))
    if folder is not None:
        from minidet.cli.evaluate_pictures import save_wider_curves

        make_writable(folder)
        write_json(folder / "report.json", report)
        save_wider_curves(folder, curves)
        show(f"written to {folder}", file=sys.stderr)
    return 0


def make_views(options: argparse.Namespace) -> ViewSettings:
    """Read how the photographs are to be looked at."""
    scales = tuple(ResizeRule.parse(text.strip()) for text in options.scales.split(","))
    several = len(scales) * len(options.turns) > 1 or options.flip
    merge: Merge = options.merge or ("nms" if several else "none")
    if options.merge_iou is not None and merge in ("none", "soft-gaussian"):
        reason = "a single view is not merged" if merge == "none" else "soft-gaussian has no such threshold"
        raise InputError(f"--merge-iou changes nothing: {reason}")
    overlap = MERGE_IOU.get(merge, 0.4) if options.merge_iou is None else options.merge_iou
    return ViewSettings(
        scales=scales, flip=options.flip, turns=options.turns, merge=merge, iou_threshold=overlap
    )


def make_detector(options: argparse.Namespace, views: ViewSettings) -> Detector:
    """Construct the detector the options ask for."""
    common = given(weights=options.weights, backend=options.backend)
    if options.model == "mtcnn":
        refuse(options, "nms", model="retinaface")
        first, second = options.stage_scores or MTCNNSettings.score_thresholds[:2]
        last = MTCNNSettings.score_thresholds[2] if options.min_score is None else options.min_score
        return minidet.MTCNN(
            score_thresholds=(first, second, last),
            **given(min_face_size=options.min_face, pyramid_factor=options.pyramid_factor),
            **common,
        )
    refuse(options, "stage_scores", "min_face", "pyramid_factor", model="mtcnn")
    score_threshold = MIN_SCORE if options.min_score is None else options.min_score
    if views.merge == "none":
        return minidet.RetinaFace(score_threshold, **given(iou_threshold=options.nms), **common)
    if options.nms is not None:
        raise InputError(f"--nms with --merge {views.merge}, which takes its place; expected --merge-iou")
    # Whatever merges wants every box: an IoU is never above 1, so nothing is dropped.
    return minidet.RetinaFace(score_threshold, iou_threshold=1.0, max_faces=5000, **common)


def given(**options: Any) -> dict[str, Any]:
    """Leave out what the user has not given, so that the library's defaults hold."""
    return {name: value for name, value in options.items() if value is not None}


def refuse(options: argparse.Namespace, *names: str, model: str) -> None:
    """Refuse options that this model does not have: they would change nothing, in silence."""
    for name in names:
        if getattr(options, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} is for {model}; --model is {options.model}")


def read_ground_truth(options: argparse.Namespace, dataset: Dataset) -> list[WiderImage] | None:
    """Read the ground truth of WIDER FACE, and compare its photographs before a detector takes its time."""
    if options.ground_truth is None:
        return None
    images = read_widerface_ground_truth(options.ground_truth)
    there, wanted = {wider_key(one.name) for one in dataset.annotations}, {(i.event, i.name) for i in images}
    if there != wanted:
        raise InputError(
            f"{options.ground_truth} is the ground truth of {len(wanted):,} photographs, and "
            f"{dataset.source} holds {len(there & wanted):,} of them and {len(there - wanted):,} others; "
            "expected the same"
        )
    return images


def wider_key(name: str) -> tuple[str, str]:
    """Return event and photograph of a name such as 0--Parade/0_Parade_Parade_0_628.jpg."""
    photograph = Path(name)
    return photograph.parent.name, photograph.stem


def measure_wider(
    ground_truth: Sequence[WiderImage],
    folder: Path | None,
    dataset: Dataset,
    detections: Sequence[Detections],
) -> dict[str, WiderCurve]:
    """Run the official protocol; write the prediction files."""
    predictions = {}
    for annotation, found in zip(dataset.annotations, detections, strict=True):
        proper = np.flatnonzero((found.boxes[:, 2:] >= found.boxes[:, :2]).all(axis=1))
        found = found[proper]  # no file holds a negative side
        boxes = np.concatenate([xyxy_to_xywh(found.boxes), found.scores[:, None]], axis=1)  # (K, 5)
        predictions[wider_key(annotation.name)] = boxes.astype(np.float64)
    if folder is not None:
        write_predictions(folder / "widerface_predictions", predictions)
    return widerface_curves(predictions, ground_truth)


def wider_figures(curves: Mapping[str, WiderCurve]) -> dict[str, dict[str, float]]:
    """Return the three average precisions as plain values."""
    return {subset: {"average_precision": curve.ap, "faces": curve.faces} for subset, curve in curves.items()}


def save(
    folder: Path,
    report: dict[str, Any],
    evaluation: Evaluation,
    wider: Mapping[str, WiderCurve] | None,
    detections: Sequence[Detections],
    dataset: Dataset,
    settings: MeasureSettings,
) -> None:
    """Write the report, the curves and the sheet of mistakes."""
    # Here, because importing matplotlib takes half a second.
    from minidet.cli.evaluate_pictures import save_curves, save_mistakes, save_wider_curves

    write_json(folder / "report.json", report)
    save_curves(folder, evaluation)
    save_mistakes(folder, evaluation, detections, dataset, settings)
    if wider:
        save_wider_curves(folder, wider)


def write_json(path: Path, document: Any) -> None:
    """Write plain values as JSON that a person can read."""
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
