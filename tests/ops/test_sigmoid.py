import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import sigmoid_backward, sigmoid_forward
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import CASES, expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["sigmoid"], ids=str)
def test_equals_torch(case, dtype):
    y = sigmoid_forward(**case.inputs(dtype))
    assert_close(y, expected(case)["y"].astype(dtype), OP_TOLERANCE[dtype])


def test_the_ends_are_reached_without_a_warning():
    ends = np.array([-np.inf, -1e300, 1e300, np.inf])
    assert sigmoid_forward(ends).tolist() == [0, 0, 1, 1]


def test_a_small_score_keeps_its_digits():
    np.testing.assert_allclose(sigmoid_forward(np.array([-40.0])), np.exp(-40.0), rtol=1e-15)


def test_two_classes_by_a_softmax_are_one_by_a_sigmoid():
    x = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(sigmoid_forward(x) + sigmoid_forward(-x), 1, rtol=1e-15)
    np.testing.assert_allclose(sigmoid_forward(x), np.exp(x) / (1 + np.exp(x)), rtol=1e-14)


def test_refuses():
    with pytest.raises(InputError, match=r"^sigmoid: `x` is int64; expected float32 or float64$"):
        sigmoid_forward(np.zeros(3, np.int64))
    with pytest.raises(InputError, match=r"^sigmoid: `y` is float32, `grad_output` is float64"):
        sigmoid_backward(np.zeros(3), np.zeros(3, np.float32))
    message = r"^sigmoid: `grad_output` has shape \(3,\); expected \(2,\), the shape of `y`$"
    with pytest.raises(InputError, match=message):
        sigmoid_backward(np.zeros(3), np.zeros(2))
