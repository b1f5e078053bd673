r"""What RetinaFace minimises: face or not, box, landmarks and, where there is one, the mesh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_float, check_ndim, check_shape, check_whole
from minidet._typing import FloatArray
from minidet.boxes import PAPER_THRESHOLDS, REFERENCE_THRESHOLDS, MatchThresholds
from minidet.errors import InputError
from minidet.losses import edge_length_l1, smooth_l1, softmax_cross_entropy, vertex_l1
from minidet.training.mining import mine_negatives
from minidet.training.objectives.objective import (
    Objective,
    check_weights,
    naming_place,
    sum_over,
)
from minidet.training.objectives.retinaface_targets import RetinaFaceTargets

_sum_over = partial(sum_over, function="retinaface_objective", axes=("image", "anchor"))


@dataclass(frozen=True)
class RetinaFaceLossSettings:
    r"""The figures of the objective; :data:`PAPER` and :data:`REFERENCE` are the two published sets.

    Attributes
    ----------
    box_weight, landmark_weight : float
        :math:`\lambda_1` and :math:`\lambda_2`; the classification weighs 1.
    mesh_weight : float or None
        :math:`\lambda_3`; None without a mesh branch.
    thresholds : MatchThresholds
        Which anchors are positive and negative: what :func:`retinaface_targets` is to be given.
    negative_ratio : int
        Negatives kept per positive, hardest first.
    min_negatives : int
        Negatives kept in an image however few positives it has. 0, as in the reference, lets a photograph
        without faces teach nothing; set it if such photographs are in the data for a purpose.
    beta : float
        Where smooth L1 passes from parabola to line. 1 is Fast R-CNN's, which the paper names;
        insightface's own code has 1/9.
    """

    box_weight: float
    landmark_weight: float
    mesh_weight: float | None
    thresholds: MatchThresholds
    negative_ratio: int
    min_negatives: int = 0
    beta: float = 1.0

    def __post_init__(self) -> None:
        check_weights(self, "box_weight", "landmark_weight")
        check_weights(self, "beta")
        if self.mesh_weight is not None:
            check_weights(self, "mesh_weight")
        check_whole("RetinaFaceLossSettings", "negative_ratio", self.negative_ratio, least=0)
        check_whole("RetinaFaceLossSettings", "min_negatives", self.min_negatives, least=0)
        if not isinstance(self.thresholds, MatchThresholds):
            raise InputError(
                f"RetinaFaceLossSettings: thresholds={self.thresholds!r}; expected MatchThresholds"
            )


PAPER = RetinaFaceLossSettings(
    box_weight=0.25,
    landmark_weight=0.1,
    mesh_weight=0.01,
    thresholds=PAPER_THRESHOLDS,
    negative_ratio=3,
)
"""Deng et al. 2019, arXiv 1905.00641, eq. 1 and the paragraph on anchor settings. The 0.01 stands there
before the pixel loss; it is kept for the mesh loss, which took its place in 2020 with a weight that we could
not read."""

REFERENCE = RetinaFaceLossSettings(
    box_weight=2.0,
    landmark_weight=1.0,
    mesh_weight=None,
    thresholds=REFERENCE_THRESHOLDS,
    negative_ratio=7,
)
"""biubug6/Pytorch_Retinaface, which the shipped weights were trained with."""


def retinaface_objective(
    box_deltas: FloatArray,
    logits: FloatArray,
    landmark_deltas: FloatArray,
    targets: RetinaFaceTargets,
    *,
    settings: RetinaFaceLossSettings = REFERENCE,
    vertices: FloatArray | None = None,
    triangles: NDArray[np.integer[Any]] | None = None,
) -> Objective:
    r"""Join the tasks of one batch into one number.

    .. math::
        L = L_\text{cls} + \lambda_1 \, p^* L_\text{box} + \lambda_2 \, p^* L_\text{pts}
            + \lambda_3 \, p^* L_\text{mesh}

    where :math:`p^*` is 1 for a positive anchor and 0 for all others. :math:`L_\text{cls}` is a cross-entropy
    over the positive anchors and the mined negative ones, :math:`L_\text{box}` and :math:`L_\text{pts}` are
    smooth L1, :math:`L_\text{mesh}` is the vertex loss plus the edge-length loss. Each sum is divided by the
    number of positive anchors in the batch that it runs over: for landmarks and meshes only those whose face
    has them.

    Parameters
    ----------
    box_deltas : (N, A, 4) array, float32 or float64
    logits : (N, A, 2) array of the same type
    landmark_deltas : (N, A, 10) array of the same type
        The outputs of the network.
    targets : RetinaFaceTargets
    settings : RetinaFaceLossSettings
    vertices : (N, A, V, 3) array of the same type, optional
        Output of a mesh branch.
    triangles : (T, 3) integer array, optional
        The corners of the mesh's triangles; goes with ``vertices``.

    Returns
    -------
    Objective
        Its parts are "classification", "box" and "landmark", and "mesh" with a mesh branch. Its last gradient
        is that of ``vertices`` then.

    Raises
    ------
    InputError
        If shapes or types disagree, or a number is not finite.

    Notes
    -----
    Source: Deng et al. 2019, arXiv 1905.00641, eq. 1, with the mesh loss of the CVPR 2020 version in the
    place of the pixel loss. The divisors are those of biubug6/Pytorch_Retinaface; the paper names none.

    With ``min_negatives`` an image may keep more negatives than its positives call for. The classification
    is then divided by kept negatives / ratio, if that is more than the positives, so that all negatives
    together never weigh more than where the ratio holds.

    The gradient of a sum is the sum of the gradients; anchors that matching ignores or mining drops have the
    gradient zero. The choice itself is not differentiated.

    Examples
    --------
    One positive anchor that says "face" with score 3/4 and misses by half a unit in x, one negative that says
    "face" with score 1/2, and one easy negative that is not kept because the ratio is 1:

    >>> from dataclasses import replace
    >>> targets = RetinaFaceTargets(
    ...     positive=np.array([[True, False, False]]),
    ...     negative=np.array([[False, True, True]]),
    ...     box_deltas=np.zeros((1, 4)),
    ...     landmark_deltas=np.zeros((1, 10)),
    ...     has_landmarks=np.array([False]),
    ... )
    >>> logits = np.array([[[0.0, np.log(3)], [0.0, 0.0], [9.0, 0.0]]])
    >>> box_deltas = np.full((1, 3, 4), [0.5, 0.0, 0.0, 0.0])
    >>> objective = retinaface_objective(
    ...     box_deltas, logits, np.ones((1, 3, 10)), targets, settings=replace(REFERENCE, negative_ratio=1)
    ... )
    >>> objective.kept
    array([[ True,  True, False]])
    >>> {task: round(loss, 4) for task, loss in objective.parts.items()}  # ln 4/3 + ln 2, 0.5**2 / 2
    {'classification': 0.9808, 'box': 0.125, 'landmark': 0.0}
    >>> round(objective.value, 4)  # 0.9808 + 2 * 0.125
    1.2308
    """
    _check(box_deltas, logits, landmark_deltas, targets)
    positive, negative = targets.positive, targets.negative  # (N, A)
    labels = positive.astype(np.intp)

    with naming_place("retinaface_objective", np.ones(positive.shape, np.bool_), ("image", "anchor")):
        losses, _ = softmax_cross_entropy(logits.reshape(-1, 2), labels.ravel(), reduction="none")
    mined = mine_negatives(
        losses.reshape(positive.shape),
        positive,
        negative,
        ratio=settings.negative_ratio,
        at_least=settings.min_negatives,
    )
    kept = positive | mined

    faces = max(int(positive.sum()), 1)
    classification, grad_logits = _sum_over(
        kept,
        softmax_cross_entropy,
        logits,
        labels[kept],
        weight=1.0,
        divisor=max(faces, int(mined.sum()) / max(settings.negative_ratio, 1)),
    )

    def error(
        predictions: FloatArray, wanted: FloatArray, *, reduction: Literal["sum"]
    ) -> tuple[float, FloatArray]:
        return smooth_l1(predictions, wanted, beta=settings.beta, reduction=reduction)

    box, grad_box_deltas = _sum_over(
        positive, error, box_deltas, targets.box_deltas, weight=settings.box_weight, divisor=faces
    )
    landmarked = positive.copy()
    landmarked[positive] = targets.has_landmarks
    landmark, grad_landmark_deltas = _sum_over(
        landmarked,
        error,
        landmark_deltas,
        targets.landmark_deltas[targets.has_landmarks],
        weight=settings.landmark_weight,
        divisor=max(int(landmarked.sum()), 1),
    )
    value = classification + settings.box_weight * box + settings.landmark_weight * landmark
    parts = {"classification": classification, "box": box, "landmark": landmark}
    gradients = (grad_box_deltas, grad_logits, grad_landmark_deltas)
    if vertices is None:
        return Objective(value, parts, gradients, kept)

    if settings.mesh_weight is None:
        raise InputError("retinaface_objective: `vertices` is given, but settings.mesh_weight is None")
    check_float("retinaface_objective", logits=logits, vertices=vertices)
    mesh, grad_vertices = _mesh_task(vertices, triangles, targets, settings.mesh_weight)
    value = value + settings.mesh_weight * mesh
    return Objective(value, {**parts, "mesh": mesh}, (*gradients, grad_vertices), kept)


def _mesh_task(
    vertices: FloatArray,
    triangles: NDArray[np.integer[Any]] | None,
    targets: RetinaFaceTargets,
    weight: float,
) -> tuple[float, FloatArray]:
    if triangles is None or targets.vertices is None or targets.has_mesh is None:
        raise InputError(
            "retinaface_objective: `vertices` is given without `triangles`, "
            "`targets.vertices` or `targets.has_mesh`"
        )
    _check_mesh(vertices, targets.vertices, targets.has_mesh, targets.positive)
    meshed = targets.positive.copy()
    meshed[targets.positive] = targets.has_mesh

    def error(
        predictions: FloatArray, wanted: FloatArray, *, reduction: Literal["sum"]
    ) -> tuple[float, FloatArray]:
        at_vertices, grad_at_vertices = vertex_l1(predictions, wanted, reduction=reduction)
        of_edges, grad_of_edges = edge_length_l1(predictions, wanted, triangles, reduction=reduction)
        # The vertices are used twice, so the gradients add.
        return at_vertices + of_edges, grad_at_vertices + grad_of_edges

    wanted = targets.vertices[targets.has_mesh]  # (faces with a mesh, V, 3)
    return _sum_over(meshed, error, vertices, wanted, weight=weight, divisor=max(int(meshed.sum()), 1))


def _check(
    box_deltas: FloatArray, logits: FloatArray, landmark_deltas: FloatArray, targets: RetinaFaceTargets
) -> None:
    function = "retinaface_objective"
    check_ndim(function, "logits", logits, 3, "N, A, 2")
    N, A = logits.shape[:2]
    check_float(function, logits=logits, box_deltas=box_deltas, landmark_deltas=landmark_deltas)
    for name, output, values in (
        ("logits", logits, 2),
        ("box_deltas", box_deltas, 4),
        ("landmark_deltas", landmark_deltas, 10),
    ):
        check_shape(function, name, output, (N, A, values), "one row per image and anchor")
        check_finite(function, name, output, "image", "anchor", "value")

    for name, mask in (("positive", targets.positive), ("negative", targets.negative)):
        _check_mask(f"targets.{name}", mask, (N, A), "one per image and anchor")
    P = int(targets.positive.sum())
    _check_mask("targets.has_landmarks", targets.has_landmarks, (P,), "one per positive anchor")
    every = np.ones(P, np.bool_)
    for name, array, read, values in (
        ("targets.box_deltas", targets.box_deltas, every, 4),
        ("targets.landmark_deltas", targets.landmark_deltas, targets.has_landmarks, 10),
    ):
        check_float(function, logits=logits, **{name: array})
        check_shape(function, name, array, (P, values), "one row per positive anchor")
        check_finite(function, name, np.where(read[:, None], array, 0), "positive anchor", "value")


def _check_mesh(
    vertices: FloatArray, targets: FloatArray, has_mesh: NDArray[np.bool_], positive: NDArray[np.bool_]
) -> None:
    function = "retinaface_objective"
    N, A = positive.shape
    if vertices.ndim != 4 or vertices.shape[:2] != (N, A) or vertices.shape[3] != 3:
        raise InputError(f"{function}: `vertices` has shape {vertices.shape}; expected ({N}, {A}, V, 3)")
    check_finite(function, "vertices", vertices, "image", "anchor", "vertex")
    P, V = int(positive.sum()), vertices.shape[2]
    _check_mask("targets.has_mesh", has_mesh, (P,), "one per positive anchor")
    check_float(function, **{"vertices": vertices, "targets.vertices": targets})
    check_shape(function, "targets.vertices", targets, (P, V, 3), "one mesh per positive anchor")
    read = np.where(has_mesh[:, None, None], targets, 0)
    check_finite(function, "targets.vertices", read, "positive anchor", "vertex")


def _check_mask(name: str, mask: NDArray[Any], shape: tuple[int, ...], why: str) -> None:
    check_shape("retinaface_objective", name, mask, shape, why)
    if mask.dtype != np.bool_:  # 0 and 1 would choose the first two rows instead
        raise InputError(f"retinaface_objective: `{name}` is {mask.dtype}; expected bool")
