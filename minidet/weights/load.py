"""From the ``weights=`` of a detector to a state dict."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.errors import InputError
from minidet.weights.convert_mtcnn import convert_mtcnn
from minidet.weights.convert_retinaface import convert_retinaface, convert_retinaface_resnet, is_resnet
from minidet.weights.npz import load_npz
from minidet.weights.shipped import SHIPPED
from minidet.weights.torch_file import read_torch_file


def load_weights(weights: str | os.PathLike[str], *, architecture: str) -> dict[str, NDArray[Any]]:
    """Read weights for ``architecture``.

    Parameters
    ----------
    weights : str or path
        A name of ``SHIPPED``, a ``.npz`` file of minidet's, or what :func:`read_checkpoint` takes.
    architecture : "mtcnn", "retinaface_mobilenet025", ..
        A name as in :func:`read_weights`.

    Returns
    -------
    state : dict of name to array

    Raises
    ------
    InputError
        If there are no such weights, they are for another architecture, or hold a NaN.
    """
    found, state = read_weights(weights)
    if found != architecture:
        raise InputError(
            f"weights: {os.fspath(weights)!r} is for {found}; expected weights for {architecture}"
        )
    return state


def read_weights(weights: str | os.PathLike[str]) -> tuple[str, dict[str, NDArray[Any]]]:
    """Read weights, whichever network they are for.

    Parameters
    ----------
    weights : str or path
        As in :func:`load_weights`.

    Returns
    -------
    architecture : str
        "mtcnn", or the ``name`` of a :class:`minidet.models.retinaface.Architecture`.
    state : dict of name to array

    Raises
    ------
    InputError
        If there are no such weights, or they hold a NaN.
    """
    if not isinstance(weights, str | os.PathLike):
        raise InputError(f"weights={weights!r}; expected a path or one of {', '.join(SHIPPED)}")
    if weights in SHIPPED:
        found, state = load_npz(SHIPPED[str(weights)].path)
    else:
        path = Path(weights)
        if not path.exists():
            raise InputError(
                f"weights: {os.fspath(weights)!r} is neither a file nor one of {', '.join(SHIPPED)}"
            )
        found, state = load_npz(path) if path.suffix == ".npz" else read_checkpoint(path)
    for name, array in state.items():
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise InputError(f"weights: `{name}` holds NaN, infinity or something other than numbers")
    return found, state


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[str, dict[str, NDArray[Any]]]:
    """Read PyTorch checkpoints of the reference implementations.

    Parameters
    ----------
    path : path
        A ``.pth`` of biubug6/Pytorch_Retinaface (MobileNet x 0.25 or ResNet-50), or a folder with
        facenet-pytorch's ``pnet.pt``, ``rnet.pt`` and ``onet.pt``.

    Returns
    -------
    architecture : str
    state : dict of name to array

    Raises
    ------
    InputError
        If it is neither.
    """
    path = Path(path)
    if path.is_dir():
        files = {name: path / f"{name}.pt" for name in ("pnet", "rnet", "onet")}
        absent = [file.name for file in files.values() if not file.is_file()]
        if absent:
            raise InputError(f"weights: folder {path} has no {', '.join(absent)}")
        return "mtcnn", convert_mtcnn({name: read_torch_file(file) for name, file in files.items()})
    state = read_torch_file(path)
    if is_resnet(state):
        return "retinaface_resnet50", convert_retinaface_resnet(state)
    return "retinaface_mobilenet025", convert_retinaface(state)
