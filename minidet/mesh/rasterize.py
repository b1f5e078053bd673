r"""From triangles to pixels: which triangle a pixel shows, and where in it the pixel is.

A pixel looks along one ray, through its centre. Of the triangles that the ray meets, the nearest counts. The
z-buffer finds it: for each pixel it keeps the depth of the nearest so far. Where in the triangle is said by
three barycentric weights, one for each corner, that add up to 1.

**What has a gradient and what has not.** If a vertex moves, the weights of the pixels in its triangles change
smoothly; that is what ``rasterize_backward`` returns. *Which* triangle a pixel shows changes in jumps: at the
outline of the face and where one part covers another. The derivative of a jump is zero or infinite, so there
is no gradient for it here: a mesh cannot learn that its outline should move over the background, only that
what is already covered should look otherwise. Differences by a finite step see the jumps, and agree with the
gradient where none happens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_float, check_shape, check_whole
from minidet._jit import jit
from minidet._typing import Float64Array, FloatArray, IntArray
from minidet.errors import InputError
from minidet.mesh._check import check_triangles, check_vertices

EDGE = 1e-12
"""By how much a share of the area may be below 0: a pixel on the edge between two triangles belongs to one of
them, whatever the rounding."""


def rasterize_forward(
    image_points: FloatArray, triangles: NDArray[np.integer[Any]], height: int, width: int
) -> tuple[IntArray, FloatArray]:
    r"""Find the triangle that each pixel shows, and the pixel's place in it.

    On the screen a pixel divides its triangle into three, whose shares of the area are :math:`b`. In space
    what is further away is seen smaller, so the weights of the corners on the surface itself are

    .. math:: w_m = \frac{b_m / z_m}{\sum_n b_n / z_n}

    and the depth at the pixel is :math:`1 / \sum_n b_n / z_n`.

    Parameters
    ----------
    image_points : (N, V, 3) array, float32 or float64
        x, y in pixels and the depth z, above 0: what :func:`minidet.mesh.project_forward` returns. Pixel
        (i, j) has its centre at x = j + 0.5, y = i + 0.5.
    triangles : (T, 3) integer array
        Seen from either side.
    height, width : int
        Of the pictures.

    Returns
    -------
    shown : (N, height, width) intp array
        The number of the triangle, -1 where there is none.
    weights : (N, height, width, 3) array
        Of its corners; 0 where there is none.

    Raises
    ------
    InputError
        If types or shapes disagree, a triangle names a vertex that is not there, or a depth is not above 0.

    Examples
    --------
    A triangle over the upper left half of three by three pixels, and one behind it:

    >>> near = [[0.0, 0.0, 1.0], [3.0, 0.0, 1.0], [0.0, 3.0, 1.0]]
    >>> far = [[0.0, 0.0, 2.0], [4.0, 0.0, 2.0], [0.0, 4.0, 2.0]]
    >>> shown, weights = rasterize_forward(np.array([near + far]), np.array([[0, 1, 2], [3, 4, 5]]), 3, 3)
    >>> shown[0]
    array([[ 0,  0,  0],
           [ 0,  0,  1],
           [ 0,  1, -1]])
    >>> weights[0, 0, 1].round(3)
    array([0.333, 0.5  , 0.167])
    """
    N, V = _check(image_points)
    indices = check_triangles("rasterize", triangles, V)
    check_whole("rasterize", "height", height, least=1)
    check_whole("rasterize", "width", width, least=1)
    shown = np.full((N, height, width), -1, np.intp)
    weights = np.zeros((N, height, width, 3))
    _forward_kernel(np.ascontiguousarray(image_points, np.float64), indices, shown, weights)
    return shown, weights.astype(image_points.dtype)


def rasterize_backward(
    grad_weights: FloatArray,
    image_points: FloatArray,
    triangles: NDArray[np.integer[Any]],
    shown: IntArray,
) -> FloatArray:
    r"""Send the gradient of the weights back to the vertices of the triangles that are shown.

    First from the weights to the shares of the area and to the depths, with
    :math:`q_m = b_m / z_m` and :math:`s = \sum_n q_n`:

    .. math::
        \frac{\partial L}{\partial q_m} = \frac{g_m - \sum_n g_n w_n}{s}, \qquad
        \frac{\partial L}{\partial b_m} = \frac{1}{z_m} \frac{\partial L}{\partial q_m}, \qquad
        \frac{\partial L}{\partial z_m} = -\frac{q_m}{z_m} \frac{\partial L}{\partial q_m}

    Then to the corners. To move corner n by :math:`\delta` moves the surface under the pixel by
    :math:`b_n \delta`, which for the shares is as if the pixel had moved the other way:

    .. math:: \frac{\partial b_m}{\partial v_n} = -b_n \nabla b_m

    where :math:`\nabla b_m` is how fast a share grows over the screen, the same all over a triangle.

    Parameters
    ----------
    grad_weights : (N, height, width, 3) array, float32 or float64
    image_points : (N, V, 3) array of the same type
    triangles : (T, 3) integer array
    shown : (N, height, width) intp array
        What the forward pass returned.

    Returns
    -------
    grad_image_points : (N, V, 3) array

    Raises
    ------
    InputError
        If types or shapes disagree, a triangle names a vertex that is not there, or a depth is not above 0.

    Examples
    --------
    A pixel 1.5 pixels along an edge of 4 that is parallel to x. The second corner's weight grows by a quarter
    per pixel. It falls by a share of that where a corner goes to the right and takes the surface with it.

    >>> points = np.array([[[0.0, 0.5, 1.0], [4.0, 0.5, 1.0], [0.0, 4.5, 1.0]]])
    >>> triangle = np.array([[0, 1, 2]])
    >>> shown, weights = rasterize_forward(points, triangle, 1, 2)
    >>> weights[0, 0, 1]
    array([0.625, 0.375, 0.   ])
    >>> grad_weights = np.zeros((1, 1, 2, 3))
    >>> grad_weights[0, 0, 1, 1] = 1
    >>> grad_points = rasterize_backward(grad_weights, points, triangle, shown)
    >>> (-4 * grad_points[0, :2, 0]).tolist()
    [0.625, 0.375]
    """
    N, V = _check(image_points)
    indices = check_triangles("rasterize", triangles, V)
    check_float("rasterize", image_points=image_points, grad_weights=grad_weights)
    check_shown("rasterize", shown, N, len(indices))
    check_shape("rasterize", "grad_weights", grad_weights, (*shown.shape, 3), "that of the weights")
    grad_image_points = np.zeros(image_points.shape)
    _backward_kernel(
        np.ascontiguousarray(grad_weights, np.float64),
        np.ascontiguousarray(image_points, np.float64),
        indices,
        np.ascontiguousarray(shown),
        grad_image_points,
    )
    return grad_image_points.astype(image_points.dtype)


def check_shown(function: str, shown: IntArray, N: int, T: int) -> None:
    """Require the numbers of T triangles, or -1, for the pixels of N pictures."""
    if shown.ndim != 3 or len(shown) != N or shown.dtype != np.intp:
        raise InputError(f"{function}: `shown` is {shown.dtype} {shown.shape}; expected intp ({N}, H, W)")
    if shown.size and not (shown.min() >= -1 and shown.max() < T):
        raise InputError(
            f"{function}: `shown` reaches from {shown.min()} to {shown.max()}; there are {T} triangles"
        )


@jit
def _forward_kernel(
    points: Float64Array, triangles: IntArray, shown: IntArray, weights: Float64Array
) -> None:
    N, H, W = shown.shape
    nearest = np.zeros((H, W))  # 1 / depth, so that what is infinitely far away is 0
    for n in range(N):
        nearest[:] = 0
        for t in range(len(triangles)):
            i, j, k = triangles[t]
            xi, yi, zi = points[n, i]
            xj, yj, zj = points[n, j]
            xk, yk, zk = points[n, k]
            area = (xj - xi) * (yk - yi) - (xk - xi) * (yj - yi)
            if area == 0:
                continue
            # Only pixels with their centre in the triangle's bounds can be in it.
            top = max(0, int(np.ceil(max(min(yi, yj, yk), 0.0) - 0.5)))
            bottom = min(H - 1, int(np.floor(min(max(yi, yj, yk), H + 1.0) - 0.5)))
            left = max(0, int(np.ceil(max(min(xi, xj, xk), 0.0) - 0.5)))
            right = min(W - 1, int(np.floor(min(max(xi, xj, xk), W + 1.0) - 0.5)))
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    x, y = column + 0.5, row + 0.5
                    bj = ((x - xi) * (yk - yi) - (xk - xi) * (y - yi)) / area
                    bk = ((xj - xi) * (y - yi) - (x - xi) * (yj - yi)) / area
                    bi = 1 - bj - bk
                    if bi < -EDGE or bj < -EDGE or bk < -EDGE:
                        continue
                    qi, qj, qk = bi / zi, bj / zj, bk / zk
                    total = qi + qj + qk
                    if total <= nearest[row, column]:
                        continue
                    nearest[row, column] = total
                    shown[n, row, column] = t
                    weights[n, row, column, 0] = qi / total
                    weights[n, row, column, 1] = qj / total
                    weights[n, row, column, 2] = qk / total


@jit
def _backward_kernel(
    grad_weights: Float64Array,
    points: Float64Array,
    triangles: IntArray,
    shown: IntArray,
    grad_points: Float64Array,
) -> None:
    N, H, W = shown.shape
    b, q, slope_x, slope_y = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for n in range(N):
        for row in range(H):
            for column in range(W):
                t = shown[n, row, column]
                if t < 0:
                    continue
                corners = triangles[t]
                xi, yi, _ = points[n, corners[0]]
                xj, yj, _ = points[n, corners[1]]
                xk, yk, _ = points[n, corners[2]]
                x, y = column + 0.5, row + 0.5
                area = (xj - xi) * (yk - yi) - (xk - xi) * (yj - yi)
                b[1] = ((x - xi) * (yk - yi) - (xk - xi) * (y - yi)) / area
                b[2] = ((xj - xi) * (y - yi) - (x - xi) * (yj - yi)) / area
                b[0] = 1 - b[1] - b[2]
                slope_x[1], slope_y[1] = (yk - yi) / area, -(xk - xi) / area
                slope_x[2], slope_y[2] = -(yj - yi) / area, (xj - xi) / area
                slope_x[0], slope_y[0] = -slope_x[1] - slope_x[2], -slope_y[1] - slope_y[2]
                for m in range(3):
                    q[m] = b[m] / points[n, corners[m], 2]
                total = q.sum()
                mean = 0.0  # of the gradient, by the weights
                for m in range(3):
                    mean += grad_weights[n, row, column, m] * q[m] / total
                move_x, move_y = 0.0, 0.0  # the gradient by the place of the pixel
                for m in range(3):
                    z = points[n, corners[m], 2]
                    grad_q = (grad_weights[n, row, column, m] - mean) / total
                    move_x += grad_q / z * slope_x[m]
                    move_y += grad_q / z * slope_y[m]
                    grad_points[n, corners[m], 2] -= grad_q * q[m] / z
                for m in range(3):
                    grad_points[n, corners[m], 0] -= b[m] * move_x
                    grad_points[n, corners[m], 1] -= b[m] * move_y


def _check(image_points: FloatArray) -> tuple[int, int]:
    N, V = check_vertices("rasterize", image_points=image_points)
    if not (image_points[..., 2] > 0).all():
        nearest = float(image_points[..., 2].min())
        raise InputError(f"rasterize: a vertex has the depth {nearest:g}; expected above 0")
    return N, V
