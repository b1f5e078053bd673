r"""Depthwise convolution: one filter per channel, and channels never mix.

A full 3x3 convolution from C to C channels costs 9 C multiply-adds per pixel and channel; this one costs 9.
MobileNet pairs it with a 1x1 convolution, which does the mixing (Howard et al. 2017, section 3.1).
"""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_ndim
from minidet._jit import jit
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.ops._check import check_channels, window_count
from minidet.ops._pad import zero_pad


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
    check_ndim("depthwise_conv2d", "x", x, 4, "N, C, H, W")
    check_ndim("depthwise_conv2d", "weight", weight, 4, "C, 1, KH, KW")
    N, C, H, W = x.shape
    KH, KW = weight.shape[2:]
    if weight.shape[:2] != (C, 1):
        raise InputError(
            f"depthwise_conv2d: `weight` has shape {weight.shape}; expected ({C}, 1, KH, KW), "
            f"one filter for each of the {C} channels of `x`"
        )
    if bias is None:
        bias = np.zeros(C, x.dtype)
    check_channels("depthwise_conv2d", "bias", bias, C)
    OH = window_count("depthwise_conv2d", H, KH, stride, padding)
    OW = window_count("depthwise_conv2d", W, KW, stride, padding)

    padded = zero_pad(x, padding)  # (N, C, H + 2 padding, W + 2 padding)
    y = np.empty((N, C, OH, OW), x.dtype)
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
                    total = bias[c]
                    for ky in range(KH):
                        for kx in range(KW):
                            total += weight[c, 0, ky, kx] * x[n, c, oy * stride + ky, ox * stride + kx]
                    y[n, c, oy, ox] = total
