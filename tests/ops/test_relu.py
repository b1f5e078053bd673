import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import relu_forward
from tests.check import FLOATS, assert_close
from tests.oracles.cases import CASES, expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["relu"], ids=str)
def test_equals_torch(case, dtype):
    assert_close(relu_forward(**case.inputs(dtype)), expected(case)["y"].astype(dtype), tolerance=0)


def test_refuses_whole_numbers():
    with pytest.raises(InputError, match=r"^relu: `x` is int64; expected float32 or float64$"):
        relu_forward(np.zeros(3, np.int64))
