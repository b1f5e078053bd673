r"""Which way the surface faces at each vertex."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit
from minidet._typing import Float64Array, FloatArray, IntArray
from minidet.mesh._check import check_triangles, check_vertices


def normals_forward(points: FloatArray, triangles: NDArray[np.integer[Any]]) -> FloatArray:
    r"""Compute the normals at the vertices: the mean of the triangles around, weighted by their area.

    .. math::
        m_v = \sum_{(i, j, k) \ni v} (p_k - p_i) \times (p_j - p_i), \qquad
        n_v = \frac{m_v}{\lVert m_v \rVert}

    Each product is as long as twice the area of its triangle. A vertex without area has the normal 0.

    Parameters
    ----------
    points : (N, V, 3) array, float32 or float64
    triangles : (T, 3) integer array
        Clockwise on the screen where the surface faces the viewer, at -z.

    Returns
    -------
    normals : (N, V, 3) array

    Raises
    ------
    InputError
        If types or shapes disagree, or a triangle names a vertex that is not there.

    Examples
    --------
    >>> points = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    >>> normals_forward(points, np.array([[0, 1, 2]]))[0, 0]
    array([ 0.,  0., -1.])
    """
    _, V = check_vertices("normals", points=points)
    sums = _sums(points, check_triangles("normals", triangles, V))
    return _over_length(sums, _lengths(sums)).astype(points.dtype)


def normals_backward(
    grad_output: FloatArray, points: FloatArray, triangles: NDArray[np.integer[Any]]
) -> FloatArray:
    r"""Send the gradient of the normals back to the points.

    A normal has length 1, so only what is across it can change it:

    .. math:: \frac{\partial L}{\partial m} = \frac{g - n (n \cdot g)}{\lVert m \rVert}

    The gradient G of a product :math:`b \times a` goes to its factors as
    :math:`\partial L / \partial a = G \times b` and :math:`\partial L / \partial b = a \times G`.

    Parameters
    ----------
    grad_output : (N, V, 3) array, float32 or float64
    points : (N, V, 3) array of the same type
    triangles : (T, 3) integer array

    Returns
    -------
    grad_points : (N, V, 3) array

    Raises
    ------
    InputError
        If types or shapes disagree, or a triangle names a vertex that is not there.

    Examples
    --------
    Let the normal lean to the right, at x: the corner on the right, pushed away from the viewer, does it.

    >>> points = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    >>> lean = np.array([[[1.0, 0, 0], [0, 0, 0], [0, 0, 0]]])
    >>> normals_backward(lean, points, np.array([[0, 1, 2]]))[0, 1]
    array([0., 0., 1.])
    """
    _, V = check_vertices("normals", points=points, grad_output=grad_output)
    indices = check_triangles("normals", triangles, V)
    sums = _sums(points, indices)
    lengths = _lengths(sums)
    normals = _over_length(sums, lengths)
    along = (normals * grad_output).sum(axis=2, keepdims=True)
    grad_sums = _over_length(grad_output - normals * along, lengths)
    grad_points = np.zeros(points.shape)
    _spread_kernel(np.ascontiguousarray(points, np.float64), indices, grad_sums, grad_points)
    return grad_points.astype(points.dtype)


def _sums(points: FloatArray, triangles: IntArray) -> Float64Array:
    sums = np.zeros(points.shape)
    _sums_kernel(np.ascontiguousarray(points, np.float64), triangles, sums)
    return sums


def _lengths(sums: Float64Array) -> Float64Array:
    return np.sqrt((sums**2).sum(axis=2, keepdims=True))


def _over_length(vectors: FloatArray, lengths: Float64Array) -> Float64Array:
    return np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)


@jit
def _sums_kernel(points: Float64Array, triangles: IntArray, sums: Float64Array) -> None:
    for n in range(len(points)):
        for t in range(len(triangles)):
            i, j, k = triangles[t]
            ax, ay, az = points[n, j] - points[n, i]
            bx, by, bz = points[n, k] - points[n, i]
            cross = (by * az - bz * ay, bz * ax - bx * az, bx * ay - by * ax)
            for v in (i, j, k):
                for c in range(3):
                    sums[n, v, c] += cross[c]


@jit
def _spread_kernel(
    points: Float64Array, triangles: IntArray, grad_sums: Float64Array, grad_points: Float64Array
) -> None:
    for n in range(len(points)):
        for t in range(len(triangles)):
            i, j, k = triangles[t]
            ax, ay, az = points[n, j] - points[n, i]
            bx, by, bz = points[n, k] - points[n, i]
            # The product is added to all three corners, so its gradient is the sum of theirs.
            gx, gy, gz = grad_sums[n, i] + grad_sums[n, j] + grad_sums[n, k]
            to_a = (gy * bz - gz * by, gz * bx - gx * bz, gx * by - gy * bx)
            to_b = (ay * gz - az * gy, az * gx - ax * gz, ax * gy - ay * gx)
            for c in range(3):
                grad_points[n, j, c] += to_a[c]
                grad_points[n, k, c] += to_b[c]
                grad_points[n, i, c] -= to_a[c] + to_b[c]
