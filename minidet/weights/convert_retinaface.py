"""Names of the public RetinaFace checkpoints, and how they are called here.

biubug6/Pytorch_Retinaface numbers its layers; an ONNX file exported from it keeps those numbers in the names
of its convolutions, but has folded every batch norm into the convolution before it.
"""

from __future__ import annotations

import re
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
    names = _layers_of(_convolutions()) | _heads()
    converted = {}
    for name, array in state.items():
        layer, _, kind = name.rpartition(".")
        if kind == "num_batches_tracked" or layer == "body.fc":
            continue
        if layer not in names:
            raise InputError(f"RetinaFace: `{name}` is no layer of the MobileNet x 0.25 network")
        converted[f"{names[layer]}.{kind}"] = array
    return converted


def convert_retinaface_resnet(state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Rename the arrays of a checkpoint of biubug6/Pytorch_Retinaface with the ResNet-50 backbone.

    Parameters
    ----------
    state : dict
        Names such as "body.layer1.0.conv1.weight"; the backbone is torchvision's, and is called the same
        here. Counters and the classifier are dropped.

    Returns
    -------
    state : dict
        Names such as "trunk.backbone.layer1.0.conv1.weight".

    Raises
    ------
    InputError
        If a name is unknown.
    """
    names = {theirs: _on_a_trunk(ours) for theirs, ours in (_layers_of(_pyramid()) | _heads()).items()}
    converted = {}
    for name, array in state.items():
        layer, _, kind = name.rpartition(".")
        if kind == "num_batches_tracked" or layer == "body.fc":
            continue
        if layer in names:
            converted[f"{names[layer]}.{kind}"] = array
        elif re.fullmatch(r"body\.(conv1|bn1|layer[1-4]\..+)", layer):
            converted[f"trunk.backbone.{name.removeprefix('body.')}"] = array
        else:
            raise InputError(f"RetinaFace: `{name}` is no layer of the ResNet-50 network")
    return converted


def is_resnet(state: Mapping[str, NDArray[Any]]) -> bool:
    """Tell whether a checkpoint of biubug6/Pytorch_Retinaface has a ResNet for its backbone."""
    return any(name.startswith("body.layer") for name in state)


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


def _layers_of(blocks: Mapping[str, str]) -> dict[str, str]:
    """Map the convolutions and the batch norms behind them to the layers of their blocks."""
    names = {}
    for theirs, ours in blocks.items():
        layer, _, number = theirs.rpartition(".")
        names[theirs] = f"{ours}.conv"
        names[f"{layer}.{int(number) + 1}"] = f"{ours}.norm"
    return names


def _on_a_trunk(name: str) -> str:
    """Return the name that a layer of the MobileNet network has in a network of trunk and branch.

    Examples
    --------
    >>> _on_a_trunk("fpn.merge3.conv"), _on_a_trunk("context4.view3.norm"), _on_a_trunk("heads5.box_head")
    ('trunk.fpn.merge3.conv', 'branch.contexts.p4.view3.norm', 'branch.heads.p5.box_head')
    """
    name = re.sub(r"^context(\d)", r"branch.contexts.p\1", name)
    name = re.sub(r"^heads(\d)", r"branch.heads.p\1", name)
    return re.sub(r"^fpn", "trunk.fpn", name)


def _convolutions() -> dict[str, str]:
    """Map each convolution that a batch norm follows to the block it belongs to."""
    names = {"body.stage1.0.0": "backbone.stage1.0"}
    for stage, blocks in [(1, range(1, 6)), (2, range(6)), (3, range(2))]:
        for i in blocks:
            names[f"body.stage{stage}.{i}.0"] = f"backbone.stage{stage}.{i}.depthwise"
            names[f"body.stage{stage}.{i}.3"] = f"backbone.stage{stage}.{i}.pointwise"
    return names | _pyramid()


def _pyramid() -> dict[str, str]:
    """Map each convolution of the pyramid and the context modules to the block it belongs to."""
    names = {f"fpn.output{i}.0": f"fpn.lateral{i + 2}" for i in (1, 2, 3)}
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
