"""What five levels and a second head are worth: short trainings that differ in the network alone.

Usage: python scripts/compare_networks.py OUT STEPS [SEED ...]

OUT receives a folder per run of STEPS steps, the figures of each, and the tables of all that is done. Data
are drawn by the package itself: small faces, because it is for them that the paper has a level P2. A run that
was broken off goes on where it stopped. Without seeds there is one run of each network, with seed 0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import minidet
from minidet._typing import FloatArray
from minidet.boxes import iou
from minidet.datasets import Dataset, open_dataset
from minidet.detections import Detections
from minidet.detectors import RetinaFaceSettings
from minidet.evaluation import average_precision, match_detections, predict, recall_by_size
from minidet.fast import accelerate
from minidet.models.retinaface import Architecture
from minidet.models.retinaface.cascade import compose_boxes, compose_landmarks
from minidet.ops import softmax_forward
from minidet.training.augment import AugmentSettings
from minidet.training.measure import DOUBTFUL, SCORE, LayerDetector
from minidet.training.recipes import RETINAFACE, Length
from minidet.training.train_retinaface import train_retinaface
from minidet.weights import load_npz

LEARNT = "synthetic:4000,seed=1,size=160x160,heights=8-64"
MEASURED = "synthetic:400,seed=2,size=160x160,heights=8-64"

RECIPE = replace(
    RETINAFACE,
    batch_size=8,
    # Faces as small as they are drawn: a small crop, enlarged, would make them larger. All are learnt from.
    augment=AugmentSettings(size=160, crop_scales=(0.8, 1.0), min_face_size=4),
    checkpoint_every=50,
)

LOOSE_CASCADE = (RECIPE.loss.thresholds, RECIPE.cascade_thresholds[1])
"""The first head of the cascade is taught by the thresholds of the single head."""

RECIPES = {
    "three levels": RECIPE,
    "five levels": replace(RECIPE, network=Architecture(levels=5)),
    "five levels, two heads": replace(RECIPE, network=Architecture(levels=5, cascade=True)),
    "five levels, two heads, first 0.35": replace(
        RECIPE, network=Architecture(levels=5, cascade=True), cascade_thresholds=LOOSE_CASCADE
    ),
}

READINGS = {
    "": ("second", "second"),
    "; boxes of the second, scores of the first": ("second", "first"),
    "; boxes of the first, scores of the second": ("first", "second"),
    "; all of the first": ("first", "first"),
}
"""Behind the name of a cascade: which head its boxes and its scores are taken from."""

SIZE_EDGES = (8, 12, 16, 24, 32)
"""Heights in pixels; the last bin has no upper end."""

MISTAKES = 0.1
"""False positives per picture at which recalls are compared, so that no network gains by scoring high."""


def main() -> None:
    """Train and measure what is not done yet, and write the tables."""
    out, steps, *seeds = sys.argv[1:]
    folder = Path(out)
    minidet.set_num_threads(1)
    learnt, measured = open_dataset(LEARNT), open_dataset(MEASURED)
    for seed in [int(text) for text in seeds] or [0]:
        for name in RECIPES:
            run(folder, name, int(steps), seed, learnt, measured)
            write_tables(folder)


def run(folder: Path, name: str, steps: int, seed: int, learnt: Dataset, measured: Dataset) -> None:
    """Train one network and keep its figures."""
    own = folder / f"{name.replace(',', '').replace(' ', '_')}-{seed}"
    kept = own / "figures.json"
    if kept.exists():
        return
    print(name, seed, flush=True)
    recipe = replace(RECIPES[name], length=Length(steps=steps))
    trained = train_retinaface([learnt], own, recipe, seed=seed, progress=False)
    network = recipe.network.build()
    network.load_state_dict(load_npz(trained.weights)[1])
    accelerate(network).eval()
    read = {name: network}
    if recipe.network.cascade:
        read = {name + reading: Reading(network, *heads) for reading, heads in READINGS.items()}
    rows = [{"name": one, "seed": seed, **figures(as_read, measured)} for one, as_read in read.items()]
    kept.write_text(json.dumps(rows, indent=2) + "\n")


class Reading:
    """A cascade of which the boxes are taken from one head and the scores from one head."""

    def __init__(self, network: Any, boxes: str, scores: str) -> None:
        self.network, self.boxes, self.scores = network, boxes, scores
        self.anchors = network.anchors

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute the boxes, scores and landmarks that the heads say."""
        first, first_logits, landmarks, second, second_logits, second_landmarks = self.network.forward(x)
        boxes = first
        if self.boxes == "second":
            boxes, landmarks = compose_boxes(first, second), compose_landmarks(first, second_landmarks)
        logits = second_logits if self.scores == "second" else first_logits
        return boxes, softmax_forward(logits, axis=2), landmarks


def figures(network: Any, dataset: Dataset) -> dict[str, Any]:
    """Measure a trained network: recall by size, average precision, fit of the boxes that are right."""
    detector = LayerDetector(network, RetinaFaceSettings(score_threshold=DOUBTFUL))
    found = predict(dataset, detector, jobs=1, progress=False)
    curves = {
        threshold: average_precision(found, dataset.annotations, iou_threshold=threshold)
        for threshold in (0.5, 0.75)
    }
    affordable = curves[0.5].false_positives <= MISTAKES * len(dataset)
    score = float(curves[0.5].thresholds[affordable].min(initial=1))
    good, likely = above(found, score), above(found, SCORE)
    by_size = recall_by_size(good, dataset.annotations, edges=SIZE_EDGES)
    return {
        "recall": [recall.value for recall in by_size.values()],
        "faces": [recall.faces for recall in by_size.values()],
        "score": score,
        "ap50": curves[0.5].value,
        "ap75": curves[0.75].value,
        "recall_at_half": curves[0.5].at(SCORE)[1],
        "precision_at_half": curves[0.5].at(SCORE)[0],
        "iou": mean_iou(good, dataset),
        "iou_at_half": mean_iou(likely, dataset),
    }


def above(found: Sequence[Detections], score: float) -> list[Detections]:
    """Keep the detections that score so much."""
    return [one[one.scores >= score] for one in found]


def mean_iou(found: Sequence[Detections], dataset: Dataset) -> float:
    """Return the mean IoU of the true positives with their faces."""
    overlaps = []
    for one, annotated in zip(found, dataset.annotations, strict=True):
        face = match_detections(one.boxes, annotated).face
        right = face >= 0
        overlaps.append(iou(one.boxes[right], annotated.boxes)[np.arange(right.sum()), face[right]])
    every = np.concatenate(overlaps)
    return float(every.mean()) if len(every) else float("nan")


def write_tables(folder: Path) -> None:
    """Write the tables of all figures that are there: means over the seeds, and the range."""
    done = [row for path in sorted(folder.glob("*/figures.json")) for row in json.loads(path.read_text())]
    lines: list[str] = []
    bins = [f"{low} to {high} px" for low, high in pairwise(SIZE_EDGES)]
    bins.append(f"{SIZE_EDGES[-1]} px and more")
    lines += ["| network | " + " | ".join(bins) + " |", "|---|" + "---|" * len(bins)]
    names = list(dict.fromkeys(one["name"] for one in done))
    names.sort(key=lambda name: list(RECIPES).index(name.partition(";")[0]))
    for name in names:
        runs = [one for one in done if one["name"] == name]
        cells = [spread([one["recall"][k] for one in runs]) for k in range(len(bins))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if done:
        lines += [f"| *faces* | {' | '.join(str(count) for count in done[0]['faces'])} |"]
    columns = {
        "AP at IoU 0.5": "ap50",
        "AP at IoU 0.75": "ap75",
        "mean IoU of true positives": "iou",
        "recall at score 0.5": "recall_at_half",
        "precision at score 0.5": "precision_at_half",
    }
    lines += ["", "| network | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for name in names:
        runs = [one for one in done if one["name"] == name]
        cells = [spread([one[key] for one in runs]) for key in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    (folder / "tables.md").write_text("\n".join(lines) + "\n")


def spread(values: Sequence[float]) -> str:
    """Return the mean, and from where to where the seeds went if there are several."""
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
