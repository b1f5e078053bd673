r"""Max pooling: every output is the largest input of its window.

With ``ceil_mode`` a last window that hangs over the edge is used too, as long as it starts inside; MTCNN
needs that (Caffe always pools this way). Six columns, windows of 3 with stride 2::

    column    0 1 2 3 4 5
    window 0  └───┘
    window 1      └───┘
    window 2          └───x    hangs over by one: dropped, or kept with ceil_mode
"""

from __future__ import annotations

import numpy as np

from minidet._check import check_float, check_ndim, check_shape
from minidet._jit import jit
from minidet._typing import FloatArray, IntArray
from minidet.errors import InputError
from minidet.ops._check import check_input_shape, check_stride


def max_pool2d_forward(
    x: FloatArray, *, kernel_size: int, stride: int, padding: int = 0, ceil_mode: bool = False
) -> tuple[FloatArray, IntArray]:
    r"""Take the maximum over square windows.

    .. math:: y_{n,c,oy,ox} = \max_{0 \le ky,kx < k} x_{n,\,c,\,s\,oy + ky - p,\,s\,ox + kx - p}

    over the pixels of the window that lie inside the image: padding never wins.

    Parameters
    ----------
    x : (N, C, H, W) array, float32 or float64
    kernel_size, stride : int
        Side of the window and step between windows, in pixels.
    padding : int
        How far the first window hangs over the top and left edge; at most half a window.
    ceil_mode : bool
        Also use a last window that hangs over the far edge.

    Returns
    -------
    y : (N, C, OH, OW) array
        OH = floor((H + 2 padding - kernel_size) / stride) + 1; ceil instead of floor with ``ceil_mode``,
        less one if the last window would start outside the image and its near padding.
    argmax : (N, C, OH, OW) integer array
        Where each maximum was found, as row * W + column. Of equal values the first one in reading order
        wins. The backward pass sends the gradient there.

    Raises
    ------
    InputError
        If no window fits, or the padding is more than half a window.

    Examples
    --------
    >>> x = np.array([[[[1.0, 5.0, 2.0], [4.0, 3.0, 6.0]]]])
    >>> y, argmax = max_pool2d_forward(x, kernel_size=2, stride=2, ceil_mode=True)
    >>> y, argmax
    (array([[[[5., 6.]]]]), array([[[[1, 5]]]]))
    """
    check_float("max_pool2d", x=x)
    check_ndim("max_pool2d", "x", x, 4, "N, C, H, W")
    if kernel_size < 1:
        raise InputError(f"max_pool2d: kernel_size={kernel_size}; expected at least 1")
    if not 0 <= padding <= kernel_size // 2:
        raise InputError(f"max_pool2d: padding={padding}; expected 0 to half of kernel_size={kernel_size}")
    check_stride("max_pool2d", stride)
    N, C, H, W = x.shape
    OH = _pooled_size(H, kernel_size, stride, padding, ceil_mode)
    OW = _pooled_size(W, kernel_size, stride, padding, ceil_mode)

    y = np.empty((N, C, OH, OW), x.dtype)
    argmax = np.empty((N, C, OH, OW), np.intp)
    _max_pool2d_kernel(np.ascontiguousarray(x), kernel_size, stride, padding, y, argmax)
    return y, argmax


def _pooled_size(size: int, kernel_size: int, stride: int, padding: int, ceil_mode: bool) -> int:
    room = size + 2 * padding - kernel_size
    windows = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (windows - 1) * stride >= size + padding:
        windows -= 1  # the last window would see nothing but padding
    if size < 1 or windows < 1:  # padding alone is no image
        raise InputError(
            f"max_pool2d: a window of {kernel_size} does not fit a side of {size} + 2 * {padding} pixels"
        )
    return windows


@jit
def _max_pool2d_kernel(
    x: FloatArray, kernel_size: int, stride: int, padding: int, y: FloatArray, argmax: IntArray
) -> None:
    N, C, OH, OW = y.shape
    _, _, H, W = x.shape
    for n in range(N):
        for c in range(C):
            for oy in range(OH):
                top = max(oy * stride - padding, 0)
                bottom = min(oy * stride - padding + kernel_size, H)
                for ox in range(OW):
                    left = max(ox * stride - padding, 0)
                    right = min(ox * stride - padding + kernel_size, W)
                    best = x[n, c, top, left]
                    best_at = top * W + left
                    for iy in range(top, bottom):
                        for ix in range(left, right):
                            value = x[n, c, iy, ix]
                            # A NaN must not vanish in a comparison that is always false.
                            if value > best or np.isnan(value):
                                best = value
                                best_at = iy * W + ix
                    y[n, c, oy, ox] = best
                    argmax[n, c, oy, ox] = best_at


def max_pool2d_backward(
    grad_output: FloatArray, argmax: IntArray, input_shape: tuple[int, ...]
) -> FloatArray:
    r"""Send the gradient of every maximum back to the pixel that was it.

    A small change of the largest pixel of a window is a change of the output, one to one; a small change of
    any other pixel is none. A pixel that won several overlapping windows gets the gradients of all of them:

    .. math::
        \frac{\partial L}{\partial x_{n,c,iy,ix}} =
            \sum_{oy,ox:\; \text{argmax}_{n,c,oy,ox} = iy \, W + ix} \frac{\partial L}{\partial y_{n,c,oy,ox}}

    Of equal values the forward pass named one, and that one gets everything.

    Parameters
    ----------
    grad_output : (N, C, OH, OW) array, float32 or float64
        Gradient of the loss with respect to the output.
    argmax : (N, C, OH, OW) integer array
        Second result of the forward pass.
    input_shape : (N, C, H, W)
        Shape of the input.

    Returns
    -------
    grad_x : (N, C, H, W) array

    Raises
    ------
    InputError
        If types or shapes disagree, or ``argmax`` points outside of (H, W).

    Examples
    --------
    The pixel 5 was the maximum of two windows, 6 of one:

    >>> x = np.array([[[[1.0, 5.0, 2.0, 6.0]]]])
    >>> _, argmax = max_pool2d_forward(np.repeat(x, 2, axis=2), kernel_size=2, stride=1)
    >>> argmax
    array([[[[1, 1, 3]]]])
    >>> max_pool2d_backward(np.array([[[[1.0, 10.0, 100.0]]]]), argmax, (1, 1, 2, 4))
    array([[[[  0.,  11.,   0., 100.],
             [  0.,   0.,   0.,   0.]]]])
    """
    check_float("max_pool2d", grad_output=grad_output)
    check_ndim("max_pool2d", "grad_output", grad_output, 4, "N, C, OH, OW")
    check_shape("max_pool2d", "argmax", argmax, grad_output.shape, "the shape of `grad_output`")
    if not np.issubdtype(argmax.dtype, np.integer):
        raise InputError(f"max_pool2d: `argmax` is {argmax.dtype}; expected whole numbers")
    N, C = grad_output.shape[:2]
    check_input_shape("max_pool2d", input_shape, N, C)
    pixels = input_shape[2] * input_shape[3]
    outside = (argmax < 0) | (argmax >= pixels)
    if outside.any():
        raise InputError(
            f"max_pool2d: `argmax` holds {argmax[outside][0]}; expected 0 to {pixels - 1}, "
            f"a pixel of {input_shape[2]} x {input_shape[3]}"
        )
    grad_x = np.zeros(input_shape, grad_output.dtype)
    _max_pool2d_backward_kernel(np.ascontiguousarray(grad_output), np.ascontiguousarray(argmax), grad_x)
    return grad_x


@jit
def _max_pool2d_backward_kernel(grad_y: FloatArray, argmax: IntArray, grad_x: FloatArray) -> None:
    N, C, OH, OW = grad_y.shape
    _, _, _, W = grad_x.shape
    for n in range(N):
        for c in range(C):
            for oy in range(OH):
                for ox in range(OW):
                    best_at = argmax[n, c, oy, ox]
                    grad_x[n, c, best_at // W, best_at % W] += grad_y[n, c, oy, ox]
