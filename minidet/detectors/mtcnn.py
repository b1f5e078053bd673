"""MTCNN: three networks in a row, each sees fewer windows and looks closer (Zhang et al. 2016, figure 1).

::

    image ─ pyramid ─ P-Net ── thousands of windows ─ NMS ─┐
                                                           ├─ R-Net ── dozens ─ NMS ─┐
                                               24x24 crops ┘                         ├─ O-Net ── faces ─ NMS
                                                                         48x48 crops ┘

Boxes in here are MTCNN's: pixels are counted from 1 and both corners belong to the box. They come out as they
are: x1 and y1 are one pixel more than in the continuous coordinates of the rest of the package, x2 and y2 the
same; see ``docs/compat.md``, "Cell windows".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, cast

import numpy as np

from minidet._typing import Float32Array, IntArray, RGBImage
from minidet.boxes import nms
from minidet.detections import Detections
from minidet.detectors.inclusive_nms import inclusive_nms
from minidet.errors import InputError, is_number, is_share
from minidet.image import crop_squares, level_size, mtcnn_input, pyramid_scales, resize_area
from minidet.image.pyramid import CELL_SIZE
from minidet.trace import SILENT, Recorder

ScoresAndBoxes: TypeAlias = Callable[[Float32Array], tuple[Float32Array, Float32Array]]
"""P-Net and R-Net: a tensor in, scores and box_deltas out."""
ScoresBoxesLandmarks: TypeAlias = Callable[[Float32Array], tuple[Float32Array, Float32Array, Float32Array]]
"""O-Net: a tensor in, scores, box_deltas and landmark_deltas out."""

Arrays = TypeVar("Arrays", bound=tuple[Any, ...])

CROPS_AT_ONCE = 512
"""Crops that go through R-Net or O-Net together: some ten megabytes of feature maps for each hundred."""

CELL_STRIDE = 2
"""Pixels of a pyramid level between two neighbouring cells of P-Net's map."""


@dataclass(frozen=True)
class MTCNNSettings:
    """What may be tuned, with the values of the authors' demo and of facenet-pytorch.

    Attributes
    ----------
    min_face_size : float
        Side of the smallest face to look for, in pixels of the image. P-Net's work grows with its inverse
        square.
    pyramid_factor : float
        Between neighbouring pyramid levels: 0.709 is about 1 / sqrt(2), so each level has half the pixels.
    score_thresholds : (float, float, float)
        Of P-Net, R-Net, O-Net. P-Net's is low because it only has to lose no face.
    crop_border : "clip" or "zero"
        What R-Net and O-Net see of a box that reaches outside the image; facenet-pytorch clips, the authors
        fill with black.
    nms_within_level, nms_across_levels, nms_refined, nms_final : float
        IoU thresholds after P-Net (twice), R-Net, and O-Net; the last is of the smaller box ("min").
    """

    min_face_size: float = 20
    pyramid_factor: float = 0.709
    score_thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    crop_border: Literal["clip", "zero"] = "clip"
    nms_within_level: float = 0.5
    nms_across_levels: float = 0.7
    nms_refined: float = 0.7
    nms_final: float = 0.7

    def __post_init__(self) -> None:
        if not (is_number(self.min_face_size) and 1 <= self.min_face_size < np.inf):
            raise InputError(f"MTCNN: min_face_size={self.min_face_size!r}; expected at least 1 pixel")
        if not (is_number(self.pyramid_factor) and 0 < self.pyramid_factor < 1):
            raise InputError(f"MTCNN: pyramid_factor={self.pyramid_factor!r}; expected above 0 and below 1")
        if np.shape(self.score_thresholds) != (3,) or not all(map(is_share, self.score_thresholds)):
            raise InputError(
                f"MTCNN: score_thresholds={self.score_thresholds!r}; expected three numbers from 0 to 1"
            )
        for name in ("nms_within_level", "nms_across_levels", "nms_refined", "nms_final"):
            if not is_share(getattr(self, name)):
                raise InputError(f"MTCNN: {name}={getattr(self, name)!r}; expected 0 to 1")
        if self.crop_border not in ("clip", "zero"):
            raise InputError(f"MTCNN: crop_border={self.crop_border!r}; expected 'clip' or 'zero'")


def detect_mtcnn(
    image: RGBImage,
    pnet: ScoresAndBoxes,
    rnet: ScoresAndBoxes,
    onet: ScoresBoxesLandmarks,
    settings: MTCNNSettings,
    recorder: Recorder = SILENT,
) -> Detections:
    """Find the faces of one image.

    Parameters
    ----------
    image : (H, W, 3) uint8 array, RGB
    pnet, rnet, onet : callables
        x (N, 3, h, w) to scores (class axis 1, face second), box_deltas and, for O-Net, landmark_deltas.
    settings : MTCNNSettings
    recorder : Recorder
        Is told what every step computed.

    Returns
    -------
    Detections
    """
    H, W = image.shape[:2]
    propose_at, refine_at, output_at = settings.score_thresholds

    # 1. The pyramid: the image at every scale at which a face may be 12 pixels large.
    scales = pyramid_scales(
        H, W, min_face_size=settings.min_face_size, pyramid_factor=settings.pyramid_factor
    )
    levels = [resize_area(image, *level_size(H, W, scale)) for scale in scales]
    recorder.record("pyramid", scales=scales, levels=levels)
    if len(levels) == 0:  # the image is smaller than the smallest face
        return Detections.empty()

    # 2. P-Net: a score and a box for every 12x12 window of every level.
    outputs = [pnet(mtcnn_input(level[None])) for level in levels]
    recorder.record("pnet", scores=[s[0, 1] for s, _ in outputs], box_deltas=[d[0] for _, d in outputs])

    # 3. Proposals: the windows that score high enough, thinned out within each level.
    # Compat: a score equal to P-Net's threshold passes, one equal to R-Net's or O-Net's does not.
    found = []
    for scale, (level_scores, level_deltas) in zip(scales, outputs, strict=True):
        rows, columns = np.nonzero(level_scores[0, 1] >= propose_at)
        windows = cell_windows(rows, columns, scale)  # (cells, 4)
        window_scores = level_scores[0, 1, rows, columns]  # (cells,)
        window_deltas = level_deltas[0][:, rows, columns].T  # (cells, 4)
        kept = nms(windows, window_scores, settings.nms_within_level)
        found.append((windows[kept], window_scores[kept], window_deltas[kept]))
    boxes = np.concatenate([b for b, _, _ in found])  # (P, 4)
    scores = np.concatenate([s for _, s, _ in found])  # (P,)
    deltas = np.concatenate([d for _, _, d in found])  # (P, 4)
    recorder.record("propose", boxes=boxes, scores=scores, per_level=[len(s) for _, s, _ in found])

    # 4. Thin out across levels, move each window as P-Net says, make it square for the next network.
    kept = nms(boxes, scores, settings.nms_across_levels)
    boxes = square(shift(boxes[kept], deltas[kept], side(boxes[kept])))
    recorder.record("merge", kept=kept, boxes=boxes, scores=scores[kept])

    # 5. R-Net: look at each proposal at 24x24.
    crops, with_pixels = crop_squares(image, boxes, 24, border=settings.crop_border)
    if len(crops) == 0:
        return Detections.empty()
    refined_scores, deltas = in_batches(rnet, mtcnn_input(crops))
    recorder.record(
        "rnet", boxes=boxes[with_pixels], crops=crops, scores=refined_scores[:, 1], box_deltas=deltas
    )

    # 6. Keep what R-Net believes in, thin out, move, make square.
    passed = np.flatnonzero(refined_scores[:, 1] > refine_at)
    boxes, scores, deltas = boxes[with_pixels][passed], refined_scores[passed, 1], deltas[passed]
    kept = nms(boxes, scores, settings.nms_refined)
    boxes = square(shift(boxes[kept], deltas[kept], inclusive_side(boxes[kept])))
    recorder.record("refine", passed=passed, kept=kept, boxes=boxes, scores=scores[kept])

    # 7. O-Net: look at each remaining box at 48x48.
    crops, with_pixels = crop_squares(image, boxes, 48, border=settings.crop_border)
    if len(crops) == 0:
        return Detections.empty()
    output_scores, deltas, landmark_deltas = in_batches(onet, mtcnn_input(crops))
    recorder.record(
        "onet",
        boxes=boxes[with_pixels],
        crops=crops,
        scores=output_scores[:, 1],
        box_deltas=deltas,
        landmark_deltas=landmark_deltas,
    )

    # 8. Keep what O-Net believes in, place the landmarks, move the boxes, and drop those within another.
    # Compat: the landmarks are shares of the box that O-Net saw, before it is moved.
    passed = np.flatnonzero(output_scores[:, 1] > output_at)
    boxes, scores, deltas = boxes[with_pixels][passed], output_scores[passed, 1], deltas[passed]
    landmarks = place_landmarks(boxes, landmark_deltas[passed])
    boxes = shift(boxes, deltas, inclusive_side(boxes))
    kept = inclusive_nms(boxes, scores, settings.nms_final, overlap="min")
    faces = Detections(boxes[kept], scores[kept], landmarks[kept])
    recorder.record(
        "output", passed=passed, kept=kept, boxes=faces.boxes, scores=faces.scores, landmarks=faces.landmarks
    )
    return faces


def in_batches(network: Callable[[Float32Array], Arrays], x: Float32Array) -> Arrays:
    """Apply a network to at most ``CROPS_AT_ONCE`` crops at a time, so that a crowd does not fill the memory.

    Examples
    --------
    >>> (doubled,) = in_batches(lambda x: (2 * x,), np.arange(1500))
    >>> doubled[[0, 1499]]
    array([   0, 2998])
    """
    parts = [network(x[i : i + CROPS_AT_ONCE]) for i in range(0, len(x), CROPS_AT_ONCE)]
    return cast(Arrays, tuple(np.concatenate(output) for output in zip(*parts, strict=True)))


# Compat: 1-based, inclusive, rounded down in float32; docs/compat.md "Cell windows".
def cell_windows(rows: IntArray, columns: IntArray, scale: float) -> Float32Array:
    """Return the windows (cells, 4) of the image that cells of P-Net's map have looked at.

    Cell (j, i) saw columns 2 j to 2 j + 11 of its level. Counted from 1 they begin at 2 j + 1 and
    end at 2 j + 12; dividing by the scale leads back to the image.

    Examples
    --------
    >>> cell_windows(np.array([0]), np.array([3]), 0.5)
    array([[14.,  2., 36., 24.]], dtype=float32)
    """
    first = CELL_STRIDE * np.stack([columns, rows], axis=1).astype(np.float32) + 1  # (cells, 2)
    last = first + (CELL_SIZE - 1)
    # In float32, as the reference divides: in float64 another pixel comes out in a quarter of all
    # photographs.
    return np.floor(np.concatenate([first, last], axis=1) / np.float32(scale))


def side(boxes: Float32Array) -> Float32Array:
    """Return width and height (P, 2)."""
    return boxes[:, 2:] - boxes[:, :2]


# Compat: the authors count both corners after R-Net and O-Net, not after P-Net; docs/compat.md "Box sides".
def inclusive_side(boxes: Float32Array) -> Float32Array:
    """Return width and height (P, 2) with both corner pixels counted."""
    return side(boxes) + 1


def shift(boxes: Float32Array, deltas: Float32Array, sides: Float32Array) -> Float32Array:
    """Move x1, y1, x2, y2 each by its delta times the width or height.

    Examples
    --------
    >>> box = np.array([[10.0, 10.0, 30.0, 50.0]])
    >>> shift(box, np.array([[0.1, 0.0, -0.1, 0.5]]), side(box))
    array([[12., 10., 28., 70.]])
    """
    return boxes + deltas * np.concatenate([sides, sides], axis=1)


def square(boxes: Float32Array) -> Float32Array:
    """Grow the shorter side of each box about its centre until the box is square.

    Examples
    --------
    >>> square(np.array([[10.0, 10.0, 30.0, 50.0]]))
    array([[ 0., 10., 40., 50.]])
    """
    sides = side(boxes)  # (P, 2)
    longest = sides.max(axis=1, keepdims=True)  # (P, 1)
    corner = boxes[:, :2] + sides * 0.5 - longest * 0.5
    return np.concatenate([corner, corner + longest], axis=1)


# Compat: O-Net's ten numbers are x1..x5, y1..y5, from a corner counted from 1; docs/compat.md "Landmarks".
def place_landmarks(boxes: Float32Array, landmark_deltas: Float32Array) -> Float32Array:
    """Turn O-Net's shares of the box (P, 10) into points (P, 5, 2) of the image.

    Examples
    --------
    The middle of a box of 20 pixels that begins at pixel 11:

    >>> place_landmarks(np.array([[11.0, 11.0, 30.0, 30.0]]), np.full((1, 10), 0.5))[0, 0]
    array([20., 20.])
    """
    shares = landmark_deltas.reshape(-1, 2, 5).transpose(0, 2, 1)  # (P, 5, 2)
    return shares * inclusive_side(boxes)[:, None] + boxes[:, None, :2] - 1
