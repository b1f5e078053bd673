"""What each idea of MTCNN's training is worth: short runs that differ in one thing.

Usage: python scripts/ablations.py HELD_OUT OUT KIND:PATH [KIND:PATH ...]

HELD_OUT names photographs to measure on, as ``minidet split`` writes them; OUT receives a folder per run, a
table and two pictures. A run that was broken off goes on where it stopped.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minidet.cli.train_run import hold_out_named
from minidet.datasets import Dataset, open_dataset
from minidet.models.mtcnn import PNet, RNet
from minidet.training.objectives import Alpha
from minidet.training.recipes import PNET, RNET, Length, MTCNNRecipe
from minidet.training.sampling import (
    ProposalSettings,
    SampleSettings,
    pnet_proposer,
    rnet_proposer,
    stage_recall,
)
from minidet.training.train_mtcnn import train_mtcnn
from minidet.viz.figure import new_axes, save_figure
from minidet.weights import load_npz

SEEDS = (0, 1, 2)
SMALLEST = 12.0
FEWEST_BOXES = 5.0
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
SAMPLES = SampleSettings(min_face_size=SMALLEST, min_landmark_face_size=2 * SMALLEST)

P = replace(PNET, length=Length(steps=2000), samples=SAMPLES, validations=1)
R = replace(
    RNET,
    length=Length(steps=1000),
    batch_size=224,
    samples=SAMPLES,
    proposals=ProposalSettings(min_face_size=SMALLEST),
    validations=1,
    floor=0.5,
)

P_VARIANTS = {
    "as it is": P,
    "without hard mining": replace(P, mined_share=1.0),
    "focal loss in place of mining": replace(P, classification="focal"),
    "without the landmark task": replace(P, alpha=Alpha(classification=1.0, box=0.5, landmark=0.0)),
    "positive above 0.5, part above 0.3, negative below 0.2": replace(
        P, samples=replace(SAMPLES, positive=0.5, part=0.3, negative=0.2)
    ),
    "positive above 0.75, part above 0.5, negative below 0.4": replace(
        P, samples=replace(SAMPLES, positive=0.75, part=0.5, negative=0.4)
    ),
}
R_VARIANTS = {
    "fed by P-Net": R,
    "fed by random windows": replace(R, proposals=None),
}


@dataclass(frozen=True)
class Curve:
    """Recall of a stage against how many boxes it lets through, over score thresholds."""

    boxes: tuple[float, ...]
    recall: tuple[float, ...]

    def at(self, boxes: float) -> float:
        """Return the recall with so many boxes per photograph, between two thresholds by interpolation.

        Where no threshold lets so few through, or so many, it is not known: NaN.
        """
        order = np.argsort(self.boxes)
        counts, recall = np.array(self.boxes)[order], np.array(self.recall)[order]
        return float(np.interp(boxes, counts, recall, left=np.nan, right=np.nan))


def main() -> None:
    """Train what is not trained yet, measure, and write the table and the picture."""
    held_out_file, out, *sources = sys.argv[1:]
    folder = Path(out)
    learning, validation = hold_out_named([open_dataset(source) for source in sources], held_out_file)
    p_curves = {
        name: [curve(folder / f"p{number}-{seed}", [recipe], learning, validation, seed) for seed in SEEDS]
        for number, (name, recipe) in enumerate(P_VARIANTS.items())
    }
    r_curves = {
        name: [
            curve(with_pnet(folder, number, seed), [P, recipe], learning, validation, seed) for seed in SEEDS
        ]
        for number, (name, recipe) in enumerate(R_VARIANTS.items())
    }
    lines = [*table("P-Net", p_curves, (50, 100, 200)), "", *table("R-Net", r_curves, (15, 30, 60))]
    (folder / "ablations.md").write_text("\n".join(lines) + "\n")
    for network, curves in (("pnet", p_curves), ("rnet", r_curves)):
        draw(curves, folder / f"ablations_{network}.png")


def with_pnet(folder: Path, number: int, seed: int) -> Path:
    """Return the folder of a run of R-Net, with the P-Net of the first runs in it."""
    own = folder / f"r{number}-{seed}"
    if not own.exists():
        shutil.copytree(folder / f"p0-{seed}" / "pnet", own / "pnet")
    return own


def curve(
    folder: Path, recipes: Sequence[MTCNNRecipe], learning: Sequence[Dataset], validation: Dataset, seed: int
) -> Curve:
    """Train one network, or two, and measure the last of them."""
    kept = folder / "curve.json"
    if not kept.exists():
        print(folder.name, recipes[-1].network, flush=True)
        trained = train_mtcnn(learning, folder, recipes, validation=validation, seed=seed, progress=False)
        kept.write_text(json.dumps(measured(load_npz(trained.weights)[1], validation)))
    return Curve(*map(tuple, json.loads(kept.read_text())))


def measured(state: Mapping[str, np.ndarray], validation: Dataset) -> tuple[list[float], list[float]]:
    """Return boxes per photograph and recall at IoU 0.5 for every threshold."""
    networks = {"pnet": PNet(landmark_head=True), "rnet": RNet(landmark_head=True)}
    for name, network in networks.items():
        own = {
            key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")
        }
        if own:
            network.load_state_dict(own)
    with_rnet = any(key.startswith("rnet.") for key in state)
    boxes, recalls = [], []
    for threshold in THRESHOLDS:
        settings = ProposalSettings(
            min_face_size=SMALLEST, score_thresholds=(0.4, threshold) if with_rnet else (threshold, 0.4)
        )
        propose = (
            rnet_proposer(networks["pnet"], networks["rnet"], settings)
            if with_rnet
            else pnet_proposer(networks["pnet"], settings)
        )
        recall = stage_recall(validation, propose, min_face_size=SMALLEST, progress=False)
        boxes.append(float(recall.boxes.mean()))
        recalls.append(recall.recall(0.5).value)
    return boxes, recalls


def table(network: str, curves: Mapping[str, Sequence[Curve]], budgets: Sequence[float]) -> list[str]:
    """Return the lines of a table: mean recall over the seeds, and from where to where they went."""
    lines = [
        f"| {network} | "
        + " | ".join(f"recall with {budget} boxes per photograph" for budget in budgets)
        + " |",
        "|---|" + "---|" * len(budgets),
    ]
    for name, seeds in curves.items():
        cells = []
        for budget in budgets:
            values = [one.at(budget) for one in seeds]
            cells.append(f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def draw(curves: Mapping[str, Sequence[Curve]], path: Path) -> None:
    """Draw recall against boxes per photograph, a line per run and a colour per variant.

    Fewer boxes than faces are of no use to the next network, so the picture begins near their number.
    """
    axes = new_axes()
    for number, (name, seeds) in enumerate(curves.items()):
        for seed, one in enumerate(seeds):
            axes.plot(one.boxes, one.recall, color=f"C{number}", label=None if seed else name)
    axes.set_xscale("log")
    axes.set_xlim(FEWEST_BOXES)
    axes.set_ylim(0.4, 1.0)
    axes.set_xlabel("boxes per photograph")
    axes.set_ylabel("recall at IoU 0.5")
    axes.legend(loc="lower right")
    save_figure(axes, path)


if __name__ == "__main__":
    main()
