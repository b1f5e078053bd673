import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import batch_norm2d_backward, batch_norm2d_forward
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import CASES, NOT_COMPARABLE, Numbers, expected, upstream


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
            r"`x` of shape \(1, 3, 1, 1\) has 1 value\(s\) per channel; training needs two$",
        ),
    ],
)
def test_refuses(change, message):
    fitting = {"x": np.zeros((2, 3, 4, 5)), **four(3)}
    with pytest.raises(InputError, match=f"^batch_norm2d: {message}"):
        batch_norm2d_forward(**{**fitting, **change}, training=True)


# ---- Backward (also in test_every_backward.py) -----------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "case", [case for case in CASES["batch_norm2d"] if case.name in NOT_COMPARABLE], ids=str
)
def test_gradients_for_two_values(case, dtype):
    # Of x = m + d and m - d remain y = weight * u + bias and -weight * u + bias, u = d / sqrt(d^2 + eps). So
    # their gradients g and h become weight * (g - h) / 2 * du/dd and its negative, du/dd = eps / (d^2 +
    # eps)^1.5, which is nearly zero. The general formula gets there by subtracting: what is left of its
    # terms is compared with their size.
    arrays = case.inputs(dtype)
    x = arrays["x"].astype(np.float64)
    y, cache = batch_norm2d_forward(**arrays, **case.options)
    grad_output = upstream(case, y)
    grad_x, grad_weight, grad_bias = batch_norm2d_backward(grad_output, cache)

    # In (two values, channels).
    x, g = (array.transpose(1, 0, 2, 3).reshape(x.shape[1], 2).T for array in (x, grad_output))
    g = g.astype(np.float64)
    d, slope = (x[0] - x[1]) / 2, arrays["weight"].astype(np.float64)
    u = d / np.sqrt(d**2 + 1e-5)
    along_d = slope * (g[0] - g[1]) / 2 * 1e-5 / (d**2 + 1e-5) ** 1.5
    found = grad_x.transpose(1, 0, 2, 3).reshape(-1, 2).T
    terms = np.abs(slope / np.sqrt(d**2 + 1e-5)) * np.abs(g).max(axis=0)
    assert (np.abs(found - [along_d, -along_d]) <= OP_TOLERANCE[dtype] * terms).all()
    assert_close(grad_weight, ((g[0] - g[1]) * u).astype(dtype), OP_TOLERANCE[dtype])
    assert_close(grad_bias, (g[0] + g[1]).astype(dtype), OP_TOLERANCE[dtype])
    assert grad_x.dtype == dtype


def backward_of(training, grad_output=None, **change):
    """Gradients for one batch, in which every channel has its own mean and spread."""
    x = np.array([1.0, 3.0]).reshape(1, 2, 1, 1) * Numbers("spread").real(3, 2, 4, 5) + 5
    arrays = {"x": x, **four(2), "weight": np.array([1.5, -0.5]), **change}
    y, cache = batch_norm2d_forward(**arrays, training=training, eps=0.0)
    if grad_output is None:
        grad_output = Numbers("upstream").real(*y.shape)
    return cache, batch_norm2d_backward(grad_output, cache)


def test_in_training_neither_a_shift_nor_a_scale_of_a_channel_matters():
    # So along both of these directions the gradient of x is zero.
    cache, (grad_x, _, _) = backward_of(training=True)
    largest = np.abs(grad_x).max()
    assert (np.abs(grad_x.sum(axis=(0, 2, 3))) <= 1e-13 * largest).all()
    assert (np.abs((grad_x * cache.x_hat).sum(axis=(0, 2, 3))) <= 1e-13 * largest).all()


def test_in_training_the_running_statistics_do_not_matter():
    _, usual = backward_of(training=True)
    _, other = backward_of(training=True, running_mean=np.full(2, 7.0), running_var=np.full(2, 9.0))
    for gradient, same in zip(usual, other, strict=True):
        np.testing.assert_array_equal(gradient, same)


def test_in_inference_the_gradient_is_scaled_and_nothing_else():
    grad_output = Numbers(0).real(3, 2, 4, 5)
    running_var = np.array([4.0, 0.25])
    _, (grad_x, _, _) = backward_of(training=False, grad_output=grad_output, running_var=running_var)
    np.testing.assert_array_equal(grad_x, np.array([0.75, -1.0]).reshape(1, 2, 1, 1) * grad_output)


@pytest.mark.parametrize("training", [True, False])
def test_the_bias_does_not_matter_to_any_gradient(training):
    _, usual = backward_of(training)
    _, other = backward_of(training, bias=np.array([-3.0, 8.0]))
    for gradient, same in zip(usual, other, strict=True):
        np.testing.assert_array_equal(gradient, same)


@pytest.mark.parametrize(
    ("grad_output", "message"),
    [
        (np.zeros((2, 3, 4, 5), np.int64), r"`grad_output` is int64; expected float32 or float64$"),
        (
            np.zeros((2, 3, 4, 5), np.float32),
            r"`x_hat` is float64, `grad_output` is float32; cast one with \.astype\(\)$",
        ),
        *[
            (
                np.zeros(shape),
                rf"`grad_output` has shape {re.escape(str(shape))}; "
                r"expected \(2, 3, 4, 5\), the shape of the output$",
            )
            for shape in [(2, 3), (3, 4, 5), (2, 3, 5, 4), (1, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1)]
        ],
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_backward_refuses(training, grad_output, message):
    _, cache = batch_norm2d_forward(np.zeros((2, 3, 4, 5)), **four(3), training=training)
    with pytest.raises(InputError, match=f"^batch_norm2d: {message}"):
        batch_norm2d_backward(grad_output, cache)


# ---- Channels far from zero ------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0, 100, 10_000])
def test_float32_keeps_its_digits_far_from_zero(mean):
    x = (Numbers(0).real(2, 3, 8, 9) + mean).astype(np.float32)
    g = Numbers(1).real(2, 3, 8, 9).astype(np.float32)
    results = []
    for dtype in ("float64", "float32"):
        one, zero = np.ones(3, dtype), np.zeros(3, dtype)
        y, cache = batch_norm2d_forward(x.astype(dtype), one, zero, zero, one, training=True)
        results.append([y, *batch_norm2d_backward(g.astype(dtype), cache)])
    for exact, rounded in zip(*results, strict=True):
        assert_close(rounded, exact.astype(np.float32), 5e-7)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", FLOATS)
def test_training_refuses_what_would_spoil_the_running_statistics(bad, dtype):
    x = Numbers(0).real(2, 3, 4, 5).astype(dtype)
    x[1, 2, 3, 4] = bad
    one, zero = np.ones(3, dtype), np.zeros(3, dtype)
    message = r"^batch_norm2d: `x` holds NaN, infinity or too large a number in channel 2$"
    with pytest.raises(InputError, match=message):
        batch_norm2d_forward(x, one, zero, zero, one, training=True)
