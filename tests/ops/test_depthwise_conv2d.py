import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import (
    conv2d_backward,
    conv2d_forward,
    depthwise_conv2d_backward,
    depthwise_conv2d_forward,
)
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import CASES, expected, upstream


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["depthwise_conv2d"], ids=str)
def test_equals_torch(case, dtype):
    y = depthwise_conv2d_forward(**case.inputs(dtype), **case.options)
    assert_close(y, expected(case)["y"].astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_every_product_goes_where_it_belongs(stride, padding):
    # Image n has a single 1 in every channel, at pixel n; the filter of channel c a single 1, at tap c.
    H, W, KH, KW = 4, 5, 3, 2
    x = np.repeat(np.eye(H * W).reshape(-1, 1, H, W), KH * KW, axis=1)
    weight = np.eye(KH * KW).reshape(-1, 1, KH, KW)
    y = depthwise_conv2d_forward(x, weight, stride=stride, padding=padding)

    n, c, oy, ox = np.indices(y.shape)
    iy, ix = np.divmod(n, W)
    ky, kx = np.divmod(c, KW)
    met = (oy * stride + ky - padding == iy) & (ox * stride + kx - padding == ix)
    np.testing.assert_array_equal(y, met)


@pytest.mark.parametrize("case", CASES["depthwise_conv2d"][::8], ids=str)
def test_is_a_full_convolution_whose_other_weights_are_zero(case):
    arrays = case.inputs("float64")
    C, _, KH, KW = arrays["weight"].shape
    full = np.zeros((C, C, KH, KW))
    full[np.arange(C), np.arange(C)] = arrays["weight"][:, 0]
    y = depthwise_conv2d_forward(**arrays, **case.options)
    assert_close(y, conv2d_forward(**{**arrays, "weight": full}, **case.options), OP_TOLERANCE["float64"])


def test_channels_do_not_mix():
    arrays = CASES["depthwise_conv2d"][0].inputs("float64")
    y = depthwise_conv2d_forward(**arrays)
    arrays["x"][:, 1] += 1
    changed = depthwise_conv2d_forward(**arrays) != y
    assert changed[:, 1].all()
    assert not changed[:, [0, 2]].any()


def test_no_bias_is_a_bias_of_zeros():
    x, weight, bias = CASES["depthwise_conv2d"][0].inputs("float64").values()
    np.testing.assert_array_equal(
        depthwise_conv2d_forward(x, weight), depthwise_conv2d_forward(x, weight, np.zeros_like(bias))
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((1, 3, 5, 6), np.int64)}, r"`x` is int64; expected float32 or float64$"),
        ({"weight": np.zeros((3, 1, 3, 3), np.float32)}, r"`weight` is float32, `x` is float64"),
        ({"bias": np.zeros(3, np.float32)}, r"`bias` is float32, `x` is float64"),
        ({"x": np.zeros((3, 5, 6))}, r"`x` has shape \(3, 5, 6\); expected \(N, C, H, W\)$"),
        ({"weight": np.zeros((3, 3, 3))}, r"`weight` has shape \(3, 3, 3\); expected \(C, 1, KH, KW\)$"),
        (
            {"weight": np.zeros((4, 1, 3, 3))},
            r"`weight` has shape \(4, 1, 3, 3\); expected \(3, 1, KH, KW\), "
            r"one filter for each of the 3 channels of `x`$",
        ),
        ({"weight": np.zeros((3, 3, 3, 3))}, r"`weight` has shape \(3, 3, 3, 3\); expected \(3, 1, KH, KW\)"),
        ({"bias": np.zeros(1)}, r"`bias` has shape \(1,\); expected \(3,\), one per channel$"),
        ({"padding": -1}, r"padding=-1; expected at least 0$"),
        ({"stride": 0}, r"stride=0; expected at least 1$"),
        ({"stride": (2, 2)}, r"stride=\(2, 2\); expected one whole number$"),
        ({"padding": 0.5}, r"padding=0.5; expected one whole number$"),
        ({"x": np.zeros((1, 3, 2, 6))}, r"a window of 3 does not fit a side of 2 \+ 2 \* 0 pix"),
        ({"x": np.zeros((1, 3, 6, 2))}, r"a window of 3 does not fit a side of 2 \+ 2 \* 0 pix"),
    ],
)
def test_refuses(change, message):
    fitting = {"x": np.zeros((1, 3, 5, 6)), "weight": np.zeros((3, 1, 3, 3)), "bias": np.zeros(3)}
    with pytest.raises(InputError, match=f"^depthwise_conv2d: {message}"):
        depthwise_conv2d_forward(**{**fitting, **change})


# ---- Backward (also in test_every_backward.py) -----------------------------------------------------


@pytest.mark.parametrize("case", CASES["depthwise_conv2d"][::8], ids=str)
def test_its_gradients_are_those_of_a_full_convolution_whose_other_weights_are_zero(case):
    x, weight = case.arrays["x"], case.arrays["weight"]
    C, _, KH, KW = weight.shape
    full = np.zeros((C, C, KH, KW))
    full[np.arange(C), np.arange(C)] = weight[:, 0]
    grad_output = upstream(case, depthwise_conv2d_forward(x, weight, **case.options))
    grad_x, grad_weight, grad_bias = depthwise_conv2d_backward(grad_output, x, weight, **case.options)
    of_full = conv2d_backward(grad_output, x, full, **case.options)
    assert_close(grad_x, of_full[0], OP_TOLERANCE["float64"])
    assert_close(grad_weight[:, 0], of_full[1][np.arange(C), np.arange(C)], OP_TOLERANCE["float64"])
    assert_close(grad_bias, of_full[2], OP_TOLERANCE["float64"])


def test_gradients_do_not_mix_channels():
    case = CASES["depthwise_conv2d"][0]
    x, weight = case.arrays["x"], case.arrays["weight"]
    grad_output = np.zeros_like(depthwise_conv2d_forward(x, weight, **case.options))
    grad_output[:, 1] = 1
    for gradient, axis in zip(
        depthwise_conv2d_backward(grad_output, x, weight, **case.options), (1, 0, 0), strict=True
    ):
        reached = np.moveaxis(gradient, axis, 0) != 0
        assert reached[1].all()
        assert not reached[[0, 2]].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"grad_output": np.zeros((1, 3, 3, 4), np.int64)},
            r"`grad_output` is int64; expected float32 or float64$",
        ),
        (
            {"x": np.zeros((1, 3, 5, 6), np.float32)},
            r"`x` is float32, `grad_output` is float64; cast one with \.astype\(\)$",
        ),
        (
            {"weight": np.zeros((3, 1, 3, 3), np.float32)},
            r"`weight` is float32, `grad_output` is float64; cast one with \.astype\(\)$",
        ),
        *[
            (
                {"grad_output": np.zeros(shape)},
                rf"`grad_output` has shape {re.escape(str(shape))}; "
                r"expected \(1, 3, 3, 4\), the shape of the output$",
            )
            for shape in [(1, 3, 3, 5), (1, 3, 5, 6), (1, 1, 3, 4), (2, 3, 3, 4), (3, 3, 4), (1, 3, 1, 1)]
        ],
        (
            {"stride": 2},
            r"`grad_output` has shape \(1, 3, 3, 4\); expected \(1, 3, 2, 2\), the shape of the output$",
        ),
        (
            {"padding": 1},
            r"`grad_output` has shape \(1, 3, 3, 4\); expected \(1, 3, 5, 6\), the shape of the output$",
        ),
        ({"x": np.zeros((3, 5, 6))}, r"`x` has shape \(3, 5, 6\); expected \(N, C, H, W\)$"),
        ({"weight": np.zeros((3, 3, 3))}, r"`weight` has shape \(3, 3, 3\); expected \(C, 1, KH, KW\)$"),
        (
            {"weight": np.zeros((3, 3, 3, 3))},
            r"`weight` has shape \(3, 3, 3, 3\); expected \(3, 1, KH, KW\), "
            r"one filter for each of the 3 channels of `x`$",
        ),
        ({"padding": -1}, r"padding=-1; expected at least 0$"),
        ({"padding": 0.5}, r"padding=0.5; expected one whole number$"),
        ({"stride": 0}, r"stride=0; expected at least 1$"),
        ({"stride": (2, 2)}, r"stride=\(2, 2\); expected one whole number$"),
        ({"x": np.zeros((1, 3, 6, 2))}, r"a window of 3 does not fit a side of 2 \+ 2 \* 0 pixels$"),
    ],
)
def test_backward_refuses(change, message):
    fitting = {
        "grad_output": np.zeros((1, 3, 3, 4)),
        "x": np.zeros((1, 3, 5, 6)),
        "weight": np.zeros((3, 1, 3, 3)),
    }
    with pytest.raises(InputError, match=f"^depthwise_conv2d: {message}"):
        depthwise_conv2d_backward(**{**fitting, **change})
