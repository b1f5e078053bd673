import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import max_pool2d_forward
from tests.check import FLOATS, assert_close
from tests.oracles.cases import CASES, expected, smallest_side


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["max_pool2d"], ids=str)
def test_equals_torch(case, dtype):
    y, argmax = max_pool2d_forward(**case.inputs(dtype), **case.options)
    assert_close(y, expected(case)["y"].astype(dtype), tolerance=0)  # nothing is computed, only chosen
    np.testing.assert_array_equal(argmax, expected(case)["argmax"])


@pytest.mark.parametrize("case", CASES["max_pool2d"], ids=str)
def test_argmax_points_at_the_maximum(case):
    x = case.inputs("float64")["x"]
    y, argmax = max_pool2d_forward(x, **case.options)
    N, C, H, W = x.shape
    pointed_at = np.take_along_axis(x.reshape(N, C, H * W), argmax.reshape(N, C, -1), axis=2)
    np.testing.assert_array_equal(pointed_at.reshape(y.shape), y)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [2, 3, 5])
def test_refuses_a_side_in_which_no_window_fits(kernel_size, stride, ceil_mode):
    smallest = smallest_side(kernel_size, stride, ceil_mode=ceil_mode)
    options = {"kernel_size": kernel_size, "stride": stride, "ceil_mode": ceil_mode}
    assert max_pool2d_forward(np.zeros((1, 1, smallest, smallest)), **options)[0].shape == (1, 1, 1, 1)
    for H, W in [(smallest - 1, 13), (13, smallest - 1)]:
        with pytest.raises(InputError, match=f"does not fit a side of {smallest - 1} "):
            max_pool2d_forward(np.zeros((1, 1, H, W)), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((1, 1, 5, 6), np.uint8)}, r"`x` is uint8; expected float32 or float64$"),
        ({"x": np.zeros((5, 6))}, r"`x` has shape \(5, 6\); expected \(N, C, H, W\)$"),
        ({"padding": 2}, r"padding=2; expected 0 to half of kernel_size=3$"),
        ({"padding": -1}, r"padding=-1; expected 0 to half of kernel_size=3$"),
        ({"stride": 0}, r"stride=0; expected at least 1$"),
        ({"kernel_size": 0}, r"kernel_size=0; expected at least 1$"),
        ({"kernel_size": 7}, r"a window of 7 does not fit a side of 5 \+ 2 \* 0 pixels$"),
        ({"x": np.zeros((1, 1, 0, 6)), "padding": 1}, r"a window of 3 does not fit a side of 0 "),
        (
            {"x": np.zeros((1, 1, 6, 0)), "kernel_size": 2, "padding": 1},
            r"a window of 2 does not fit a side of 0 \+ 2 \* 1 pixels$",
        ),
    ],
)
def test_refuses(change, message):
    fitting = {"x": np.zeros((1, 1, 5, 6)), "kernel_size": 3, "stride": 2}
    with pytest.raises(InputError, match=f"^max_pool2d: {message}"):
        max_pool2d_forward(**{**fitting, **change})
