"""Measure what docs/results.md reports.

Usage: python scripts/measure_results.py FACEMASK AFW OUT

FACEMASK is a folder of Pascal VOC annotations, AFW a json file of landmarks; OUT receives tables.md,
figures.json and the plots. A run that was broken off goes on where it stopped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minidet
from minidet.datasets import Dataset, open_dataset
from minidet.detections import Detections
from minidet.evaluation import (
    Evaluation,
    MeasureSettings,
    ResizeRule,
    ViewSettings,
    average_precision,
    describe_recipe,
    detect_views,
    detection_recipe,
    measure,
    predict,
    recall_by_angle,
)
from minidet.viz.evaluation import (
    draw_landmark_errors,
    draw_precision_recall,
    draw_recall_by_angle,
    draw_recall_by_iou,
    draw_recall_by_size,
    draw_true_against_false,
)
from minidet.viz.figure import new_axes, save_figure

ALL = {"iou_threshold": 1.0, "max_faces": 5000}  # for merging: RetinaFace that suppresses nothing itself
PAPER_SCALES = "short=500,short=800,short=1100,short=1400,short=1700"
THOROUGH = "MTCNN, thorough"  # the settings for which the authors quote their figures on WIDER FACE
TURNS = ViewSettings(turns=(0, 1, 2, 3), merge="nms")


class Swapped:
    """A detector that is shown BGR pixels and takes them for RGB."""

    def __init__(self, detector: minidet.RetinaFace | minidet.MTCNN) -> None:
        self.detector = detector
        self.recipe = {**detector.recipe, "mistake": "BGR taken for RGB"}

    def detect(self, image: Any) -> Detections:
        """Find the faces of an RGB image, red and blue exchanged."""
        return self.detector.detect(np.ascontiguousarray(image[:, :, ::-1]))


class Turning:
    """A detector that looks at every image in four orientations."""

    def __init__(self, detector: minidet.RetinaFace | minidet.MTCNN) -> None:
        self.detector = detector

    def detect(self, image: Any) -> Detections:
        """Find the faces of an image and of its three quarter turns."""
        return detect_views(image, self.detector, TURNS)


class Results:
    """Runs, each kept under its name in ``folder``, and the tables made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.figures: dict[str, Any] = {}
        self.tables: list[str] = []

    def run(
        self,
        name: str,
        dataset: Dataset,
        detector: Any,
        views: ViewSettings | None = None,
        min_face_size: float = 10,
    ) -> tuple[Evaluation, list[Detections]]:
        """Detect on all photographs and measure."""
        print(name, file=sys.stderr)
        views = views or ViewSettings()
        detections = predict(
            dataset,
            detector,
            views,
            journal=self.folder / f"{name}.jsonl",
            recipe=detection_recipe(dataset, detector.recipe, views),
        )
        settings = MeasureSettings(min_face_size=min_face_size)
        evaluation = measure(detections, dataset, settings, detector=detector.recipe, views=views)
        self.figures[name] = evaluation.to_dict()
        return evaluation, detections

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table in Markdown."""
        lines = [f"### {title}", "", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
        self.tables += [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]
        (self.folder / "tables.md").write_text("\n".join(self.tables), encoding="utf-8")
        (self.folder / "figures.json").write_text(json.dumps(self.figures, indent=1), encoding="utf-8")

    def picture(self, name: str, draw: Callable[[Any], Any]) -> None:
        """Save a plot."""
        ax = new_axes()
        draw(ax)
        save_figure(ax, self.folder / f"results_{name}.png")


def main(facemask_folder: str, afw_file: str, out: str) -> None:
    """Run everything."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(folder)
    masks = open_dataset(f"voc:{facemask_folder}")
    portraits = open_dataset(f"points:{afw_file}")
    is_afw = [one.name.startswith("afw/") for one in portraits.annotations]
    afw = portraits[: sum(is_afw)]
    assert all(is_afw[: sum(is_afw)])

    retinaface, mtcnn = minidet.RetinaFace(0.02), minidet.MTCNN()
    wider_mtcnn = minidet.MTCNN(min_face_size=10, pyramid_factor=0.79, score_thresholds=(0.5, 0.5, 0.3))
    main_runs = both_sets(results, masks, afw, retinaface, mtcnn, wider_mtcnn)
    score_thresholds(results, masks, main_runs)
    sizes(results, masks, afw, retinaface, mtcnn)
    merging(results, masks, afw, retinaface, mtcnn)
    wrong_colours(results, masks, afw, retinaface, mtcnn, main_runs)
    angles(results, afw, minidet.RetinaFace(), mtcnn)


def both_sets(
    results: Results,
    masks: Dataset,
    afw: Dataset,
    retinaface: minidet.RetinaFace,
    mtcnn: minidet.MTCNN,
    wider_mtcnn: minidet.MTCNN,
) -> dict[str, tuple[Evaluation, list[Detections]]]:
    """Measure both detectors on both sets; make the plots."""
    detectors = {
        "RetinaFace": retinaface,
        "MTCNN": mtcnn,
        THOROUGH: wider_mtcnn,
    }
    on_masks = {
        label: results.run(f"masks_{i}", masks, detector)
        for i, (label, detector) in enumerate(detectors.items())
    }
    on_afw = {
        "RetinaFace, score 0.5": results.run("afw_0", afw, minidet.RetinaFace(), min_face_size=0),
        "RetinaFace, score 0.02": results.run("afw_1", afw, retinaface, min_face_size=0),
        "MTCNN": results.run("afw_2", afw, mtcnn, min_face_size=0),
    }
    results.table(
        "Faces with masks",
        [
            "detector",
            "AP",
            "recall",
            "false positives",
            "recall at 100 false positives",
            "best F1 (at score)",
        ],
        [[label, *mask_cells(evaluation)] for label, (evaluation, _) in on_masks.items()],
    )
    results.table(
        "AFW",
        ["detector", "recall", "error / eyes: mean, median", "error / box: mean, median", "failures"],
        [[label, *landmark_cells(evaluation)] for label, (evaluation, _) in on_afw.items()],
    )
    results.tables += [
        f"{name}: {text}" for name, text in describe_recipe(on_masks["RetinaFace"][0].recipe).items()
    ]
    results.tables += [f"{name}: {text}" for name, text in describe_recipe(on_afw["MTCNN"][0].recipe).items()]

    curves = {label: one.curve for label, (one, _) in on_masks.items()}
    results.picture(
        "precision_recall",
        lambda ax: draw_precision_recall(
            ax, {k: (c.recall, c.precision, c.value) for k, c in curves.items()}
        ),
    )
    results.picture(
        "false_positives",
        lambda ax: draw_true_against_false(ax, {k: (c.false_positives, c.recall) for k, c in curves.items()}),
    )
    by_size = {
        label: {bounds: (recall.found, recall.faces) for bounds, recall in one.by_size.items()}
        for label, (one, _) in on_masks.items()
    }
    results.picture("recall_by_height", lambda ax: draw_recall_by_size(ax, by_size))
    by_iou = {
        label: ([*one.by_iou], [recall.value for recall in one.by_iou.values()])
        for label, (one, _) in on_masks.items()
    }
    results.picture("recall_by_iou", lambda ax: draw_recall_by_iou(ax, by_iou))
    errors = {
        label: (on_afw[row][0].landmarks.inter_ocular, on_afw[row][0].landmarks.faces)
        for label, row in (("RetinaFace", "RetinaFace, score 0.02"), ("MTCNN", "MTCNN"))
    }
    results.picture("landmarks", lambda ax: draw_landmark_errors(ax, errors))
    return {**on_masks, **{f"AFW {label}": run for label, run in on_afw.items()}}


def score_thresholds(
    results: Results, masks: Dataset, runs: dict[str, tuple[Evaluation, list[Detections]]]
) -> None:
    """Cut off the same detections at several scores."""
    faces = [one.usable() for one in masks.annotations]
    for label in ("RetinaFace", THOROUGH):
        detections = runs[label][1]
        rows = []
        for threshold in (0.02, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99):
            kept = [found[found.scores > threshold] for found in detections]
            curve = average_precision(kept, faces, min_face_size=10)
            precision, recall = curve.at(threshold)
            rows.append([f"{threshold}", f"{curve.value:.3f}", f"{precision:.3f}", f"{recall:.3f}"])
        results.table(f"Score threshold, {label}", ["kept above", "AP", "precision", "recall"], rows)


def sizes(
    results: Results, masks: Dataset, afw: Dataset, retinaface: minidet.RetinaFace, mtcnn: minidet.MTCNN
) -> None:
    """Show the photographs at several sizes."""
    rules = (
        "native,long=320,long=640,long=1024,640x640,640x480,short=500,short=800,short=1200,short=1600:2150"
    )
    rows = []
    for text in rules.split(","):
        views = ViewSettings(scales=(ResizeRule.parse(text),))
        name = text.replace("=", "").replace(":", "_")
        on_masks, _ = results.run(f"size_{name}_masks", masks, retinaface, views)
        on_afw, _ = results.run(f"size_{name}_afw", afw, retinaface, views, min_face_size=0)
        cascade, _ = results.run(f"size_{name}_mtcnn", masks, mtcnn, views)
        rows.append(
            [
                text,
                f"{on_masks.curve.value:.3f}",
                f"{on_masks.recall.value:.3f}",
                f"{cascade.curve.value:.3f}",
                f"{on_afw.recall.value:.3f}",
                f"{100 * on_afw.landmarks.inter_ocular.mean():.2f} %",
            ]
        )
    results.table(
        "Size of the photograph",
        ["size", "RetinaFace AP", "recall", "MTCNN AP", "AFW: RetinaFace recall", "landmark error / eyes"],
        rows,
    )


def merging(
    results: Results, masks: Dataset, afw: Dataset, retinaface: minidet.RetinaFace, mtcnn: minidet.MTCNN
) -> None:
    """Look several times, and merge in several ways."""
    everything = minidet.RetinaFace(0.02, **ALL)
    paper = tuple(map(ResizeRule.parse, PAPER_SCALES.split(",")))
    cases: list[tuple[str, Any, ViewSettings]] = [
        ("its own NMS, 0.4 (+1 widths)", retinaface, ViewSettings()),
        ("NMS 0.3", everything, ViewSettings(merge="nms", iou_threshold=0.3)),
        ("NMS 0.4", everything, ViewSettings(merge="nms")),
        ("NMS 0.5", everything, ViewSettings(merge="nms", iou_threshold=0.5)),
        ("soft-NMS, linear 0.3", everything, ViewSettings(merge="soft-linear", iou_threshold=0.3)),
        ("soft-NMS, Gaussian 0.5", everything, ViewSettings(merge="soft-gaussian")),
        ("voting 0.4", everything, ViewSettings(merge="vote")),
        ("flip, NMS 0.4", everything, ViewSettings(flip=True, merge="nms")),
        ("flip, voting 0.4", everything, ViewSettings(flip=True, merge="vote")),
        ("five sizes of the paper, flip, NMS 0.4", everything, ViewSettings(paper, flip=True, merge="nms")),
        (
            "five sizes of the paper, flip, voting 0.4",
            everything,
            ViewSettings(paper, flip=True, merge="vote"),
        ),
        ("four quarter turns, NMS 0.4", everything, ViewSettings(turns=(0, 1, 2, 3), merge="nms")),
        ("MTCNN", mtcnn, ViewSettings()),
        ("MTCNN, flip, NMS 0.4", mtcnn, ViewSettings(flip=True, merge="nms")),
        ("MTCNN, flip, voting 0.4", mtcnn, ViewSettings(flip=True, merge="vote")),
    ]
    rows = []
    for i, (label, detector, views) in enumerate(cases):
        on_masks, _ = results.run(f"merge_{i}_masks", masks, detector, views)
        on_afw, _ = results.run(f"merge_{i}_afw", afw, detector, views, min_face_size=0)
        rows.append(
            [
                label,
                str(views.views),
                f"{on_masks.curve.value:.3f}",
                f"{on_masks.recall.value:.3f}",
                f"{on_afw.recall.value:.3f}",
                f"{100 * on_afw.landmarks.inter_ocular.mean():.2f} %",
            ]
        )
    results.table(
        "Flip, several sizes, soft-NMS, voting",
        ["", "looks", "masks: AP", "recall", "AFW: recall", "landmark error / eyes"],
        rows,
    )


def wrong_colours(
    results: Results,
    masks: Dataset,
    afw: Dataset,
    retinaface: minidet.RetinaFace,
    mtcnn: minidet.MTCNN,
    right: dict[str, tuple[Evaluation, list[Detections]]],
) -> None:
    """Exchange red and blue."""
    rows = []
    for label, afw_label, detector in (
        ("RetinaFace", "AFW RetinaFace, score 0.02", retinaface),
        ("MTCNN", "AFW MTCNN", mtcnn),
    ):
        swapped = Swapped(detector)
        on_masks, _ = results.run(f"bgr_{label}_masks", masks, swapped)
        on_afw, _ = results.run(f"bgr_{label}_afw", afw, swapped, min_face_size=0)
        for colours, one, other in (("RGB", right[label][0], right[afw_label][0]), ("BGR", on_masks, on_afw)):
            rows.append(
                [
                    label,
                    colours,
                    f"{one.curve.value:.3f}",
                    f"{one.recall.value:.3f}",
                    f"{other.recall.value:.3f}",
                    f"{100 * other.landmarks.inter_ocular.mean():.2f} %",
                ]
            )
    results.table(
        "BGR by mistake",
        ["detector", "given", "masks: AP", "recall", "AFW: recall", "landmark error / eyes"],
        rows,
    )


def angles(results: Results, afw: Dataset, retinaface: minidet.RetinaFace, mtcnn: minidet.MTCNN) -> None:
    """Turn the photographs."""
    curves = {}
    for label, detector in (
        ("RetinaFace, score 0.5", retinaface),
        ("RetinaFace, looking in four quarter turns", Turning(minidet.RetinaFace(**ALL))),
        ("MTCNN", mtcnn),
    ):
        stored = results.folder / f"angles_{label.replace(' ', '_').replace(',', '')}.json"
        if stored.exists():
            recalls = json.loads(stored.read_text())
        else:
            print("angles", label, file=sys.stderr)
            measured = recall_by_angle(afw, detector)
            recalls = {str(angle): recall.value for angle, recall in measured.items()}
            stored.write_text(json.dumps(recalls))
        curves[label] = {int(angle): value for angle, value in recalls.items()}
    results.figures["angles"] = {
        label: {str(a): v for a, v in curve.items()} for label, curve in curves.items()
    }
    shown = (0, 15, 30, 45, 60, 75, 90, 120, 150, 180)
    results.table(
        "Recall against the angle, AFW (mean of clockwise and anticlockwise)",
        ["degrees", *(str(angle) for angle in shown)],
        [
            [label, *(f"{(curve[angle] + curve[-angle]) / 2:.2f}" for angle in shown)]
            for label, curve in curves.items()
        ],
    )
    results.picture(
        "angles",
        lambda ax: draw_recall_by_angle(ax, {label: ([*c], [*c.values()]) for label, c in curves.items()}),
    )


def mask_cells(evaluation: Evaluation) -> list[str]:
    """Return the cells of a row about a set that is wholly annotated."""
    figures = evaluation.to_dict()["figures"]
    best = figures["best_f1"]
    return [
        f"{figures['average_precision']:.3f}",
        f"{figures['recall']:.3f}",
        f"{figures['false_positives']:,}",
        f"{figures['recall_at_false_positives']['100']:.3f}",
        f"{best['f1']:.3f} ({best['threshold']:.2f})",
    ]


def landmark_cells(evaluation: Evaluation) -> list[str]:
    """Return the cells of a row about a set with landmarks."""
    errors = evaluation.landmarks
    return [
        f"{evaluation.recall.value:.3f} ({evaluation.recall.found} of {evaluation.recall.faces})",
        *(
            f"{100 * values.mean():.2f} %, {100 * np.median(values):.2f} %"
            for values in (errors.inter_ocular, errors.box_size)
        ),
        f"{100 * errors.failure_rate():.2f} %",
    ]


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
