"""RetinaFace without anchors: every location scores itself; the good ones say where their box is."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from minidet._typing import Float32Array, RGBImage
from minidet.boxes import Locations, LocationSettings, decode_distances, decode_points
from minidet.detections import Detections
from minidet.detectors.inclusive_nms import inclusive_nms
from minidet.detectors.retinaface import RetinaFaceSettings, limit_side
from minidet.image import retinaface_input
from minidet.trace import SILENT, Recorder

DistancesScoresLandmarks: TypeAlias = Callable[
    [Float32Array], tuple[Float32Array, Float32Array, Float32Array]
]
"""The network: a tensor in, distances, scores and landmark_deltas out."""


def detect_anchor_free(
    image: RGBImage,
    network: DistancesScoresLandmarks,
    settings: RetinaFaceSettings,
    recorder: Recorder = SILENT,
    *,
    locations: LocationSettings,
) -> Detections:
    """Find the faces of one image.

    Parameters
    ----------
    image : (H, W, 3) uint8 array, RGB
    network : callable
        x (1, 3, H, W) to distances (1, L, 4), scores (1, L), landmark_deltas (1, L, 10), as
        :meth:`minidet.models.retinaface.AnchorFreeNet.predict` returns them.
    settings : RetinaFaceSettings
        Its candidates are locations here.
    recorder : Recorder
        Is told what every step computed.
    locations : LocationSettings
        Those that the network answers for.

    Returns
    -------
    Detections

    Notes
    -----
    Source: Tian et al. 2019 (FCOS, arXiv 1904.01355), sections 3.1 and 3.3: a point says how far the sides
    are, and its centre-ness is part of its score. The rest is :func:`detect_retinaface`.
    """
    # 1. The image, shrunk if it is larger than wanted.
    resized = limit_side(image, settings.max_side)
    # What one pixel of it is worth in pixels of the image given, in x and y.
    scale: Float32Array = (np.array(image.shape[1::-1]) / resized.shape[1::-1]).astype(np.float32)
    x = retinaface_input(resized)  # (1, 3, H, W)
    recorder.record("input", x=x)

    # 2. The network: one score, box and set of landmarks per location.
    distances, scores, landmark_deltas = network(x)
    recorder.record("network", distances=distances, scores=scores, landmark_deltas=landmark_deltas)

    # 3. The locations it speaks of.
    laid = cached_locations(resized.shape[0], resized.shape[1], locations)
    recorder.record("locations", points=laid.points, strides=laid.strides)

    # 4. Candidates: the locations that score high enough, best first.
    face_scores = scores[0]  # (L,)
    candidates = np.flatnonzero(face_scores > settings.score_threshold)
    best_first = np.argsort(-face_scores[candidates], kind="stable")
    candidates = candidates[best_first][: settings.max_candidates]
    recorder.record("candidates", candidates=candidates, scores=face_scores[candidates])

    # 5. Their boxes and landmarks in pixels of the image given.
    points, strides = laid.points[candidates], laid.strides[candidates]
    boxes = decode_distances(distances[0, candidates], points, strides)  # (candidates, 4)
    boxes *= np.concatenate([scale, scale])
    landmarks = decode_points(landmark_deltas[0, candidates], points, strides)  # (candidates, 5, 2)
    landmarks *= scale
    recorder.record("decode", boxes=boxes, landmarks=landmarks)

    # 6. One box per face.
    kept = inclusive_nms(boxes, face_scores[candidates], settings.iou_threshold)[: settings.max_faces]
    recorder.record("nms", kept=kept, boxes=boxes[kept], scores=face_scores[candidates][kept])
    return Detections(boxes[kept], face_scores[candidates][kept], landmarks[kept])


@lru_cache(maxsize=8)
def cached_locations(height: int, width: int, settings: LocationSettings) -> Locations:
    """Return the locations of an image size, made once; read-only, since all callers share them."""
    laid = settings.lay(height, width)
    for array in laid:
        array.flags.writeable = False
    return laid
