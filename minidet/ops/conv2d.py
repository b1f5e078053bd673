r"""Two-dimensional convolution: every output pixel is a weighted sum over a window of all input channels.

One output channel at one position, for a 3x3 filter with stride 1 and padding 1::

      x (one of IC channels)          weight[oc, ic]           y[oc]
      . . . . . . .                     w w w
      . a b c d e .     window at       w w w                 sum of
      . f g h i j .  ── (oy, ox) ──▶    w w w  ── multiply ──▶ 9 * IC products
      . k l m n o .                                            + bias[oc]
      . . . . . . .   (. = zero padding)
"""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_ndim
from minidet._jit import jit
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.ops._check import check_channels, window_count
from minidet.ops._pad import zero_pad


def conv2d_forward(
    x: FloatArray, weight: FloatArray, bias: FloatArray | None = None, *, stride: int = 1, padding: int = 0
) -> FloatArray:
    r"""Convolve ``x`` with ``weight``.

    .. math::
        y_{n,oc,oy,ox} = b_{oc} + \sum_{ic,ky,kx} w_{oc,ic,ky,kx} \;
                         \hat x_{n,\,ic,\,s\,oy + ky,\,s\,ox + kx}

    where :math:`\hat x` is ``x`` with ``padding`` zeros on all four sides and :math:`s` is the stride. As in
    all deep-learning code the filter is not flipped: mathematicians call this cross-correlation.

    Parameters
    ----------
    x : (N, IC, H, W) array, float32 or float64
    weight : (OC, IC, KH, KW) array of the same type
    bias : (OC,) array, optional
        Added to every pixel of its channel.
    stride : int
        Input pixels between two neighbouring windows, in both directions.
    padding : int
        Zeros added on every side.

    Returns
    -------
    y : (N, OC, OH, OW) array
        OH = floor((H + 2 padding - KH) / stride) + 1, and OW likewise.

    Raises
    ------
    InputError
        If types or shapes disagree, or the filter is larger than the padded input.

    Examples
    --------
    A filter that subtracts the left neighbour from the right one:

    >>> x = np.array([[[[1.0, 2.0, 4.0, 8.0]]]])
    >>> weight = np.array([[[[-1.0, 0.0, 1.0]]]])
    >>> conv2d_forward(x, weight)
    array([[[[3., 6.]]]])
    """
    check_float("conv2d", x=x, weight=weight, bias=bias)
    check_ndim("conv2d", "x", x, 4, "N, C, H, W")
    check_ndim("conv2d", "weight", weight, 4, "OC, IC, KH, KW")
    N, IC, H, W = x.shape
    OC, weight_channels, KH, KW = weight.shape
    if weight_channels != IC:
        raise InputError(
            f"conv2d: `weight` expects {weight_channels} input channels, `x` has {IC} (shape {x.shape})"
        )
    if bias is None:
        bias = np.zeros(OC, x.dtype)
    check_channels("conv2d", "bias", bias, OC)
    OH = window_count("conv2d", H, KH, stride, padding)
    OW = window_count("conv2d", W, KW, stride, padding)

    padded = zero_pad(x, padding)  # (N, IC, H + 2 padding, W + 2 padding)
    y = np.empty((N, OC, OH, OW), x.dtype)
    _conv2d_kernel(padded, np.ascontiguousarray(weight), np.ascontiguousarray(bias), stride, y)
    return y


@jit
def _conv2d_kernel(x: FloatArray, weight: FloatArray, bias: FloatArray, stride: int, y: FloatArray) -> None:
    N, OC, OH, OW = y.shape
    _, IC, KH, KW = weight.shape
    # ox runs innermost: neighbouring outputs of a row read neighbouring inputs, which makes vector code
    # without changing the order in which any one output is summed. Stride 1 is written apart because a
    # compiler makes vector code only for a step it knows.
    for n in range(N):
        for oc in range(OC):
            for oy in range(OH):
                for ox in range(OW):
                    y[n, oc, oy, ox] = bias[oc]
                for ic in range(IC):
                    for ky in range(KH):
                        iy = oy * stride + ky
                        for kx in range(KW):
                            w = weight[oc, ic, ky, kx]
                            if stride == 1:
                                for ox in range(OW):
                                    y[n, oc, oy, ox] += w * x[n, ic, iy, ox + kx]
                            else:
                                for ox in range(OW):
                                    y[n, oc, oy, ox] += w * x[n, ic, iy, ox * stride + kx]
