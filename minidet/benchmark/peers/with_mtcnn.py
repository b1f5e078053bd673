"""The package mtcnn: MTCNN end to end on TensorFlow."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Any

import numpy as np


def versions() -> dict[str, str]:
    """Name what is measured."""
    return {"mtcnn": version("mtcnn"), "tensorflow": importlib.import_module("tensorflow").__version__}


def mtcnn_detect(arrays: dict[str, Any], settings: dict[str, Any]) -> Any:
    """From pixels to faces."""
    threading = importlib.import_module("tensorflow").config.threading
    threading.set_intra_op_parallelism_threads(settings["threads"])
    threading.set_inter_op_parallelism_threads(1)
    detector = importlib.import_module("mtcnn").MTCNN(device="CPU:0")
    first, second, third = settings["score_thresholds"]
    options = {
        "min_face_size": settings["min_face_size"],
        "threshold_pnet": first,
        "threshold_rnet": second,
        "threshold_onet": third,
    }
    images = [arrays[f"image{number}"] for number in range(len(arrays))]
    return [lambda image=image: detector.detect_faces(image, **options) for image in images], read


def read(faces: Any) -> dict[str, Any]:
    """Turn its dictionaries into arrays."""
    boxes = np.array([face["box"] for face in faces], np.float64).reshape(-1, 4)  # x y w h
    return {"boxes": np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)}


CASES = {"mtcnn-detect": mtcnn_detect}
