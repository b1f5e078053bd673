"""What ``minidet train`` does once its options are known."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from minidet.cli.files import make_writable, open_photographs
from minidet.cli.terminal import show
from minidet.datasets import (
    Dataset,
    group_by_content,
    only_named,
    read_name_list,
    write_name_list,
)
from minidet.datasets.split import choose_held_out
from minidet.errors import InputError
from minidet.fast import set_num_threads
from minidet.models.retinaface.architecture import BACKBONES, Architecture
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
from minidet.training.train_retinaface import train_retinaface
from minidet.weights import read_weights

Recipe = TypeVar("Recipe", MTCNNRecipe, RetinaFaceRecipe)

KEPT_FOR_VALIDATION = 200
"""At most so many photographs are kept for measuring, where the user names none."""

RATE_OF_RESNETS = 1e-3
"""The small recipe's rate is for the small network; in one fifty times as large its steps are too long."""

HELD_OUT = "held_out.txt"
"""In the folder of a run, the names of what was measured on and not learnt from."""


def run_train(options: argparse.Namespace) -> int:
    """Train and print; return the exit status."""
    logging.getLogger("minidet").setLevel(logging.INFO)  # what each validation measured
    _check_options(options)
    folder = Path(options.out)
    _check_folder(folder, options.resume)
    if options.threads is not None:
        set_num_threads(options.threads)
    weights, network = first_weights(options)  # before the photographs, which may take a while to read
    datasets, validation = open_data(options.data, options.val, options.held_out)
    make_writable(folder)
    if options.val is None and not (options.resume and (folder / HELD_OUT).exists()):
        write_name_list(folder / HELD_OUT, [annotation.name for annotation in validation.annotations])
    common: dict[str, Any] = {
        "validation": validation,
        "weights": weights,
        "seed": options.seed,
        "workers": options.workers,
        "progress": sys.stderr is not None and sys.stderr.isatty(),
    }
    if options.model == "retinaface":
        show(str(train_retinaface(datasets, folder, retinaface_recipe(options, network), **common)))
    else:
        show(str(train_mtcnn(datasets, folder, mtcnn_recipes(options), **common)))
    return 0


def first_weights(
    options: argparse.Namespace,
) -> tuple[dict[str, NDArray[Any]] | None, Architecture]:
    """Return the weights of --init, and the network of RetinaFace: that of --network, or the weights' own.

    Raises
    ------
    InputError
        If there is no such network; if the weights cannot be read, or are for something else.
    """
    asked = None if options.network is None else named_network(options.network)
    if options.init is None:
        return None, asked or Architecture()
    found, weights = read_weights(options.init)
    wanted = "mtcnn" if options.model == "mtcnn" else asked.name if asked else "retinaface"
    if found != wanted and not (wanted == "retinaface" and found.startswith("retinaface_")):
        raise InputError(f"weights: {options.init!r} is for {found}; expected weights for {wanted}")
    return weights, Architecture() if found == "mtcnn" else Architecture.from_name(found)


def named_network(name: str) -> Architecture:
    """Return the RetinaFace that --network names.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> named_network("resnet50_p2p6").levels
    5
    """
    try:
        return Architecture.from_name(f"retinaface_{name}")
    except InputError:
        raise InputError(
            f"--network {name!r}; expected one of {', '.join(BACKBONES)}, with [_p2p6][_deform|_deform2] and "
            "[_shared][_cascade] or _anchorfree after it, in this order"
        ) from None


def open_data(
    sources: Sequence[str], validation: str | None, held_out: str | None = None
) -> tuple[list[Dataset], Dataset]:
    """Open the data sets to learn from and the one to measure on.

    Without a name for the latter, photographs are taken from the former: those that the file ``held_out``
    names, or else :func:`hold_out` chooses.

    Raises
    ------
    InputError
        If one cannot be read or has no photographs.
    """
    datasets = [open_photographs(source) for source in sources]
    if validation is not None:
        return datasets, open_photographs(validation)
    return hold_out(datasets) if held_out is None else hold_out_named(datasets, held_out)


def hold_out(datasets: Sequence[Dataset]) -> tuple[list[Dataset], Dataset]:
    """Take a tenth of the photographs out for measuring, or less, so that there are not too many.

    Near-duplicates stay together, also where they are in several sets: what is measured on is not learnt.
    From sets that do not name every face nothing is measured if there are others: on them there is no
    precision. They lose only copies of what is.

    Raises
    ------
    InputError
        If there are no two different photographs to take from.
    """
    annotations = [annotation for dataset in datasets for annotation in dataset.annotations]
    exhaustive = any(dataset.exhaustive for dataset in datasets)
    measurable = [dataset for dataset in datasets if dataset.exhaustive == exhaustive]
    can_be_held = np.repeat(
        [dataset.exhaustive == exhaustive for dataset in datasets], [len(dataset) for dataset in datasets]
    )
    photographs = int(can_be_held.sum())
    step = max(10, -(-photographs // KEPT_FOR_VALIDATION))
    groups = group_by_content(Dataset(annotations, "all"))
    names = [annotations[index].name for index in np.flatnonzero(can_be_held)]
    chosen = choose_held_out(names, groups[can_be_held], -(-photographs // step))
    held = np.isin(groups, groups[can_be_held][chosen])
    if not held.any() or held.all():
        raise InputError(
            f"{photographs} photographs of one picture are too few to keep some for measuring; give --val"
        )
    source = f"every {step}th of {_sources(measurable)}, by content"
    measured = held & can_be_held & _first_of_each(datasets)
    kept = Dataset(annotations, source, exhaustive=exhaustive).part(measured, source)
    return _learning(datasets, held, f"but every {step}th, by content"), kept


def hold_out_named(datasets: Sequence[Dataset], path: str) -> tuple[list[Dataset], Dataset]:
    """Take the photographs that a file names out for measuring; a name in several sets means all of them.

    Raises
    ------
    InputError
        If the file cannot be read or names others; if none is left to learn from.
    """
    names = read_name_list(path, datasets)
    parts = [only_named(dataset, names, f"{dataset.source}[{path}]") for dataset in datasets]
    parts = [part for part in parts if len(part)]
    kept = [annotation for part in parts for annotation in part.annotations]
    kept = [annotation for annotation, first in zip(kept, _first_of_each(parts), strict=True) if first]
    wanted = set(names)
    held = [annotation.name in wanted for dataset in datasets for annotation in dataset.annotations]
    if all(held):
        raise InputError(
            f"{path} names all {len(held):,} photographs; expected some to be left to learn from"
        )
    learning = _learning(datasets, np.array(held), f"but {path}")
    return learning, Dataset(kept, _sources(parts), exhaustive=all(part.exhaustive for part in parts))


def _learning(datasets: Sequence[Dataset], held: NDArray[np.bool_], what: str) -> list[Dataset]:
    """Return the sets without what is held out of all of them; one of which nothing is left is left out."""
    parts = np.split(held, np.cumsum([len(dataset) for dataset in datasets])[:-1])
    return [
        dataset.part(~part, f"{dataset.source} {what}") if part.any() else dataset
        for dataset, part in zip(datasets, parts, strict=True)
        if not part.all()
    ]


def _first_of_each(datasets: Sequence[Dataset]) -> NDArray[np.bool_]:
    """Mark each photograph once: a set that is given twice is learnt from twice, and measured on once."""
    keys = [(dataset.source, annotation.name) for dataset in datasets for annotation in dataset.annotations]
    place = {key: index for index, key in reversed(list(enumerate(keys)))}  # the first, since it comes last
    return np.isin(np.arange(len(keys)), list(place.values()))


def _sources(datasets: Sequence[Dataset]) -> str:
    return ", ".join(dict.fromkeys(dataset.source for dataset in datasets))


def retinaface_recipe(options: argparse.Namespace, network: Architecture | None = None) -> RetinaFaceRecipe:
    """Return the named recipe, for this network, with what the options change in it."""
    named = {
        "small": RETINAFACE if options.init is None else RETINAFACE_FINE_TUNING,
        "paper": RETINAFACE_PAPER,
        "reference": RETINAFACE_REFERENCE,
    }
    recipe = _changed(named[options.recipe], options, options.steps[0] if options.steps else None)
    large = network is not None and network.backbone != "mobilenet025"
    if large and options.recipe == "small" and options.lr is None:
        rate = min(recipe.optimisation.lr, RATE_OF_RESNETS)
        recipe = replace(recipe, optimisation=replace(recipe.optimisation, lr=rate))
    if options.size is not None:
        recipe = replace(recipe, augment=replace(recipe.augment, size=int(options.size)))
    norms: Literal["learn", "frozen", "reestimated"] = options.norms or (
        "learn" if options.init is None else "reestimated"
    )
    return replace(recipe, network=network or recipe.network, norms=norms)


def mtcnn_recipes(options: argparse.Namespace) -> tuple[MTCNNRecipe, MTCNNRecipe, MTCNNRecipe]:
    """Return the named recipes of the three networks with what the options change in them."""
    named = (PNET_PAPER, RNET_PAPER, ONET_PAPER) if options.recipe == "paper" else (PNET, RNET, ONET)
    steps = (options.steps or (None,)) * (1 if options.steps and len(options.steps) == 3 else 3)
    pnet, rnet, onet = (_changed(recipe, options, own) for recipe, own in zip(named, steps, strict=True))
    if options.min_face is not None:
        pnet, rnet, onet = (_for_faces_from(float(options.min_face), recipe) for recipe in (pnet, rnet, onet))
    return pnet, rnet, onet


def _for_faces_from(smallest: float, recipe: MTCNNRecipe) -> MTCNNRecipe:
    samples = replace(recipe.samples, min_face_size=smallest, min_landmark_face_size=2 * smallest)
    proposals = recipe.proposals and replace(recipe.proposals, min_face_size=smallest)
    return replace(recipe, samples=samples, proposals=proposals)


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
        for name in ("network", "norms", "size"):
            if getattr(options, name) is not None:
                raise InputError(f"--{name} is for retinaface; mtcnn has none of it")
        if options.recipe == "reference":
            raise InputError("--recipe reference is for retinaface; expected small or paper for mtcnn")
    elif options.min_face is not None:
        raise InputError("--min-face is for mtcnn; retinaface learns from faces of all sizes")
    elif options.steps is not None and len(options.steps) != 1:
        raise InputError(f"--steps {','.join(map(str, options.steps))}; expected one number for retinaface")


def _check_folder(folder: Path, resume: bool) -> None:
    """Begin anew only where nothing is, and go on only where something is."""
    begun = folder.is_dir() and any(folder.rglob("checkpoint-*.npz"))
    if begun and not resume:
        raise InputError(f"{folder} holds a training; give --resume to go on with it, or another folder")
    if resume and not folder.is_dir():
        raise InputError(f"there is no {folder} to go on with; leave --resume out to begin")
