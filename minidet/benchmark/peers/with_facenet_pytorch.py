"""facenet-pytorch: MTCNN end to end on torch."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Any

import numpy as np


def versions() -> dict[str, str]:
    """Name what is measured."""
    return {"facenet-pytorch": version("facenet-pytorch"), "torch": version("torch")}


def mtcnn_detect(arrays: dict[str, Any], settings: dict[str, Any]) -> Any:
    """From pixels to faces."""
    importlib.import_module("torch").set_num_threads(settings["threads"])
    detector = importlib.import_module("facenet_pytorch").MTCNN(
        keep_all=True, min_face_size=settings["min_face_size"]
    )
    images = [arrays[f"image{number}"] for number in range(len(arrays))]
    return [lambda image=image: detector.detect(image, landmarks=True) for image in images], read


def read(result: Any) -> dict[str, Any]:
    """Turn its tuple, of None where there is no face, into arrays."""
    boxes = result[0]
    return {"boxes": np.zeros((0, 4)) if boxes is None else np.asarray(boxes, np.float64).reshape(-1, 4)}


CASES = {"mtcnn-detect": mtcnn_detect}
