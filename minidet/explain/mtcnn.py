"""What MTCNN did with one photograph, as far as a page shows it.

In the cascade, what R-Net sees depends on what P-Net's suppression has kept. But R-Net's verdict on one
window depends on that window alone, and so does O-Net's on what R-Net makes of it. So *every* window that
P-Net does not reject out of hand is taken through all three networks, with no suppression at all. What is
left to compute at any setting are comparisons and suppressions, which a browser can do.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np

from minidet._typing import Float32Array, FloatArray, IntArray, RGBImage
from minidet.api import MTCNN
from minidet.detectors import MTCNNSettings
from minidet.detectors.mtcnn import inclusive_side, place_landmarks, shift
from minidet.explain.pictures import CROPS_PER_ROW, crop_sheet, heat_map, numbers, photo
from minidet.image.crop_squares import pixel_windows
from minidet.trace import Trace

FLOOR = 0.3
"""Windows are recorded from this score of P-Net up, half of its usual threshold."""

MOST_WINDOWS = 4000
"""More are recorded only if the detector itself looks at more."""

MOST_CROPS = 2500
"""Crops kept of each of the two networks, those of P-Net's best windows: a few megabytes at most."""

LEVEL_SIDE = 480
"""Levels of the pyramid are shown at most so large, in pixels."""


def record_mtcnn(detector: MTCNN, image: RGBImage) -> dict[str, Any]:
    """Detect, and keep what the page shows and what its sliders need.

    Parameters
    ----------
    detector : MTCNN
    image : (H, W, 3) uint8 array, RGB

    Returns
    -------
    dict
        Plain values, ready for JSON. The table ``windows`` has one row per window that P-Net scores at least
        ``floors[0]``, level by level, best first: its box, what P-Net makes of it (``rnet_box``, which R-Net
        sees), what R-Net makes of that (``onet_box``), and what O-Net makes of that (``face_box``,
        ``landmarks``), with the score of each network; -1 where a network has seen nothing. Numbers are
        base64 of float32.
    """
    asked = detector.trace(image)
    maps = asked["pnet"]["scores"] if "pnet" in _names(asked) else []
    settings = cast(MTCNNSettings, detector.settings)
    floors = _floors(maps, settings.score_thresholds)
    wide = copy.copy(detector)
    # An overlap is never above 1, so nothing is suppressed.
    wide.settings = replace(
        settings,
        score_thresholds=floors,
        nms_within_level=1.0,
        nms_across_levels=1.0,
        nms_refined=1.0,
        nms_final=1.0,
    )
    trace = wide.trace(image)
    return {
        "model": "mtcnn",
        "recipe": detector.recipe,
        "settings": asdict(settings),
        "floors": list(floors),
        "seconds": [[step.name, round(step.seconds, 6)] for step in asked],
        "levels": [
            {
                "scale": scale,
                "size": [level.shape[1], level.shape[0]],
                "picture": photo(np.clip(level.round(), 0, 255).astype(np.uint8), LEVEL_SIDE),
                "cells": [scores.shape[1], scores.shape[0]],
                "highest": float(scores.max()),
                "heat": heat_map(scores, 0, 1),
            }
            for scale, level, scores in zip(
                asked["pyramid"]["scales"], asked["pyramid"]["levels"], maps, strict=True
            )
        ],
        "windows": _windows(trace, image),
        "crops_per_row": CROPS_PER_ROW,
        "library": _counts(asked),
    }


def _floors(maps: list[Float32Array], asked: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the lowest thresholds, in steps of 0.05, that leave few enough windows; at most those asked for.

    Whatever P-Net lets through is seen by R-Net and O-Net, unless it is too much: then O-Net sees only what
    R-Net does not reject at half of its threshold.
    """
    for hundredths in range(round(100 * FLOOR), 100, 5):
        windows = sum(int((scores >= hundredths / 100).sum()) for scores in maps)
        if windows <= MOST_WINDOWS and hundredths / 100 <= asked[0]:
            return hundredths / 100, 0.0, 0.0
    if asked[0] <= FLOOR and sum(int((scores >= asked[0]).sum()) for scores in maps) <= MOST_WINDOWS:
        return asked[0], 0.0, 0.0
    return asked[0], round(asked[1] / 2, 2), 0.0


def _windows(trace: Trace, image: RGBImage) -> dict[str, Any]:
    """Return the table of windows, and the sheets of their crops."""
    steps = _names(trace)
    n = len(trace["propose"]["scores"]) if "propose" in steps else 0
    rnet_box, onet_box, face_box = (np.zeros((n, 4), np.float32) for _ in range(3))
    landmarks = np.zeros((n, 5, 2), np.float32)
    rnet_score, onet_score = np.full(n, -1, np.float32), np.full(n, -1, np.float32)
    rnet_rows = onet_rows = np.zeros(0, np.intp)

    if n:
        rows = trace["merge"]["kept"]  # which window each row of the step is about
        rnet_box[rows] = trace["merge"]["boxes"]
        rnet_rows = rows[_has_pixels(rnet_box[rows], image)]
    if "rnet" in steps:
        rnet_score[rnet_rows] = trace["rnet"]["scores"]
        rows = rnet_rows[trace["refine"]["passed"]][trace["refine"]["kept"]]
        onet_box[rows] = trace["refine"]["boxes"]
        onet_rows = rows[_has_pixels(onet_box[rows], image)]
    if "onet" in steps:
        onet = trace["onet"]
        onet_score[onet_rows] = onet["scores"]
        face_box[onet_rows] = shift(onet["boxes"], onet["box_deltas"], inclusive_side(onet["boxes"]))
        landmarks[onet_rows] = place_landmarks(onet["boxes"], onet["landmark_deltas"])

    scores = trace["propose"]["scores"] if n else np.zeros(0, np.float32)
    shown = np.zeros(n, np.bool_)
    shown[np.argsort(-scores, kind="stable")[:MOST_CROPS]] = True
    per_level = trace["propose"]["per_level"] if n else []
    return {
        "level": np.repeat(np.arange(len(per_level)), per_level).tolist(),
        "box": numbers(trace["propose"]["boxes"] if n else np.zeros((0, 4))),
        "pnet_score": numbers(scores),
        "rnet_box": numbers(rnet_box),
        "rnet_score": numbers(rnet_score),
        "onet_box": numbers(onet_box),
        "onet_score": numbers(onet_score),
        "face_box": numbers(face_box),
        "landmarks": numbers(landmarks),
        **_crops("rnet", trace["rnet"]["crops"] if "rnet" in steps else None, rnet_rows, shown),
        **_crops("onet", trace["onet"]["crops"] if "onet" in steps else None, onet_rows, shown),
    }


def _crops(
    network: str, crops: FloatArray | None, rows: IntArray, shown: np.ndarray[Any, np.dtype[np.bool_]]
) -> dict[str, Any]:
    """Return a sheet of crops and each window's place on it, -1 if it has none."""
    place = np.full(len(shown), -1)
    if crops is None:
        return {f"{network}_crop": place.tolist(), f"{network}_sheet": ""}
    on_sheet = np.flatnonzero(shown[rows])
    place[rows[on_sheet]] = np.arange(len(on_sheet))
    return {f"{network}_crop": place.tolist(), f"{network}_sheet": crop_sheet(crops[on_sheet])}


def _has_pixels(boxes: Float32Array, image: RGBImage) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell which boxes have a crop, as :func:`minidet.image.crop_squares` does."""
    H, W = image.shape[:2]
    wanted = pixel_windows(boxes)
    start, stop = np.maximum(wanted[:, :2], 0), np.minimum(wanted[:, 2:], [W, H])
    return np.all(stop > start, axis=1)


def _counts(trace: Trace) -> dict[str, int]:
    """Return how many boxes there were after each step; 0 for a step that was not reached."""
    sizes = {name: 0 for name in ("proposed", "merged", "passed_rnet", "refined", "passed_onet", "faces")}
    for step in trace:
        if step.name == "propose":
            sizes["proposed"] = len(step["scores"])
        elif step.name == "merge":
            sizes["merged"] = len(step["kept"])
        elif step.name == "refine":
            sizes["passed_rnet"], sizes["refined"] = len(step["passed"]), len(step["kept"])
        elif step.name == "output":
            sizes["passed_onet"], sizes["faces"] = len(step["passed"]), len(step["kept"])
    return sizes


def _names(trace: Trace) -> set[str]:
    return {step.name for step in trace}
