"""MTCNN with compiled networks: twin of :func:`minidet.detectors.detect_mtcnn`, step by step.

Two things are done elsewhere than there: the compiled P-Net resizes the image itself and compares its scores
with the threshold, and the compiled R-Net and O-Net cut out their crops. The arithmetic of the boxes is the
twin's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._typing import Float32Array, FloatArray, IntArray, RGBImage
from minidet.detections import Detections
from minidet.detectors import MTCNNSettings
from minidet.detectors.mtcnn import cell_windows, inclusive_side, place_landmarks, shift, side, square
from minidet.fast.boxes.nms import inclusive_nms, nms
from minidet.fast.plans.onet import CompiledONet
from minidet.fast.plans.pnet import CompiledPNet
from minidet.fast.plans.rnet import CompiledRNet
from minidet.image import crop_squares, level_size, mtcnn_input, pyramid_scales, resize_area
from minidet.image.crop_squares import pixel_windows
from minidet.trace import SILENT, Recorder


def detect_mtcnn(
    image: RGBImage,
    pnet: CompiledPNet,
    rnet: CompiledRNet,
    onet: CompiledONet,
    settings: MTCNNSettings,
    recorder: Recorder = SILENT,
) -> Detections:
    """Find the faces of one image.

    Twin: :func:`minidet.detectors.detect_mtcnn`: the same faces, boxes within 0.05 pixels, scores within
    1e-4. The networks' outputs differ in the sixth digit, and the cascade makes decisions of them: a score
    that close to a threshold may be on the other side of it, and a coordinate that close to a whole number
    may be cut off to another pixel, which shows O-Net another crop. In one of about 200 photographs a box is
    a few pixels off for that reason.

    Parameters
    ----------
    image : (H, W, 3) uint8 array, RGB
    pnet, rnet, onet : compiled networks
    settings : MTCNNSettings
    recorder : Recorder
        Is told what every step computed; what only it wants to know, such as whole maps of scores, is
        computed for it alone.

    Returns
    -------
    Detections
    """
    H, W = image.shape[:2]
    propose_at, refine_at, output_at = settings.score_thresholds

    # 1. The pyramid.
    scales = pyramid_scales(
        H, W, min_face_size=settings.min_face_size, pyramid_factor=settings.pyramid_factor
    )
    sizes = [level_size(H, W, scale) for scale in scales]
    if recorder.keeps:
        levels = [resize_area(image, *size) for size in sizes]
        recorder.record("pyramid", scales=scales, levels=levels)
    if len(sizes) == 0:  # the image is smaller than the smallest face
        return Detections.empty()

    # 2. P-Net, of all levels at once.
    cells = pnet.of_pyramid(image, sizes, propose_at)
    if recorder.keeps:
        outputs = [pnet(mtcnn_input(level[None])) for level in levels]
        recorder.record("pnet", scores=[s[0, 1] for s, _ in outputs], box_deltas=[d[0] for _, d in outputs])

    # 3. Proposals, thinned out within each level.
    scale_of_cell: Any = np.asarray(scales)[cells.levels, None]  # (cells, 1)
    windows = cell_windows(cells.rows, cells.columns, scale_of_cell)  # (cells, 4)
    proposed = nms_within_levels(windows, cells.scores, cells.levels, settings.nms_within_level)  # (P,)
    boxes, scores, deltas = windows[proposed], cells.scores[proposed], cells.box_deltas[proposed]
    if recorder.keeps:
        per_level = np.bincount(cells.levels[proposed], minlength=len(scales)).tolist()
        recorder.record("propose", boxes=boxes, scores=scores, per_level=per_level)

    # 4. Thin out across levels, move each window as P-Net says, make it square for the next network.
    kept = nms(boxes, scores, settings.nms_across_levels)
    boxes = square(shift(boxes[kept], deltas[kept], side(boxes[kept])))
    recorder.record("merge", kept=kept, boxes=boxes, scores=scores[kept])

    # 5. R-Net: look at each proposal at 24x24.
    crops, with_pixels = crop_windows(image, boxes, settings)
    if len(crops) == 0:
        return Detections.empty()
    refined_scores, deltas = rnet.of_windows(image, crops)
    if recorder.keeps:
        recorder.record(
            "rnet",
            boxes=boxes[with_pixels],
            crops=crop_squares(image, boxes, 24, border=settings.crop_border)[0],
            scores=refined_scores[:, 1],
            box_deltas=deltas,
        )

    # 6. Keep what R-Net believes in, thin out, move, make square.
    passed = np.flatnonzero(refined_scores[:, 1] > refine_at)
    boxes, scores, deltas = boxes[with_pixels][passed], refined_scores[passed, 1], deltas[passed]
    kept = nms(boxes, scores, settings.nms_refined)
    boxes = square(shift(boxes[kept], deltas[kept], inclusive_side(boxes[kept])))
    recorder.record("refine", passed=passed, kept=kept, boxes=boxes, scores=scores[kept])

    # 7. O-Net: look at each remaining box at 48x48.
    crops, with_pixels = crop_windows(image, boxes, settings)
    if len(crops) == 0:
        return Detections.empty()
    output_scores, deltas, landmark_deltas = onet.of_windows(image, crops)
    if recorder.keeps:
        recorder.record(
            "onet",
            boxes=boxes[with_pixels],
            crops=crop_squares(image, boxes, 48, border=settings.crop_border)[0],
            scores=output_scores[:, 1],
            box_deltas=deltas,
            landmark_deltas=landmark_deltas,
        )

    # 8. Keep what O-Net believes in, place the landmarks, move the boxes, and drop those within another.
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


def nms_within_levels(
    windows: Float32Array, scores: Float32Array, levels: IntArray, iou_threshold: float
) -> IntArray:
    """Thin out the windows of each level of the pyramid.

    Twin: :func:`minidet.boxes.nms` of one level after the other; equal. One suppression does for all levels,
    since each is moved to the right of the one before, where they do not overlap. The coordinates are whole
    numbers, so float32 moves them without rounding, as long as they stay below 2 ** 24.

    Parameters
    ----------
    windows : (cells, 4) float32 array of whole numbers from 0 up
    scores : (cells,) float32 array
    levels : (cells,) integer array
        In ascending order.
    iou_threshold : float

    Returns
    -------
    kept : (P,) integer array
        Level by level, best score first.

    Examples
    --------
    >>> windows = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10]], np.float32)
    >>> nms_within_levels(windows, np.array([0.7, 0.8, 0.9], np.float32), np.array([0, 0, 1]), 0.5)
    array([1, 2])
    """
    if len(windows) == 0:
        return np.empty(0, np.intp)
    width = windows[:, 2].max() + 1
    if width * (levels[-1] + 1) >= 2**24:
        parts = [np.flatnonzero(levels == level) for level in np.unique(levels)]
        return np.concatenate([part[nms(windows[part], scores[part], iou_threshold)] for part in parts])
    moved = windows.copy()
    moved[:, ::2] += (levels * width).astype(np.float32)[:, None]
    kept = nms(moved, scores, iou_threshold)
    return kept[np.argsort(levels[kept], kind="stable")]


def crop_windows(image: RGBImage, boxes: FloatArray, settings: MTCNNSettings) -> tuple[IntArray, IntArray]:
    """Return the pixels that a network sees of each box, and which boxes have any inside of the image.

    Twin: the first half of :func:`minidet.image.crop_squares`.

    Returns
    -------
    windows : (P', 4) integer array
        Left, top, and one past right and bottom. With ``crop_border`` "zero" they may reach outside of the
        image.
    kept : (P',) integer array

    Examples
    --------
    >>> image = np.zeros((1, 4, 3), np.uint8)
    >>> boxes = np.array([[-1.0, 1.0, 2.0, 1.0], [9.0, 1.0, 9.0, 1.0]])
    >>> crop_windows(image, boxes, MTCNNSettings())
    (array([[0, 0, 2, 1]]), array([0]))
    >>> crop_windows(image, boxes, MTCNNSettings(crop_border="zero"))[0]
    array([[-2,  0,  2,  1]])
    """
    H, W = image.shape[:2]
    wanted = pixel_windows(boxes)
    inside = np.concatenate([np.maximum(wanted[:, :2], 0), np.minimum(wanted[:, 2:], [W, H])], axis=1)
    kept = np.flatnonzero((inside[:, 2:] > inside[:, :2]).all(axis=1))
    return (inside if settings.crop_border == "clip" else wanted)[kept], kept
