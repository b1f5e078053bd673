r"""What the dense branches minimise, beside face, box and landmarks: the mesh, or the picture drawn of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_float, check_shape
from minidet._typing import Float32Array, FloatArray, RGBImage
from minidet.boxes import MatchThresholds, encode_vertices, match_anchors
from minidet.boxes.coding import VARIANCES
from minidet.errors import InputError, is_number
from minidet.image import crop
from minidet.losses import pixel_l1, smooth_l1
from minidet.mesh import Topology
from minidet.models.retinaface.pixel import PixelBranch
from minidet.training.objectives.objective import Objective
from minidet.training.objectives.retinaface import PAPER, RetinaFaceLossSettings, retinaface_objective
from minidet.training.objectives.retinaface_targets import Matcher, RetinaFaceTargets

WHITE = 255.0
"""Pixels are compared in grey levels, as photographs have them, not in shares of white."""


def mesh_objective(
    box_deltas: FloatArray,
    logits: FloatArray,
    landmark_deltas: FloatArray,
    dense: FloatArray,
    targets: RetinaFaceTargets,
    topology: Topology,
    *,
    settings: RetinaFaceLossSettings = PAPER,
) -> Objective:
    r"""Join face, box, landmarks and mesh: :func:`retinaface_objective` with the outputs of a mesh branch.

    Parameters
    ----------
    box_deltas, logits, landmark_deltas : (N, A, 4 | 2 | 10) arrays, float32 or float64
    dense : (N, A, 3 V) array of the same type
        x, y, z of each vertex, as :func:`minidet.boxes.decode_vertices` takes them.
    targets : RetinaFaceTargets
        With meshes; see :func:`with_meshes`.
    topology : Topology
    settings : RetinaFaceLossSettings
        With a ``mesh_weight``: :math:`\lambda_3`, 0.01 in the paper.

    Returns
    -------
    Objective
        Its last part is "mesh", its last gradient that of ``dense``.

    Raises
    ------
    InputError
        As :func:`retinaface_objective`; if ``dense`` has another size than the topology.

    Notes
    -----
    Source: Deng et al. 2020 (RetinaFace at CVPR), where the mesh takes the place of the pixels of 2019.
    """
    N, A = logits.shape[:2]
    check_shape("mesh_objective", "dense", dense, (N, A, 3 * topology.vertex_count), "3 per vertex")
    objective = retinaface_objective(
        box_deltas,
        logits,
        landmark_deltas,
        targets,
        settings=settings,
        vertices=dense.reshape(N, A, topology.vertex_count, 3),
        triangles=topology.triangles,
    )
    *gradients, grad_vertices = objective.gradients
    assert grad_vertices is not None  # there are vertices
    grad_dense = grad_vertices.reshape(dense.shape)
    return Objective(objective.value, objective.parts, (*gradients, grad_dense), objective.kept)


def with_meshes(
    targets: RetinaFaceTargets,
    anchors: FloatArray,
    boxes: Sequence[FloatArray],
    vertices: Sequence[FloatArray],
    topology: Topology,
    thresholds: MatchThresholds,
    *,
    matcher: Matcher = match_anchors,
) -> RetinaFaceTargets:
    """Add to targets the mesh of each positive anchor's face.

    Parameters
    ----------
    targets : RetinaFaceTargets
        Of the same anchors, boxes and thresholds.
    anchors : (A, 4) array, x1 y1 x2 y2, pixels
    boxes : N arrays (G, 4)
    vertices : N arrays (G, V, 3), pixels
        NaN for a face whose mesh is not known.
    topology : Topology
    thresholds : MatchThresholds
    matcher : callable

    Returns
    -------
    RetinaFaceTargets

    Raises
    ------
    InputError
        If the lists disagree, or the targets were made of other faces.

    Notes
    -----
    Source: Deng et al. 2020 (RetinaFace at CVPR): vertices are counted in sides of the anchor, and depth is 0
    at the tip of the nose.

    Examples
    --------
    The second anchor is right on the face; its corner is 0.5 / 0.1 units from the centre.

    >>> from minidet.training.objectives import retinaface_targets
    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0]])
    >>> thresholds = MatchThresholds(positive=0.5, negative=0.3, force_best=None)
    >>> box, nothing = [anchors[1:]], [np.zeros((1, 5, 2))]
    >>> targets = retinaface_targets(anchors, box, nothing, [np.array([False])], thresholds)
    >>> topology = Topology(3, np.array([[0, 1, 2]]), (0, 1, 2, 0, 1))
    >>> mesh = np.array([[[10.0, 0.0, 3.0], [20.0, 0.0, 3.0], [15.0, 10.0, 2.0]]])
    >>> with_meshes(targets, anchors, box, [mesh], topology, thresholds).vertices
    array([[[-5., -5.,  1.],
            [ 5., -5.,  1.],
            [ 0.,  5.,  0.]]])
    """
    if not len(boxes) == len(vertices) == len(targets.positive):
        raise InputError(
            f"with_meshes: {len(boxes)} `boxes`, {len(vertices)} `vertices`, targets of "
            f"{len(targets.positive)} images; expected one of each per image"
        )
    rows, known = [], []
    for positive, of_image, meshes in zip(targets.positive, boxes, vertices, strict=True):
        shape = (len(of_image), topology.vertex_count, 3)
        check_shape("with_meshes", "vertices", meshes, shape, "a mesh for each box")
        match = matcher(anchors, of_image.astype(anchors.dtype), thresholds)
        if not np.array_equal(match.positive, positive):
            raise InputError(
                "with_meshes: other anchors are positive than in `targets`; expected its own boxes"
            )
        face = match.face[positive]  # (P,)
        has_mesh = np.atleast_1d(np.isfinite(meshes[face]).all(axis=(1, 2)))
        encoded = np.zeros((len(face), *shape[1:]), anchors.dtype)
        encoded[has_mesh] = encode_vertices(
            meshes[face[has_mesh]].astype(anchors.dtype), anchors[positive][has_mesh], topology.nose
        )
        rows.append(encoded)
        known.append(has_mesh)
    return targets._replace(vertices=np.concatenate(rows), has_mesh=np.concatenate(known))


def pixel_objective(
    box_deltas: FloatArray,
    logits: FloatArray,
    landmark_deltas: FloatArray,
    dense: FloatArray,
    targets: RetinaFaceTargets,
    crops: FloatArray,
    visible: NDArray[np.bool_],
    branch: PixelBranch,
    *,
    settings: RetinaFaceLossSettings = PAPER,
    pixel_weight: float = 0.01,
    drawn_weight: float = 0.0,
) -> Objective:
    r"""Join face, box, landmarks and the drawn picture.

    .. math::
        L = L_\text{cls} + \lambda_1 \, p^* L_\text{box} + \lambda_2 \, p^* L_\text{pts}
            + \lambda_3 \, p^* L_\text{pixel} + \lambda_4 \, p^* L_\text{drawn}

    Parameters
    ----------
    box_deltas, logits, landmark_deltas : (N, A, 4 | 2 | 10) arrays, float32 or float64
    dense : (N, A, parameters per anchor) array of the same type
        Code, camera and light, as ``branch`` takes them.
    targets : RetinaFaceTargets
        Of them, P anchors are positive.
    crops : (P, side, side, 3) array of the same type
        What the positive anchors cover, 0 to 1; see :func:`anchor_crops`.
    visible : (P, side, side) bool array
        Where the crops show the face and not what is around it. Nothing is learnt elsewhere: an outline has
        no gradient, so a mesh that lies over the background cannot learn to leave it, only to look like it.
    branch : PixelBranch
        Adds to the gradients of its decoder.
    settings : RetinaFaceLossSettings
        Its ``mesh_weight`` is not read.
    pixel_weight : float
        :math:`\lambda_3`. The loss counts in grey levels, 0 to 255: the paper does not name its unit, and in
        these its 0.01 makes the term about as large as the others.
    drawn_weight : float
        :math:`\lambda_4`, which is not in the paper: of the landmarks of the drawn mesh, compared with the
        annotated ones as those of the heads are, in the same unit. Pixels tell a mesh what to look like, but
        only near its place; a network that has yet to learn everything needs to be told the place. The 0.1 of
        :math:`\lambda_2` is right for both.

    Returns
    -------
    Objective
        Its last parts are "pixel", in grey levels, and "drawn"; its last gradient is that of ``dense``.

    Raises
    ------
    InputError
        As :func:`retinaface_objective`; if the crops do not fit, or a weight is negative.

    Notes
    -----
    Source: Deng et al. 2019, arXiv 1905.00641, eqs. 1 and 3. Divided by the number of positive anchors, as
    the other terms are.
    """
    for name, weight in (("pixel_weight", pixel_weight), ("drawn_weight", drawn_weight)):
        if not (is_number(weight) and 0 <= weight < float("inf")):
            raise InputError(f"pixel_objective: {name}={weight!r}; expected a number from 0 up")
    P = int(targets.positive.sum())
    check_shape("pixel_objective", "visible", visible, (P, branch.side, branch.side), "one mask per crop")
    shape = (*logits.shape[:2], branch.parameter_count_per_anchor)
    check_shape("pixel_objective", "dense", dense, shape, "those of the branch for every anchor")
    check_float("pixel_objective", logits=logits, dense=dense, crops=crops)
    check_finite("pixel_objective", "dense", dense, "image", "anchor", "value")
    others = retinaface_objective(box_deltas, logits, landmark_deltas, targets, settings=settings)
    pixel, drawn, grad_dense = 0.0, 0.0, np.zeros_like(dense)
    if P > 0:
        white = dense.dtype.type(WHITE)
        pictures, covered, landmarks = branch.forward(dense[targets.positive])  # (P, side, side, 3)
        pixel, grad_pictures = pixel_l1(white * pictures, white * crops, covered & visible)
        drawn, grad_landmarks = _landmarks_where_annotated(landmarks, targets, branch.side, settings.beta)
        grad_dense[targets.positive] = branch.backward(
            (pixel_weight * WHITE * grad_pictures).astype(dense.dtype),
            (drawn_weight * grad_landmarks).astype(dense.dtype),
        )
    value = others.value + pixel_weight * pixel + drawn_weight * drawn
    parts = {**others.parts, "pixel": pixel, "drawn": drawn}
    return Objective(value, parts, (*others.gradients, grad_dense), others.kept)


def _landmarks_where_annotated(
    landmarks: FloatArray, targets: RetinaFaceTargets, side: int, beta: float
) -> tuple[float, FloatArray]:
    """Compare landmarks (P, 5, 2), pixels of the crops, with the faces' own, in the unit of the deltas."""
    unit = VARIANCES[0] * side  # an anchor is as wide as its crop
    deltas = ((landmarks - side / 2) / unit).reshape(-1, 10).astype(landmarks.dtype)
    known = targets.has_landmarks
    faces = max(int(known.sum()), 1)
    value, grad = smooth_l1(deltas[known], targets.landmark_deltas[known], beta=beta, reduction="sum")
    grad_landmarks = np.zeros_like(landmarks)
    grad_landmarks[known] = grad.reshape(-1, 5, 2) / (unit * faces)
    return value / faces, grad_landmarks


def anchor_crops(
    images: Sequence[RGBImage], anchors: FloatArray, positive: NDArray[np.bool_], side: int
) -> Float32Array:
    """Cut out what the positive anchors cover, in the order of the targets.

    Parameters
    ----------
    images : N arrays (H, W, 3) uint8
        RGB.
    anchors : (A, 4) array, x1 y1 x2 y2, pixels
        Squares.
    positive : (N, A) bool array
    side : int
        Of the crops, pixels.

    Returns
    -------
    crops : (P, side, side, 3) float32 array
        0 to 1; black beyond the border of the image.

    Raises
    ------
    InputError
        If there are more or fewer images than rows of ``positive``.

    Notes
    -----
    Source: Deng et al. 2019, arXiv 1905.00641, eq. 3: what the drawn picture is compared with.

    Examples
    --------
    >>> image = np.full((4, 4, 3), 51, np.uint8)
    >>> anchors = np.array([[0.0, 0.0, 2.0, 2.0], [2.0, 2.0, 6.0, 6.0]])
    >>> anchor_crops([image], anchors, np.array([[False, True]]), 2)[0, :, :, 0]
    array([[0.2, 0. ],
           [0. , 0. ]], dtype=float32)
    """
    if len(images) != len(positive):
        raise InputError(f"anchor_crops: {len(images)} images, `positive` has {len(positive)}")
    cut: list[Any] = [
        crop(image, anchor, size=side, margin=0)
        for image, chosen in zip(images, positive, strict=True)
        for anchor in anchors[chosen]
    ]
    return np.array(cut, np.float32).reshape(-1, side, side, 3) / np.float32(WHITE)
