"""Test-time augmentation: one photograph looked at in several sizes, in the mirror, turned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from minidet._typing import Float32Array, RGBImage
from minidet.boxes import box_voting, mirror_boxes, mirror_landmarks, nms, soft_nms
from minidet.detections import Detections
from minidet.errors import InputError, is_share
from minidet.evaluation.resize_rule import NATIVE, ResizeRule, resized

Merge = Literal["none", "nms", "soft-linear", "soft-gaussian", "vote"]
"""What is done with the boxes of several views of a photograph; see :class:`ViewSettings`."""
MERGES: tuple[Merge, ...] = ("none", "nms", "soft-linear", "soft-gaussian", "vote")


class FaceDetector(Protocol):
    """What is measured; both detectors of minidet are one."""

    def detect(self, source: RGBImage, /) -> Detections:
        """Find the faces of one (H, W, 3) uint8 RGB image.

        Parameters
        ----------
        source : (H, W, 3) uint8 array, RGB

        Returns
        -------
        Detections
        """


@dataclass(frozen=True)
class ViewSettings:
    """How a photograph is shown to a detector, and how the results become one.

    Attributes
    ----------
    scales : tuple of ResizeRule
        The sizes at which to look; a single one may differ from the photograph's own, too.
    flip : bool
        Look at the mirror image as well.
    turns : tuple of int
        Look at the photograph turned clockwise by so many quarters, 0 to 3.
    merge : "none", "nms", "soft-linear", "soft-gaussian" or "vote"
        How the boxes of all views become one per face. "none" leaves a single view as the detector gives it;
        with several it is an error. All others want a detector that does not suppress boxes itself.
    iou_threshold : float
        Of "nms", "soft-linear" and "vote". RetinaFace votes at 0.4 (Deng et al. 2019, section 4.1).
    """

    scales: tuple[ResizeRule, ...] = (NATIVE,)
    flip: bool = False
    turns: tuple[int, ...] = (0,)
    merge: Merge = "none"
    iou_threshold: float = 0.4

    def __post_init__(self) -> None:
        if not self.scales or len(set(self.scales)) < len(self.scales):
            raise InputError(
                f"scales={', '.join(map(str, self.scales))!r}; expected one or more, all different"
            )
        if not self.turns or not set(self.turns) <= {0, 1, 2, 3} or len(set(self.turns)) < len(self.turns):
            raise InputError(f"turns={self.turns!r}; expected one or more of 0, 1, 2, 3, all different")
        if self.merge not in MERGES:
            raise InputError(f"merge={self.merge!r}; expected one of {', '.join(MERGES)}")
        if self.merge == "none" and self.views > 1:
            raise InputError(f"merge='none' with {self.views} views; expected one of {', '.join(MERGES[1:])}")
        if not is_share(self.iou_threshold):
            raise InputError(f"iou_threshold={self.iou_threshold!r}; expected 0 to 1")

    @property
    def views(self) -> int:
        """How many times the detector looks at a photograph."""
        return len(self.scales) * len(self.turns) * (2 if self.flip else 1)


def detect_views(image: RGBImage, detector: FaceDetector, settings: ViewSettings) -> Detections:
    """Find the faces of one image, looked at in all the ways that ``settings`` ask for.

    Parameters
    ----------
    image : (H, W, 3) uint8 array, RGB
    detector : FaceDetector
    settings : ViewSettings

    Returns
    -------
    Detections
        In pixels of the image given.
    """
    found = []
    for turn in settings.turns:
        turned = np.ascontiguousarray(np.rot90(image, -turn))  # rot90 turns the other way round
        for rule in settings.scales:
            upright_size = turned.shape[1::-1]  # width, height
            view, scale = resized(turned, rule)
            for is_mirrored in (False, True) if settings.flip else (False,):
                seen = detector.detect(np.ascontiguousarray(view[:, ::-1]) if is_mirrored else view)
                if is_mirrored:
                    seen = _mirrored(seen, view.shape[1])
                seen = _enlarged(seen, scale)
                found.append(_turned_back(seen, turn, upright_size))
    return merge_detections(_joined(found), settings)


def merge_detections(candidates: Detections, settings: ViewSettings) -> Detections:
    """Make one box per face of the boxes of all views.

    Soft-NMS replaces the scores; voting averages boxes and landmarks by score.

    Parameters
    ----------
    candidates : Detections
        The boxes of all views, in pixels of the photograph.
    settings : ViewSettings

    Returns
    -------
    Detections
    """
    boxes, scores = candidates.boxes, candidates.scores
    if settings.merge == "none":
        return candidates
    if settings.merge == "nms":
        return candidates[nms(boxes, scores, settings.iou_threshold)]
    if settings.merge == "vote":
        voted = box_voting(boxes, scores, settings.iou_threshold, landmarks=candidates.landmarks)
        assert voted.landmarks is not None  # some went in
        return Detections(voted.boxes, voted.scores, voted.landmarks)
    method: Literal["linear", "gaussian"] = "linear" if settings.merge == "soft-linear" else "gaussian"
    kept, lowered = soft_nms(boxes, scores, method=method, iou_threshold=settings.iou_threshold)
    return Detections(boxes[kept], lowered, candidates.landmarks[kept])


def _mirrored(faces: Detections, width: int) -> Detections:
    return Detections(
        mirror_boxes(faces.boxes, width), faces.scores, mirror_landmarks(faces.landmarks, width)
    )


def _enlarged(faces: Detections, scale: Float32Array) -> Detections:
    """Multiply x and y by ``scale`` (2,)."""
    return Detections(faces.boxes * np.concatenate([scale, scale]), faces.scores, faces.landmarks * scale)


def _turned_back(faces: Detections, quarters: int, size: tuple[int, int]) -> Detections:
    """Undo clockwise ``quarters`` of an image that is now ``size`` (width, height)."""
    boxes, landmarks = faces.boxes, faces.landmarks
    width, height = size
    for _ in range(quarters):
        # Anticlockwise by a quarter: the right side becomes the top. (x, y) goes to (y, width - x).
        boxes = np.stack([boxes[:, 1], width - boxes[:, 2], boxes[:, 3], width - boxes[:, 0]], axis=1)
        landmarks = np.stack([landmarks[..., 1], width - landmarks[..., 0]], axis=2)
        width, height = height, width
    return Detections(boxes, faces.scores, landmarks)


def _joined(parts: list[Detections]) -> Detections:
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
    )
