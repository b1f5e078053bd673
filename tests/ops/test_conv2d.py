import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import conv2d_backward, conv2d_forward, linear_backward
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import CASES, Numbers, expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["conv2d"], ids=str)
def test_equals_torch(case, dtype):
    y = conv2d_forward(**case.inputs(dtype), **case.options)
    assert_close(y, expected(case)["y"].astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_every_product_goes_where_it_belongs(stride, padding):
    # Image n has a single 1, at pixel n; filter oc a single 1, at tap oc. So y is 1 exactly where the window
    # at (oy, ox) puts that tap on that pixel.
    H, W, KH, KW = 4, 5, 3, 2
    x = np.eye(H * W).reshape(-1, 1, H, W)
    weight = np.eye(KH * KW).reshape(-1, 1, KH, KW)
    y = conv2d_forward(x, weight, stride=stride, padding=padding)

    n, oc, oy, ox = np.indices(y.shape)
    iy, ix = np.divmod(n, W)
    ky, kx = np.divmod(oc, KW)
    met = (oy * stride + ky - padding == iy) & (ox * stride + kx - padding == ix)
    np.testing.assert_array_equal(y, met)


def test_every_output_channel_sums_over_its_own_input_channels():
    # One pixel: image n has channel n on, and filter oc weighs channel ic by 10 oc + ic.
    x = np.eye(3).reshape(3, 3, 1, 1)
    weight = np.array([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]).reshape(2, 3, 1, 1)
    y = conv2d_forward(x, weight, np.array([0.5, -0.5]))
    np.testing.assert_array_equal(y[:, :, 0, 0], [[0.5, 9.5], [1.5, 10.5], [2.5, 11.5]])


def test_no_bias_is_a_bias_of_zeros():
    case = CASES["conv2d"][0]
    x, weight, bias = case.inputs("float64").values()
    np.testing.assert_array_equal(conv2d_forward(x, weight), conv2d_forward(x, weight, np.zeros_like(bias)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((1, 3, 5, 6), np.int64)}, r"`x` is int64; expected float32 or float64$"),
        ({"x": np.zeros((1, 3, 5, 6), np.float16)}, r"`x` is float16; expected float32 or float64$"),
        (
            {"weight": np.zeros((2, 3, 3, 3), np.float32)},
            r"`weight` is float32, `x` is float64; cast one with \.astype\(\)$",
        ),
        ({"bias": np.zeros(2, np.float32)}, r"`bias` is float32, `x` is float64; cast one"),
        ({"x": np.zeros((3, 5, 6))}, r"`x` has shape \(3, 5, 6\); expected \(N, C, H, W\)$"),
        ({"weight": np.zeros((3, 3, 3))}, r"`weight` has shape \(3, 3, 3\); expected \(OC, IC, KH, KW\)$"),
        (
            {"x": np.zeros((1, 4, 5, 6))},
            r"`weight` expects 3 input channels, `x` has 4 \(shape \(1, 4, 5, 6\)\)$",
        ),
        ({"bias": np.zeros(3)}, r"`bias` has shape \(3,\); expected \(2,\), one per channel$"),
        ({"bias": np.zeros((2, 1))}, r"`bias` has shape \(2, 1\); expected \(2,\)"),
        ({"padding": -1}, r"padding=-1; expected at least 0$"),
        ({"stride": 0}, r"stride=0; expected at least 1$"),
        ({"stride": (2, 2)}, r"stride=\(2, 2\); expected one whole number$"),
        ({"padding": 0.5}, r"padding=0.5; expected one whole number$"),
        ({"x": np.zeros((1, 3, 2, 6))}, r"a window of 3 does not fit a side of 2 \+ 2 \* 0 pixels$"),
        (
            {"x": np.zeros((1, 3, 6, 0)), "padding": 1},
            r"a window of 3 does not fit a side of 0 \+ 2 \* 1 pixels$",
        ),
    ],
)
def test_refuses(change, message):
    fitting = {"x": np.zeros((1, 3, 5, 6)), "weight": np.zeros((2, 3, 3, 3)), "bias": np.zeros(2)}
    with pytest.raises(InputError, match=f"^conv2d: {message}"):
        conv2d_forward(**{**fitting, **change})


# ---- Backward (also in test_every_backward.py) -----------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_one_output_hands_its_gradient_to_its_window(stride, padding):
    # It is the filter, laid where the window is, for x; and the window, for the filter. What hangs over the
    # edge is cut off.
    x, weight = Numbers(0).real(1, 2, 4, 5), Numbers(1).real(3, 2, 3, 2)
    options = {"stride": stride, "padding": padding}
    padded, inside = (
        np.pad(array, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        for array in (x, np.ones_like(x))
    )
    y = conv2d_forward(x, weight, **options)
    for _, oc, oy, ox in np.ndindex(y.shape):
        grad_output = np.zeros_like(y)
        grad_output[0, oc, oy, ox] = 2.0
        window = np.s_[0, :, oy * stride : oy * stride + 3, ox * stride : ox * stride + 2]
        laid = np.zeros_like(padded)
        laid[window] = 2 * weight[oc]
        for_filters = np.zeros_like(weight)
        for_filters[oc] = 2 * padded[window]

        grad_x, grad_weight, grad_bias = conv2d_backward(grad_output, x, weight, **options)
        np.testing.assert_array_equal(grad_x.ravel(), laid[inside == 1])
        np.testing.assert_array_equal(grad_weight, for_filters)
        np.testing.assert_array_equal(grad_bias, 2.0 * (np.arange(3) == oc))


@pytest.mark.parametrize("dtype", FLOATS)
def test_on_single_pixels_it_is_a_linear_layer(dtype):
    numbers = Numbers(0)
    grad_output, x, weight = (numbers.real(*shape).astype(dtype) for shape in [(4, 3), (4, 5), (3, 5)])
    flat = linear_backward(grad_output, x, weight)
    found = conv2d_backward(*(array[..., None, None] for array in (grad_output, x, weight)))
    for gradient, reference in zip(found, flat, strict=True):
        assert_close(gradient.reshape(reference.shape), reference, OP_TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"grad_output": np.zeros((1, 2, 3, 4), np.int64)},
            r"`grad_output` is int64; expected float32 or float64$",
        ),
        (
            {"x": np.zeros((1, 3, 5, 6), np.float32)},
            r"`x` is float32, `grad_output` is float64; cast one with \.astype\(\)$",
        ),
        (
            {"weight": np.zeros((2, 3, 3, 3), np.float32)},
            r"`weight` is float32, `grad_output` is float64; cast one with \.astype\(\)$",
        ),
        *[
            (
                {"grad_output": np.zeros(shape)},
                rf"`grad_output` has shape {re.escape(str(shape))}; "
                r"expected \(1, 2, 3, 4\), the shape of the output$",
            )
            for shape in [(1, 2, 3, 5), (1, 2, 5, 6), (1, 1, 3, 4), (2, 2, 3, 4), (2, 3, 4), (1, 2, 1, 1)]
        ],
        (
            {"stride": 2},
            r"`grad_output` has shape \(1, 2, 3, 4\); expected \(1, 2, 2, 2\), the shape of the output$",
        ),
        (
            {"padding": 1},
            r"`grad_output` has shape \(1, 2, 3, 4\); expected \(1, 2, 5, 6\), the shape of the output$",
        ),
        ({"x": np.zeros((3, 5, 6))}, r"`x` has shape \(3, 5, 6\); expected \(N, C, H, W\)$"),
        ({"weight": np.zeros((3, 3, 3))}, r"`weight` has shape \(3, 3, 3\); expected \(OC, IC, KH, KW\)$"),
        (
            {"x": np.zeros((1, 4, 5, 6))},
            r"`weight` expects 3 input channels, `x` has 4 \(shape \(1, 4, 5, 6\)\)$",
        ),
        ({"padding": -1}, r"padding=-1; expected at least 0$"),
        ({"padding": 0.5}, r"padding=0.5; expected one whole number$"),
        ({"stride": 0}, r"stride=0; expected at least 1$"),
        ({"stride": (2, 2)}, r"stride=\(2, 2\); expected one whole number$"),
        ({"x": np.zeros((1, 3, 2, 6))}, r"a window of 3 does not fit a side of 2 \+ 2 \* 0 pixels$"),
    ],
)
def test_backward_refuses(change, message):
    fitting = {
        "grad_output": np.zeros((1, 2, 3, 4)),
        "x": np.zeros((1, 3, 5, 6)),
        "weight": np.zeros((2, 3, 3, 3)),
    }
    with pytest.raises(InputError, match=f"^conv2d: {message}"):
        conv2d_backward(**{**fitting, **change})
