r"""Graph convolution: a vertex looks at itself and at its neighbours up to K - 1 edges away.

A picture's convolution has a weight for each of nine places around a pixel. Around a vertex there are no
fixed places, only distances in edges, so all vertices at one distance share theirs. Chebyshev polynomials of
the Laplacian are a way to reach one edge further with each term without ever making a full matrix.
"""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_shape
from minidet._jit import jit
from minidet._typing import Float64Array, FloatArray, IntArray
from minidet.errors import InputError
from minidet.mesh._check import check_values
from minidet.mesh.topology import SparseMatrix


def chebyshev_forward(
    x: FloatArray, weight: FloatArray, bias: FloatArray, laplacian: SparseMatrix
) -> FloatArray:
    r"""Convolve the values at the vertices of N meshes.

    .. math::
        y = \sum_{k=0}^{K-1} \bar x_k W_k^T + b, \qquad
        \bar x_0 = x, \quad \bar x_1 = \hat L x, \quad \bar x_k = 2 \hat L \bar x_{k-1} - \bar x_{k-2}

    Parameters
    ----------
    x : (N, V, I) array, float32 or float64
    weight : (K, O, I) array of the same type
    bias : (O,) array
    laplacian : SparseMatrix
        :attr:`minidet.mesh.Topology.laplacian`.

    Returns
    -------
    y : (N, V, O) array

    Raises
    ------
    InputError
        If types or shapes disagree.

    Notes
    -----
    Source: Defferrard et al. 2016 (arXiv 1606.09375), section 2.1, as Deng et al. 2019 use it, eq. 2.

    Examples
    --------
    Two vertices and the edge between them: the scaled Laplacian hands each the other's value with a minus.

    >>> swap = SparseMatrix(np.array([0, 1, 2]), np.array([1, 0]), np.array([-1.0, -1.0]))
    >>> x = np.array([[[1.0], [5.0]]])
    >>> chebyshev_forward(x, np.array([[[100.0]], [[1.0]]]), np.zeros(1), swap)[0, :, 0]
    array([ 95., 499.])
    """
    _check(x, weight, laplacian)
    check_float("chebyshev", x=x, bias=bias)
    check_shape("chebyshev", "bias", bias, weight.shape[1:2], "one per output")
    y = np.zeros((*x.shape[:2], weight.shape[1]))
    for term, of_term in zip(_terms(x, len(weight), laplacian), weight, strict=True):
        y += term @ of_term.T  # (N, V, I) @ (I, O), in float64
    return (y + bias).astype(x.dtype)


def chebyshev_backward(
    grad_output: FloatArray, x: FloatArray, weight: FloatArray, laplacian: SparseMatrix
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Send the gradient of a graph convolution back to the values, the weights and the bias.

    Each term is a linear layer, and the recurrence is gone through from its last step to its first. The
    Laplacian is symmetric, so on the way back it is multiplied with as it is:

    .. math::
        \bar g_k = g W_k, \qquad
        \bar g_{k-1} \leftarrow \bar g_{k-1} + 2 \hat L \bar g_k, \quad
        \bar g_{k-2} \leftarrow \bar g_{k-2} - \bar g_k

    Parameters
    ----------
    grad_output : (N, V, O) array, float32 or float64
    x : (N, V, I) array of the same type
    weight : (K, O, I) array of the same type
    laplacian : SparseMatrix

    Returns
    -------
    grad_x : (N, V, I) array
    grad_weight : (K, O, I) array
    grad_bias : (O,) array

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    >>> swap = SparseMatrix(np.array([0, 1, 2]), np.array([1, 0]), np.array([-1.0, -1.0]))
    >>> x, weight = np.array([[[1.0], [5.0]]]), np.array([[[100.0]], [[1.0]]])
    >>> grad_x, grad_weight, grad_bias = chebyshev_backward(np.array([[[1.0], [0.0]]]), x, weight, swap)
    >>> grad_x[0, :, 0].tolist(), grad_weight[:, 0, 0].tolist(), grad_bias.tolist()
    ([100.0, -1.0], [1.0, -5.0], [1.0])
    """
    _check(x, weight, laplacian)
    check_float("chebyshev", x=x, grad_output=grad_output)
    shape = (*x.shape[:2], weight.shape[1])
    check_shape("chebyshev", "grad_output", grad_output, shape, "the shape of the output")
    K = len(weight)
    grad_output64 = grad_output.astype(np.float64)
    rows = grad_output64.reshape(-1, weight.shape[1])  # (N * V, O)
    terms = _terms(x, K, laplacian)
    grad_weight = np.stack([rows.T @ term.reshape(-1, x.shape[2]) for term in terms])  # (K, O, I)
    grads = [grad_output64 @ of_term for of_term in weight]  # K times (N, V, I)
    for k in range(K - 1, 1, -1):
        grads[k - 1] += 2 * _multiply(laplacian, grads[k])
        grads[k - 2] -= grads[k]
    grad_x = grads[0] + _multiply(laplacian, grads[1]) if K > 1 else grads[0]
    return grad_x.astype(x.dtype), grad_weight.astype(x.dtype), rows.sum(axis=0).astype(x.dtype)


def _terms(x: FloatArray, K: int, laplacian: SparseMatrix) -> list[Float64Array]:
    """Return the K terms of the recurrence, (N, V, I) each."""
    terms = [x.astype(np.float64)]
    if K > 1:
        terms.append(_multiply(laplacian, terms[0]))
    for _ in range(2, K):
        terms.append(2 * _multiply(laplacian, terms[-1]) - terms[-2])
    return terms


def _multiply(laplacian: SparseMatrix, x: Float64Array) -> Float64Array:
    y = np.zeros_like(x)
    _multiply_kernel(*laplacian, np.ascontiguousarray(x), y)
    return y


@jit
def _multiply_kernel(
    starts: IntArray, columns: IntArray, values: Float64Array, x: Float64Array, y: Float64Array
) -> None:
    N, V, C = x.shape
    for n in range(N):
        for v in range(V):
            for entry in range(starts[v], starts[v + 1]):
                other, value = columns[entry], values[entry]
                for c in range(C):
                    y[n, v, c] += value * x[n, other, c]


def _check(x: FloatArray, weight: FloatArray, laplacian: SparseMatrix) -> None:
    check_values("chebyshev", "x", x)
    check_float("chebyshev", x=x, weight=weight)
    if weight.ndim != 3 or len(weight) == 0 or weight.shape[2] != x.shape[2]:
        raise InputError(
            f"chebyshev: `weight` has shape {weight.shape}; expected (K, O, {x.shape[2]}), K at least 1"
        )
    V = len(laplacian.starts) - 1
    if x.shape[1] != V:
        raise InputError(f"chebyshev: `x` has {x.shape[1]} vertices, `laplacian` has {V}")
