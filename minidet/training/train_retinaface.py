"""RetinaFace from annotated photographs to a file of weights."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._typing import FloatArray
from minidet.boxes import match_anchors
from minidet.datasets import Dataset
from minidet.evaluation import data_recipe
from minidet.fast import accelerate, is_available
from minidet.fast.boxes.matching import match_anchors as fast_match_anchors
from minidet.nn import Module, freeze_batch_norms, initialise, kaiming_normal, reestimate_batch_norms
from minidet.nn.parameter import Parameter
from minidet.training.anchor_free_batches import AnchorFreeBatches
from minidet.training.batch import Batches
from minidet.training.measure import measure_retinaface
from minidet.training.objectives import (
    AnchorFreeTargets,
    Objective,
    RetinaFaceTargets,
    anchor_free_objective,
    cascade_objective,
    retinaface_objective,
)
from minidet.training.recipes.retinaface import RETINAFACE, RetinaFaceRecipe
from minidet.training.retinaface_batches import RetinaFaceBatches
from minidet.training.trained import Trained, train_by_recipe
from minidet.viz.training_images import training_images_sheet
from minidet.weights import checksum

logger = logging.getLogger("minidet")

LEAKY_SLOPE = 0.1
"""Of the rectifiers behind most convolutions of the small networks; those of the large ones have none."""

BATCHES_FOR_STATISTICS = 13
"""Of the training, shown once before it: some hundred images tell a mean and a variance of every channel."""


def train_retinaface(
    datasets: Sequence[Dataset],
    folder: Path,
    recipe: RetinaFaceRecipe = RETINAFACE,
    *,
    validation: Dataset | None = None,
    weights: Mapping[str, NDArray[Any]] | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: bool = True,
) -> Trained:
    """Train RetinaFace, or go on with a training that was broken off.

    Parameters
    ----------
    datasets : sequence of Dataset
        Photographs to learn from. What is not annotated is learnt as background.
    folder : Path
        Gets ``retinaface.npz``, a picture of the first batch, the log, the curves and the checkpoints; a
        training of the same recipe that is in it already goes on.
    recipe : RetinaFaceRecipe
    validation : Dataset, optional
        Photographs to measure on. With them the weights kept are the best of all validations, by average
        precision (or later ones that are hardly worse); without, the last.
    weights : mapping of name to array, optional
        The first weights, for fine-tuning; by default random ones.
    seed : int
        Of the first weights, of every batch and of every change to an image.
    workers : int
        Threads that make batches ahead.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    Trained

    Raises
    ------
    InputError
        As :func:`minidet.training.trainer.train`; if there is nothing to learn from; if the weights are of
        another network.
    """
    batches = RetinaFaceBatches(
        datasets,
        batch_size=recipe.batch_size,
        settings=recipe.augment,
        thresholds=recipe.thresholds,
        seed=seed,
        anchors=recipe.network.anchors,
        with_faces=recipe.network.cascade,
    )
    logger.info("%s", batches.describe().partition("\n")[0])  # the problems below have been logged already
    if weights is not None and not batches.has_landmarks:
        logger.warning(
            "no face has landmarks, and what the first weights know of landmarks will be forgotten; "
            "`minidet label` completes annotations"
        )
    draw_training_images(batches, folder / "training_images.png")
    network = first_network(weights, recipe, batches, seed)

    lesson: Batches[Any] = batches
    if recipe.network.anchor_free:
        lesson = AnchorFreeBatches(batches, recipe.network.locations)

    return train_by_recipe(
        network,
        lesson,
        objective_of(recipe, batches.anchors),
        recipe,
        folder,
        parameters=learnt_parameters(network, recipe),
        context={
            "seed": seed,
            "weights": None if weights is None else checksum(weights),
            "data": [data_recipe(dataset) for dataset in datasets],
        },
        measure=None if validation is None else partial(measure_retinaface, dataset=validation),
        figure="recall" if validation is not None and not validation.exhaustive else "average_precision",
        validation=validation,
        name="retinaface",
        architecture=recipe.network.name,
        workers=workers,
        progress=progress,
    )


def draw_training_images(batches: RetinaFaceBatches, path: Path) -> None:
    """Draw the images of the first batch with their labels, if that is not done yet.

    Parameters
    ----------
    batches : RetinaFaceBatches
    path : path
        Of the picture.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        training_images_sheet(batches.samples(0)).save(path)


def objective_of(
    recipe: RetinaFaceRecipe, anchors: FloatArray
) -> Callable[[tuple[Any, ...], Any], Objective]:
    """Return what the recipe's network minimises.

    Parameters
    ----------
    recipe : RetinaFaceRecipe
        Its network says whether the objective is that of a cascade.
    anchors : (A, 4) array, x1 y1 x2 y2, pixels
        Those of the training images. Read for a cascade only, which decodes its first boxes from them.

    Returns
    -------
    callable
        Takes the outputs of the network and the :class:`~minidet.training.objectives.RetinaFaceTargets` of a
        batch, and returns an :class:`~minidet.training.objectives.Objective`.
    """
    if recipe.network.cascade:
        matcher = fast_match_anchors if is_available() else match_anchors
        return lambda outputs, targets: cascade_objective(
            *outputs, targets=targets, anchors=anchors, settings=recipe.cascade_loss, matcher=matcher
        )

    if recipe.network.anchor_free:

        def without_anchors(outputs: tuple[Any, ...], targets: AnchorFreeTargets) -> Objective:
            log_distances, logits, centre_logits, landmark_deltas = outputs
            settings = recipe.anchor_free_loss
            return anchor_free_objective(
                log_distances, logits, centre_logits, landmark_deltas, targets, settings=settings
            )

        return without_anchors

    def objective(outputs: tuple[Any, ...], targets: RetinaFaceTargets) -> Objective:
        box_deltas, logits, landmark_deltas = outputs
        return retinaface_objective(box_deltas, logits, landmark_deltas, targets, settings=recipe.loss)

    return objective


def learnt_parameters(network: Module, recipe: RetinaFaceRecipe) -> dict[str, Parameter]:
    """Return the parameters that the optimiser moves: all, but for the stem where the norms are frozen.

    Pixels reach the first convolution as numbers up to 150, so its gradient is a hundred times that of all
    others together. A norm that learns takes the scale out again; behind a frozen one the loss explodes. Deng
    et al. 2019, section 4.2, freeze the first two convolutions of their light network, too.

    Parameters
    ----------
    network : RetinaFaceNet
    recipe : RetinaFaceRecipe

    Returns
    -------
    dict of str to Parameter
    """
    parameters = network.parameters()
    if recipe.norms == "frozen":
        del parameters[recipe.network.stem]
    return parameters


def first_network(
    weights: Mapping[str, NDArray[Any]] | None,
    recipe: RetinaFaceRecipe,
    batches: Batches[RetinaFaceTargets],
    seed: int,
) -> Module:
    """Return the network as it is before the first step: its weights, and what becomes of its norms.

    Parameters
    ----------
    weights : mapping of name to array, or None
        To begin with; None is random numbers.
    recipe : RetinaFaceRecipe
        Says what becomes of the norms.
    batches : Batches
        What the statistics of the norms are measured on.
    seed : int
        Of the random numbers.

    Returns
    -------
    Module
    """
    network: Module = recipe.network.build()
    if weights is None:
        slope = LEAKY_SLOPE if recipe.network.backbone == "mobilenet025" else 0.0
        draw = partial(kaiming_normal, negative_slope=slope)
        initialise(network, np.random.default_rng(seed), draw)
    else:
        network.load_state_dict(weights)
    if recipe.norms == "reestimated":
        reestimate_batch_norms(network, (batches.batch(step).x for step in range(BATCHES_FOR_STATISTICS)))
    if recipe.norms == "frozen":
        freeze_batch_norms(network)
    return accelerate(network) if is_available() else network
