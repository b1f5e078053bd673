import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import leaky_relu_backward, leaky_relu_forward, prelu_backward, prelu_forward
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import CASES, Numbers, expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["prelu"], ids=str)
def test_equals_torch(case, dtype):
    y = prelu_forward(**case.inputs(dtype))
    assert_close(y, expected(case)["y"].astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 5)])
@pytest.mark.parametrize("slope", [-1.28, 0.0, 0.25, 1.3])
def test_equal_slopes_are_one_leaky_relu(shape, slope):
    x = Numbers(0).real(*shape)
    np.testing.assert_array_equal(prelu_forward(x, np.full(3, slope)), leaky_relu_forward(x, slope))


def test_positive_numbers_pass_whatever_the_slope():
    # max(x, a x), the form for slopes between 0 and 1, fails on the first and the last.
    x = np.array([[2.0, 2.0, 2.0, 2.0], [-2.0, -2.0, -2.0, -2.0]])
    y = prelu_forward(x, np.array([1.5, 0.5, 0.0, -1.5]))
    np.testing.assert_array_equal(y, [[2.0, 2.0, 2.0, 2.0], [-3.0, -1.0, 0.0, 3.0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((2, 3), np.int64)}, r"`x` is int64; expected float32 or float64$"),
        ({"slope": np.zeros(3, np.float32)}, r"`slope` is float32, `x` is float64; cast one"),
        ({"x": np.zeros(3)}, r"`x` has shape \(3,\); expected \(N, C\) or \(N, C, H, W\)$"),
        ({"slope": np.zeros(4)}, r"`slope` has shape \(4,\); expected \(3,\), one per channel$"),
        ({"slope": np.zeros(1)}, r"`slope` has shape \(1,\); expected \(3,\), one per channel$"),
    ],
)
def test_refuses(change, message):
    fitting = {"x": np.zeros((2, 3)), "slope": np.zeros(3)}
    with pytest.raises(InputError, match=f"^prelu: {message}"):
        prelu_forward(**{**fitting, **change})


# ---- Backward (also in test_every_backward.py) -----------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 5)])
@pytest.mark.parametrize("slope", [-1.28, 0.0, 0.25, 1.3])
def test_the_gradient_of_equal_slopes_is_that_of_one_leaky_relu(shape, slope):
    x, grad_output = Numbers(0).real(*shape), Numbers(1).real(*shape)
    grad_x, _ = prelu_backward(grad_output, x, np.full(3, slope))
    np.testing.assert_array_equal(grad_x, leaky_relu_backward(grad_output, x, slope))


def test_a_slope_learns_from_the_negative_pixels_of_its_own_channel():
    x = np.array([[[-1.0, 2.0], [-4.0, -8.0]], [[16.0, -32.0], [64.0, 128.0]]])  # (N, C, W)
    grad_output = np.array([[[1.0, 1.0], [1.0, 0.5]], [[1.0, 1.0], [1.0, 1.0]]])
    _, grad_slope = prelu_backward(grad_output, x, np.array([3.0, 7.0]))
    assert grad_slope.tolist() == [-33.0, -8.0]


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_kink_has_the_slope_of_the_negative_side_and_teaches_it_nothing(dtype):
    x = np.array([[-0.0, -0.0], [0.0, 0.0]], dtype)
    grad_x, grad_slope = prelu_backward(np.full((2, 2), 8.0, dtype), x, np.array([0.25, -1.5], dtype))
    assert grad_x.tolist() == [[2, -12], [2, -12]]
    assert grad_slope.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"grad_output": np.zeros((2, 3), np.int64)},
            r"`grad_output` is int64; expected float32 or float64$",
        ),
        (
            {"x": np.zeros((2, 3), np.float32)},
            r"`x` is float32, `grad_output` is float64; cast one with \.astype\(\)$",
        ),
        *[
            (
                {"grad_output": np.zeros(shape)},
                rf"`grad_output` has shape {re.escape(str(shape))}; expected \(2, 3\), the shape of `x`$",
            )
            for shape in [(3, 2), (3,), (2, 1), (6,), ()]
        ],
        (
            {"slope": np.zeros(3, np.float32)},
            r"`slope` is float32, `grad_output` is float64; cast one with \.astype\(\)$",
        ),
        (
            {"grad_output": np.zeros(3), "x": np.zeros(3)},
            r"`x` has shape \(3,\); expected \(N, C\) or \(N, C, H, W\)$",
        ),
        ({"slope": np.zeros(2)}, r"`slope` has shape \(2,\); expected \(3,\), one per channel$"),
        ({"slope": np.zeros(1)}, r"`slope` has shape \(1,\); expected \(3,\), one per channel$"),
    ],
)
def test_backward_refuses(change, message):
    fitting = {"grad_output": np.zeros((2, 3)), "x": np.zeros((2, 3)), "slope": np.zeros(3)}
    with pytest.raises(InputError, match=f"^prelu: {message}"):
        prelu_backward(**{**fitting, **change})
