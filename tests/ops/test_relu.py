import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import relu_backward, relu_forward
from tests.check import FLOATS, assert_close
from tests.oracles.cases import CASES, expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["relu"], ids=str)
def test_equals_torch(case, dtype):
    assert_close(relu_forward(**case.inputs(dtype)), expected(case)["y"].astype(dtype), tolerance=0)


def test_refuses_whole_numbers():
    with pytest.raises(InputError, match=r"^relu: `x` is int64; expected float32 or float64$"):
        relu_forward(np.zeros(3, np.int64))


# ---- Backward (also in test_every_backward.py) -----------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_nothing_passes_but_above_zero(dtype):
    # At the kink the slope is 0. PyTorch lets the gradient of a NaN pass; here it stops.
    x = np.array([-np.inf, -1.0, -0.0, 0.0, np.nan, 1e-300, 1e-30, 1.0, np.inf]).astype(dtype)
    grad_x = relu_backward(np.full(9, 5.0, dtype), x)
    assert grad_x.tolist() == [5.0 * (value > 0) for value in x]


def test_what_is_stopped_leaves_no_trace():
    grad_x = relu_backward(np.array([np.nan, np.inf, -np.inf, -1.0]), np.array([-1.0, 0.0, -2.0, -3.0]))
    assert grad_x.tobytes() == np.zeros(4).tobytes()


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
    fitting = {"grad_output": np.zeros((2, 3)), "x": np.zeros((2, 3))}
    with pytest.raises(InputError, match=f"^relu: {message}"):
        relu_backward(**{**fitting, **change})
