r"""From values at the vertices to values at the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_float, check_shape
from minidet._jit import jit
from minidet._typing import Float64Array, FloatArray, IntArray
from minidet.mesh._check import check_triangles, check_values
from minidet.mesh.rasterize import check_shown


def interpolate_forward(
    values: FloatArray, triangles: NDArray[np.integer[Any]], shown: IntArray, weights: FloatArray
) -> FloatArray:
    r"""Mix the values at the corners of the triangle that a pixel shows.

    .. math:: y = \sum_{m=1}^{3} w_m \, x_m

    Parameters
    ----------
    values : (N, V, C) array, float32 or float64
        At the vertices; colours, for instance.
    triangles : (T, 3) integer array
    shown : (N, H, W) intp array
    weights : (N, H, W, 3) array of the same type as ``values``
        What :func:`minidet.mesh.rasterize_forward` returned.

    Returns
    -------
    y : (N, H, W, C) array
        0 where no triangle is shown.

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    >>> values = np.array([[[0.0], [8.0], [80.0]]])
    >>> shown, weights = np.array([[[0, -1]]]), np.array([[[[0.5, 0.25, 0.25], [0.0, 0.0, 0.0]]]])
    >>> interpolate_forward(values, np.array([[0, 1, 2]]), shown, weights)[0, 0, :, 0]
    array([22.,  0.])
    """
    indices = _check(values, triangles, shown, weights)
    y = np.zeros((*shown.shape, values.shape[2]))
    _forward_kernel(
        np.ascontiguousarray(values, np.float64),
        indices,
        np.ascontiguousarray(shown),
        np.ascontiguousarray(weights, np.float64),
        y,
    )
    return y.astype(values.dtype)


def interpolate_backward(
    grad_output: FloatArray,
    values: FloatArray,
    triangles: NDArray[np.integer[Any]],
    shown: IntArray,
    weights: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    r"""Send the gradient of the pixels back to the values at the vertices and to the weights.

    Every product hands the gradient on to both factors, times the other one:

    .. math::
        \frac{\partial L}{\partial x_v} = \sum_\text{pixels} w_v \, g, \qquad
        \frac{\partial L}{\partial w_m} = \sum_c x_{m,c} \, g_c

    Parameters
    ----------
    grad_output : (N, H, W, C) array, float32 or float64
    values : (N, V, C) array
    triangles : (T, 3) integer array
    shown : (N, H, W) intp array
    weights : (N, H, W, 3) array
        What the forward pass was given.

    Returns
    -------
    grad_values : (N, V, C) array
    grad_weights : (N, H, W, 3) array
        Where no triangle is shown, 0.

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    >>> values = np.array([[[0.0], [8.0], [80.0]]])
    >>> shown, weights = np.array([[[0, -1]]]), np.array([[[[0.5, 0.25, 0.25], [0.0, 0.0, 0.0]]]])
    >>> grad_values, grad_weights = interpolate_backward(
    ...     np.ones((1, 1, 2, 1)), values, np.array([[0, 1, 2]]), shown, weights
    ... )
    >>> grad_values[0, :, 0].tolist(), grad_weights[0, 0].tolist()
    ([0.5, 0.25, 0.25], [[0.0, 8.0, 80.0], [0.0, 0.0, 0.0]])
    """
    indices = _check(values, triangles, shown, weights)
    check_float("interpolate", values=values, grad_output=grad_output)
    shape = (*shown.shape, values.shape[2])
    check_shape("interpolate", "grad_output", grad_output, shape, "the shape of the output")
    grad_values, grad_weights = np.zeros(values.shape), np.zeros(weights.shape)
    _backward_kernel(
        np.ascontiguousarray(grad_output, np.float64),
        np.ascontiguousarray(values, np.float64),
        indices,
        np.ascontiguousarray(shown),
        np.ascontiguousarray(weights, np.float64),
        grad_values,
        grad_weights,
    )
    return grad_values.astype(values.dtype), grad_weights.astype(values.dtype)


@jit
def _forward_kernel(
    values: Float64Array, triangles: IntArray, shown: IntArray, weights: Float64Array, y: Float64Array
) -> None:
    N, H, W, C = y.shape
    for n in range(N):
        for row in range(H):
            for column in range(W):
                t = shown[n, row, column]
                if t < 0:
                    continue
                for m in range(3):
                    v, weight = triangles[t, m], weights[n, row, column, m]
                    for c in range(C):
                        y[n, row, column, c] += weight * values[n, v, c]


@jit
def _backward_kernel(
    grad_output: Float64Array,
    values: Float64Array,
    triangles: IntArray,
    shown: IntArray,
    weights: Float64Array,
    grad_values: Float64Array,
    grad_weights: Float64Array,
) -> None:
    N, H, W, C = grad_output.shape
    for n in range(N):
        for row in range(H):
            for column in range(W):
                t = shown[n, row, column]
                if t < 0:
                    continue
                for m in range(3):
                    v, weight = triangles[t, m], weights[n, row, column, m]
                    for c in range(C):
                        grad = grad_output[n, row, column, c]
                        grad_values[n, v, c] += weight * grad
                        grad_weights[n, row, column, m] += values[n, v, c] * grad


def _check(
    values: FloatArray, triangles: NDArray[np.integer[Any]], shown: IntArray, weights: FloatArray
) -> IntArray:
    N, V, _ = check_values("interpolate", "values", values)
    indices = check_triangles("interpolate", triangles, V)
    check_float("interpolate", values=values, weights=weights)
    check_shown("interpolate", shown, N, len(indices))
    check_shape("interpolate", "weights", weights, (*shown.shape, 3), "three for each pixel of `shown`")
    return indices
