import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import leaky_relu_backward, leaky_relu_forward, relu_backward, relu_forward
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import CASES, Numbers, expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["leaky_relu"], ids=str)
def test_equals_torch(case, dtype):
    y = leaky_relu_forward(**case.inputs(dtype), **case.options)
    assert_close(y, expected(case)["y"].astype(dtype), OP_TOLERANCE[dtype])


def test_slope_zero_is_a_relu():
    x = Numbers(0).real(2, 3, 4, 5)
    np.testing.assert_array_equal(leaky_relu_forward(x, 0.0), relu_forward(x))


def test_refuses_whole_numbers():
    with pytest.raises(InputError, match=r"^leaky_relu: `x` is int64; expected float32 or float64$"):
        leaky_relu_forward(np.zeros(3, np.int64), 0.1)


# ---- Backward (also in test_every_backward.py) -----------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_negative_side_includes_the_kink(dtype):
    x = np.array([-np.inf, -1.0, -0.0, 0.0, 1e-30, 1.0, np.inf]).astype(dtype)
    grad_x = leaky_relu_backward(np.full(7, 8.0, dtype), x, 0.25)
    assert grad_x.tolist() == [2, 2, 2, 2, 8, 8, 8]


def test_the_gradient_with_slope_zero_is_that_of_a_relu():
    x, grad_output = Numbers(0).real(2, 3, 4, 5), Numbers(1).real(2, 3, 4, 5)
    np.testing.assert_array_equal(leaky_relu_backward(grad_output, x, 0.0), relu_backward(grad_output, x))


def test_a_numpy_number_as_slope_does_not_change_the_type():
    x = np.array([-1.0, 1.0], np.float32)
    assert leaky_relu_backward(x, x, np.float64(0.1)).dtype == np.float32


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
    ],
)
def test_backward_refuses(change, message):
    fitting = {"grad_output": np.zeros((2, 3)), "x": np.zeros((2, 3)), "negative_slope": 0.1}
    with pytest.raises(InputError, match=f"^leaky_relu: {message}"):
        leaky_relu_backward(**{**fitting, **change})
