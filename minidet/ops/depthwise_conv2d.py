r"""Depthwise convolution: one filter per channel, and channels never mix.

A full 3x3 convolution from C to C channels costs 9 C multiply-adds per pixel and channel; this one costs 9.
MobileNet pairs it with a 1x1 convolution, which does the mixing (Howard et al. 2017, section 3.1).
"""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_ndim, check_shape
from minidet._jit import jit
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.ops._check import check_channels, window_count
from minidet.ops._pad import crop_padding, zero_pad
from minidet.ops._sum import sum_per_channel


def depthwise_conv2d_forward(
    x: FloatArray, weight: FloatArray, bias: FloatArray | None = None, *, stride: int = 1, padding: int = 0
) -> FloatArray:
    r"""Convolve every channel of ``x`` with its own filter.

    .. math::
        y_{n,c,oy,ox} = b_c + \sum_{ky,kx} w_{c,0,ky,kx} \; \hat x_{n,\,c,\,s\,oy + ky,\,s\,ox + kx}

    with :math:`\hat x` the zero-padded input and :math:`s` the stride.

    Parameters
    ----------
    x : (N, C, H, W) array, float32 or float64
    weight : (C, 1, KH, KW) array of the same type
    bias : (C,) array, optional
    stride : int
        Input pixels between two neighbouring windows.
    padding : int
        Zeros added on every side.

    Returns
    -------
    y : (N, C, OH, OW) array
        OH = floor((H + 2 padding - KH) / stride) + 1, and OW likewise.

    Raises
    ------
    InputError
        If types or shapes disagree, or the filter is larger than the padded input.

    Examples
    --------
    Two channels, the first doubled, the second negated:

    >>> x = np.array([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    >>> weight = np.array([2.0, -1.0]).reshape(2, 1, 1, 1)
    >>> depthwise_conv2d_forward(x, weight).tolist()
    [[[[2.0, 4.0]], [[-3.0, -4.0]]]]
    """
    check_float("depthwise_conv2d", x=x, weight=weight, bias=bias)
    y = np.empty(_output_shape(x, weight, stride, padding), x.dtype)
    C = len(weight)
    if bias is None:
        bias = np.zeros(C, x.dtype)
    check_channels("depthwise_conv2d", "bias", bias, C)

    padded = zero_pad(x, padding)  # (N, C, H + 2 padding, W + 2 padding)
    _depthwise_conv2d_kernel(padded, np.ascontiguousarray(weight), np.ascontiguousarray(bias), stride, y)
    return y


@jit
def _depthwise_conv2d_kernel(
    x: FloatArray, weight: FloatArray, bias: FloatArray, stride: int, y: FloatArray
) -> None:
    N, C, OH, OW = y.shape
    _, _, KH, KW = weight.shape
    for n in range(N):
        for c in range(C):
            for oy in range(OH):
                for ox in range(OW):
                    total = np.float64(bias[c])
                    for ky in range(KH):
                        for kx in range(KW):
                            w = np.float64(weight[c, 0, ky, kx])
                            total += w * x[n, c, oy * stride + ky, ox * stride + kx]
                    y[n, c, oy, ox] = total


def depthwise_conv2d_backward(
    grad_output: FloatArray, x: FloatArray, weight: FloatArray, *, stride: int = 1, padding: int = 0
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Send the gradient of a depthwise convolution's output back to its input, its filters and its bias.

    As in :func:`conv2d_backward`, every product :math:`w \, \hat x` hands the gradient of its output on to
    both factors, times the other one; here a channel of the output has met one channel of the input only.

    .. math::
        \frac{\partial L}{\partial \hat x_{n,c,\,s\,oy+ky,\,s\,ox+kx}} \mathrel{+}=
            w_{c,ky,kx} \frac{\partial L}{\partial y_{n,c,oy,ox}}, \qquad
        \frac{\partial L}{\partial w_{c,ky,kx}} \mathrel{+}=
            \hat x_{n,c,\,s\,oy+ky,\,s\,ox+kx} \frac{\partial L}{\partial y_{n,c,oy,ox}}

    Parameters
    ----------
    grad_output : (N, C, OH, OW) array, float32 or float64
        Gradient of the loss with respect to the output.
    x : (N, C, H, W) array of the same type
    weight : (C, 1, KH, KW) array of the same type
        What the forward pass was given.
    stride, padding : int
        As in the forward pass.

    Returns
    -------
    grad_x : (N, C, H, W) array
    grad_weight : (C, 1, KH, KW) array
    grad_bias : (C,) array

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    The two channels of the forward example, doubled and negated:

    >>> x = np.array([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    >>> weight = np.array([2.0, -1.0]).reshape(2, 1, 1, 1)
    >>> grad_x, grad_weight, grad_bias = depthwise_conv2d_backward(np.ones((1, 2, 1, 2)), x, weight)
    >>> grad_x.tolist(), grad_weight.ravel(), grad_bias
    ([[[[2.0, 2.0]], [[-1.0, -1.0]]]], array([3., 7.]), array([2., 2.]))
    """
    check_float("depthwise_conv2d", grad_output=grad_output, x=x, weight=weight)
    output_shape = _output_shape(x, weight, stride, padding)
    check_shape("depthwise_conv2d", "grad_output", grad_output, output_shape, "the shape of the output")

    padded = zero_pad(x, padding)  # (N, C, H + 2 padding, W + 2 padding)
    grad_padded = np.zeros(padded.shape, np.float64)  # float32 would lose digits over the many terms
    grad_weight = np.empty(weight.shape, x.dtype)
    _depthwise_conv2d_backward_kernel(
        np.ascontiguousarray(grad_output),
        padded,
        np.ascontiguousarray(weight),
        stride,
        grad_padded,
        grad_weight,
    )
    grad_bias = sum_per_channel(grad_output)
    return crop_padding(grad_padded, padding).astype(x.dtype, order="C"), grad_weight, grad_bias


@jit
def _depthwise_conv2d_backward_kernel(
    grad_y: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    stride: int,
    grad_x: FloatArray,
    grad_weight: FloatArray,
) -> None:
    N, C, OH, OW = grad_y.shape
    _, _, KH, KW = weight.shape
    # The filter's loops are outermost, so that the gradient of one weight is one sum.
    for c in range(C):
        for ky in range(KH):
            for kx in range(KW):
                w = weight[c, 0, ky, kx]
                grad_w = 0.0
                for n in range(N):
                    for oy in range(OH):
                        for ox in range(OW):
                            iy, ix = oy * stride + ky, ox * stride + kx
                            g = np.float64(grad_y[n, c, oy, ox])
                            grad_x[n, c, iy, ix] += w * g
                            grad_w += x[n, c, iy, ix] * g
                grad_weight[c, 0, ky, kx] = grad_w


def _output_shape(x: FloatArray, weight: FloatArray, stride: int, padding: int) -> tuple[int, int, int, int]:
    check_ndim("depthwise_conv2d", "x", x, 4, "N, C, H, W")
    check_ndim("depthwise_conv2d", "weight", weight, 4, "C, 1, KH, KW")
    N, C, H, W = x.shape
    KH, KW = weight.shape[2:]
    if weight.shape[:2] != (C, 1):
        raise InputError(
            f"depthwise_conv2d: `weight` has shape {weight.shape}; expected ({C}, 1, KH, KW), "
            f"one filter for each of the {C} channels of `x`"
        )
    OH = window_count("depthwise_conv2d", H, KH, stride, padding)
    OW = window_count("depthwise_conv2d", W, KW, stride, padding)
    return N, C, OH, OW
