"""Graph convolution against full matrices, and its gradients against differences."""

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.mesh import chebyshev_backward, chebyshev_forward
from tests.check import FLOATS, LAYOUTS, OP_TOLERANCE, assert_close
from tests.gradients import assert_backward
from tests.mesh.scenes import grid
from tests.mesh.test_topology import laplacian_as_defined
from tests.oracles.cases import Numbers

N, O, I = 2, 3, 4  # noqa: E741


def inputs(K, dtype="float64"):
    topology, _ = grid(3, 4)
    numbers = Numbers(f"chebyshev{K}")
    arrays = {
        "x": numbers.real(N, topology.vertex_count, I),
        "weight": numbers.real(K, O, I),
        "bias": numbers.real(O),
    }
    return topology, {name: array.astype(dtype) for name, array in arrays.items()}


def polynomial(k, matrix):
    """T_k of a full matrix, by cos(k arccos) of its eigenvalues: another way than the recurrence."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.cos(k * np.arccos(np.clip(values, -1, 1)))) @ vectors.T


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("K", [1, 2, 3, 5])
def test_equals_full_matrices(K, dtype):
    topology, arrays = inputs(K, dtype)
    matrix = laplacian_as_defined(topology)
    wanted = np.zeros((N, topology.vertex_count, O))
    for k in range(K):
        for n in range(N):
            wanted[n] += polynomial(k, matrix) @ arrays["x"][n] @ arrays["weight"][k].T
    wanted = (wanted + arrays["bias"]).astype(dtype)
    tolerance = {"float64": 1e-7, "float32": 1e-5}[dtype]  # arccos loses half of the digits at 1
    assert_close(chebyshev_forward(**arrays, laplacian=topology.laplacian), wanted, tolerance)


@pytest.mark.parametrize("K", [1, 2, 3, 5])
def test_gradients(K):
    topology, arrays = inputs(K)

    def forward(x, weight, bias):
        return chebyshev_forward(x, weight, bias, topology.laplacian)

    def backward(grad_output):
        grads = chebyshev_backward(grad_output, arrays["x"], arrays["weight"], topology.laplacian)
        return dict(zip(("x", "weight", "bias"), grads, strict=True))

    assert_backward(forward, backward, arrays)


def test_sees_no_further_than_k_minus_one_edges():
    topology, arrays = inputs(3)
    x = np.zeros_like(arrays["x"])
    x[:, 0] = 1  # the upper left corner of 3 x 4
    seen = chebyshev_forward(x, arrays["weight"], np.zeros(O), topology.laplacian)[0].any(axis=1)
    assert seen.reshape(3, 4).tolist() == [
        [True, True, True, False],
        [True, True, False, False],
        [True, False, False, False],
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_layout_and_type(layout, dtype):
    topology, arrays = inputs(3, dtype)
    y = chebyshev_forward(**arrays, laplacian=topology.laplacian)
    assert y.dtype == dtype
    again = {name: layout(array) for name, array in arrays.items()}
    assert_close(chebyshev_forward(**again, laplacian=topology.laplacian), y, OP_TOLERANCE[dtype])
    grads = chebyshev_backward(y, arrays["x"], arrays["weight"], topology.laplacian)
    others = chebyshev_backward(layout(y), again["x"], again["weight"], topology.laplacian)
    for grad, other in zip(grads, others, strict=True):
        assert grad.dtype == dtype
        assert_close(other, grad, OP_TOLERANCE[dtype])


def test_refuses_other_shapes():
    topology, arrays = inputs(2)
    x, weight, bias = arrays["x"], arrays["weight"], arrays["bias"]
    laplacian = topology.laplacian
    with pytest.raises(InputError, match=r"`x` has 11 vertices, `laplacian` has 12"):
        chebyshev_forward(x[:, 1:], weight, bias, laplacian)
    with pytest.raises(InputError, match=r"`weight` has shape \(2, 3, 3\); expected \(K, O, 4\)"):
        chebyshev_forward(x, weight[..., 1:], bias, laplacian)
    with pytest.raises(InputError, match=r"`weight` has shape \(0, 3, 4\)"):
        chebyshev_forward(x, weight[:0], bias, laplacian)
    with pytest.raises(InputError, match=r"`bias` has shape \(2,\); expected \(3,\)"):
        chebyshev_forward(x, weight, bias[1:], laplacian)
    with pytest.raises(InputError, match="`grad_output` has shape"):
        chebyshev_backward(x, x, weight, laplacian)
    with pytest.raises(InputError, match="float32"):
        chebyshev_forward(x.astype(np.float32), weight, bias, laplacian)
