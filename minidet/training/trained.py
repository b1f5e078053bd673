"""What a finished training leaves behind: the weights, the curves, a summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minidet.datasets import Dataset
from minidet.datasets._files import write_text
from minidet.evaluation.evaluate import annotation_checksum
from minidet.training.log import RunLog
from minidet.training.trainer import Run
from minidet.training.validation import Validation, save_atomically
from minidet.viz.training import save_curves
from minidet.weights import checksum


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes
    ----------
    weights : Path
        The file of weights.
    sha256 : str
        Of its arrays.
    steps : int
        Steps that were taken.
    stopped : str or None
        Why there were not more.
    figures : dict
        Of the validation that the weights come from; empty without one.
    speed : dict
        Steps per second and the share of the time spent waiting for data, of this process.
    """

    weights: Path
    sha256: str
    steps: int
    stopped: str | None
    figures: dict[str, Any]
    speed: dict[str, Any]

    def __str__(self) -> str:
        lines = [f"{self.weights}  {self.steps} steps, sha256 {self.sha256[:12]}"]
        if self.speed.get("steps_per_second"):
            lines.append(
                f"  {self.speed['steps_per_second']:.2f} steps per second, "
                f"{self.speed['waiting']:.1%} of the time waiting for data"
            )
        if self.figures:
            lines.append("  " + ", ".join(f"{name} {value:.4g}" for name, value in self.figures.items()))
        if self.stopped:
            lines.append(f"  stopped: {self.stopped}")
        return "\n".join(lines)


def finish(run: Run, folder: Path, weights: Path, architecture: str) -> Trained:
    """Write the weights of a finished run, those of the best validation if there was one, and its curves."""
    records = RunLog.read(folder / "log.jsonl")
    best_step = None
    for callback in run.callbacks:
        if isinstance(callback, Validation):
            callback.load_best(run.network)
            best_step = callback.best_step
    save_atomically(weights, run.network, architecture)
    if records:
        save_curves(records, folder / "curves.png")
    figures = {
        name: value
        for record in records
        if record["kind"] == "validation" and record["step"] == best_step
        for name, value in record.items()
        if name not in ("kind", "step")
    }
    trained = Trained(weights, checksum(run.network.state_dict()), run.step, run.stopped, figures, run.speed)
    summary = {
        "sha256": trained.sha256,
        "steps": trained.steps,
        "stopped": trained.stopped,
        "best_step": best_step,
        "figures": figures,
    }
    write_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    return trained


def data_recipe(datasets: Sequence[Dataset]) -> list[dict[str, str]]:
    """Return what identifies data sets, in plain values."""
    return [
        {"source": dataset.source, "sha256": annotation_checksum(dataset.annotations)} for dataset in datasets
    ]
