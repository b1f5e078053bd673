r"""The two terms of RetinaFace's mesh loss: where the vertices are, and how long the edges between them are.

Source: Deng et al., RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild, CVPR 2020. These
definitions follow descriptions of that paper which state neither the weight between the two terms nor the
numbers of vertices and triangles for certain, so all three are left to the caller. A sum of both terms is two
calls, and so is its gradient::

    vertex_value, grad_vertices = vertex_l1(vertices, targets)
    edge_value, grad_edges = edge_length_l1(vertices, targets, triangles)
    value, gradient = vertex_value + weight * edge_value, grad_vertices + weight * grad_edges
"""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_float, check_shape
from minidet._jit import jit
from minidet._typing import FloatArray, IntArray
from minidet.errors import InputError
from minidet.losses._check import check_indices
from minidet.losses._reduction import Reduction, reduce_losses


@overload
def vertex_l1(
    vertices: FloatArray, targets: FloatArray, *, reduction: Literal["none"]
) -> tuple[FloatArray, FloatArray]: ...
@overload
def vertex_l1(
    vertices: FloatArray, targets: FloatArray, *, reduction: Literal["sum", "mean"] = "mean"
) -> tuple[float, FloatArray]: ...
def vertex_l1(
    vertices: FloatArray, targets: FloatArray, *, reduction: Reduction = "mean"
) -> tuple[FloatArray | float, FloatArray]:
    r"""Compare the positions of ``vertices`` with ``targets``, face by face.

    .. math:: L = \frac{1}{V} \sum_{i=1}^{V} \lVert v_i - v_i^* \rVert_1

    The absolute errors in x, y and z of a vertex are added; the mean is over the vertices, so a face is three
    times the mean over all its numbers.

    Parameters
    ----------
    vertices : (N, V, 3) array, x y z, float32 or float64
        Of N faces, in whatever unit; V is any number.
    targets : array of the same shape and type
    reduction : "none", "sum" or "mean"
        Over the faces.

    Returns
    -------
    value : float, or (N,) array for "none"
    grad_vertices : (N, V, 3) array

    Raises
    ------
    InputError
        If types or shapes disagree, there is no vertex, a number is NaN or infinite, a loss is too large for
        the type, or a mean is asked of no faces.

    Notes
    -----
    Source: RetinaFace (CVPR 2020), the vertex term of the mesh loss; see the top of this file.

    The gradient: :math:`|d|` has the derivative :math:`\operatorname{sign} d`, at :math:`d = 0` taken to be 0
    as by PyTorch, and every number has a share of :math:`1 / V`.

    Examples
    --------
    One face of two vertices; the first is off by 1, 0 and -3, the second is right:

    >>> targets = np.zeros((1, 2, 3))
    >>> vertices = np.array([[[1.0, 0.0, -3.0], [0.0, 0.0, 0.0]]])
    >>> value, grad_vertices = vertex_l1(vertices, targets)
    >>> value
    2.0
    >>> grad_vertices
    array([[[ 0.5,  0. , -0.5],
            [ 0. ,  0. ,  0. ]]])
    """
    _check_vertices("vertex_l1", vertices, targets)
    V = vertices.shape[1]

    with np.errstate(over="ignore"):  # an infinite loss is reported by reduce_losses
        difference = vertices - targets  # (N, V, 3)
        losses = np.abs(difference).sum(axis=2).mean(axis=1)  # (N,)
    grad_vertices = np.sign(difference) / V  # (N, V, 3)
    return reduce_losses("vertex_l1", losses, grad_vertices, reduction, vertices=vertices, targets=targets)


@overload
def edge_length_l1(
    vertices: FloatArray,
    targets: FloatArray,
    triangles: NDArray[np.integer[Any]],
    *,
    reduction: Literal["none"],
) -> tuple[FloatArray, FloatArray]: ...
@overload
def edge_length_l1(
    vertices: FloatArray,
    targets: FloatArray,
    triangles: NDArray[np.integer[Any]],
    *,
    reduction: Literal["sum", "mean"] = "mean",
) -> tuple[float, FloatArray]: ...
def edge_length_l1(
    vertices: FloatArray,
    targets: FloatArray,
    triangles: NDArray[np.integer[Any]],
    *,
    reduction: Reduction = "mean",
) -> tuple[FloatArray | float, FloatArray]:
    r"""Compare the lengths of the edges between ``vertices`` with those between ``targets``, face by face.

    .. math:: L = \frac{1}{3T} \sum_{i=1}^{3T} \bigl| \lVert E_i \rVert - \lVert E_i^* \rVert \bigr|

    where :math:`E_1, \dots, E_{3T}` are the three edges of every triangle. An edge between two triangles
    belongs to both and counts twice. Moving or turning a whole face changes nothing.

    Parameters
    ----------
    vertices : (N, V, 3) array, x y z, float32 or float64
        Of N faces, in whatever unit; V is any number.
    targets : array of the same shape and type
    triangles : (T, 3) array of any integer type
        The three vertices of each triangle, 0 to V - 1, the same in all faces; T is any number.
    reduction : "none", "sum" or "mean"
        Over the faces.

    Returns
    -------
    value : float, or (N,) array for "none"
    grad_vertices : (N, V, 3) array

    Raises
    ------
    InputError
        If types or shapes disagree, there is no vertex or no triangle, a triangle names a vertex that is not
        there, a number is NaN or infinite, a loss is too large for the type, or a mean is asked of no faces.

    Notes
    -----
    Source: RetinaFace (CVPR 2020), the edge term of the mesh loss; see the top of this file.

    The gradient: with :math:`E = v_b - v_a`, lengthening goes along the edge,

    .. math:: \frac{\partial \lVert E \rVert}{\partial v_b} = \frac{E}{\lVert E \rVert}
              = -\frac{\partial \lVert E \rVert}{\partial v_a}

    times the sign of :math:`\lVert E \rVert - \lVert E^* \rVert`, over :math:`3T`, added up over the edges
    that a vertex is an end of. Where an edge has no length, or already has the right one, it is taken to be
    0, as by PyTorch.

    Examples
    --------
    A triangle whose edges should be 3, 5 and 4 long, with its third vertex 3 too high, so that the second is
    sqrt(58) long and the third 7. Raising the first vertex would shorten the third edge, and leaves the
    length of the first as it is:

    >>> targets = np.array([[[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]])
    >>> vertices = np.array([[[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 7.0, 0.0]]])
    >>> value, grad_vertices = edge_length_l1(vertices, targets, np.array([[0, 1, 2]]))
    >>> bool(np.isclose(value, (0 + (np.sqrt(58) - 5) + (7 - 4)) / 3))
    True
    >>> (3 * grad_vertices[0, 0]).tolist()
    [0.0, -1.0, 0.0]
    """
    _check_vertices("edge_length_l1", vertices, targets)
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise InputError(f"edge_length_l1: `triangles` has shape {triangles.shape}; expected (T, 3)")
    if len(triangles) == 0:
        raise InputError("edge_length_l1: `triangles` has shape (0, 3); expected at least one triangle")
    triangles = check_indices("edge_length_l1", "triangles", triangles, vertices.shape[1], row="triangle")

    # From each corner to the next, and from the last back to the first.
    starts, ends = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()  # (3T,)
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite loss is reported by reduce_losses
        edges = vertices[:, ends] - vertices[:, starts]  # (N, 3T, 3)
        lengths = _length(edges)  # (N, 3T)
        difference = lengths - _length(targets[:, ends] - targets[:, starts])  # (N, 3T)
        losses = np.abs(difference).mean(axis=1)  # (N,)
        has_length = lengths[..., None] > 0  # (N, 3T, 1)
        directions = np.divide(edges, lengths[..., None], out=np.zeros_like(edges), where=has_length)
    pulls = np.sign(difference)[..., None] * directions / len(starts)  # (N, 3T, 3)
    grad_vertices = np.zeros(vertices.shape, vertices.dtype)
    _add_pulls_kernel(np.ascontiguousarray(pulls), starts, ends, grad_vertices)
    return reduce_losses(
        "edge_length_l1", losses, grad_vertices, reduction, vertices=vertices, targets=targets
    )


@jit
def _add_pulls_kernel(pulls: FloatArray, starts: IntArray, ends: IntArray, grad_vertices: FloatArray) -> None:
    N, edges, _ = pulls.shape
    # A vertex is an end of many edges, so the gradients add.
    for n in range(N):
        for e in range(edges):
            for k in range(3):
                grad_vertices[n, ends[e], k] += pulls[n, e, k]
                grad_vertices[n, starts[e], k] -= pulls[n, e, k]


def _length(edges: FloatArray) -> FloatArray:
    # hypot, since the square of a small number can be zero and that of a large one infinite.
    return np.hypot(np.hypot(edges[..., 0], edges[..., 1]), edges[..., 2])


def _check_vertices(function: str, vertices: FloatArray, targets: FloatArray) -> None:
    if vertices.ndim != 3 or vertices.shape[2] != 3:
        raise InputError(f"{function}: `vertices` has shape {vertices.shape}; expected (N, V, 3)")
    if vertices.shape[1] == 0:
        raise InputError(f"{function}: `vertices` has shape {vertices.shape}; expected at least one vertex")
    check_float(function, vertices=vertices, targets=targets)
    check_shape(function, "targets", targets, vertices.shape, "that of `vertices`")
    check_finite(function, "vertices", vertices, "sample", "vertex")
    check_finite(function, "targets", targets, "sample", "vertex")
