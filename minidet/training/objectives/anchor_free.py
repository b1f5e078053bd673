r"""What RetinaFace without anchors minimises: face or not, distances, centre-ness, landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_float, check_ndim, check_shape
from minidet._typing import FloatArray
from minidet.boxes import (
    Locations,
    LocationSettings,
    assign_locations,
    centre_ness,
    encode_distances,
    encode_points,
)
from minidet.boxes.distances import MOST_LOG
from minidet.errors import InputError, is_share
from minidet.losses import binary_cross_entropy, focal_loss, iou_loss, smooth_l1
from minidet.models.retinaface.anchor_free import limited_exp
from minidet.training.objectives.objective import Objective, check_weights, sum_over
from minidet.training.objectives.retinaface_targets import Faces, points_in

_sum_over = partial(sum_over, function="anchor_free_objective", axes=("image", "location"))


class AnchorFreeTargets(NamedTuple):
    """The targets of a batch of N images with L locations, of which P are positive in all.

    Attributes
    ----------
    positive, negative : (N, L) bool arrays
        A location that is neither lies in an ignored face.
    distances : (P, 4) array, strides
    centre_ness : (P,) array
    landmark_deltas : (P, 10) array
        Of the positive locations, image by image, in the order of the locations.
    has_landmarks : (P,) bool array
        Whether the face has landmarks; the rows of the others are zero and not read.
    """

    positive: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    distances: FloatArray
    centre_ness: FloatArray
    landmark_deltas: FloatArray
    has_landmarks: NDArray[np.bool_]


@dataclass(frozen=True)
class AnchorFreeLossSettings:
    """The figures of the objective.

    Attributes
    ----------
    box_weight, centre_weight : float
        Of the distances and the centre-ness; the classification weighs 1. All are 1 in FCOS.
    landmark_weight : float
        FCOS has none. Ten numbers of about one weigh as much as the box with a tenth each. With 0.5 the
        points came out better and the boxes worse: see ``docs/anchor_free.md``.
    alpha, gamma : float
        Of :func:`minidet.losses.focal_loss`; those of its paper, and of FCOS.
    """

    box_weight: float = 1.0
    centre_weight: float = 1.0
    landmark_weight: float = 0.1
    alpha: float = 0.25
    gamma: float = 2.0

    def __post_init__(self) -> None:
        check_weights(self, "box_weight", "centre_weight", "landmark_weight", "gamma")
        if not is_share(self.alpha):
            raise InputError(f"AnchorFreeLossSettings: alpha={self.alpha!r}; expected 0 to 1")


FCOS = AnchorFreeLossSettings()
"""Tian et al. 2019, arXiv 1904.01355, eq. 2, with landmarks."""


def anchor_free_objective(
    log_distances: FloatArray,
    logits: FloatArray,
    centre_logits: FloatArray,
    landmark_deltas: FloatArray,
    targets: AnchorFreeTargets,
    *,
    settings: AnchorFreeLossSettings = FCOS,
) -> Objective:
    r"""Join the tasks of one batch into one number.

    .. math::
        L = \frac{1}{P} \left( \sum L_\text{cls} + \lambda_1 \sum_+ L_\text{IoU}
            + \lambda_2 \sum_+ L_\text{centre} \right) + \frac{\lambda_3}{P_\text{pts}} \sum_+ L_\text{pts}

    :math:`L_\text{cls}` is a focal loss over all locations but the ignored ones, and nothing is mined. The
    other sums run over the P positive locations: an IoU loss of the distances, a binary cross-entropy of the
    centre-ness, and smooth L1 of the landmarks of those whose face has them.

    Parameters
    ----------
    log_distances : (N, L, 4) array, float32 or float64
    logits : (N, L, 2) array of the same type
    centre_logits : (N, L, 1) array of the same type
    landmark_deltas : (N, L, 10) array of the same type
        The outputs of the network.
    targets : AnchorFreeTargets
    settings : AnchorFreeLossSettings

    Returns
    -------
    Objective
        Its parts are "classification", "box", "centre" and "landmark".

    Raises
    ------
    InputError
        If shapes or types disagree, or a number is not finite.

    Notes
    -----
    Source: Tian et al. 2019 (FCOS, arXiv 1904.01355), eq. 2.

    The network says the logarithm of a distance d, so :math:`dL / d \ln d = d \, dL / dd`. Beyond
    ``minidet.boxes.distances.MOST_LOG``, where the distance is cut off, the gradient is 0.

    Examples
    --------
    One positive location that says "face" with score 3/4 and a box of half the area, and a negative one:

    >>> targets = AnchorFreeTargets(
    ...     positive=np.array([[True, False]]),
    ...     negative=np.array([[False, True]]),
    ...     distances=np.full((1, 4), 2.0),
    ...     centre_ness=np.array([1.0]),
    ...     landmark_deltas=np.zeros((1, 10)),
    ...     has_landmarks=np.array([False]),
    ... )
    >>> logits = np.array([[[0.0, np.log(3)], [0.0, 0.0]]])
    >>> log_distances = np.log(np.full((1, 2, 4), [1.0, 2.0, 1.0, 2.0]))
    >>> objective = anchor_free_objective(
    ...     log_distances, logits, np.zeros((1, 2, 1)), np.ones((1, 2, 10)), targets
    ... )
    >>> {task: round(loss, 4) for task, loss in objective.parts.items()}  # box and centre: ln 2
    {'classification': 0.1345, 'box': 0.6931, 'centre': 0.6931, 'landmark': 0.0}
    >>> float(objective.gradients[0][0, 0, 0].round(4))  # left, which is half of the width
    -0.5
    """
    _check(log_distances, logits, centre_logits, landmark_deltas, targets)
    positive = targets.positive  # (N, L)
    asked = positive | targets.negative
    faces = max(int(positive.sum()), 1)

    def focal(
        predictions: FloatArray, labels: NDArray[np.intp], *, reduction: Literal["sum"]
    ) -> tuple[float, FloatArray]:
        return focal_loss(
            predictions, labels, alpha=settings.alpha, gamma=settings.gamma, reduction=reduction
        )

    classification, grad_logits = _sum_over(
        asked,
        focal,
        logits,
        positive[asked].astype(np.intp),
        weight=1.0,
        divisor=faces,
    )
    distances = limited_exp(log_distances)
    box, grad_distances = _sum_over(
        positive, iou_loss, distances, targets.distances, weight=settings.box_weight, divisor=faces
    )
    grad_log_distances = grad_distances * distances * (np.abs(log_distances) <= MOST_LOG)
    centre, grad_centre_logits = _sum_over(
        positive,
        binary_cross_entropy,
        centre_logits,
        targets.centre_ness[:, None],
        weight=settings.centre_weight,
        divisor=faces,
    )
    landmarked = positive.copy()
    landmarked[positive] = targets.has_landmarks
    landmark, grad_landmark_deltas = _sum_over(
        landmarked,
        smooth_l1,
        landmark_deltas,
        targets.landmark_deltas[targets.has_landmarks],
        weight=settings.landmark_weight,
        divisor=max(int(landmarked.sum()), 1),
    )
    value = (
        classification
        + settings.box_weight * box
        + settings.centre_weight * centre
        + settings.landmark_weight * landmark
    )
    parts = {"classification": classification, "box": box, "centre": centre, "landmark": landmark}
    gradients = (grad_log_distances, grad_logits, grad_centre_logits, grad_landmark_deltas)
    return Objective(value, parts, gradients, asked)


def anchor_free_targets(
    locations: Locations, images: Sequence[Faces], settings: LocationSettings
) -> AnchorFreeTargets:
    """Assign the locations to the faces of each image, and encode the faces they got.

    Parameters
    ----------
    locations : Locations
        The same for all images of the batch; the targets get the float type of its points.
    images : sequence of Faces
        The faces of each image. Locations in ignored ones are not asked, unless they are positive for
        another face.
    settings : LocationSettings
        Of which the locations are.

    Returns
    -------
    AnchorFreeTargets

    Raises
    ------
    InputError
        If there is no image, or a face cannot be used.

    Notes
    -----
    Source: Tian et al. 2019 (FCOS, arXiv 1904.01355), sections 3.1 to 3.3. Landmarks are not in FCOS.

    Examples
    --------
    A face around the point (12, 4) of two, and an image without faces:

    >>> settings = LocationSettings(strides=(8,))
    >>> nothing = np.zeros((0, 4))
    >>> face = Faces(
    ...     np.array([[10.0, 0.0, 16.0, 6.0]]), np.full((1, 5, 2), 4.0), np.array([True]), nothing
    ... )
    >>> nobody = Faces(nothing, np.zeros((0, 5, 2)), np.zeros(0, bool), nothing)
    >>> targets = anchor_free_targets(settings.lay(8, 16), [face, nobody], settings)
    >>> targets.positive.tolist(), targets.distances.tolist(), targets.centre_ness.tolist()
    ([[False, True], [False, False]], [[0.25, 0.5, 0.5, 0.25]], [0.5])
    >>> targets.landmark_deltas[0, :2].tolist()  # 8 pixels to the left, in quarters of a stride
    [-4.0, 0.0]
    """
    if len(images) == 0:
        raise InputError("anchor_free_targets: no images; expected at least one")
    of_images = [_targets_of_image(locations, faces, settings) for faces in images]
    positive, negative, distances, landmark_deltas, with_landmarks = zip(*of_images, strict=True)
    all_distances = np.concatenate(distances)  # (P, 4)
    return AnchorFreeTargets(
        np.stack(positive),  # (N, L)
        np.stack(negative),
        all_distances,
        centre_ness(all_distances),
        np.concatenate(landmark_deltas),
        np.concatenate(with_landmarks),
    )


def _targets_of_image(
    locations: Locations, faces: Faces, settings: LocationSettings
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], FloatArray, FloatArray, NDArray[np.bool_]]:
    dtype = locations.points.dtype
    boxes = faces.boxes.astype(dtype)
    face = assign_locations(locations, boxes, settings)  # (L,)
    positive = face >= 0
    negative = ~positive & ~points_in(locations.points, faces.ignored)
    face, points, strides = face[positive], locations.points[positive], locations.strides[positive]
    distances = encode_distances(boxes[face], points, strides)
    with_landmarks = faces.has_landmarks[face]  # (positive,)
    landmark_deltas = np.zeros((len(face), 10), dtype)
    landmark_deltas[with_landmarks] = encode_points(
        faces.landmarks[face[with_landmarks]].astype(dtype), points[with_landmarks], strides[with_landmarks]
    )
    return positive, negative, distances, landmark_deltas, with_landmarks


def _check(
    log_distances: FloatArray,
    logits: FloatArray,
    centre_logits: FloatArray,
    landmark_deltas: FloatArray,
    targets: AnchorFreeTargets,
) -> None:
    function = "anchor_free_objective"
    check_ndim(function, "logits", logits, 3, "N, L, 2")
    N, L = logits.shape[:2]
    outputs = {
        "logits": (logits, 2),
        "log_distances": (log_distances, 4),
        "centre_logits": (centre_logits, 1),
        "landmark_deltas": (landmark_deltas, 10),
    }
    check_float(function, **{name: array for name, (array, _) in outputs.items()})
    for name, (array, values) in outputs.items():
        check_shape(function, name, array, (N, L, values), "one row per image and location")
        check_finite(function, name, array, "image", "location", "value")
    for name, mask in (("positive", targets.positive), ("negative", targets.negative)):
        check_shape(function, f"targets.{name}", mask, (N, L), "one per image and location")
        if mask.dtype != np.bool_:  # 0 and 1 would choose the first two rows instead
            raise InputError(f"{function}: `targets.{name}` is {mask.dtype}; expected bool")
    P = int(targets.positive.sum())
    for name, array, shape in (
        ("distances", targets.distances, (P, 4)),
        ("centre_ness", targets.centre_ness, (P,)),
        ("landmark_deltas", targets.landmark_deltas, (P, 10)),
    ):
        check_float(function, **{"logits": logits, f"targets.{name}": array})
        check_shape(function, f"targets.{name}", array, shape, "one row per positive location")
    check_shape(function, "targets.has_landmarks", targets.has_landmarks, (P,), "one per positive location")
