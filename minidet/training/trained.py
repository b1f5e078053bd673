"""A training by its recipe, from the first step to what it leaves behind: weights, curves, a summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minidet.datasets import Dataset
from minidet.datasets._files import write_text
from minidet.evaluation import data_recipe
from minidet.nn import Module
from minidet.nn.parameter import Parameter
from minidet.training.batch import Batches, Targets
from minidet.training.log import RunLog
from minidet.training.objectives import Objective
from minidet.training.recipes.mtcnn import MTCNNRecipe
from minidet.training.recipes.retinaface import RetinaFaceRecipe
from minidet.training.trainer import Callback, Run, train
from minidet.training.validation import Validation
from minidet.viz.training import save_curves
from minidet.weights import checksum, save_npz

CHANCE = 0.005
"""Half a point of AP or recall is chance on a few hundred faces, and no reason to keep earlier weights."""


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


def train_by_recipe(
    network: Module,
    batches: Batches[Targets],
    objective: Callable[[tuple[Any, ...], Targets], Objective],
    recipe: MTCNNRecipe | RetinaFaceRecipe,
    folder: Path,
    *,
    parameters: Mapping[str, Parameter],
    context: Mapping[str, Any],
    measure: Callable[[Module], dict[str, float]] | None,
    figure: str,
    validation: Dataset | None,
    name: str,
    architecture: str,
    workers: int,
    progress: bool,
) -> Trained:
    """Train a network by its recipe, or go on with that, and write its weights into ``folder``.

    Parameters
    ----------
    network, batches, objective, workers, progress
        As in :func:`minidet.training.trainer.train`.
    recipe : MTCNNRecipe or RetinaFaceRecipe
    folder : Path
    parameters : dict of Parameter by name
        Those that the optimiser moves.
    context : mapping
        Plain values: what decides the weights besides the recipe, such as the seed and the data.
    measure : callable or None
        What a validation measures; None for no validation.
    figure : str
        The figure of it to go by.
    validation : Dataset or None
        The photographs it is measured on.
    name : str
        Of the network: of its file of weights, and in messages.
    architecture : str
        What the file says the weights are for.

    Returns
    -------
    Trained

    Raises
    ------
    InputError
        As :func:`minidet.training.trainer.train`.
    """
    steps = recipe.length.in_steps(batches.steps_per_epoch)
    callbacks: list[Callback] = []
    if measure is not None:
        callbacks.append(
            Validation(
                measure,
                every=max(1, steps // recipe.validations),
                steps=steps,
                figure=figure,
                best=folder / "best.npz",
                architecture=architecture,
                margin=CHANCE,
                patience=recipe.patience,
            )
        )
    whole_recipe = {
        "recipe": asdict(recipe),
        **context,
        "validation": None if validation is None else [data_recipe(validation)],
    }
    run = train(
        network,
        batches,
        objective,
        recipe.optimisation.make_optimizer(parameters),
        recipe.optimisation.make_schedule(steps),
        steps=steps,
        folder=folder,
        recipe=whole_recipe,
        callbacks=callbacks,
        max_norm=recipe.optimisation.max_norm,
        checkpoint_every=recipe.checkpoint_every,
        workers=workers,
        progress=progress,
        name=name,
    )
    write_text(folder / "recipe.json", json.dumps(whole_recipe, indent=2) + "\n")
    return finish(run, folder, folder / f"{name}.npz", architecture)


def finish(run: Run, folder: Path, weights: Path, architecture: str) -> Trained:
    """Write the weights of a finished run, those of the best validation if there was one, and its curves.

    Parameters
    ----------
    run : Run
    folder : path
        Of the run, where the curves go.
    weights : path
        Where the weights go.
    architecture : str
        Noted with the weights, as in :func:`minidet.weights.save_npz`.

    Returns
    -------
    Trained
    """
    records = RunLog.read(folder / "log.jsonl")
    best_step = None
    for callback in run.callbacks:
        if isinstance(callback, Validation):
            callback.load_best(run.network)
            best_step = callback.best_step
    save_npz(weights, run.network.state_dict(), architecture=architecture)
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
