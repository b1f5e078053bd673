"""Names of the public RetinaFace-MobileNet checkpoints, and how they are called here.

biubug6/Pytorch_Retinaface numbers its layers; an ONNX file exported from it keeps those numbers in the names
of its convolutions, but has folded every batch norm into the convolution before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.errors import InputError

BATCH_NORM_EPS = 1e-5


def convert_retinaface(state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Rename the arrays of a checkpoint of biubug6/Pytorch_Retinaface with the MobileNet backbone.

    Parameters
    ----------
    state : dict
        Names such as "body.stage1.0.0.weight". Counters ("num_batches_tracked") and the classifier of the
        pre-training ("body.fc", "body.avg") are dropped.

    Returns
    -------
    state : dict
        Names such as "backbone.stage1.0.conv.weight".

    Raises
    ------
    InputError
        If a name is unknown.
    """
    names = {}
    for theirs, ours in _convolutions().items():
        layer, _, number = theirs.rpartition(".")
        names[f"{theirs}"] = f"{ours}.conv"
        names[f"{layer}.{int(number) + 1}"] = f"{ours}.norm"  # a batch norm follows its convolution
    names.update(_heads())

    converted = {}
    for name, array in state.items():
        layer, _, kind = name.rpartition(".")
        if kind == "num_batches_tracked" or layer == "body.fc":
            continue
        if layer not in names:
            raise InputError(f"RetinaFace: `{name}` is no layer of the MobileNet x 0.25 network")
        converted[f"{names[layer]}.{kind}"] = array
    return converted


def convert_folded_retinaface(
    convolutions: Mapping[str, tuple[NDArray[Any], NDArray[Any]]],
) -> dict[str, NDArray[Any]]:
    """Rename the convolutions of an exported network, and give each folded one its batch norm back.

    Parameters
    ----------
    convolutions : dict of name to (weight, bias)
        Names as in :func:`convert_retinaface` without ".weight".

    Returns
    -------
    state : dict

    Raises
    ------
    InputError
        If a convolution is missing or unknown.
    """
    blocks, heads = _convolutions(), _heads()
    if convolutions.keys() != blocks.keys() | heads.keys():
        odd = sorted(convolutions.keys() ^ (blocks.keys() | heads.keys()))
        raise InputError(f"RetinaFace: convolutions missing or unknown: {', '.join(odd[:5])}")
    converted = {}
    for theirs, (weight, bias) in convolutions.items():
        if theirs in heads:
            converted[f"{heads[theirs]}.weight"] = weight
            converted[f"{heads[theirs]}.bias"] = bias
        else:
            converted[f"{blocks[theirs]}.conv.weight"] = weight
            converted.update(_neutral_batch_norm(f"{blocks[theirs]}.norm", bias))
    return converted


def _neutral_batch_norm(name: str, bias: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the batch norm that adds ``bias`` and changes nothing else.

    Folding has multiplied the scale into the convolution and left only a bias; the statistics are gone. With
    mean 0, variance 1 - eps and weight 1 the formula (x - mean) / sqrt(variance + eps) * weight + bias is
    x + bias, so the network keeps its layers and needs no second form.
    """
    return {
        f"{name}.weight": np.ones_like(bias),
        f"{name}.bias": bias,
        f"{name}.running_mean": np.zeros_like(bias),
        f"{name}.running_var": np.full_like(bias, 1 - BATCH_NORM_EPS),
    }


def _convolutions() -> dict[str, str]:
    """Map each convolution that a batch norm follows to the block it belongs to."""
    names = {"body.stage1.0.0": "backbone.stage1.0"}
    for stage, blocks in [(1, range(1, 6)), (2, range(6)), (3, range(2))]:
        for i in blocks:
            names[f"body.stage{stage}.{i}.0"] = f"backbone.stage{stage}.{i}.depthwise"
            names[f"body.stage{stage}.{i}.3"] = f"backbone.stage{stage}.{i}.pointwise"
    names.update({f"fpn.output{i}.0": f"fpn.lateral{i + 2}" for i in (1, 2, 3)})
    names.update({f"fpn.merge{i}.0": f"fpn.merge{i + 2}" for i in (1, 2)})
    for i in (1, 2, 3):
        for theirs, ours in [
            ("conv3X3", "view3"),
            ("conv5X5_1", "shared"),
            ("conv5X5_2", "view5"),
            ("conv7X7_2", "middle7"),
            ("conv7x7_3", "view7"),
        ]:
            names[f"ssh{i}.{theirs}.0"] = f"context{i + 2}.{ours}"
    return names


def _heads() -> dict[str, str]:
    return {
        f"{theirs}.{i}.conv1x1": f"heads{i + 3}.{ours}"
        for i in (0, 1, 2)
        for theirs, ours in [
            ("ClassHead", "class_head"),
            ("BboxHead", "box_head"),
            ("LandmarkHead", "landmark_head"),
        ]
    }
