r"""What P-Net, R-Net and O-Net minimise: three tasks, and each sample has its say in some of them.

=========  ==============  ===  =========
sample     classification  box  landmarks
=========  ==============  ===  =========
negative   yes, no face
positive   yes, a face     yes
part                       yes
landmark                        yes
=========  ==============  ===  =========
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_float, check_ndim, check_shape
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.losses import focal_loss, softmax_cross_entropy, squared_error
from minidet.training.mining import keep_hardest
from minidet.training.objectives.objective import Objective, check_weights, naming_place, sum_over


class SampleType(IntEnum):
    """Where a training crop came from, by its IoU with the faces (Zhang et al. 2016, section III-A)."""

    NEGATIVE = 0
    """IoU below 0.3 with every face."""
    POSITIVE = 1
    """IoU above 0.65 with a face."""
    PART = 2
    """IoU from 0.4 to 0.65 with a face: too little to be called one, enough to say where it is."""
    LANDMARK = 3
    """A face with its five points."""


@dataclass(frozen=True)
class Alpha:
    r"""How much each task weighs: :math:`\alpha_j` of Zhang et al. 2016, eq. 4.

    Attributes
    ----------
    classification, box, landmark : float
    """

    classification: float
    box: float
    landmark: float

    def __post_init__(self) -> None:
        check_weights(self, "classification", "box", "landmark")


ALPHA_PNET = Alpha(classification=1.0, box=0.5, landmark=0.5)
"""The proposals are judged first of all; landmarks are there to help."""
ALPHA_RNET = ALPHA_PNET
"""The same as P-Net's: it, too, has only to judge."""
ALPHA_ONET = Alpha(classification=1.0, box=0.5, landmark=1.0)
"""O-Net is the one whose landmarks are used."""


@dataclass(frozen=True)
class MTCNNTargets:
    """What M crops should have answered.

    Attributes
    ----------
    sample_types : (M,) integer array of :class:`SampleType`
    box_deltas : (M, 4) array
        Shifts of x1, y1, x2, y2 from the crop to the face, in crop sides. Read for positives and parts.
    landmark_deltas : (M, 10) array
        x1..x5, y1..y5 from the crop's corner, in crop sides. Read for landmark samples.
    """

    sample_types: NDArray[np.integer[Any]]
    box_deltas: FloatArray
    landmark_deltas: FloatArray


def mtcnn_objective(
    logits: FloatArray,
    box_deltas: FloatArray,
    landmark_deltas: FloatArray | None,
    targets: MTCNNTargets,
    *,
    alpha: Alpha,
    mined_share: float = 0.7,
    classification: Literal["mined", "focal"] = "mined",
    reduction: Literal["mean", "sum"] = "mean",
) -> Objective:
    r"""Join the tasks of one minibatch into one number.

    .. math:: L = \sum_i \sum_{j \in \{\text{cls}, \text{box}, \text{lmk}\}} \alpha_j \, \beta_i^j \, L_i^j

    where :math:`\beta_i^j` is 1 if sample i has a say in task j, as the table above states, else 0. The
    classification loss is a cross-entropy, and only its largest values count (:func:`keep_hardest
    <minidet.training.mining.keep_hardest>`); those of box and landmarks are squared distances, and all count.
    In place of mining, a focal loss can weigh every sample by how wrong it is.

    Parameters
    ----------
    logits : (M, 2) array, or (M, 2, 1, 1) from P-Net on 12 x 12 crops; float32 or float64
    box_deltas : (M, 4) or (M, 4, 1, 1) array of the same type
    landmark_deltas : (M, 10) or (M, 10, 1, 1) array of the same type, or None
        The outputs of the network; None without a landmark head.
    targets : MTCNNTargets
    alpha : Alpha
        ``ALPHA_PNET``, ``ALPHA_RNET`` or ``ALPHA_ONET``.
    mined_share : float
        Share of the classified samples that is kept, hardest first; 1 keeps all. Not read for "focal".
    classification : "mined" or "focal"
        Cross-entropy of the hardest samples, or :func:`focal_loss <minidet.losses.focal_loss>` of all.
    reduction : "mean" or "sum"
        "sum" is the equation as printed. "mean" divides each task's sum by the number of samples in it, so
        that neither the batch size nor the mix of samples changes what a learning rate means.

    Returns
    -------
    Objective
        Its parts are "classification", "box" and "landmark"; a task without samples costs 0.

    Raises
    ------
    InputError
        If shapes or types disagree, a sample type is unknown, or a number is not finite.

    Notes
    -----
    Source: Zhang et al. 2016, eqs. 1-4 and the paragraph on hard sample mining.

    The gradient of a sum is the sum of the gradients. Samples without a say in a task, and those that mining
    drops, have the gradient zero there: mining chooses, and the choice itself is not differentiated.

    Examples
    --------
    A background that is taken for a face (score 3/4, cost ln 4) and a part face whose x1 is off by 0.2:

    >>> targets = MTCNNTargets(
    ...     np.array([SampleType.NEGATIVE, SampleType.PART]), np.zeros((2, 4)), np.zeros((2, 10))
    ... )
    >>> logits = np.array([[0.0, np.log(3)], [0.0, 0.0]])
    >>> box_deltas = np.array([[9.0, 9.0, 9.0, 9.0], [0.2, 0.0, 0.0, 0.0]])
    >>> objective = mtcnn_objective(logits, box_deltas, None, targets, alpha=ALPHA_PNET)
    >>> {task: round(loss, 4) for task, loss in objective.parts.items()}
    {'classification': 1.3863, 'box': 0.04, 'landmark': 0.0}
    >>> round(objective.value, 4)  # 1.3863 + 0.5 * 0.04
    1.4063
    """
    _check(logits, box_deltas, landmark_deltas, targets, classification, reduction)
    types = targets.sample_types
    positive = types == SampleType.POSITIVE  # (M,)
    classified = positive | (types == SampleType.NEGATIVE)
    boxed = positive | (types == SampleType.PART)
    landmarked = types == SampleType.LANDMARK
    labels = positive.astype(np.intp)

    kept = classified.copy()
    if classification == "mined":
        rows = logits.reshape(len(types), 2)  # P-Net's (M, 2, 1, 1) too
        with naming_place("mtcnn_objective", classified, ("sample",)):
            losses, _ = softmax_cross_entropy(rows[classified], labels[classified], reduction="none")
        kept[classified] = keep_hardest(losses, mined_share)

    def task(
        chosen: NDArray[np.bool_],
        loss: Callable[..., tuple[float, FloatArray]],
        predictions: FloatArray,
        wanted: NDArray[Any],
        weight: float,
    ) -> tuple[float, FloatArray]:
        value, gradient = sum_over(
            chosen,
            loss,
            predictions.reshape(predictions.shape[:2]),
            wanted[chosen],
            weight=weight,
            divisor=max(int(chosen.sum()), 1) if reduction == "mean" else 1,
            function="mtcnn_objective",
            axes=("sample",),
        )
        return value, gradient.reshape(predictions.shape)

    loss: Callable[..., tuple[float, FloatArray]] = (
        softmax_cross_entropy if classification == "mined" else focal_loss
    )
    face, grad_logits = task(kept, loss, logits, labels, alpha.classification)
    box, grad_box_deltas = task(boxed, squared_error, box_deltas, targets.box_deltas, alpha.box)
    landmark, grad_landmark_deltas = 0.0, None
    if landmark_deltas is not None:
        landmark, grad_landmark_deltas = task(
            landmarked, squared_error, landmark_deltas, targets.landmark_deltas, alpha.landmark
        )
    return Objective(
        value=alpha.classification * face + alpha.box * box + alpha.landmark * landmark,
        parts={"classification": face, "box": box, "landmark": landmark},
        gradients=(grad_logits, grad_box_deltas, grad_landmark_deltas),
        kept=kept,
    )


def _check(
    logits: FloatArray,
    box_deltas: FloatArray,
    landmark_deltas: FloatArray | None,
    targets: MTCNNTargets,
    classification: str,
    reduction: str,
) -> None:
    if reduction not in ("mean", "sum"):
        raise InputError(f"mtcnn_objective: reduction={reduction!r}; expected 'mean' or 'sum'")
    if classification not in ("mined", "focal"):
        raise InputError(f"mtcnn_objective: classification={classification!r}; expected 'mined' or 'focal'")
    types = targets.sample_types
    check_ndim("mtcnn_objective", "sample_types", types, 1, "M,")
    if not np.issubdtype(types.dtype, np.integer):  # True would pass for POSITIVE
        raise InputError(f"mtcnn_objective: `sample_types` is {types.dtype}; expected whole numbers")
    unknown = ~np.isin(types, list(SampleType))
    if unknown.any():
        m = int(np.argmax(unknown))
        raise InputError(f"mtcnn_objective: `sample_types` is {types[m]} in sample {m}; expected 0 to 3")

    outputs = {"logits": logits, "box_deltas": box_deltas, "landmark_deltas": landmark_deltas}
    check_float("mtcnn_objective", **outputs)
    for (name, output), values in zip(outputs.items(), (2, 4, 10), strict=True):
        if output is None:
            continue
        if output.shape not in [(len(types), values), (len(types), values, 1, 1)]:
            raise InputError(
                f"mtcnn_objective: `{name}` has shape {output.shape}; "
                f"expected ({len(types)}, {values}), one row per sample type"
            )
        check_finite("mtcnn_objective", name, output.reshape(len(types), values), "sample", "value")

    with_box = np.isin(types, [SampleType.POSITIVE, SampleType.PART])
    with_landmarks = types == SampleType.LANDMARK
    for name, array, read, values in (
        ("targets.box_deltas", targets.box_deltas, with_box, 4),
        ("targets.landmark_deltas", targets.landmark_deltas, with_landmarks, 10),
    ):
        check_float("mtcnn_objective", logits=logits, **{name: array})
        check_shape("mtcnn_objective", name, array, (len(types), values), "one row per sample type")
        check_finite("mtcnn_objective", name, np.where(read[:, None], array, 0), "sample", "value")
