"""What RetinaFace did with one photograph, as far as a page shows it."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np

from minidet._typing import Float32Array, FloatArray, RGBImage
from minidet.api import Detector, RetinaFace
from minidet.boxes import REFERENCE_ANCHORS, AnchorSettings
from minidet.detectors import RetinaFaceSettings
from minidet.errors import InputError
from minidet.explain.pictures import heat_map, numbers, shrunk
from minidet.mesh import Topology
from minidet.trace import Trace

FLOOR = 0.02
"""Candidates are recorded from this score up: the threshold at which average precision is measured."""

MOST_CANDIDATES = 6000
"""More are recorded only if the detector itself looks at more."""

CHANNELS = 6
"""Channels shown of each map: those that vary most."""

MAP_SIDE = 240
"""Maps are shown at most so large, in cells, which is their own size up to photographs of 1920 pixels."""

MOST_MESHES = 200
"""Best first; of 399 vertices so many are 850 kB of the page."""


def record_retinaface(detector: RetinaFace, image: RGBImage, *, min_face: float = 0) -> dict[str, Any]:
    """Detect, and keep what the page shows and what its sliders need.

    Candidates are recorded far below the detector's own threshold. All that depends on the threshold then is
    which of them take part in the suppression, and that a browser can compute.

    Parameters
    ----------
    detector : RetinaFace
    image : (H, W, 3) uint8 array, RGB
    min_face : float
        Faces whose longer side is below so many pixels are left out, as ``minidet detect --min-face`` does.

    Returns
    -------
    dict
        Plain values, ready for JSON. Numbers of candidates are base64 of float32, best candidate first.

    Raises
    ------
    InputError
        If the network has no anchors.
    """
    if detector.architecture.anchor_free:
        raise InputError(
            f"explain: {detector.architecture.name} has no anchors, and they are what there is to explain"
        )
    asked = detector.trace(image)
    face_scores = asked["network"]["scores"][0, :, 1]  # (A,)
    settings = cast(RetinaFaceSettings, detector.settings)
    floor = _floor(face_scores, settings.score_threshold)
    # All of them, for the limit on candidates is applied again in the browser.
    wide = copy.copy(detector)
    wide.settings = replace(settings, score_threshold=floor, max_candidates=max(1, len(face_scores)))
    trace = Detector.trace(wide, image)  # not RetinaFace's, which computes the maps once more

    height, width = trace["input"]["x"].shape[2:]
    scale = np.array([image.shape[1] / width, image.shape[0] / height] * 2, np.float32)
    candidates = trace["candidates"]["candidates"]
    levels = level_of_anchor(height, width, detector.anchors)
    meshes = {"mesh": _meshes(detector.topology, trace)} if detector.topology else {}
    return {
        "model": "retinaface",
        "recipe": detector.recipe,
        "settings": {**asdict(settings), "min_face": min_face},
        "floor": floor,
        "input": [width, height],
        "seconds": step_seconds(asked),
        "levels": [
            {"stride": stride, "sizes": list(sizes), "anchors": int((levels == number).sum())}
            for number, (stride, sizes) in enumerate(
                zip(detector.anchors.strides, detector.anchors.sizes, strict=True)
            )
        ],
        "features": [_feature(name, values[0]) for name, values in asked.features.items()],
        "candidates": {
            "level": levels[candidates].tolist(),
            "anchor": numbers(trace["anchors"]["anchors"][candidates] * scale),
            "score": numbers(trace["candidates"]["scores"]),
            "box": numbers(trace["decode"]["boxes"]),
            "landmarks": numbers(trace["decode"]["landmarks"]),
        },
        "library": {
            "candidates": len(asked["candidates"]["candidates"]),
            "kept": len(asked["nms"]["kept"]),
        },
        **meshes,
    }


def level_of_anchor(
    height: int, width: int, anchors: AnchorSettings = REFERENCE_ANCHORS
) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Return for each anchor of an image the number of its level, (A,).

    Examples
    --------
    An image of 16 x 16 pixels has four positions on the first level, and one on each of the others:

    >>> level_of_anchor(16, 16)
    array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2])
    """
    counts = anchors.level_sizes(height, width)
    return np.repeat(np.arange(len(counts)), counts)


def _floor(scores: Float32Array, asked: float) -> float:
    """Return the lowest threshold, in steps of 0.01, with few enough candidates; at most the one asked."""
    for hundredths in range(round(100 * FLOOR), 100):
        if (scores > hundredths / 100).sum() <= MOST_CANDIDATES:
            return min(asked, hundredths / 100)
    return asked


def _meshes(topology: Topology, trace: Trace) -> dict[str, Any]:
    """Return the meshes of what is kept at the lowest score, as rows of the candidates and x, y of vertices.

    The suppression goes from the best candidate down. So what is kept at a higher score is the beginning of
    this, and only another IoU can make a face that has no mesh here.
    """
    return {
        "candidates": trace["nms"]["kept"][:MOST_MESHES].tolist(),
        "vertex_count": topology.vertex_count,
        "triangles": topology.triangles.tolist(),
        "vertices": numbers(trace["mesh"]["vertices"][:MOST_MESHES, :, :2]),
    }


def _feature(name: str, values: FloatArray) -> dict[str, Any]:
    """Return a map (C, h, w) as pictures: the mean size of its numbers, and the channels that vary most."""
    C, h, w = values.shape
    mean = np.abs(values).mean(axis=0)
    chosen = np.sort(np.argsort(-values.std(axis=(1, 2)), kind="stable")[:CHANNELS])
    return {
        "name": name,
        "shape": [C, h, w],
        "low": float(mean.min()),
        "high": float(mean.max()),
        "mean": heat_map(shrunk(mean, MAP_SIDE), mean.min(), mean.max()),
        "channels": [
            {
                "channel": int(c),
                "picture": heat_map(shrunk(values[c], MAP_SIDE), values[c].min(), values[c].max()),
            }
            for c in chosen
        ],
    }


def step_seconds(trace: Trace) -> list[list[Any]]:
    """Return name and duration of each step."""
    return [[step.name, round(step.seconds, 6)] for step in trace]
