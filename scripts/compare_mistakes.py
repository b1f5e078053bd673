"""Draw what several weights find, miss and invent on the same photographs, which are left out themselves.

Usage: python scripts/compare_mistakes.py KIND:PATH HELD_OUT OUT.png LABEL=MODEL:WEIGHTS ...

HELD_OUT names the photographs, as ``minidet split`` writes them. The four on which the first weights make the
most mistakes are drawn on empty paper, as photographs may not be ours to show; a row for each of the weights.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

import minidet
from minidet.cli.evaluate_pictures import marked_picture
from minidet.datasets import Dataset, only_named, open_dataset, read_name_list
from minidet.evaluation import MeasureSettings
from minidet.viz.mistakes import MarkedPicture, mistakes_sheet

PHOTOGRAPHS = 4
PAPER = 248


def main() -> None:
    """Detect with every weights, choose the photographs, draw the sheet."""
    source, names, out, *labelled = sys.argv[1:]
    dataset = open_dataset(source)
    dataset = only_named(dataset, read_name_list(names, [dataset]), f"{source}[{names}]")
    rows = []
    for text in labelled:
        label, _, model = text.partition("=")
        rows.append(marked(dataset, label, *model.split(":", 1)))
    mistakes = [count for count, _ in rows[0]]
    chosen = np.argsort(mistakes, kind="stable")[::-1][:PHOTOGRAPHS]
    mistakes_sheet([row[i][1] for row in rows for i in chosen], columns=PHOTOGRAPHS).save(out)


def marked(dataset: Dataset, label: str, model: str, weights: str) -> list[tuple[int, MarkedPicture]]:
    """Return the mistakes on every photograph with the detector's usual thresholds, and where they are."""
    detector = minidet.MTCNN(weights=weights) if model == "mtcnn" else minidet.RetinaFace(weights=weights)
    pictures = []
    for annotation in dataset.annotations:
        image = annotation.read()
        mistakes, picture = marked_picture(
            annotation.usable(), detector.detect(image), MeasureSettings(), count_false=True
        )
        title = f"{label}: {picture.title.splitlines()[-1]}"
        pictures.append((mistakes, replace(picture, image=np.full_like(image, PAPER), title=title)))
    return pictures


if __name__ == "__main__":
    main()
