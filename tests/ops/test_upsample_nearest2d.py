import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import upsample_nearest2d_backward, upsample_nearest2d_forward
from minidet.ops.upsample_nearest2d import nearest_index
from tests.check import FLOATS, assert_close
from tests.oracles.cases import CASES, Numbers, expected, gradients, upstream


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["upsample_nearest2d"], ids=str)
def test_equals_torch(case, dtype):
    y = upsample_nearest2d_forward(**case.inputs(dtype), **case.options)
    assert_close(y, expected(case)["y"].astype(dtype), tolerance=0)


@pytest.mark.parametrize("size", range(1, 41))
def test_doubling_repeats_every_pixel(size):
    assert nearest_index(size, 2 * size).tolist() == [i // 2 for i in range(2 * size)]


@pytest.mark.parametrize("size", range(1, 41))
def test_one_less_than_double_takes_each_pixel_twice_but_one_once(size):
    counts = np.bincount(nearest_index(size, 2 * size - 1), minlength=size)
    assert sorted(counts) == [1] + [2] * (size - 1)


@pytest.mark.parametrize("shape", [(1, 1), (3, 4)])
def test_the_same_size_is_a_copy(shape):
    x = np.arange(12.0)[: shape[0] * shape[1]].reshape(1, 1, *shape)
    np.testing.assert_array_equal(upsample_nearest2d_forward(x, shape), x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((1, 1, 2, 3), np.int64)}, r"`x` is int64; expected float32 or float64$"),
        ({"x": np.zeros((2, 3))}, r"`x` has shape \(2, 3\); expected \(N, C, H, W\)$"),
        ({"size": (0, 4)}, r"size=\(0, 4\); expected two sides of at least one pixel$"),
        ({"size": (4, -1)}, r"size=\(4, -1\); expected two sides of at least one pixel$"),
    ],
)
def test_refuses(change, message):
    fitting = {"x": np.zeros((1, 1, 2, 3)), "size": (4, 6)}
    with pytest.raises(InputError, match=f"^upsample_nearest2d: {message}"):
        upsample_nearest2d_forward(**{**fitting, **change})


# ---- Backward (also in test_every_backward.py) -----------------------------------------------------


def test_doubling_sums_squares_of_four():
    grad_output = Numbers(0).real(2, 3, 8, 10)
    sums = grad_output.reshape(2, 3, 4, 2, 5, 2).sum(axis=(3, 5))
    np.testing.assert_array_equal(upsample_nearest2d_backward(grad_output, (2, 3, 4, 5)), sums)


def test_the_same_size_hands_the_gradient_on():
    grad_output = Numbers(0).real(2, 3, 4, 5)
    np.testing.assert_array_equal(upsample_nearest2d_backward(grad_output, (2, 3, 4, 5)), grad_output)


@pytest.mark.parametrize("case", CASES["upsample_nearest2d"], ids=str)
def test_no_gradient_is_lost(case):
    # Multiples of 2**-19, so their sums are exact in any order.
    grad_output = upstream(case, expected(case)["y"])
    np.testing.assert_array_equal(
        gradients(case, "float64")["x"].sum(axis=(2, 3)), grad_output.sum(axis=(2, 3))
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"grad_output": np.zeros((1, 2, 4, 6), np.int64)},
            r"`grad_output` is int64; expected float32 or float64$",
        ),
        (
            {"grad_output": np.zeros((4, 6))},
            r"`grad_output` has shape \(4, 6\); expected \(N, C, OH, OW\)$",
        ),
        *[
            (
                {"input_shape": shape},
                rf"input_shape={re.escape(str(shape))}; expected \(1, 2, H, W\)$",
            )
            for shape in [(2, 3), (2, 2, 2, 3), (1, 3, 2, 3), (1, 2, 0, 3), (1, 2, 2, -1), (1, 1, 2, 2, 3)]
        ],
    ],
)
def test_backward_refuses(change, message):
    fitting = {"grad_output": np.zeros((1, 2, 4, 6)), "input_shape": (1, 2, 2, 3)}
    with pytest.raises(InputError, match=f"^upsample_nearest2d: {message}"):
        upsample_nearest2d_backward(**{**fitting, **change})


def test_many_copies_are_added_up_without_losing_digits():
    g = Numbers(0).real(1, 1, 512, 512).astype(np.float32)
    grad_x = upsample_nearest2d_backward(g, (1, 1, 1, 1))
    assert_close(grad_x, g.sum(dtype=np.float64).astype(np.float32).reshape(1, 1, 1, 1), 1e-7)
