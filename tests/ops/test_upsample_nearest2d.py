import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import upsample_nearest2d_forward
from minidet.ops.upsample_nearest2d import nearest_index
from tests.check import FLOATS, assert_close
from tests.oracles.cases import CASES, expected


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
