"""Names of the layers in facenet-pytorch's three checkpoints, and what they are called here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from minidet.errors import InputError

LAYER_NAMES = {
    "pnet": {"conv4_1": "class_head", "conv4_2": "box_head"},
    "rnet": {"dense4": "linear4", "dense5_1": "class_head", "dense5_2": "box_head"},
    "onet": {
        "dense5": "linear5",
        "dense6_1": "class_head",
        "dense6_2": "box_head",
        "dense6_3": "landmark_head",
    },
}
"""Layers that have another name here; conv1, prelu1 and so on are called the same."""


def convert_mtcnn(networks: Mapping[str, Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Join the state dicts of facenet-pytorch's P-Net, R-Net and O-Net into one with the names used here.

    Parameters
    ----------
    networks : {"pnet": state, "rnet": state, "onet": state}

    Returns
    -------
    state : dict
        Names such as "pnet.class_head.weight".

    Raises
    ------
    InputError
        If one of the three is missing.
    """
    converted = {}
    for network, names in LAYER_NAMES.items():
        if network not in networks:
            raise InputError(f"MTCNN has three networks; {network} is missing")
        for name, array in networks[network].items():
            layer, _, kind = name.rpartition(".")
            converted[f"{network}.{names.get(layer, layer)}.{kind}"] = array
    return converted
