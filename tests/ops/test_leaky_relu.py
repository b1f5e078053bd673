import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import leaky_relu_forward, relu_forward
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
