"""Training of the pixel branch on drawn faces: codes, cameras and lights that nobody annotated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minidet import fast
from minidet._typing import FloatArray
from minidet.losses import pixel_l1
from minidet.models.retinaface import DenseNet, PixelBranch, dense_net
from minidet.nn import freeze_batch_norms
from minidet.training.mesh_face_batches import DenseTargets, MeshFaceBatches
from minidet.training.objectives import Objective, pixel_objective
from minidet.training.objectives.dense import WHITE
from minidet.training.optim import Adam, Cosine
from minidet.training.trainer import train

DENSE = ".dense."
"""In the names of the weights that say something of a mesh."""


def new_pixel_net(branch: PixelBranch, mesh_net: DenseNet) -> DenseNet:
    """Return a network with a pixel branch that can find faces already, and draws the mean face for each.

    Parameters
    ----------
    branch : PixelBranch
        Says how many numbers an anchor needs.
    mesh_net : DenseNet
        Trained; all but its mesh branch is taken over. What the pixels have to teach is fine, and a network
        of random weights forgets where the face is before it has understood what it looks like.

    Returns
    -------
    DenseNet
        Its batch norms keep the statistics of ``mesh_net``: how bright a face is should not depend on which
        others are in the batch.
    """
    network = dense_net(branch.parameter_count_per_anchor)  # all zeros
    own, trained = network.state_dict(), mesh_net.state_dict()
    network.load_state_dict({name: own[name] if DENSE in name else trained[name] for name in own})
    freeze_batch_norms(network)
    return network


def train_pixel_branch(
    network: DenseNet,
    branch: PixelBranch,
    batches: MeshFaceBatches,
    *,
    steps: int,
    folder: Path,
    lr: float = 5e-3,
    pixel_weight: float = 0.1,
    drawn_weight: float = 0.1,
    progress: bool = True,
) -> None:
    r"""Train all tasks at once. The decoder is not changed.

    Parameters
    ----------
    network : DenseNet
        Of :func:`new_pixel_net`.
    branch : PixelBranch
    batches : MeshFaceBatches
    steps : int
    folder : Path
        Of the log and the checkpoints; see :func:`minidet.training.trainer.train`.
    lr : float
        Of Adam, at first; it falls to 0 along a half cosine.
    pixel_weight, drawn_weight : float
        See :func:`pixel_objective`. The paper's 0.01 is for a network that learns mostly to detect; here
        there is one face in every picture, and what it looks like is what is to be learnt.
    progress : bool
        Show a progress bar.
    """
    if fast.is_available():
        fast.accelerate(network)

    def objective(outputs: tuple[Any, ...], targets: DenseTargets) -> Objective:
        boxes, logits, landmarks, dense = outputs
        loss = pixel_objective(
            boxes,
            logits,
            landmarks,
            dense,
            targets.faces,
            targets.crops,
            targets.visible,
            branch,
            pixel_weight=pixel_weight,
            drawn_weight=drawn_weight,
        )
        branch.decoder.zero_grad()
        return loss

    recipe = {"data": batches.dataset.source, "seed": batches.seed, "steps": steps, "lr": lr}
    train(
        network,
        batches,
        objective,
        Adam(network.parameters(), lr=lr),
        Cosine(lr, steps),
        steps=steps,
        folder=folder,
        recipe={**recipe, "pixel_weight": pixel_weight, "drawn_weight": drawn_weight},
        max_norm=10.0,
        checkpoint_every=steps,
        progress=progress,
        name="pixel",
    )


def drawn_faces(
    network: DenseNet, branch: PixelBranch, batches: MeshFaceBatches, step: int = 0
) -> tuple[FloatArray, float]:
    """Draw what the positive anchors of one batch say, and compare it with what they cover.

    Parameters
    ----------
    network : DenseNet
        Is set to inference.
    branch : PixelBranch
    batches : MeshFaceBatches
    step : int
        Which batch.

    Returns
    -------
    pictures : (P, side, side, 3) array
    pixel : float
        The loss of the pictures, grey levels.
    """
    batch = batches.batch(step)
    targets = batch.targets
    dense = network.eval().forward(batch.x)[3][targets.faces.positive]  # (P, parameters per anchor)
    pictures, covered, _ = branch.forward(dense)
    white = pictures.dtype.type(WHITE)
    pixel, _ = pixel_l1(white * pictures, white * targets.crops, covered & targets.visible)
    return pictures, pixel
