"""Anchors against no anchors: the table and the pictures of docs/anchor_free.md.

    python scripts/compare_anchor_free.py count
    python scripts/compare_anchor_free.py train OUT [--facemask voc:PATH HELD_OUT] [--steps N] [--seed S]

The first counts, times and draws. The second trains and measures: OUT receives a folder per training, and
what is there already is not run again, so another recipe needs another OUT. HELD_OUT names the photographs of
the second set to measure on, as ``minidet split`` writes them. Both networks have the same trunk and context
modules, and learn by the same recipe from the same images in the same order.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet import RetinaFace
from minidet.boxes import REFERENCE_ANCHORS, assign_locations, match_anchors
from minidet.boxes.format import corners_to_centre
from minidet.cli.train_run import hold_out_named
from minidet.datasets import Dataset, SyntheticSettings, load_sample, open_dataset, synthetic_dataset
from minidet.detections import Detections
from minidet.evaluation import average_precision, measure, predict
from minidet.evaluation.report import height_label
from minidet.fast import set_num_threads
from minidet.fast.boxes.matching import match_anchors as compiled_match_anchors
from minidet.models.retinaface import Architecture
from minidet.training.anchor_free_batches import AnchorFreeBatches
from minidet.training.measure import DOUBTFUL, SCORE, figures_of
from minidet.training.objectives import FCOS
from minidet.training.recipes import RETINAFACE, Length, RetinaFaceRecipe
from minidet.training.retinaface_batches import RetinaFaceBatches, faces_of
from minidet.training.train_retinaface import train_retinaface
from minidet.viz.figure import COLOURS, new_axes, save_figure
from minidet.viz.panels import add_boxes, panels

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
NETWORKS = {"anchors": Architecture(), "free": Architecture(anchor_free=True)}
LOCATIONS = NETWORKS["free"].locations
SIDE = RETINAFACE.augment.size
COUNTED = 25
"""Batches of eight images whose positives are counted."""
ROUNDS = 40
"""Times that each way of matching is timed, in turns."""
RESAMPLINGS = 200
"""Times that as many images are drawn from those measured on, one several times and another never."""


@dataclass(frozen=True)
class Run:
    """What networks learn from, what they are measured on, and how they are trained."""

    name: str
    data: list[Dataset]
    measured: Dataset
    recipe: RetinaFaceRecipe
    seed: int

    def weights(self, out: Path, kind: str) -> Path:
        """Train, unless that is done, and return the weights of the last step.

        Without a validation nothing is chosen by the images that are measured on later.
        """
        folder = out / f"{self.name}_{kind}_{self.seed}"
        if not (folder / "summary.json").exists():
            recipe = replace(self.recipe, network=NETWORKS[kind])
            train_retinaface(self.data, folder, recipe, seed=self.seed, progress=False)
        return folder / "retinaface.npz"


def main() -> None:
    """Count, time and draw; or train and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("count", help="count, time and draw")
    train = parts.add_parser("train", help="train and measure")
    train.add_argument("out", type=Path)
    train.add_argument("--facemask", nargs=2, metavar=("KIND:PATH", "HELD_OUT"))
    train.add_argument("--steps", type=int, default=RETINAFACE.length.steps, help="(default: the recipe's)")
    train.add_argument("--landmark-weight", type=float, default=FCOS.landmark_weight, help="without anchors")
    train.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    set_num_threads(1)
    if options.part == "count":
        print_table([candidates(), parameters(), *counts(), *times()])
        draw_positives(IMAGES / "anchor_free_positives.png")
        draw_per_face(IMAGES / "anchor_free_per_face.png")
        return
    recipe = replace(
        RETINAFACE,
        length=Length(steps=options.steps),
        anchor_free_loss=replace(FCOS, landmark_weight=options.landmark_weight),
    )
    learnt, drawn = open_dataset("synthetic:2000"), open_dataset("synthetic:300,seed=7")
    runs = [Run("synthetic", [learnt], drawn, recipe, options.seed)]
    if options.facemask is not None:
        data, held_out = hold_out_named([open_dataset(options.facemask[0])], options.facemask[1])
        runs.append(Run("facemask", data, held_out, recipe, options.seed))
    print_table(trained_rows(runs, options.out))


def candidates() -> list[str]:
    """How many answers a network gives for an image."""
    anchors, points = len(REFERENCE_ANCHORS.lay(640, 640)), len(LOCATIONS.lay(640, 640).points)
    return ["candidates, 640 x 640", f"{anchors:,}", f"{points:,}"]


def parameters() -> list[str]:
    """How many numbers a network learns."""
    return ["parameters", *(f"{network.build().parameter_count():,}" for network in NETWORKS.values())]


def counts() -> list[list[str]]:
    """Positives and negatives of the same images, and faces that teach nothing."""
    batches = RetinaFaceBatches(
        [open_dataset("synthetic:2000")],
        batch_size=8,
        settings=RETINAFACE.augment,
        thresholds=RETINAFACE.thresholds,
        seed=0,
    )
    free = AnchorFreeBatches(batches, LOCATIONS)
    sums = np.zeros((2, 3))  # positives, negatives, faces without a positive
    faces = 0
    for step in range(COUNTED):
        targets: tuple[Any, Any] = batches.batch(step).targets, free.batch(step).targets
        for row, one in enumerate(targets):
            sums[row, :2] += one.positive.sum(), one.negative.sum()
        for sample in batches.samples(step):
            boxes = faces_of(sample).boxes
            faces += len(boxes)
            sums[:, 2] += [
                len(boxes) - len(np.unique(matched[matched >= 0]))
                for matched in (match_anchors(batches.anchors, boxes).face, assigned(boxes, SIDE, SIDE))
            ]
    images = COUNTED * 8
    positives, negatives, without = sums.T
    return [
        [
            f"positives per image ({images} of {SIDE} pixels, {faces} faces)",
            *_cells(positives / images, ".1f"),
        ],
        ["negatives per positive", *_cells(negatives / positives, ".0f")],
        ["faces without a positive", *_cells(without, ".0f")],
    ]


def times() -> list[list[str]]:
    """How long a batch of eight images takes to be matched: medians, and the median of their ratios."""
    dataset = synthetic_dataset(
        8, seed=3, settings=SyntheticSettings(size=(640, 640), faces=(3, 8), face_heights=(16, 300))
    )
    images = [annotation.usable().boxes.astype(np.float32) for annotation in dataset.annotations]
    anchors, locations = REFERENCE_ANCHORS.lay(640, 640), LOCATIONS.lay(640, 640)

    def clock(match: Callable[[Any], Any]) -> float:
        start = time.perf_counter()
        for boxes in images:
            match(boxes)
        return time.perf_counter() - start

    ways: list[Callable[[Any], Any]] = [
        lambda boxes: match_anchors(anchors, boxes),
        lambda boxes: assign_locations(locations, boxes, LOCATIONS),
        lambda boxes: compiled_match_anchors(anchors, boxes, RETINAFACE.thresholds),
    ]
    for way in ways:
        clock(way)
    seconds = np.array([[clock(way) for way in ways] for _ in range(ROUNDS)])  # (rounds, ways), in turns
    readable, free, compiled = np.median(seconds, axis=0) * 1000 / len(images)
    ratio = np.median(seconds[:, 0] / seconds[:, 1])
    faces = sum(map(len, images)) / len(images)
    return [
        [
            f"matching, ms per image of 640 x 640, {faces:.0f} faces (ratio {ratio:.1f})",
            f"{readable:.2f}",
            f"{free:.2f}",
        ],
        ["the same, compiled", f"{compiled:.2f}", ""],
    ]


def trained_rows(runs: Sequence[Run], out: Path) -> list[list[str]]:
    """What the networks find: each on its own kind of images, the first ones on those of the others, too."""
    rows = []
    for learnt, measured in [(run, run) for run in runs] + [(runs[0], run) for run in runs[1:]]:
        where = f"{learnt.name} on {measured.name}"
        found = [found_by(learnt.weights(out, kind), measured.measured) for kind in NETWORKS]
        evaluations = [measure(detections, measured.measured) for detections in found]
        figures = [{**figures_of(one, SCORE), "precision": one.curve.at(SCORE)[0]} for one in evaluations]
        for figure in ("average_precision", "precision", "recall", "landmark_error"):
            if all(figure in one for one in figures):
                name = figure.replace("_", " ")
                rows.append([f"{name}, {where}", *_cells([one[figure] for one in figures], ".3f")])
        # The root of a product is above the root of a half where the product is above a half.
        stricter = evaluations[1].curve.at(SCORE**0.5)
        rows.append([f"both, were the score the product, {where}", "", "{:.3f}, {:.3f}".format(*stricter)])
        for height, recall in evaluations[0].by_size.items():
            if recall.faces and height[0] >= 10:  # smaller ones do not count
                found_of = [str(one.by_size[height].found) for one in evaluations]
                rows.append([f"found, of {recall.faces} of {height_label(*height)}, {where}", *found_of])
        between = "{:+.3f} to {:+.3f}".format(*differences(found, measured.measured))
        rows.append([f"AP, second minus first, {where}, 95 % of the resamplings", between, ""])
    return rows


def found_by(weights: Path, dataset: Dataset) -> list[Detections]:
    """Detect in every image, down to scores that are hardly any."""
    return predict(dataset, RetinaFace(DOUBTFUL, weights=weights), progress=False)


def differences(found: Sequence[Sequence[Detections]], dataset: Dataset) -> tuple[float, float]:
    """Return between which values the second AP minus the first lies for nearly all draws of images."""
    rng = np.random.default_rng(0)
    faces = [annotation.usable() for annotation in dataset.annotations]
    drawn = np.zeros(RESAMPLINGS)
    for k in range(RESAMPLINGS):
        chosen = rng.integers(len(faces), size=len(faces))
        first, second = (
            average_precision([one[i] for i in chosen], [faces[i] for i in chosen], min_face_size=10).value
            for one in found
        )
        drawn[k] = second - first
    least, most = np.quantile(drawn, [0.025, 0.975])
    return float(least), float(most)


def assigned(boxes: NDArray[Any], height: int, width: int) -> NDArray[np.intp]:
    """Return the face of every location."""
    return assign_locations(LOCATIONS.lay(height, width), boxes, LOCATIONS)


def draw_positives(path: Path) -> None:
    """Draw the positives of a group of faces: centres of anchors, and locations, coloured by face."""
    settings = SyntheticSettings(size=(480, 320), faces=(7, 7), face_heights=(14, 190))
    sample = load_sample(synthetic_dataset(1, seed=12, settings=settings).annotations[0])
    height, width = sample.image.shape[:2]
    anchors, locations = REFERENCE_ANCHORS.lay(height, width), LOCATIONS.lay(height, width)
    matched = match_anchors(anchors, sample.boxes.astype(np.float32)).face
    free = assigned(sample.boxes, height, width)
    titles = [
        f"{(matched >= 0).sum()} of {len(matched):,} anchors",
        f"{(free >= 0).sum()} of {len(free):,} locations",
    ]
    figure = panels([sample.image // 2 + 127] * 2, titles, columns=2, width=12)
    centres, sides = corners_to_centre(anchors)[:, :2], anchors[:, 2] - anchors[:, 0]
    for ax, face, points, sizes in (
        (figure.axes[0], matched, centres, sides),
        (figure.axes[1], free, locations.points, 2 * locations.strides),
    ):
        for g, box in enumerate(sample.boxes):
            colour = COLOURS[g % len(COLOURS)]
            add_boxes(ax, [box], colour=colour, line=2.5)
            mine = points[face == g]
            if ax is figure.axes[0]:
                add_boxes(ax, anchors[face == g], colour=colour, line=0.5)
            ax.scatter(
                mine[:, 0], mine[:, 1], s=sizes[face == g], color=colour, edgecolors="white", linewidths=0.7
            )
        ax.set(xlim=(0, width), ylim=(height, 0))  # anchors reach beyond the picture
    figure.savefig(path, dpi=80)


def draw_per_face(path: Path) -> None:
    """Draw how many positives a square face of each size has, over places of the image."""
    rng = np.random.default_rng(21)
    sides = np.geomspace(6, 400, 50)
    anchors = REFERENCE_ANCHORS.lay(640, 640)
    found = np.zeros((2, len(sides), 16))
    for k, side in enumerate(sides):
        for place, corner in enumerate(rng.uniform(0, 640 - side, (16, 2))):
            box = np.concatenate([corner, corner + side])[None].astype(np.float32)
            found[0, k, place] = match_anchors(anchors, box).positive.sum()
            found[1, k, place] = (assigned(box, 640, 640) >= 0).sum()
    ax = new_axes(8, 3.5)
    for counted, label, colour in zip(found, ("anchors", "locations"), COLOURS, strict=False):
        ax.fill_between(sides, counted.min(axis=1), counted.max(axis=1), alpha=0.25, color=colour)
        ax.plot(sides, counted.mean(axis=1), color=colour, label=label)
    ax.set(xscale="log", xlabel="side of the face in pixels", ylabel="positives of one face", ylim=(0, None))
    ax.set_xticks([8, 16, 32, 64, 128, 256], ["8", "16", "32", "64", "128", "256"])
    ax.legend(frameon=False)
    save_figure(ax, path)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    head = ["", "anchors", "anchor-free"]
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |")
    print()


def _cells(values: Any, form: str) -> list[str]:
    return [format(float(value), form) for value in values]


if __name__ == "__main__":
    main()
