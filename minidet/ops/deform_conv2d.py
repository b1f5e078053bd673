r"""Deformable convolution: every tap of the filter looks where an offset sends it, between pixels too.

A 3x3 filter reads nine places around each output position. Here each of the nine has a shift of its own,
computed from the image, so that the filter can follow a face that is large, turned or bent (Dai et al. 2017,
figure 2). Version 2 also gives each sample a factor, with which it can be faded out (Zhu et al. 2019)::

    plain           deformable          one sample, at (iy, ix) between four pixels
    o   o   o        o    o             a ─────────── b     fy: how far down from a, 0 to 1
                          o  o          │      fy           fx: how far right
    o   o   o      o    o               │ fx ──●      │
                      o      o          │             │     value = (1 - fy) ((1 - fx) a + fx b)
    o   o   o       o                   c ─────────── d             + fy ((1 - fx) c + fx d)

Outside of the picture everything is zero: a sample beyond it is 0, one on its edge is blended with zeros.
"""

from __future__ import annotations

import math

import numpy as np

from minidet._check import check_finite, check_float, check_ndim, check_shape
from minidet._jit import jit
from minidet._typing import Float64Array, FloatArray
from minidet.errors import InputError
from minidet.ops._check import check_channels, convolution_shape
from minidet.ops._pad import crop_padding, zero_pad
from minidet.ops._sum import sum_per_channel


def deform_conv2d_forward(
    x: FloatArray,
    offset: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    mask: FloatArray | None = None,
) -> FloatArray:
    r"""Convolve ``x`` with ``weight``, each tap shifted by its offset and weighted by its mask.

    .. math::
        y_{n,oc,oy,ox} = b_{oc} + \sum_{ic,ky,kx} w_{oc,ic,ky,kx} \; m \;
            x_{n,ic}(s\,oy - p + ky + \Delta y,\; s\,ox - p + kx + \Delta x)

    where :math:`s` is the stride, :math:`p` the padding, and :math:`\Delta y, \Delta x, m` the offset and the
    mask of image n, tap (ky, kx) and position (oy, ox). :math:`x_{n,ic}(iy, ix)` is interpolated between the
    four pixels around, and zero outside of the picture. Whole numbers from 0 up are pixels.

    Parameters
    ----------
    x : (N, IC, H, W) array, float32 or float64
    offset : (N, 2 * G * KH * KW, OH, OW) array of the same type
        Pixels. Channels are ordered by group, then ky, then kx, and for each of these y before x, as in
        torchvision. The IC channels fall into G groups of neighbours that share their offsets.
    weight : (OC, IC, KH, KW) array of the same type
    bias : (OC,) array, optional
    stride : int
        Input pixels between two neighbouring windows, in both directions.
    padding : int
        How far the first window begins outside of the picture, on every side.
    mask : (N, G * KH * KW, OH, OW) array, optional
        Factor of each sample, usually from 0 to 1: version 2. Without it all are 1: version 1.

    Returns
    -------
    y : (N, OC, OH, OW) array
        OH = floor((H + 2 padding - KH) / stride) + 1, and OW likewise.

    Raises
    ------
    InputError
        If types or shapes disagree, the filter is larger than the padded input, or an offset is not finite.

    Examples
    --------
    A filter of one tap, which looks a quarter of a pixel further right. The last sample is a quarter outside:

    >>> x = np.array([[[[0.0, 4.0, 8.0]]]])
    >>> offset = np.array([[[[0.0, 0.0, 0.0]], [[0.25, 0.25, 0.25]]]])
    >>> weight = np.ones((1, 1, 1, 1))
    >>> deform_conv2d_forward(x, offset, weight)
    array([[[[1., 5., 6.]]]])

    And with its middle sample switched off:

    >>> deform_conv2d_forward(x, offset, weight, mask=np.array([[[[1.0, 0.0, 1.0]]]]))
    array([[[[1., 0., 6.]]]])
    """
    check_float("deform_conv2d", x=x, offset=offset, weight=weight, bias=bias, mask=mask)
    y = np.empty(convolution_shape("deform_conv2d", x, weight, stride, padding), x.dtype)
    shifts, factors = _per_tap(offset, mask, x, weight, y.shape)
    OC = len(weight)
    if bias is None:
        bias = np.zeros(OC, x.dtype)
    check_channels("deform_conv2d", "bias", bias, OC)

    _deform_conv2d_kernel(
        zero_pad(x, 1),
        shifts,
        factors,
        np.ascontiguousarray(weight),
        np.ascontiguousarray(bias),
        stride,
        padding,
        y,
    )
    return y


@jit
def _deform_conv2d_kernel(
    frame: FloatArray,
    shifts: FloatArray,
    factors: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
    stride: int,
    padding: int,
    y: FloatArray,
) -> None:
    N, OC, OH, OW = y.shape
    _, IC, KH, KW = weight.shape
    samples = np.empty((IC, KH, KW, OW), np.float64)  # what the filters see in one row of y
    row = np.empty(OW, np.float64)  # float32 would lose digits over the many terms of a sum
    for n in range(N):
        for oy in range(OH):
            _sample_row(frame[n], shifts[n], factors[n], oy, stride, padding, samples)
            for oc in range(OC):
                row[:] = bias[oc]
                for ic in range(IC):
                    for ky in range(KH):
                        for kx in range(KW):
                            w = np.float64(weight[oc, ic, ky, kx])
                            for ox in range(OW):
                                row[ox] += w * samples[ic, ky, kx, ox]
                y[n, oc, oy] = row


@jit
def _sample_row(
    frame: FloatArray,
    shifts: FloatArray,
    factors: FloatArray,
    oy: int,
    stride: int,
    padding: int,
    samples: Float64Array,
) -> None:
    """Fill ``samples`` (IC, KH, KW, OW) with everything that one row of the output is computed from."""
    IC, KH, KW, OW = samples.shape
    G = len(shifts)
    H, W = frame.shape[1] - 2, frame.shape[2] - 2
    for g in range(G):
        first, last = g * IC // G, (g + 1) * IC // G
        for ky in range(KH):
            for kx in range(KW):
                for ox in range(OW):
                    iy = _place(oy, ky, shifts[g, ky, kx, 0, oy, ox], stride, padding)
                    ix = _place(ox, kx, shifts[g, ky, kx, 1, oy, ox], stride, padding)
                    if not _is_near(iy, ix, H, W):
                        samples[first:last, ky, kx, ox] = 0
                        continue
                    top, left, fy, fx = _corner(iy, ix)
                    m = np.float64(factors[g, ky, kx, oy, ox])
                    for ic in range(first, last):
                        a, b = frame[ic, top, left], frame[ic, top, left + 1]
                        c, d = frame[ic, top + 1, left], frame[ic, top + 1, left + 1]
                        samples[ic, ky, kx, ox] = m * _blend(a, b, c, d, fy, fx)


@jit
def _place(o: int, k: int, shift: float, stride: int, padding: int) -> float:
    """Return the row (or column) of ``x`` that tap k of output row (column) o looks at."""
    return o * stride - padding + k + np.float64(shift)


@jit
def _is_near(iy: float, ix: float, H: int, W: int) -> bool:
    """Tell whether a sample lies in the picture or less than a pixel beside it; all others are zero."""
    return -1 <= iy < H and -1 <= ix < W


@jit
def _corner(iy: float, ix: float) -> tuple[int, int, float, float]:
    """Return the pixel above left of a place, and how far below and to its right the place is.

    The picture lies in a frame of zeros one pixel wide, so its pixel (0, 0) is (1, 1) there, and each of the
    four pixels around exists.
    """
    top, left = math.floor(iy), math.floor(ix)
    return top + 1, left + 1, iy - top, ix - left


@jit
def _blend(a: float, b: float, c: float, d: float, fy: float, fx: float) -> float:
    """Interpolate between four pixels, named as in the picture above."""
    return (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) * c + fx * d)


def deform_conv2d_backward(
    grad_output: FloatArray,
    x: FloatArray,
    offset: FloatArray,
    weight: FloatArray,
    *,
    stride: int = 1,
    padding: int = 0,
    mask: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray | None]:
    r"""Send the gradient of a deformable convolution's output back to everything it was computed from.

    Filters and bias are those of a convolution whose input are the samples :math:`m \, v`, with
    :math:`v = x(iy, ix)`. Such a sample gets :math:`\gamma = \sum_{oc} w \; \partial L / \partial y`, and
    shares it out, by the formula of :math:`v` (a, b, c, d are the four pixels, fy and fx the way from a):

    .. math::
        \frac{\partial L}{\partial m} \mathrel{+}= \gamma \, v, \qquad
        \frac{\partial L}{\partial a} \mathrel{+}= \gamma \, m \, (1 - fy) (1 - fx), \quad \dots

    .. math::
        \frac{\partial L}{\partial \Delta y} \mathrel{+}=
            \gamma \, m \, [ (1 - fx) (c - a) + fx \, (d - b) ], \qquad
        \frac{\partial L}{\partial \Delta x} \mathrel{+}=
            \gamma \, m \, [ (1 - fy) (b - a) + fy \, (d - c) ]

    added up over the channels of the group, which share offset and mask.

    On a pixel the interpolation has a kink. There the gradient of the offset is the slope towards larger
    coordinates, as in torchvision. With offsets of zero, where training begins, every sample is on a pixel.

    Parameters
    ----------
    grad_output : (N, OC, OH, OW) array, float32 or float64
        Gradient of the loss with respect to the output.
    x : (N, IC, H, W) array of the same type
    offset : (N, 2 * G * KH * KW, OH, OW) array of the same type
    weight : (OC, IC, KH, KW) array of the same type
    mask : (N, G * KH * KW, OH, OW) array, optional
        What the forward pass was given.
    stride, padding : int
        As in the forward pass.

    Returns
    -------
    grad_x : (N, IC, H, W) array
    grad_offset : (N, 2 * G * KH * KW, OH, OW) array
    grad_weight : (OC, IC, KH, KW) array
    grad_bias : (OC,) array
    grad_mask : (N, G * KH * KW, OH, OW) array
        None if there is no mask.

    Raises
    ------
    InputError
        If types or shapes disagree, or an offset is not finite.

    Examples
    --------
    The filter of the forward example, and a gradient for the first of its three outputs only. Its sample was
    three quarters of the first pixel and one of the second; further right it would be larger, by 4 per pixel:

    >>> x = np.array([[[[0.0, 4.0, 8.0]]]])
    >>> offset = np.array([[[[0.0, 0.0, 0.0]], [[0.25, 0.25, 0.25]]]])
    >>> weight = np.ones((1, 1, 1, 1))
    >>> grad_x, grad_offset, grad_weight, grad_bias, _ = deform_conv2d_backward(
    ...     np.array([[[[1.0, 0.0, 0.0]]]]), x, offset, weight
    ... )
    >>> grad_x, grad_weight.item(), grad_bias
    (array([[[[0.75, 0.25, 0.  ]]]]), 1.0, array([1.]))
    >>> grad_offset[0, 1]
    array([[4., 0., 0.]])
    """
    check_float("deform_conv2d", grad_output=grad_output, x=x, offset=offset, weight=weight, mask=mask)
    output_shape = convolution_shape("deform_conv2d", x, weight, stride, padding)
    check_shape("deform_conv2d", "grad_output", grad_output, output_shape, "the shape of the output")
    shifts, factors = _per_tap(offset, mask, x, weight, output_shape)

    frame = zero_pad(x, 1)
    grad_frame = np.zeros(frame.shape, np.float64)  # float32 would lose digits over the many terms
    grad_weight = np.zeros(weight.shape, np.float64)
    grad_shifts, grad_factors = np.zeros_like(shifts), np.zeros_like(factors)
    _deform_conv2d_backward_kernel(
        np.ascontiguousarray(grad_output),
        frame,
        shifts,
        factors,
        np.ascontiguousarray(weight),
        stride,
        padding,
        grad_frame,
        grad_shifts,
        grad_factors,
        grad_weight,
    )
    return (
        crop_padding(grad_frame, 1).astype(x.dtype, order="C"),
        grad_shifts.reshape(offset.shape),
        grad_weight.astype(x.dtype),
        sum_per_channel(grad_output),
        None if mask is None else grad_factors.reshape(mask.shape),
    )


@jit
def _deform_conv2d_backward_kernel(
    grad_y: FloatArray,
    frame: FloatArray,
    shifts: FloatArray,
    factors: FloatArray,
    weight: FloatArray,
    stride: int,
    padding: int,
    grad_frame: Float64Array,
    grad_shifts: FloatArray,
    grad_factors: FloatArray,
    grad_weight: Float64Array,
) -> None:
    N, OC, OH, OW = grad_y.shape
    _, IC, KH, KW = weight.shape
    samples = np.empty((IC, KH, KW, OW), np.float64)
    grad_samples = np.empty((IC, KH, KW, OW), np.float64)
    for n in range(N):
        for oy in range(OH):
            _sample_row(frame[n], shifts[n], factors[n], oy, stride, padding, samples)
            # The forward kernel's line row += w * sample has two answers.
            grad_samples[:] = 0
            for oc in range(OC):
                for ic in range(IC):
                    for ky in range(KH):
                        for kx in range(KW):
                            w = np.float64(weight[oc, ic, ky, kx])
                            grad_w = 0.0
                            for ox in range(OW):
                                g = np.float64(grad_y[n, oc, oy, ox])
                                grad_samples[ic, ky, kx, ox] += w * g
                                grad_w += samples[ic, ky, kx, ox] * g
                            grad_weight[oc, ic, ky, kx] += grad_w
            _share_out_row(
                grad_samples,
                frame[n],
                shifts[n],
                factors[n],
                oy,
                stride,
                padding,
                grad_frame[n],
                grad_shifts[n],
                grad_factors[n],
            )


@jit
def _share_out_row(
    grad_samples: Float64Array,
    frame: FloatArray,
    shifts: FloatArray,
    factors: FloatArray,
    oy: int,
    stride: int,
    padding: int,
    grad_frame: Float64Array,
    grad_shifts: FloatArray,
    grad_factors: FloatArray,
) -> None:
    """Go back through :func:`_sample_row`; a sample outside was a constant and has nothing to share."""
    IC, KH, KW, OW = grad_samples.shape
    G = len(shifts)
    H, W = frame.shape[1] - 2, frame.shape[2] - 2
    for g in range(G):
        for ky in range(KH):
            for kx in range(KW):
                for ox in range(OW):
                    iy = _place(oy, ky, shifts[g, ky, kx, 0, oy, ox], stride, padding)
                    ix = _place(ox, kx, shifts[g, ky, kx, 1, oy, ox], stride, padding)
                    if not _is_near(iy, ix, H, W):
                        continue
                    top, left, fy, fx = _corner(iy, ix)
                    m = np.float64(factors[g, ky, kx, oy, ox])
                    grad_m, grad_dy, grad_dx = 0.0, 0.0, 0.0
                    for ic in range(g * IC // G, (g + 1) * IC // G):
                        a, b = np.float64(frame[ic, top, left]), np.float64(frame[ic, top, left + 1])
                        c, d = np.float64(frame[ic, top + 1, left]), np.float64(frame[ic, top + 1, left + 1])
                        grad_sample = grad_samples[ic, ky, kx, ox]
                        grad_m += grad_sample * _blend(a, b, c, d, fy, fx)
                        grad_value = grad_sample * m
                        grad_dy += grad_value * ((1 - fx) * (c - a) + fx * (d - b))
                        grad_dx += grad_value * ((1 - fy) * (b - a) + fy * (d - c))
                        grad_frame[ic, top, left] += grad_value * (1 - fy) * (1 - fx)
                        grad_frame[ic, top, left + 1] += grad_value * (1 - fy) * fx
                        grad_frame[ic, top + 1, left] += grad_value * fy * (1 - fx)
                        grad_frame[ic, top + 1, left + 1] += grad_value * fy * fx
                    grad_factors[g, ky, kx, oy, ox] = grad_m
                    grad_shifts[g, ky, kx, 0, oy, ox] = grad_dy
                    grad_shifts[g, ky, kx, 1, oy, ox] = grad_dx


def _per_tap(
    offset: FloatArray,
    mask: FloatArray | None,
    x: FloatArray,
    weight: FloatArray,
    output_shape: tuple[int, ...],
) -> tuple[FloatArray, FloatArray]:
    """Check offsets and masks, and give their channels an axis for each of their meanings.

    Returns
    -------
    shifts : (N, G, KH, KW, 2, OH, OW) array
    factors : (N, G, KH, KW, OH, OW) array
        Ones if there is no mask.
    """
    N, _, OH, OW = output_shape
    IC = x.shape[1]
    KH, KW = weight.shape[2:]
    check_ndim("deform_conv2d", "offset", offset, 4, "N, 2 * G * KH * KW, OH, OW")
    G, rest = divmod(offset.shape[1], 2 * KH * KW)
    if rest or G == 0 or IC % G:
        raise InputError(
            f"deform_conv2d: `offset` has {offset.shape[1]} channels; expected {2 * KH * KW} for each group, "
            f"in a number of groups that divides the {IC} channels of `x`"
        )
    expected = (N, offset.shape[1], OH, OW)
    check_shape("deform_conv2d", "offset", offset, expected, "two numbers for each tap and output")
    check_finite("deform_conv2d", "offset", offset, "image", "channel", "row", "column")
    if mask is None:
        mask = np.ones((N, G * KH * KW, OH, OW), x.dtype)
    check_shape("deform_conv2d", "mask", mask, (N, G * KH * KW, OH, OW), "one number for each tap and output")
    return (
        np.ascontiguousarray(offset).reshape(N, G, KH, KW, 2, OH, OW),
        np.ascontiguousarray(mask).reshape(N, G, KH, KW, OH, OW),
    )
