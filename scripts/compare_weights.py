"""Draw precision against recall, and recall against size, of several weights on the same photographs.

Usage: python scripts/compare_weights.py KIND:PATH HELD_OUT OUT LABEL=MODEL:WEIGHTS ...

HELD_OUT names the photographs, as ``minidet split`` writes them; OUT receives two pictures. MTCNN looks for
faces from 12 pixels, RetinaFace for all sizes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import minidet
from minidet.datasets import only_named, open_dataset, read_name_list
from minidet.evaluation import measure, predict
from minidet.viz.evaluation import draw_precision_recall, draw_recall_by_size
from minidet.viz.figure import new_axes, save_figure

SMALLEST = 12.0
LOW_SCORE = 0.02


def main() -> None:
    """Measure every detector and draw both pictures."""
    source, names, out, *labelled = sys.argv[1:]
    dataset = open_dataset(source)
    dataset = only_named(dataset, read_name_list(names, [dataset]), f"{source}[{names}]")
    curves, bins = {}, {}
    for text in labelled:
        label, _, model = text.partition("=")
        evaluation = measure(predict(dataset, detector(*model.split(":", 1))), dataset)
        curve = evaluation.curve
        curves[label] = (curve.recall, curve.precision, curve.value)
        bins[label] = {bounds: (recall.found, recall.faces) for bounds, recall in evaluation.by_size.items()}
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    save_figure(draw_precision_recall(new_axes(), curves), folder / "trained_precision_recall.png")
    save_figure(draw_recall_by_size(new_axes(), bins), folder / "trained_recall_by_height.png")


def detector(model: str, weights: str) -> minidet.MTCNN | minidet.RetinaFace:
    """Return a detector that keeps doubtful finds, too, as a curve wants them."""
    if model == "mtcnn":
        return minidet.MTCNN(weights=weights, min_face_size=SMALLEST, score_thresholds=(0.6, 0.7, LOW_SCORE))
    return minidet.RetinaFace(weights=weights, score_threshold=LOW_SCORE)


if __name__ == "__main__":
    main()
