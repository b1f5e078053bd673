"""RetinaFace from pixels to faces, on the fast path."""

from __future__ import annotations

import numpy as np

from minidet._typing import Float32Array, RGBImage
from minidet.detections import Detections
from minidet.detectors import RetinaFaceSettings
from minidet.detectors.retinaface import cached_anchors, limit_side
from minidet.fast.boxes import decode_candidates, inclusive_nms
from minidet.fast.plans.retinaface import CompiledRetinaFace
from minidet.fast.resize import resize_area
from minidet.image import retinaface_input
from minidet.trace import SILENT, Recorder


def detect_retinaface(
    image: RGBImage,
    network: CompiledRetinaFace,
    settings: RetinaFaceSettings,
    recorder: Recorder = SILENT,
) -> Detections:
    """Find the faces of one image.

    Twin: :func:`minidet.detectors.detect_retinaface`, with the same steps, parameters and result: the same
    faces, boxes within 0.05 pixels, scores within 1e-4. The tensor and the anchors are made for a recorder
    that keeps them only; the network reads the pixels, and an anchor's place follows from its number.

    Parameters
    ----------
    image : (H, W, 3) uint8 array, RGB
    network : callable
        As :func:`minidet.fast.compile` makes it.
    settings : RetinaFaceSettings
    recorder : Recorder
        Is told what every step computed.

    Returns
    -------
    Detections
    """
    # 1. The image, shrunk if it is larger than wanted.
    resized = limit_side(image, settings.max_side, resize_area)
    height, width = resized.shape[:2]
    # What one pixel of it is worth in pixels of the image given, in x and y.
    scale: Float32Array = (np.array(image.shape[1::-1]) / resized.shape[1::-1]).astype(np.float32)
    if recorder.keeps:
        recorder.record("input", x=retinaface_input(resized))

    # 2. The network: one score, box and set of landmarks per anchor.
    box_deltas, scores, landmark_deltas = network.of_image(resized)
    recorder.record("network", box_deltas=box_deltas, scores=scores, landmark_deltas=landmark_deltas)

    # 3. The anchors it speaks of.
    if recorder.keeps:
        recorder.record("anchors", anchors=cached_anchors(height, width))

    # 4. and 5. Candidates: the anchors that score high enough, best first, and their boxes and landmarks.
    found = decode_candidates(
        box_deltas[0],
        scores[0],
        landmark_deltas[0],
        height,
        width,
        score_threshold=settings.score_threshold,
        max_candidates=settings.max_candidates,
        scale=(scale[0], scale[1]),
    )
    recorder.record("candidates", candidates=found.anchors, scores=found.scores)
    recorder.record("decode", boxes=found.boxes, landmarks=found.landmarks)

    # 6. One box per face.
    kept = inclusive_nms(found.boxes, found.scores, settings.iou_threshold)[: settings.max_faces]
    recorder.record("nms", kept=kept, boxes=found.boxes[kept], scores=found.scores[kept])
    return Detections(found.boxes[kept], found.scores[kept], found.landmarks[kept])
