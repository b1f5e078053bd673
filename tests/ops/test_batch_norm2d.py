import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import batch_norm2d_forward
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import CASES, Numbers, expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["batch_norm2d"], ids=str)
def test_equals_torch(case, dtype):
    y, _ = batch_norm2d_forward(**case.inputs(dtype), **case.options)
    assert_close(y, expected(case)["y"].astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("statistic", ["running_mean", "running_var"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["batch_norm2d"], ids=str)
def test_running_statistics_equal_torch(case, dtype, statistic):
    _, cache = batch_norm2d_forward(**case.inputs(dtype), **case.options)
    assert_close(getattr(cache, statistic), expected(case)[statistic].astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("case", CASES["batch_norm2d"], ids=str)
def test_the_cache_explains_the_result(case):
    arrays = case.inputs("float64")
    y, cache = batch_norm2d_forward(**arrays, **case.options)
    channel = (1, -1, 1, 1)
    assert cache.training == case.options["training"]
    assert_close(
        arrays["weight"].reshape(channel) * cache.x_hat + arrays["bias"].reshape(channel),
        y,
        OP_TOLERANCE["float64"],
    )
    # Undoing the scale leaves x less one number per channel.
    shift = arrays["x"] - cache.x_hat / cache.inv_std.reshape(channel)
    assert_close(shift, np.broadcast_to(shift[:1, :, :1, :1], shift.shape), OP_TOLERANCE["float64"])


def test_a_training_batch_comes_out_with_the_learnt_mean_and_spread():
    x = 5 + 3 * Numbers(0).real(4, 2, 6, 5)
    weight, bias = np.array([2.0, -0.5]), np.array([1.0, -3.0])
    y, _ = batch_norm2d_forward(x, weight, bias, np.zeros(2), np.ones(2), training=True, eps=0.0)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), bias)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), np.abs(weight))


@pytest.mark.parametrize("dtype", FLOATS)
def test_inference_leaves_the_running_statistics_as_they_are(dtype):
    arrays = CASES["batch_norm2d"][0].inputs(dtype)
    _, cache = batch_norm2d_forward(**arrays, training=False)
    np.testing.assert_array_equal(cache.running_mean, arrays["running_mean"])
    np.testing.assert_array_equal(cache.running_var, arrays["running_var"])


def test_numpy_numbers_as_options_do_not_change_the_type():
    arrays = CASES["batch_norm2d"][0].inputs("float32")
    options = {"momentum": np.float64(0.1), "eps": np.float64(1e-5)}
    y, cache = batch_norm2d_forward(**arrays, **options, training=True)
    assert {array.dtype for array in (y, cache.running_mean, cache.running_var)} == {np.dtype("float32")}


def four(channels, dtype="float64"):
    names = ("weight", "bias", "running_mean", "running_var")
    return {name: np.ones(channels, dtype) for name in names}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((2, 3, 4, 5), np.int64)}, r"`x` is int64; expected float32 or float64$"),
        *[
            ({name: np.ones(3, np.float32)}, rf"`{name}` is float32, `x` is float64; cast one")
            for name in four(3)
        ],
        *[
            (
                {name: np.ones(4)},
                rf"`{name}` has shape \(4,\); expected \(3,\), one per channel$",
            )
            for name in four(3)
        ],
        ({"x": np.zeros((2, 3))}, r"`x` has shape \(2, 3\); expected \(N, C, H, W\)$"),
        (
            {"x": np.zeros((1, 3, 1, 1))},
            r"`x` of shape \(1, 3, 1, 1\) has one value per channel; training needs two$",
        ),
    ],
)
def test_refuses(change, message):
    fitting = {"x": np.zeros((2, 3, 4, 5)), **four(3)}
    with pytest.raises(InputError, match=f"^batch_norm2d: {message}"):
        batch_norm2d_forward(**{**fitting, **change}, training=True)
