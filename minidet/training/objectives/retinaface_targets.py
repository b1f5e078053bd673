"""What every anchor of RetinaFace should have answered: matching, then encoding (Deng et al. 2019, eq. 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_float
from minidet._typing import FloatArray
from minidet.boxes import (
    Match,
    MatchThresholds,
    corners_to_centre,
    encode_boxes,
    encode_landmarks,
    match_anchors,
)
from minidet.errors import InputError

Matcher: TypeAlias = Callable[[FloatArray, FloatArray, MatchThresholds], Match]
"""Anchors (A, 4), boxes (G, 4) and thresholds in, a match out."""


class Faces(NamedTuple):
    """The faces of one image, as they were annotated.

    Attributes
    ----------
    boxes : (G, 4) array, x1 y1 x2 y2, pixels
    landmarks : (G, 5, 2) array, pixels
    has_landmarks : (G,) bool array
    ignored : (R, 4) array, x1 y1 x2 y2, pixels
        Faces of which nothing is to be learnt.
    """

    boxes: FloatArray
    landmarks: FloatArray
    has_landmarks: NDArray[np.bool_]
    ignored: FloatArray


class RetinaFaceTargets(NamedTuple):
    """The targets of a batch of N images with A anchors, of which P are positive in all.

    Attributes
    ----------
    positive, negative : (N, A) bool arrays
        An anchor that is neither is ignored.
    box_deltas : (P, 4) array
    landmark_deltas : (P, 10) array
        Of the positive anchors, image by image, in the order of the anchors.
    has_landmarks : (P,) bool array
        Whether the face has landmarks; the rows of the others are zero and not read.
    vertices : (P, V, 3) array or None
        The mesh of each positive anchor's face, in the units of the mesh branch; None without a mesh branch.
    has_mesh : (P,) bool array or None
        Whether the face has a mesh; the rows of the others are not read.
    faces : tuple of N Faces or None
        What was matched, for a cascade, which matches again; None without one.
    """

    positive: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    box_deltas: FloatArray
    landmark_deltas: FloatArray
    has_landmarks: NDArray[np.bool_]
    vertices: FloatArray | None = None
    has_mesh: NDArray[np.bool_] | None = None
    faces: tuple[Faces, ...] | None = None


def retinaface_targets(
    anchors: FloatArray,
    boxes: Sequence[FloatArray],
    landmarks: Sequence[FloatArray],
    has_landmarks: Sequence[NDArray[np.bool_]],
    thresholds: MatchThresholds,
    *,
    matcher: Matcher = match_anchors,
) -> RetinaFaceTargets:
    """Match the anchors to the faces of each image, and encode the faces they got.

    Parameters
    ----------
    anchors : (A, 4) array, x1 y1 x2 y2, pixels
        The same for all images of the batch; the targets get their float type.
    boxes : N arrays (G, 4), x1 y1 x2 y2, pixels
        The faces of each image; G may differ, and be 0.
    landmarks : N arrays (G, 5, 2), pixels
    has_landmarks : N bool arrays (G,)
        Which faces have landmarks; the points of the others are not read and may be anything.
    thresholds : MatchThresholds
    matcher : callable
        What matches the anchors to the faces of one image.

    Returns
    -------
    RetinaFaceTargets

    Raises
    ------
    InputError
        If the lists disagree in length, or a face cannot be used; the message names the image and the face.

    Examples
    --------
    Two images, one with a face that fills the second anchor, one without faces:

    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0]])
    >>> targets = retinaface_targets(
    ...     anchors,
    ...     boxes=[anchors[1:], np.zeros((0, 4))],
    ...     landmarks=[np.full((1, 5, 2), [16.0, 5.0]), np.zeros((0, 5, 2))],
    ...     has_landmarks=[np.array([True]), np.array([], bool)],
    ...     thresholds=MatchThresholds(positive=0.5, negative=0.3, force_best=None),
    ... )
    >>> targets.positive.tolist(), targets.negative.tolist()
    ([[False, True], [False, False]], [[True, False], [True, True]])
    >>> targets.box_deltas.tolist(), targets.landmark_deltas[0, :2]
    ([[0.0, 0.0, 0.0, 0.0]], array([1., 0.]))
    """
    if not len(boxes) == len(landmarks) == len(has_landmarks):
        raise InputError(
            f"retinaface_targets: {len(boxes)} `boxes`, {len(landmarks)} `landmarks`, "
            f"{len(has_landmarks)} `has_landmarks`; expected one of each per image"
        )
    if len(boxes) == 0:
        raise InputError("retinaface_targets: `boxes` is empty; expected at least one image")
    check_float("retinaface_targets", anchors=anchors)
    images = []
    for n, faces in enumerate(zip(boxes, landmarks, has_landmarks, strict=True)):
        try:
            images.append(_targets_of_image(anchors, *faces, thresholds, matcher))
        except InputError as error:
            raise InputError(f"retinaface_targets: image {n}: {error}") from error
    positive, negative, box_deltas, landmark_deltas, with_landmarks = zip(*images, strict=True)
    return RetinaFaceTargets(
        np.stack(positive),  # (N, A)
        np.stack(negative),
        np.concatenate(box_deltas),  # (P, 4)
        np.concatenate(landmark_deltas),
        np.concatenate(with_landmarks),
    )


def _targets_of_image(
    anchors: FloatArray,
    boxes: FloatArray,
    landmarks: FloatArray,
    has_landmarks: NDArray[np.bool_],
    thresholds: MatchThresholds,
    matcher: Matcher,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], FloatArray, FloatArray, NDArray[np.bool_]]:
    G = len(boxes)
    if landmarks.shape != (G, 5, 2):
        raise InputError(f"`landmarks` has shape {landmarks.shape}; expected ({G}, 5, 2), one per box")
    if has_landmarks.shape != (G,) or has_landmarks.dtype != np.bool_:
        raise InputError(
            f"`has_landmarks` is {has_landmarks.dtype} {has_landmarks.shape}; "
            f"expected bool ({G},), one per box"
        )
    unknown = has_landmarks[:, None] & ~np.isfinite(landmarks).all(axis=2)  # (G, 5)
    if unknown.any():
        g, point = (int(index) for index in np.argwhere(unknown)[0])
        raise InputError(
            f"point {point} of face {g} is not finite: {landmarks[g, point]}; "
            "`has_landmarks` is False for faces whose points are not known"
        )
    missing = has_landmarks & (landmarks == -1).all(axis=(1, 2))  # (G,)
    if missing.any():
        raise InputError(
            f"all points of face {int(np.argmax(missing))} are -1, which WIDER FACE writes for missing ones; "
            "`has_landmarks` is False for faces whose points are not known"
        )
    boxes = boxes.astype(anchors.dtype)
    match = matcher(anchors, boxes, thresholds)
    apart = (boxes[:, :2] >= anchors[:, 2:].max(axis=0)) | (boxes[:, 2:] <= anchors[:, :2].min(axis=0))
    if apart.any():
        g = int(np.argmax(apart.any(axis=1)))
        raise InputError(f"face {g} lies beyond all anchors: {boxes[g]}; are both x1 y1 x2 y2 in pixels?")
    faces = Faces(boxes, landmarks, has_landmarks, boxes[:0])
    return match.positive, match.negative, *encode_match(match, anchors, faces)


def encode_match(
    match: Match, anchors: FloatArray, faces: Faces
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return box_deltas (P, 4), landmark_deltas (P, 10) and has_landmarks (P,) of the positive anchors."""
    face, matched = match.face[match.positive], anchors[match.positive]  # (P,), (P, 4)
    box_deltas = encode_boxes(faces.boxes[face].astype(anchors.dtype), matched)  # (P, 4)
    with_landmarks = faces.has_landmarks[face]  # (P,)
    landmark_deltas = np.zeros((len(face), 10), anchors.dtype)
    landmark_deltas[with_landmarks] = encode_landmarks(
        faces.landmarks[face[with_landmarks]].astype(anchors.dtype), matched[with_landmarks]
    )
    return box_deltas, landmark_deltas, with_landmarks


def away_from(
    anchors: FloatArray, ignored: FloatArray, thresholds: MatchThresholds, matcher: Matcher = match_anchors
) -> NDArray[np.bool_]:
    """Tell which anchors (A, 4) have nothing to do with the ignored faces (R, 4), and so may be negative.

    They overlap none of them by the thresholds, and their centre is in none. However small an ignored face,
    its best anchor is not asked.
    """
    apart = matcher(anchors, ignored, replace(thresholds, force_best=0)).negative
    return apart & ~centres_in(anchors, ignored)


def centres_in(anchors: FloatArray, regions: FloatArray) -> NDArray[np.bool_]:
    """Tell which anchors have their centre in one of the regions.

    Parameters
    ----------
    anchors : (A, 4) array
        x1 y1 x2 y2, pixels.
    regions : (R, 4) array
        Likewise.

    Returns
    -------
    (A,) bool array

    Examples
    --------
    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]], np.float32)
    >>> centres_in(anchors, np.array([[4.0, 4.0, 8.0, 8.0]], np.float32))
    array([ True, False])
    """
    return points_in(corners_to_centre(anchors)[:, :2], regions)


def points_in(points: FloatArray, regions: FloatArray) -> NDArray[np.bool_]:
    """Tell which points (M, 2) are in one of the regions (R, 4), left and upper border included."""
    x, y = points.T  # (M,) each
    inside = np.zeros(len(points), np.bool_)
    for x1, y1, x2, y2 in regions:  # one by one, so that memory does not grow with a crowd
        inside |= (x >= x1) & (x < x2) & (y >= y1) & (y < y2)
    return inside
