"""MTCNN from photographs to a file of weights: each network is taught on what those before let through."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.datasets import Dataset
from minidet.fast import accelerate, is_available
from minidet.models.mtcnn import ONet, PNet, RNet
from minidet.nn import Module, initialise, kaiming_normal
from minidet.training.measure import measure_onet, measure_stage
from minidet.training.objectives import MTCNNTargets, Objective, SampleType, mtcnn_objective
from minidet.training.recipes.mtcnn import ONET, PNET, RNET, MTCNNRecipe
from minidet.training.sampling import (
    MTCNNBatches,
    ProposalSettings,
    Proposer,
    Samples,
    SampleStore,
    build_samples,
    check_stage,
    draw_samples,
    pnet_proposer,
    rnet_proposer,
    stage_recall,
)
from minidet.training.trained import Trained, train_by_recipe
from minidet.weights import checksum, save_npz

logger = logging.getLogger("minidet")

PRELU_SLOPE = 0.25
"""Of a new PReLU."""

SHOWN = 10
"""Crops of each type in the picture of a set."""

TITLES = {"pnet": "P-Net", "rnet": "R-Net", "onet": "O-Net"}


def train_mtcnn(
    datasets: Sequence[Dataset],
    folder: Path,
    recipes: Sequence[MTCNNRecipe] = (PNET, RNET, ONET),
    *,
    validation: Dataset,
    weights: Mapping[str, NDArray[Any]] | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: bool = True,
) -> Trained:
    """Train P-Net, then R-Net on what P-Net finds, then O-Net on what both find; or go on with that.

    Parameters
    ----------
    datasets : sequence of Dataset
        Photographs to learn from. Those of sets that are not exhaustive give faces, but no background.
    folder : Path
        Gets ``mtcnn.npz`` and a folder per network with its crops, a picture of some of them, the log, the
        curves and the checkpoints. What is finished in it is not done again.
    recipes : sequence of MTCNNRecipe
        Of P-Net, R-Net and O-Net; or of the first alone, or of two.
    validation : Dataset
        Photographs to measure on: how many faces each stage lets through decides whether there is a next.
    weights : mapping of name to array, optional
        The first weights of all three, for fine-tuning; by default random ones.
    seed : int
        Of the first weights, the crops and the batches.
    workers : int
        Threads that make batches ahead.
    progress : bool
        Show progress bars on standard error.

    Returns
    -------
    Trained
        Of the last training; ``weights`` is the file with all networks.

    Raises
    ------
    InputError
        As :func:`minidet.training.trainer.train`; if there is nothing to learn from; if the weights are of
        another network. A :class:`StageTooWeakError <minidet.training.sampling.StageTooWeakError>` if a
        stage loses so many faces that the next one would be trained on what is left.
    """
    done: dict[str, Module] = {}
    for recipe in recipes:
        own = folder / recipe.network
        propose = _proposer(done, recipe)
        if propose is not None:
            before = list(done)[-1]
            recall = stage_recall(
                validation,
                propose,
                stage=TITLES[before],
                min_face_size=recipe.samples.min_face_size,
                progress=progress,
            )
            logger.info("%s", recall)
            check_stage(recall, floor=recipe.floor)
        crops = partial(
            build_samples, network=recipe.network, settings=recipe.samples, propose=propose, progress=progress
        )
        store = crops(datasets, folder=own / "samples", seed=seed)
        # Crops of photographs it does not learn from; another seed, since these are other photographs.
        held_out = crops([validation], folder=own / "validation_samples", seed=seed + 1)
        draw_samples(some_of(store)).save(own / "samples.png")
        network = first_network(recipe, weights, seed)
        trained = _train_stage(
            network,
            store,
            own,
            recipe,
            partial(_measure, recipe=recipe, done=done, held_out=held_out, validation=validation),
            context={"seed": seed, "weights": None if weights is None else checksum(weights)},
            validation=validation,
            workers=workers,
            progress=progress,
        )
        logger.info("%s\n%s", TITLES[recipe.network], trained)
        done[recipe.network] = network.eval()
    return _joined(done, trained, folder / "mtcnn.npz")


def some_of(store: SampleStore) -> Samples:
    """Return samples of every type, spread over the set.

    Parameters
    ----------
    store : SampleStore

    Returns
    -------
    Samples
    """
    rows = [store.rows_of(kind) for kind in SampleType]
    return store.take(np.concatenate([every[:: max(1, len(every) // SHOWN)][:SHOWN] for every in rows]))


def first_network(recipe: MTCNNRecipe, weights: Mapping[str, NDArray[Any]] | None, seed: int) -> Module:
    """Return the network as it is before the first step.

    It has the landmark outputs of the paper, which help in training. Where the weights to begin with have
    none, as the released ones of P-Net and R-Net, those alone are random.

    Parameters
    ----------
    recipe : MTCNNRecipe
        Says which network.
    weights : mapping of name to array, or None
        To begin with; None is random numbers.
    seed : int
        Of the random numbers.

    Returns
    -------
    Module
    """
    makers: dict[str, Callable[[], Module]] = {
        "pnet": partial(PNet, landmark_head=True),
        "rnet": partial(RNet, landmark_head=True),
        "onet": ONet,
    }
    network: Module = makers[recipe.network]()
    draw = partial(kaiming_normal, negative_slope=PRELU_SLOPE)
    initialise(network, np.random.default_rng([seed, list(makers).index(recipe.network)]), draw)
    if weights is not None:
        prefix = f"{recipe.network}."
        given = {
            name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)
        }
        new = {
            name: array for name, array in network.state_dict().items() if name.startswith("landmark_head.")
        }
        network.load_state_dict({**new, **given})
    return accelerate(network) if is_available() else network


def _train_stage(
    network: Module,
    store: SampleStore,
    folder: Path,
    recipe: MTCNNRecipe,
    measure: Any,
    *,
    context: dict[str, Any],
    validation: Dataset,
    workers: int,
    progress: bool,
) -> Trained:
    batches = MTCNNBatches(
        store,
        batch_size=recipe.batch_size,
        ratio=recipe.ratio,
        seed=context["seed"],
        photometric=recipe.photometric,
    )
    logger.info("%s: %s", TITLES[recipe.network], batches.describe())

    def objective(outputs: tuple[Any, ...], targets: MTCNNTargets) -> Objective:
        logits, box_deltas, landmark_deltas = outputs
        return mtcnn_objective(
            logits,
            box_deltas,
            landmark_deltas,
            targets,
            alpha=recipe.alpha,
            mined_share=recipe.mined_share,
            classification=recipe.classification,
        )

    return train_by_recipe(
        network,
        batches,
        objective,
        recipe,
        folder,
        parameters=network.parameters(),
        context={**context, "samples": store.sha256},
        measure=measure,
        figure="accuracy" if recipe.network != "onet" or not validation.exhaustive else "average_precision",
        validation=validation,
        name=recipe.network,
        architecture=recipe.network,
        workers=workers,
        progress=progress,
    )


def _measure(
    network: Any, *, recipe: MTCNNRecipe, done: Mapping[str, Any], held_out: SampleStore, validation: Dataset
) -> dict[str, float]:
    """Measure a network in training: on held-out crops, and in its place in the cascade.

    The cascade looks for faces as small as those that are learnt from.
    """
    smallest = recipe.samples.min_face_size
    if recipe.network == "onet":
        return measure_onet(done["pnet"], done["rnet"], network, held_out, validation, min_face_size=smallest)
    settings = ProposalSettings(min_face_size=smallest)
    if recipe.network == "pnet":
        propose = pnet_proposer(network, settings)
    else:
        propose = rnet_proposer(done["pnet"], network, settings)
    return measure_stage(network, held_out, propose, validation, min_face_size=smallest)


def _proposer(done: Mapping[str, Any], recipe: MTCNNRecipe) -> Proposer | None:
    """Return what finds the windows of the next network, with all that are trained; None for random ones."""
    if recipe.proposals is None:
        return None
    if recipe.network == "rnet":
        return pnet_proposer(done["pnet"], recipe.proposals)
    return rnet_proposer(done["pnet"], done["rnet"], recipe.proposals)


def _joined(networks: Mapping[str, Module], trained: Trained, path: Path) -> Trained:
    """Write the three networks into the one file that ``MTCNN(weights=...)`` takes."""
    state = {
        f"{name}.{key}": array
        for name, network in networks.items()
        for key, array in network.state_dict().items()
    }
    save_npz(path, state, architecture="mtcnn")
    return Trained(path, checksum(state), trained.steps, trained.stopped, trained.figures, trained.speed)
