"""Training of the mesh branch on drawn faces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minidet import fast
from minidet._typing import FloatArray
from minidet.boxes import decode_vertices
from minidet.models.retinaface import DenseNet, dense_net
from minidet.nn import initialise
from minidet.training.mesh_face_batches import DenseTargets, MeshFaceBatches
from minidet.training.objectives import PAPER, Objective, mesh_objective
from minidet.training.optim import Adam, Cosine
from minidet.training.trainer import train


def new_mesh_net(vertex_count: int, *, seed: int) -> DenseNet:
    """Return a network with a mesh branch and first weights, whose vertices all lie in the anchors' centres.

    Parameters
    ----------
    vertex_count : int
    seed : int

    Returns
    -------
    DenseNet
    """
    network = dense_net(3 * vertex_count)
    initialise(network, np.random.default_rng(seed))
    for layer in network.branch.heads.dense.layers.values():
        layer.weight.data = np.zeros_like(layer.weight.data)
    return network


def train_mesh_branch(
    network: DenseNet,
    batches: MeshFaceBatches,
    *,
    steps: int,
    folder: Path,
    lr: float = 3e-3,
    mesh_weight: float = 0.01,
    progress: bool = True,
) -> None:
    r"""Train all tasks at once.

    Parameters
    ----------
    network : DenseNet
    batches : MeshFaceBatches
    steps : int
    folder : Path
        Of the log and the checkpoints; see :func:`minidet.training.trainer.train`.
    lr : float
        Of Adam, at first; it falls to 0 along a half cosine.
    mesh_weight : float
        :math:`\lambda_3`, 0.01 in the paper. For pictures of one face each, which is hard to overlook, more
        is better: the mesh is then most of what there is to learn.
    progress : bool
        Show a progress bar.
    """
    if fast.is_available():
        fast.accelerate(network)
    settings = replace(PAPER, mesh_weight=mesh_weight)
    topology = batches.dataset.topology

    def objective(outputs: tuple[Any, ...], targets: DenseTargets) -> Objective:
        boxes, logits, landmarks, dense = outputs
        return mesh_objective(boxes, logits, landmarks, dense, targets.faces, topology, settings=settings)

    train(
        network,
        batches,
        objective,
        Adam(network.parameters(), lr=lr),
        Cosine(lr, steps),
        steps=steps,
        folder=folder,
        recipe={
            "data": batches.dataset.source,
            "seed": batches.seed,
            "steps": steps,
            "lr": lr,
            "mesh_weight": mesh_weight,
        },
        checkpoint_every=steps,
        progress=progress,
        name="mesh",
    )


def decoded_meshes(
    network: DenseNet, batches: MeshFaceBatches, step: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Decode the meshes of the positive anchors of one batch, and those that they should be.

    Parameters
    ----------
    network : DenseNet
        Is set to inference.
    batches : MeshFaceBatches
    step : int
        Which batch.

    Returns
    -------
    found, wanted : (P, V, 3) arrays, pixels
    """
    batch = batches.batch(step)
    positive, wanted = batch.targets.faces.positive, batch.targets.faces.vertices
    assert wanted is not None  # the faces of these batches have meshes
    dense = network.eval().forward(batch.x)[3][positive]  # (P, 3 V)
    _, anchor = np.nonzero(positive)
    anchors = batches.anchors[anchor]
    return decode_vertices(dense.reshape(wanted.shape), anchors), decode_vertices(wanted, anchors)


def vertex_error(network: DenseNet, batches: MeshFaceBatches) -> float:
    """Return the mean distance in space between found and true vertices of one batch.

    Parameters
    ----------
    network : DenseNet
        With a mesh branch; is set to inference.
    batches : MeshFaceBatches
        Of them, the first is looked at.

    Returns
    -------
    float
        Pixels.
    """
    found, wanted = decoded_meshes(network, batches)
    return float(np.linalg.norm(found - wanted, axis=2).mean())
