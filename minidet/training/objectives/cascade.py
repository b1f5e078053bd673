"""What a cascade minimises: the objective of each branch, the second with the first boxes for anchors.

Each objective is eq. 1 of RetinaFace (Deng et al. 2019, arXiv 1905.00641) without the mesh. Two heads in a
row, the second on the boxes of the first, and their thresholds come from the version at CVPR 2020;
deepinsight/insightface has the same thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minidet._typing import FloatArray
from minidet.boxes import CASCADE_THRESHOLDS, decode_boxes, match_anchors
from minidet.errors import InputError
from minidet.models.retinaface.cascade import limit_boxes
from minidet.training.objectives.objective import Objective, check_weights
from minidet.training.objectives.retinaface import PAPER, RetinaFaceLossSettings, retinaface_objective
from minidet.training.objectives.retinaface_targets import (
    Matcher,
    RetinaFaceTargets,
    away_from,
    encode_match,
)


@dataclass(frozen=True)
class CascadeLossSettings:
    """The figures of both objectives.

    Attributes
    ----------
    first, second : RetinaFaceLossSettings
        Of the two branches, their thresholds included: an anchor has to fit well to be sent to a face, and a
        first box, which fits better than any anchor, is judged by a band that has hardly any middle.
    second_weight : float
        Of the second objective; the first weighs 1.
    """

    first: RetinaFaceLossSettings
    second: RetinaFaceLossSettings
    second_weight: float = 1.0

    def __post_init__(self) -> None:
        check_weights(self, "second_weight")


CASCADE = CascadeLossSettings(
    first=replace(PAPER, thresholds=CASCADE_THRESHOLDS[0], mesh_weight=None),
    second=replace(PAPER, thresholds=CASCADE_THRESHOLDS[1], mesh_weight=None),
)
"""The figures of :data:`minidet.training.objectives.PAPER` with the thresholds of a cascade."""


def cascade_objective(
    *outputs: FloatArray,
    targets: RetinaFaceTargets,
    anchors: FloatArray,
    settings: CascadeLossSettings = CASCADE,
    matcher: Matcher = match_anchors,
) -> Objective:
    """Join the tasks of both branches into one number.

    The boxes of the first branch are decoded and matched anew, and the second branch is to lead from them to
    the faces. They are constants there: what the second branch should answer depends on them, but no gradient
    flows back through them, as none flows back to an anchor. The first branch learns from its own objective,
    and through the maps that both look at.

    Parameters
    ----------
    *outputs : (N, A, 4 | 2 | 10) arrays, three of each branch
        As :meth:`minidet.models.retinaface.CascadeNet.forward` returns them.
    targets : RetinaFaceTargets
        Of the first branch, with ``faces``.
    anchors : (A, 4) array, x1 y1 x2 y2, pixels
    settings : CascadeLossSettings
    matcher : callable
        What matches the first boxes to the faces of one image.

    Returns
    -------
    Objective
        Its parts are those of :func:`retinaface_objective`, as "first_box" and "second_box" and so on; its
        gradients those of the six outputs; ``kept`` has shape (2, N, A).

    Raises
    ------
    InputError
        If there are not six outputs, or the targets have no faces; as :func:`retinaface_objective`.
    """
    if len(outputs) != 6:
        raise InputError(f"cascade_objective: {len(outputs)} outputs; expected three of each branch")
    first = retinaface_objective(*outputs[:3], targets, settings=settings.first)
    second_targets = cascade_targets(outputs[0], anchors, targets, settings, matcher=matcher)
    second = retinaface_objective(*outputs[3:], second_targets, settings=settings.second)
    weight = settings.second_weight
    return Objective(
        first.value + weight * second.value,
        {f"first_{task}": loss for task, loss in first.parts.items()}
        | {f"second_{task}": loss for task, loss in second.parts.items()},
        (*first.gradients, *(weight * grad for grad in second.gradients if grad is not None)),
        np.stack([first.kept, second.kept]),
    )


def cascade_targets(
    box_deltas: FloatArray,
    anchors: FloatArray,
    targets: RetinaFaceTargets,
    settings: CascadeLossSettings = CASCADE,
    *,
    matcher: Matcher = match_anchors,
) -> RetinaFaceTargets:
    """Match the first boxes to the faces of each image, and encode the faces they got.

    Parameters
    ----------
    box_deltas : (N, A, 4) array
        Of the first branch.
    anchors : (A, 4) array of the same type, x1 y1 x2 y2, pixels
    targets : RetinaFaceTargets
        Of the first branch; only their ``faces`` are read.
    settings : CascadeLossSettings
    matcher : callable

    Returns
    -------
    RetinaFaceTargets
        Of the second branch.

    Raises
    ------
    InputError
        If the targets have no faces, or not those of as many images.

    Examples
    --------
    An anchor that the first branch moves onto the face by 5 pixels, and one that it leaves where it is:

    >>> from minidet.training.objectives import Faces
    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [40.0, 0.0, 50.0, 10.0]])
    >>> box = np.array([[5.0, 0.0, 15.0, 10.0]])
    >>> faces = (Faces(box, np.zeros((1, 5, 2)), np.array([False]), ignored=np.zeros((0, 4))),)
    >>> nobody = np.zeros((1, 2), bool)
    >>> first = RetinaFaceTargets(nobody, ~nobody, box[:0], np.zeros((0, 10)), nobody[0, :0], faces=faces)
    >>> second = cascade_targets(np.array([[[5.0, 0.0, 0.0, 0.0], [0.0] * 4]]), anchors, first)
    >>> second.positive, second.box_deltas
    (array([[ True, False]]), array([[0., 0., 0., 0.]]))
    """
    if targets.faces is None:
        raise InputError("cascade: `targets.faces` is None; expected the faces of every image")
    if len(targets.faces) != len(box_deltas):
        raise InputError(
            f"cascade: `targets.faces` has {len(targets.faces)} images, `box_deltas` has {len(box_deltas)}"
        )
    images = []
    for deltas, faces in zip(limit_boxes(box_deltas), targets.faces, strict=True):
        boxes = decode_boxes(deltas, anchors)  # (A, 4), the anchors of the second branch
        match = matcher(boxes, faces.boxes.astype(boxes.dtype), settings.second.thresholds)
        encoded = encode_match(match, boxes, faces)
        ignored = faces.ignored.astype(boxes.dtype)
        negative = match.negative & away_from(boxes, ignored, settings.second.thresholds, matcher)
        images.append((match.positive, negative, *encoded))
    columns: Any = zip(*images, strict=True)
    positive, negative, box_targets, landmark_targets, with_landmarks = columns
    return RetinaFaceTargets(
        np.stack(positive),
        np.stack(negative),
        np.concatenate(box_targets),
        np.concatenate(landmark_targets),
        np.concatenate(with_landmarks),
    )
