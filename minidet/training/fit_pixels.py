"""The pixel branch without a network: the parameters of each crop are found by going downhill themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_whole
from minidet._typing import FloatArray
from minidet.losses import pixel_l1
from minidet.models.retinaface.pixel import PixelBranch
from minidet.nn import Parameter
from minidet.training.objectives.dense import WHITE
from minidet.training.optim import Adam, Cosine


def fit_pixels(
    branch: PixelBranch, crops: FloatArray, visible: NDArray[np.bool_], *, steps: int, lr: float = 0.05
) -> tuple[FloatArray, list[float]]:
    r"""Find the code, camera and light with which each crop is drawn best.

    The same loss and the same gradients as in a training, but the numbers that a network would predict are
    themselves what is learnt. So this shows what the renderer's gradients are worth, whatever a network can
    learn; and it is the best that a network could do for these crops.

    Parameters
    ----------
    branch : PixelBranch
        Its decoder is not changed.
    crops : (P, side, side, 3) array, float32 or float64
        0 to 1.
    visible : (P, side, side) bool array
        Where they show the face.
    steps : int
    lr : float
        Of Adam, at first; it falls to 0 along a half cosine.

    Returns
    -------
    parameters : (P, parameters per anchor) array
    losses : list of float
        Mean over the crops before each step, and after the last; grey levels.

    Raises
    ------
    InputError
        If shapes disagree.

    Examples
    --------
    A crop that zeros draw already:

    >>> from minidet.datasets.meshes import CODE_SIZE, head_topology
    >>> from minidet.models.retinaface import MeshDecoder
    >>> from minidet.datasets.meshes import coloured_head
    >>> decoder = MeshDecoder(head_topology(), CODE_SIZE, channels=2)
    >>> decoder.mean.data = np.concatenate(coloured_head(np.zeros(CODE_SIZE)), axis=1).astype(np.float32)
    >>> branch = PixelBranch(decoder, head_topology(), side=16)
    >>> crops, covered, _ = branch.forward(np.zeros((1, branch.parameter_count_per_anchor), np.float32))
    >>> fit_pixels(branch, crops, covered, steps=1)[1]
    [0.0, 0.0]
    """
    check_whole("fit_pixels", "steps", steps, least=1)
    parameters = Parameter(np.zeros((len(crops), branch.parameter_count_per_anchor), crops.dtype))
    optimizer, schedule = Adam({"parameters": parameters}, lr=lr), Cosine(lr, steps)
    white = crops.dtype.type(WHITE)
    losses = []
    for step in range(steps + 1):
        pictures, covered, _ = branch.forward(parameters.data)
        value, grad_pictures = pixel_l1(white * pictures, white * crops, covered & visible)
        losses.append(value)
        if step < steps:
            optimizer.lr = schedule(step)
            optimizer.zero_grad()
            parameters.accumulate(branch.backward(grad_pictures))
            optimizer.step()
    branch.decoder.zero_grad()
    return parameters.data, losses
