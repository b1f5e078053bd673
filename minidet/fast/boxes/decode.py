"""From the outputs of RetinaFace's network to candidates: only what scores high enough is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_shape, check_whole
from minidet._jit import jit_fast
from minidet._typing import Float32Array, IntArray
from minidet.boxes.anchors import check_anchors
from minidet.boxes.coding import VARIANCES
from minidet.errors import InputError, is_share


class Candidates(NamedTuple):
    """Anchors above the score threshold, best first; of equal scores the lower index first.

    Attributes
    ----------
    anchors : (C,) integer array
        Their indices.
    scores : (C,) float32 array
    boxes : (C, 4) float32 array, x1 y1 x2 y2, pixels
    landmarks : (C, 5, 2) float32 array, pixels
    """

    anchors: IntArray
    scores: Float32Array
    boxes: Float32Array
    landmarks: Float32Array


def decode_candidates(
    box_deltas: Float32Array,
    scores: Float32Array,
    landmark_deltas: Float32Array,
    height: int,
    width: int,
    *,
    score_threshold: float,
    max_candidates: int,
    scale: tuple[float, float] = (1.0, 1.0),
    strides: Sequence[int] = (8, 16, 32),
    sizes: Sequence[Sequence[float]] = ((16, 32), (64, 128), (256, 512)),
) -> Candidates:
    """Choose the anchors that score high enough, and decode those.

    The twin of steps 3 to 5 of :func:`minidet.detectors.retinaface.detect_retinaface`: the same anchors in
    the same order, and the same boxes and landmarks to the last bit. There is no array of anchors: where one
    lies follows from its index, by the order of :func:`minidet.boxes.generate_anchors`.

    Parameters
    ----------
    box_deltas : (A, 4) float32 array
    scores : (A, 2) float32 array, face second, or (A,) of the face alone
    landmark_deltas : (A, 10) float32 array, x1 y1 .. x5 y5
    height, width : int
        Of the network's input, in pixels.
    score_threshold : float
        From 0 to 1; a score has to be above it.
    max_candidates : int
        At most so many, best first.
    scale : (float, float)
        What a pixel of the network's input is worth in pixels of the result, in x and y.
    strides, sizes : sequences
        Of the anchors, as in :func:`minidet.boxes.generate_anchors`.

    Returns
    -------
    Candidates

    Raises
    ------
    InputError
        If a shape does not fit the image, an array is not float32, or an option is out of range.

    Examples
    --------
    Two anchors, 16 pixels wide and centred at (4, 4) and (12, 4). The second scores high enough:

    >>> found = decode_candidates(
    ...     np.zeros((2, 4), np.float32), np.array([0.3, 0.9], np.float32), np.zeros((2, 10), np.float32),
    ...     8, 16, score_threshold=0.5, max_candidates=10, strides=[8], sizes=[[16]],
    ... )
    >>> found.anchors, found.boxes
    (array([1]), array([[ 4., -4., 20., 12.]], dtype=float32))
    """
    check_anchors("decode_candidates", height, width, strides, sizes)
    levels = _levels(height, width, strides, sizes)
    A = int(levels[-1, 0])
    of_image = f"for the anchors of {height} x {width} pixels"
    check_shape("decode_candidates", "scores", scores, (A, 2) if scores.ndim == 2 else (A,), of_image)
    check_shape("decode_candidates", "box_deltas", box_deltas, (A, 4), of_image)
    check_shape("decode_candidates", "landmark_deltas", landmark_deltas, (A, 10), of_image)
    for name, array in (("scores", scores), ("box_deltas", box_deltas), ("landmark_deltas", landmark_deltas)):
        if array.dtype != np.float32:
            raise InputError(f"decode_candidates: `{name}` is {array.dtype}; expected float32")
    if not is_share(score_threshold):
        raise InputError(f"decode_candidates: score_threshold={score_threshold!r}; expected 0 to 1")
    check_whole("decode_candidates", "max_candidates", max_candidates, least=1)

    face_scores = scores[:, 1] if scores.ndim == 2 else scores  # (A,)
    candidates = np.flatnonzero(face_scores > score_threshold)
    best_first = np.argsort(-face_scores[candidates], kind="stable")
    candidates = candidates[best_first][:max_candidates]
    boxes = box_deltas[candidates]  # (C, 4): shift of the centre, and what becomes the factor of the size
    boxes[:, 2:] = np.exp(VARIANCES[1] * boxes[:, 2:])
    landmarks = landmark_deltas[candidates].reshape(-1, 5, 2)
    side = np.array([side for level in sizes for side in level])
    _decode_kernel(
        candidates, levels, side, np.float32(VARIANCES[0]), np.asarray(scale, np.float32), boxes, landmarks
    )
    return Candidates(candidates, face_scores[candidates], boxes, landmarks)


def _levels(
    height: int, width: int, strides: Sequence[int], sizes: Sequence[Sequence[float]]
) -> NDArray[np.int64]:
    """Return (levels + 1, 5): first anchor, stride, columns, number of sizes and first size of each level."""
    rows, anchor, size = [], 0, 0
    for stride, level in zip(strides, sizes, strict=True):
        columns = -(-width // stride)
        rows.append((anchor, stride, columns, len(level), size))
        anchor += -(-height // stride) * columns * len(level)
        size += len(level)
    return np.array([*rows, (anchor, 0, 0, 0, size)])


@jit_fast
def _decode_kernel(
    candidates: IntArray,
    levels: NDArray[np.int64],
    sides: NDArray[np.float64],
    variance: np.float32,
    scale: Float32Array,
    boxes: Float32Array,
    landmarks: Float32Array,
) -> None:
    two = np.float32(2)
    for c, index in enumerate(candidates):
        level = 0
        while index >= levels[level + 1, 0]:
            level += 1
        first, stride, columns = levels[level, 0], levels[level, 1], levels[level, 2]
        sizes, first_size = levels[level, 3], levels[level, 4]
        cell, k = divmod(index - first, sizes)
        row, column = divmod(cell, columns)
        half = sides[first_size + k] / 2
        for axis, position in enumerate((column, row)):
            # The anchor's sides first, in float32: where they are rounded, its centre is as in the twin.
            centre = (position + 0.5) * stride
            low, high = np.float32(centre - half), np.float32(centre + half)
            middle, size = (low + high) / two, high - low
            for point in range(5):
                shift = variance * landmarks[c, point, axis] * size
                landmarks[c, point, axis] = (middle + shift) * scale[axis]
            middle += variance * boxes[c, axis] * size
            size *= boxes[c, 2 + axis]
            boxes[c, axis] = (middle - size / two) * scale[axis]
            boxes[c, 2 + axis] = (middle + size / two) * scale[axis]
