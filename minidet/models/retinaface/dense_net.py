"""A RetinaFace (Deng et al. 2020) that says any number of further things of every anchor."""

from __future__ import annotations

from minidet._check import check_whole
from minidet.errors import InputError
from minidet.models.retinaface.architecture import Architecture
from minidet.models.retinaface.mesh import DenseNet, add_dense_heads
from minidet.models.retinaface.pyramid_net import PyramidNet


def dense_net(values: int, architecture: Architecture | None = None) -> DenseNet:
    """Add a dense regression branch to a RetinaFace.

    Parameters
    ----------
    values : int
        Numbers per anchor: 3 for each vertex of a mesh, or those of a :class:`PixelBranch`.
    architecture : Architecture, optional
        Of the rest; by default the small backbone, three levels, shared heads.

    Returns
    -------
    DenseNet
        Layers as new, to be initialised.

    Raises
    ------
    InputError
        If it is a cascade, or the released network, whose parts have other names.

    Examples
    --------
    >>> import numpy as np
    >>> network = dense_net(3 * 5).eval()
    >>> [output.shape for output in network.forward(np.zeros((1, 3, 32, 32), np.float32))]
    [(1, 42, 4), (1, 42, 2), (1, 42, 10), (1, 42, 15)]
    """
    check_whole("dense_net", "values", values, least=1)
    chosen = architecture or Architecture(shared_heads=True)
    network = chosen.build()
    if not isinstance(network, PyramidNet):
        raise InputError(
            f"dense_net: {chosen.name} has no single branch; expected shared heads or five levels"
        )
    return add_dense_heads(network, values, chosen.channels)
