import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import softmax_forward
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import CASES, expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["softmax"], ids=str)
def test_equals_torch(case, dtype):
    y = softmax_forward(**case.inputs(dtype), **case.options)
    assert_close(y, expected(case)["y"].astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["softmax"], ids=str)
def test_scores_sum_to_one(case, dtype):
    y = softmax_forward(**case.inputs(dtype), **case.options)
    sums = y.sum(axis=case.options.get("axis", -1))
    np.testing.assert_allclose(sums, 1, rtol=OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
def test_adding_a_number_to_all_logits_changes_nothing(dtype):
    x = np.array([[1.0, 2.0, 4.0]], dtype)
    np.testing.assert_array_equal(softmax_forward(x + 4096), softmax_forward(x))


def test_refuses_whole_numbers():
    with pytest.raises(InputError, match=r"^softmax: `x` is int64; expected float32 or float64$"):
        softmax_forward(np.zeros((1, 2), np.int64))
