"""What ``minidet train`` does once its options are known."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from minidet.cli.files import make_writable, open_photographs
from minidet.cli.terminal import show
from minidet.datasets import Annotation, Dataset
from minidet.errors import InputError
from minidet.fast import set_num_threads
from minidet.training.recipes import (
    ONET,
    ONET_PAPER,
    PNET,
    PNET_PAPER,
    RETINAFACE,
    RETINAFACE_FINE_TUNING,
    RETINAFACE_PAPER,
    RETINAFACE_REFERENCE,
    RNET,
    RNET_PAPER,
    Length,
    MTCNNRecipe,
    RetinaFaceRecipe,
)
from minidet.training.train_mtcnn import train_mtcnn
from minidet.training.train_retinaface import ARCHITECTURE, train_retinaface
from minidet.weights import load_weights

Recipe = TypeVar("Recipe", MTCNNRecipe, RetinaFaceRecipe)

KEPT_FOR_VALIDATION = 200
"""At most so many photographs are kept for measuring, where the user names none."""


def run_train(options: argparse.Namespace) -> int:
    """Train and print; return the exit status."""
    logging.getLogger("minidet").setLevel(logging.INFO)  # what each validation measured
    _check_options(options)
    folder = Path(options.out)
    _check_folder(folder, options.resume)
    if options.threads is not None:
        set_num_threads(options.threads)
    datasets, validation = open_data(options.data, options.val)
    make_writable(folder)
    architecture = ARCHITECTURE if options.model == "retinaface" else "mtcnn"
    common: dict[str, Any] = {
        "validation": validation,
        "weights": None if options.init is None else load_weights(options.init, architecture=architecture),
        "seed": options.seed,
        "workers": options.workers,
        "progress": sys.stderr is not None and sys.stderr.isatty(),
    }
    if options.model == "retinaface":
        show(str(train_retinaface(datasets, folder, retinaface_recipe(options), **common)))
    else:
        show(str(train_mtcnn(datasets, folder, mtcnn_recipes(options), **common)))
    return 0


def open_data(sources: Sequence[str], validation: str | None) -> tuple[list[Dataset], Dataset]:
    """Open the data sets to learn from and the one to measure on.

    Without a name for the latter, photographs are taken from the former.

    Raises
    ------
    InputError
        If one cannot be read or has no photographs.
    """
    datasets = [open_photographs(source) for source in sources]
    return hold_out(datasets) if validation is None else (datasets, open_photographs(validation))


def hold_out(datasets: Sequence[Dataset]) -> tuple[list[Dataset], Dataset]:
    """Take every tenth photograph out for measuring, or fewer, so that there are not too many.

    Sets that do not name every face are kept whole if there are others: on them there is no precision.

    Raises
    ------
    InputError
        If there are fewer than ten photographs to take from.
    """
    measurable = [dataset for dataset in datasets if dataset.exhaustive] or list(datasets)
    photographs = sum(len(dataset) for dataset in measurable)
    step = max(10, -(-photographs // KEPT_FOR_VALIDATION))
    kept: list[Annotation] = []
    learning = []
    for dataset in datasets:
        if dataset not in measurable:
            learning.append(dataset)
            continue
        held = dataset[::step].annotations
        kept.extend(held)
        rest = [one for number, one in enumerate(dataset.annotations) if number % step]
        learning.append(_part(dataset, rest, f"but every {step}th"))
    if not kept or all(len(dataset) == 0 for dataset in learning):
        raise InputError(f"{photographs} photographs are too few to keep some for measuring; give --val")
    source = f"every {step}th of {', '.join(dataset.source for dataset in measurable)}"
    return learning, Dataset(kept, source, exhaustive=all(dataset.exhaustive for dataset in measurable))


def retinaface_recipe(options: argparse.Namespace) -> RetinaFaceRecipe:
    """Return the named recipe with what the options change in it."""
    named = {
        "small": RETINAFACE if options.init is None else RETINAFACE_FINE_TUNING,
        "paper": RETINAFACE_PAPER,
        "reference": RETINAFACE_REFERENCE,
    }
    recipe = _changed(named[options.recipe], options, options.steps[0] if options.steps else None)
    if options.size is not None:
        recipe = replace(recipe, augment=replace(recipe.augment, size=int(options.size)))
    norms: Literal["learn", "frozen", "reestimated"] = options.norms or (
        "learn" if options.init is None else "reestimated"
    )
    return replace(recipe, norms=norms)


def mtcnn_recipes(options: argparse.Namespace) -> tuple[MTCNNRecipe, MTCNNRecipe, MTCNNRecipe]:
    """Return the named recipes of the three networks with what the options change in them."""
    named = (PNET_PAPER, RNET_PAPER, ONET_PAPER) if options.recipe == "paper" else (PNET, RNET, ONET)
    steps = (options.steps or (None,)) * (1 if options.steps and len(options.steps) == 3 else 3)
    pnet, rnet, onet = (_changed(recipe, options, own) for recipe, own in zip(named, steps, strict=True))
    return pnet, rnet, onet


def _changed(recipe: Recipe, options: argparse.Namespace, steps: int | None) -> Recipe:
    if steps is not None:
        recipe = replace(recipe, length=Length(steps=steps))
    if options.epochs is not None:
        recipe = replace(recipe, length=Length(epochs=options.epochs))
    if options.batch_size is not None:
        recipe = replace(recipe, batch_size=options.batch_size)
    if options.lr is not None:
        recipe = replace(recipe, optimisation=replace(recipe.optimisation, lr=options.lr))
    if options.patience is not None:
        recipe = replace(recipe, patience=options.patience)
    return recipe


def _check_options(options: argparse.Namespace) -> None:
    """Refuse what the model has no use for: it would be taken to have worked."""
    if options.model == "mtcnn":
        for name in ("norms", "size"):
            if getattr(options, name) is not None:
                raise InputError(f"--{name} is for retinaface; mtcnn has none of it")
        if options.recipe == "reference":
            raise InputError("--recipe reference is for retinaface; expected small or paper for mtcnn")
    elif options.steps is not None and len(options.steps) != 1:
        raise InputError(f"--steps {','.join(map(str, options.steps))}; expected one number for retinaface")


def _check_folder(folder: Path, resume: bool) -> None:
    """Begin anew only where nothing is, and go on only where something is."""
    begun = folder.is_dir() and any(folder.rglob("checkpoint-*.npz"))
    if begun and not resume:
        raise InputError(f"{folder} holds a training; give --resume to go on with it, or another folder")
    if resume and not folder.is_dir():
        raise InputError(f"there is no {folder} to go on with; leave --resume out to begin")


def _part(dataset: Dataset, annotations: list[Annotation], what: str) -> Dataset:
    return Dataset(annotations, f"{dataset.source} {what}", exhaustive=dataset.exhaustive)
