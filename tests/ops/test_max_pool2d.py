import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import max_pool2d_backward, max_pool2d_forward
from tests.check import FLOATS, assert_close
from tests.oracles.cases import CASES, expected, smallest_side, upstream


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


# ---- Backward (also in test_every_backward.py) -----------------------------------------------------


@pytest.mark.parametrize("case", CASES["max_pool2d"], ids=str)
def test_the_gradient_goes_to_winners_only_and_none_is_lost(case):
    x = case.inputs("float64")["x"]
    y, argmax = max_pool2d_forward(x, **case.options)
    grad_output = upstream(case, y)
    grad_x = max_pool2d_backward(grad_output, argmax, x.shape)
    for n, c in np.ndindex(x.shape[:2]):
        pixels = np.arange(x[n, c].size).reshape(x[n, c].shape)
        assert (grad_x[n, c][~np.isin(pixels, argmax[n, c])] == 0).all()
        # Multiples of 2**-19, so their sums are exact in any order.
        assert grad_x[n, c].sum() == grad_output[n, c].sum()


def test_of_equal_values_the_first_in_reading_order_gets_all():
    x = np.full((1, 1, 3, 3), 4.0)
    _, argmax = max_pool2d_forward(x, kernel_size=2, stride=1)
    grad_x = max_pool2d_backward(np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]), argmax, x.shape)
    np.testing.assert_array_equal(grad_x[0, 0], [[1, 10, 0], [100, 1000, 0], [0, 0, 0]])


@pytest.mark.parametrize("whole", [np.int32, np.uint8])
def test_takes_any_whole_numbers_for_argmax(whole):
    grad_x = max_pool2d_backward(np.array([[[[5.0, 6.0]]]]), np.array([[[[2, 3]]]], whole), (1, 1, 2, 2))
    np.testing.assert_array_equal(grad_x[0, 0], [[0, 0], [5, 6]])


ARGMAX = np.array([[[[0, 1], [2, 29]]]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"grad_output": np.zeros((1, 1, 2, 2), np.int64)},
            r"`grad_output` is int64; expected float32 or float64$",
        ),
        (
            {"grad_output": np.zeros((1, 2, 2))},
            r"`grad_output` has shape \(1, 2, 2\); expected \(N, C, OH, OW\)$",
        ),
        (
            {"argmax": ARGMAX[..., :1]},
            r"`argmax` has shape \(1, 1, 2, 1\); expected \(1, 1, 2, 2\), the shape of `grad_output`$",
        ),
        ({"argmax": ARGMAX.astype(float)}, r"`argmax` is float64; expected whole numbers$"),
        ({"argmax": ARGMAX > 0}, r"`argmax` is bool; expected whole numbers$"),
        ({"argmax": ARGMAX + 1}, r"`argmax` holds 30; expected 0 to 29, a pixel of 5 x 6$"),
        ({"argmax": ARGMAX - 1}, r"`argmax` holds -1; expected 0 to 29, a pixel of 5 x 6$"),
        ({"input_shape": (1, 1, 5, 5)}, r"`argmax` holds 29; expected 0 to 24, a pixel of 5 x 5$"),
        *[
            (
                {"input_shape": shape},
                rf"input_shape={re.escape(str(shape))}; expected \(1, 1, H, W\)$",
            )
            for shape in [(5, 6), (2, 1, 5, 6), (1, 2, 5, 6), (1, 1, 0, 6), (1, 1, -5, -6), (1, 1, 1, 5, 6)]
        ],
    ],
)
def test_backward_refuses(change, message):
    fitting = {"grad_output": np.zeros((1, 1, 2, 2)), "argmax": ARGMAX, "input_shape": (1, 1, 5, 6)}
    with pytest.raises(InputError, match=f"^max_pool2d: {message}"):
        max_pool2d_backward(**{**fitting, **change})
