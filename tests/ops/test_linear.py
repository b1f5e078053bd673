import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import linear_backward, linear_forward
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import CASES, expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["linear"], ids=str)
def test_equals_torch(case, dtype):
    y = linear_forward(**case.inputs(dtype))
    assert_close(y, expected(case)["y"].astype(dtype), OP_TOLERANCE[dtype])


def test_unit_vectors_read_out_the_weight():
    weight = np.arange(6.0).reshape(2, 3)
    y = linear_forward(np.eye(3), weight, np.array([0.5, -0.5]))
    np.testing.assert_array_equal(y, [[0.5, 2.5], [1.5, 3.5], [2.5, 4.5]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((4, 3), np.int64)}, r"`x` is int64; expected float32 or float64$"),
        ({"weight": np.zeros((2, 3), np.float32)}, r"`weight` is float32, `x` is float64; cast one"),
        ({"bias": np.zeros(2, np.float32)}, r"`bias` is float32, `x` is float64; cast one"),
        ({"x": np.zeros(3)}, r"`x` has shape \(3,\); expected \(N, I\)$"),
        ({"x": np.zeros((4, 3, 1, 1))}, r"`x` has shape \(4, 3, 1, 1\); expected \(N, I\)$"),
        ({"weight": np.zeros(3)}, r"`weight` has shape \(3,\); expected \(O, I\)$"),
        ({"x": np.zeros((4, 5))}, r"`weight` expects 3 inputs, `x` has 5 \(shape \(4, 5\)\)$"),
        ({"bias": np.zeros(1)}, r"`bias` has shape \(1,\); expected \(2,\), one per channel$"),
        ({"bias": np.zeros((4, 2))}, r"`bias` has shape \(4, 2\); expected \(2,\)"),
    ],
)
def test_refuses(change, message):
    fitting = {"x": np.zeros((4, 3)), "weight": np.zeros((2, 3)), "bias": np.zeros(2)}
    with pytest.raises(InputError, match=f"^linear: {message}"):
        linear_forward(**{**fitting, **change})


# ---- Backward (also in test_every_backward.py) -----------------------------------------------------


def test_a_gradient_of_one_output_reads_out_its_weights_and_its_sample():
    x, weight = np.arange(8.0).reshape(2, 4), np.arange(10.0, 22.0).reshape(3, 4)
    grad_output = np.zeros((2, 3))
    grad_output[1, 2] = 1  # output 2 of sample 1
    grad_x, grad_weight, grad_bias = linear_backward(grad_output, x, weight)
    np.testing.assert_array_equal(grad_x, [[0, 0, 0, 0], weight[2]])
    np.testing.assert_array_equal(grad_weight, [[0, 0, 0, 0], [0, 0, 0, 0], x[1]])
    np.testing.assert_array_equal(grad_bias, [0, 0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"grad_output": np.zeros((4, 2), np.int64)},
            r"`grad_output` is int64; expected float32 or float64$",
        ),
        (
            {"x": np.zeros((4, 3), np.float32)},
            r"`x` is float32, `grad_output` is float64; cast one with \.astype\(\)$",
        ),
        (
            {"weight": np.zeros((2, 3), np.float32)},
            r"`weight` is float32, `grad_output` is float64; cast one with \.astype\(\)$",
        ),
        ({"x": np.zeros(3)}, r"`x` has shape \(3,\); expected \(N, I\)$"),
        ({"weight": np.zeros(3)}, r"`weight` has shape \(3,\); expected \(O, I\)$"),
        ({"x": np.zeros((4, 5))}, r"`weight` expects 3 inputs, `x` has 5 \(shape \(4, 5\)\)$"),
        (
            {"grad_output": np.zeros((4, 3))},
            r"`grad_output` has shape \(4, 3\); expected \(4, 2\), the shape of the output$",
        ),
        (
            {"grad_output": np.zeros((2, 4))},
            r"`grad_output` has shape \(2, 4\); expected \(4, 2\), the shape of the output$",
        ),
        (
            {"grad_output": np.zeros((1, 2))},
            r"`grad_output` has shape \(1, 2\); expected \(4, 2\), the shape of the output$",
        ),
        (
            {"grad_output": np.zeros(2)},
            r"`grad_output` has shape \(2,\); expected \(4, 2\), the shape of the output$",
        ),
    ],
)
def test_backward_refuses(change, message):
    fitting = {"grad_output": np.zeros((4, 2)), "x": np.zeros((4, 3)), "weight": np.zeros((2, 3))}
    with pytest.raises(InputError, match=f"^linear: {message}"):
        linear_backward(**{**fitting, **change})
