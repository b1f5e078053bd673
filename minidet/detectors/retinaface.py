"""RetinaFace: one look at the image scores every anchor; the good ones are decoded (Deng et al. 2019)."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from minidet._typing import Float32Array, RGBImage
from minidet.boxes import REFERENCE_ANCHORS, AnchorSettings, decode_boxes, decode_landmarks, decode_vertices
from minidet.detections import Detections
from minidet.detectors.inclusive_nms import inclusive_nms
from minidet.errors import InputError, is_share
from minidet.image import resize_area, retinaface_input
from minidet.trace import SILENT, Recorder

BoxesScoresLandmarks: TypeAlias = Callable[[Float32Array], tuple[Float32Array, ...]]
"""The network: a tensor in, box_deltas, scores and landmark_deltas out; vertex_deltas if it has meshes."""


@dataclass(frozen=True)
class RetinaFaceSettings:
    """What may be tuned.

    Attributes
    ----------
    score_threshold : float
        Only faces above it are reported. 0.5 is where "face" is likelier than not; average precision is
        measured with 0.02, which keeps the doubtful ones for the curve.
    iou_threshold : float
        Of the NMS.
    max_side : int or None
        Shrink an image whose longer side is above this many pixels; None works at the image's own size.
        Boxes always come out in pixels of the image given.
    max_candidates : int
        Anchors that go into the NMS, best first: bounds its cost on a crowded image.
    max_faces : int
        Faces reported, best first.
    """

    score_threshold: float = 0.5
    iou_threshold: float = 0.4
    max_side: int | None = None
    max_candidates: int = 5000
    max_faces: int = 750

    def __post_init__(self) -> None:
        for name in ("score_threshold", "iou_threshold"):
            if not is_share(getattr(self, name)):
                raise InputError(f"RetinaFace: {name}={getattr(self, name)!r}; expected 0 to 1")
        for name in ("max_side", "max_candidates", "max_faces"):
            value = getattr(self, name)
            if name == "max_side" and value is None:
                continue
            if not isinstance(value, numbers.Integral) or value < 1:
                raise InputError(f"RetinaFace: {name}={value!r}; expected a whole number from 1 up")


def detect_retinaface(
    image: RGBImage,
    network: BoxesScoresLandmarks,
    settings: RetinaFaceSettings,
    recorder: Recorder = SILENT,
    *,
    anchors: AnchorSettings = REFERENCE_ANCHORS,
) -> Detections:
    """Find the faces of one image.

    Parameters
    ----------
    image : (H, W, 3) uint8 array, RGB
    network : callable
        x (1, 3, H, W) to box_deltas (1, A, 4), scores (1, A, 2) with face second, landmark_deltas (1, A, 10).
        If it has a mesh branch also vertex_deltas (1, A, 3 V), which only the recorder hears of.
    settings : RetinaFaceSettings
    recorder : Recorder
        Is told what every step computed.
    anchors : AnchorSettings
        Those that the network answers for.

    Returns
    -------
    Detections
    """
    # 1. The image, shrunk if it is larger than wanted.
    resized = limit_side(image, settings.max_side)
    # What one pixel of it is worth in pixels of the image given, in x and y.
    scale: Float32Array = (np.array(image.shape[1::-1]) / resized.shape[1::-1]).astype(np.float32)
    x = retinaface_input(resized)  # (1, 3, H, W)
    recorder.record("input", x=x)

    # 2. The network: one score, box and set of landmarks per anchor.
    box_deltas, scores, landmark_deltas, *dense = network(x)
    recorder.record("network", box_deltas=box_deltas, scores=scores, landmark_deltas=landmark_deltas)

    # 3. The anchors it speaks of.
    laid = cached_anchors(resized.shape[0], resized.shape[1], anchors)  # (A, 4)
    recorder.record("anchors", anchors=laid)

    # 4. Candidates: the anchors that score high enough, best first. Nothing is decoded before this.
    face_scores = scores[0, :, 1]  # (A,)
    candidates = np.flatnonzero(face_scores > settings.score_threshold)
    best_first = np.argsort(-face_scores[candidates], kind="stable")
    candidates = candidates[best_first][: settings.max_candidates]
    recorder.record("candidates", candidates=candidates, scores=face_scores[candidates])

    # 5. Their boxes and landmarks in pixels of the image given.
    boxes = decode_boxes(box_deltas[0, candidates], laid[candidates])  # (candidates, 4)
    boxes *= np.concatenate([scale, scale])
    landmarks = decode_landmarks(landmark_deltas[0, candidates], laid[candidates])  # (candidates, 5, 2)
    landmarks *= scale
    recorder.record("decode", boxes=boxes, landmarks=landmarks)

    # 6. One box per face.
    kept = inclusive_nms(boxes, face_scores[candidates], settings.iou_threshold)[: settings.max_faces]
    recorder.record("nms", kept=kept, boxes=boxes[kept], scores=face_scores[candidates][kept])

    # 7. The mesh of each face, if the network has a branch for it and somebody wants to see it.
    if dense and recorder.keeps:
        rows = candidates[kept]
        vertex_deltas = dense[0].reshape(len(laid), -1, 3)[rows]  # (faces, V, 3)
        vertices = decode_vertices(vertex_deltas, laid[rows])
        vertices *= np.append(scale, np.sqrt(scale[0] * scale[1]))  # depth has no direction of its own
        recorder.record("mesh", vertices=vertices)
    return Detections(boxes[kept], face_scores[candidates][kept], landmarks[kept])


def limit_side(
    image: RGBImage,
    max_side: int | None,
    resize: Callable[[RGBImage, int, int], Float32Array] = resize_area,
) -> RGBImage | Float32Array:
    """Shrink the image, keeping its proportions, so that its longer side is at most ``max_side`` pixels.

    Examples
    --------
    >>> limit_side(np.zeros((300, 400, 3), np.uint8), 100).shape
    (75, 100, 3)
    """
    longest = max(image.shape[:2])
    if max_side is None or longest <= max_side:
        return image
    height, width = (max(1, round(length * max_side / longest)) for length in image.shape[:2])
    return resize(image, height, width)


@lru_cache(maxsize=8)  # photographs of one camera have few sizes; of 4K images eight sets are 45 MB
def cached_anchors(height: int, width: int, anchors: AnchorSettings = REFERENCE_ANCHORS) -> Float32Array:
    """Return the anchors of an image size, made once; read-only, since all callers share them."""
    laid = anchors.lay(height, width)
    laid.flags.writeable = False
    return laid
