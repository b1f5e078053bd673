"""Checks that every box function makes on its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_float, check_shape
from minidet._typing import FloatArray
from minidet.errors import InputError, is_share


def check_rows(function: str, name: str, array: NDArray[Any], columns: int) -> None:
    """Require an (any, ``columns``) array of floats: integers would cut a threshold to 0, unsigned wrap."""
    if array.ndim != 2 or array.shape[1] != columns:
        raise InputError(f"{function}: `{name}` has shape {array.shape}; expected (any number, {columns})")
    check_float(function, **{name: array})


def check_area(function: str, kind: str, boxes: FloatArray, before: str) -> None:
    """Require finite boxes that have an area; name the first that is not, as ``kind`` and its row."""
    with np.errstate(over="ignore", invalid="ignore"):
        sides = boxes[:, 2:] - boxes[:, :2]  # (any, 2); infinite or NaN if a coordinate is
    proper = (np.isfinite(sides) & (sides > 0)).all(axis=1)
    if not proper.all():
        row = int(np.argmin(proper))
        fault = "has no area" if np.isfinite(sides[row]).all() else "is not finite"
        raise InputError(
            f"{function}: {kind} {row} {fault}: {boxes[row]}; boxes are x1 y1 x2 y2; drop it before {before}"
        )


def check_scored(function: str, boxes: FloatArray, scores: FloatArray) -> None:
    """Require one finite score per finite box."""
    check_rows(function, "boxes", boxes, 4)
    check_shape(function, "scores", scores, (len(boxes),), "one per box")
    check_float(function, scores=scores)
    check_finite(function, "boxes", boxes)
    check_finite(function, "scores", scores)


def check_share(function: str, name: str, value: object) -> None:
    """Require a number from 0 to 1."""
    if not is_share(value):
        raise InputError(f"{function}: {name}={value!r}; expected 0 to 1")


def check_nms(boxes: FloatArray, scores: FloatArray, iou_threshold: float, overlap: str) -> None:
    """Require one finite score per finite box, a threshold from 0 to 1, a known kind of overlap."""
    check_scored("nms", boxes, scores)
    check_share("nms", "iou_threshold", iou_threshold)
    if overlap not in ("union", "min"):
        raise InputError(f"nms: overlap={overlap!r}; expected 'union' or 'min'")


def check_matching(anchors: FloatArray, boxes: FloatArray) -> None:
    """Require anchors and boxes of one float type, all finite and with an area."""
    check_rows("match_anchors", "anchors", anchors, 4)
    check_rows("match_anchors", "boxes", boxes, 4)
    check_float("match_anchors", anchors=anchors, boxes=boxes)
    check_area("match_anchors", "anchor", anchors, "matching")
    check_area("match_anchors", "box", boxes, "matching")
