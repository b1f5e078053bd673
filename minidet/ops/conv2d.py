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

from minidet._check import check_float, check_shape
from minidet._jit import jit
from minidet._typing import FloatArray
from minidet.ops._check import check_channels, convolution_shape
from minidet.ops._pad import crop_padding, zero_pad
from minidet.ops._sum import sum_per_channel


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
    y = np.empty(convolution_shape("conv2d", x, weight, stride, padding), x.dtype)
    OC = len(weight)
    if bias is None:
        bias = np.zeros(OC, x.dtype)
    check_channels("conv2d", "bias", bias, OC)

    padded = zero_pad(x, padding)  # (N, IC, H + 2 padding, W + 2 padding)
    _conv2d_kernel(padded, np.ascontiguousarray(weight), np.ascontiguousarray(bias), stride, y)
    return y


@jit
def _conv2d_kernel(x: FloatArray, weight: FloatArray, bias: FloatArray, stride: int, y: FloatArray) -> None:
    N, OC, OH, OW = y.shape
    _, IC, KH, KW = weight.shape
    row = np.empty(OW, np.float64)  # one row of y: float32 would lose digits over the many terms of a sum
    # ox runs innermost: neighbouring outputs of a row read neighbouring inputs, which makes vector code
    # without changing the order in which any one output is summed. Stride 1 is written apart because a
    # compiler makes vector code only for a step it knows.
    for n in range(N):
        for oc in range(OC):
            for oy in range(OH):
                row[:] = bias[oc]
                for ic in range(IC):
                    for ky in range(KH):
                        iy = oy * stride + ky
                        for kx in range(KW):
                            w = np.float64(weight[oc, ic, ky, kx])
                            if stride == 1:
                                for ox in range(OW):
                                    row[ox] += w * x[n, ic, iy, ox + kx]
                            else:
                                for ox in range(OW):
                                    row[ox] += w * x[n, ic, iy, ox * stride + kx]
                y[n, oc, oy] = row


def conv2d_backward(
    grad_output: FloatArray, x: FloatArray, weight: FloatArray, *, stride: int = 1, padding: int = 0
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Send the gradient of a convolution's output back to its input, its filters and its bias.

    The forward pass is one line, :math:`y = b + \sum w \, \hat x`, over the pairs of a filter element and a
    pixel that meet. Each pair hands :math:`\partial L / \partial y` on to both, times the other one:

    .. math::
        \frac{\partial L}{\partial \hat x_{n,ic,\,s\,oy+ky,\,s\,ox+kx}} \mathrel{+}=
            w_{oc,ic,ky,kx} \frac{\partial L}{\partial y_{n,oc,oy,ox}}, \qquad
        \frac{\partial L}{\partial w_{oc,ic,ky,kx}} \mathrel{+}=
            \hat x_{n,ic,\,s\,oy+ky,\,s\,ox+kx} \frac{\partial L}{\partial y_{n,oc,oy,ox}}

    and the bias, which is added to every pixel of its channel, gets the sum of the channel's gradient. What
    falls on the padding is dropped: those zeros are constants.

    Parameters
    ----------
    grad_output : (N, OC, OH, OW) array, float32 or float64
        Gradient of the loss with respect to the output.
    x : (N, IC, H, W) array of the same type
    weight : (OC, IC, KH, KW) array of the same type
        What the forward pass was given.
    stride, padding : int
        As in the forward pass.

    Returns
    -------
    grad_x : (N, IC, H, W) array
    grad_weight : (OC, IC, KH, KW) array
    grad_bias : (OC,) array

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    The filter of the forward example, and a gradient for the first of its two outputs only. The pixels it saw
    get the filter, the filter gets those pixels:

    >>> x = np.array([[[[1.0, 2.0, 4.0, 8.0]]]])
    >>> weight = np.array([[[[-1.0, 0.0, 1.0]]]])
    >>> conv2d_backward(np.array([[[[1.0, 0.0]]]]), x, weight)
    (array([[[[-1.,  0.,  1.,  0.]]]]), array([[[[1., 2., 4.]]]]), array([1.]))
    """
    check_float("conv2d", grad_output=grad_output, x=x, weight=weight)
    output_shape = convolution_shape("conv2d", x, weight, stride, padding)
    check_shape("conv2d", "grad_output", grad_output, output_shape, "the shape of the output")

    padded = zero_pad(x, padding)  # (N, IC, H + 2 padding, W + 2 padding)
    grad_padded = np.zeros(padded.shape, np.float64)  # float32 would lose digits over the many terms
    grad_weight = np.empty(weight.shape, x.dtype)
    _conv2d_backward_kernel(
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
def _conv2d_backward_kernel(
    grad_y: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    stride: int,
    grad_x: FloatArray,
    grad_weight: FloatArray,
) -> None:
    N, OC, OH, OW = grad_y.shape
    _, IC, KH, KW = weight.shape
    # The products of the forward kernel: its line y += w * x has two answers here. The filter's loops are
    # outermost, so that the gradient of one weight is one sum.
    for oc in range(OC):
        for ic in range(IC):
            for ky in range(KH):
                for kx in range(KW):
                    w = weight[oc, ic, ky, kx]
                    grad_w = 0.0
                    for n in range(N):
                        for oy in range(OH):
                            for ox in range(OW):
                                iy, ix = oy * stride + ky, ox * stride + kx
                                g = np.float64(grad_y[n, oc, oy, ox])
                                grad_x[n, ic, iy, ix] += w * g
                                grad_w += x[n, ic, iy, ix] * g
                    grad_weight[oc, ic, ky, kx] = grad_w
