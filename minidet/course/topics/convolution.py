"""Exercises on convolution."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.course.answers import convolution as answers
from minidet.course.exercise import Exercise, Mistake
from minidet.course.topics._numbers import halves

TOPIC = "Convolution"

OUTPUT_SIZE = Exercise(
    name="output_size",
    topic=TOPIC,
    question=(
        "How many windows of kernel_size, stride apart, fit a side of `size` pixels with `padding` "
        "zeros at both ends?"
    ),
    returns="a whole number",
    reference=answers.output_size,
    cases=(
        {"size": 5, "kernel_size": 3, "stride": 1, "padding": 0},
        {"size": 7, "kernel_size": 3, "stride": 2, "padding": 0},
        {"size": 8, "kernel_size": 3, "stride": 2, "padding": 0},
        {"size": 5, "kernel_size": 3, "stride": 1, "padding": 1},
        {"size": 640, "kernel_size": 3, "stride": 2, "padding": 1},
        {"size": 11, "kernel_size": 5, "stride": 3, "padding": 2},
    ),
    mistakes=(
        Mistake(
            "Your size forgets the padding: both sides of it make the input larger.",
            lambda size, kernel_size, stride, padding: (size - kernel_size) // stride + 1,
        ),
        Mistake(
            "Your size counts the padding once: there is some at both ends.",
            lambda size, kernel_size, stride, padding: (size + padding - kernel_size) // stride + 1,
        ),
        Mistake(
            "Your size counts the steps between windows: there is one window more than steps.",
            lambda size, kernel_size, stride, padding: (size + 2 * padding - kernel_size) // stride,
        ),
        Mistake(
            "Your size rounds up: a window that hangs over the edge does not count in a convolution.",
            lambda size, kernel_size, stride, padding: -(-(size + 2 * padding - kernel_size) // stride) + 1,
        ),
        Mistake(
            "Your size forgets the stride.",
            lambda size, kernel_size, stride, padding: size + 2 * padding - kernel_size + 1,
        ),
    ),
)


def _convolved(padded: FloatArray, weight: FloatArray, bias: FloatArray, stride: int) -> FloatArray:
    return answers.conv2d(padded, weight, bias, stride, 0)


def _padded_at_the_end(
    x: FloatArray, weight: FloatArray, bias: FloatArray, stride: int, padding: int
) -> FloatArray:
    padded = np.pad(x, ((0, 0), (0, 0), (0, 2 * padding), (0, 2 * padding)))
    return _convolved(padded, weight, bias, stride)


def _edge_repeated(
    x: FloatArray, weight: FloatArray, bias: FloatArray, stride: int, padding: int
) -> FloatArray:
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode="edge")
    return _convolved(padded, weight, bias, stride)


def _last_channel_only(
    x: FloatArray, weight: FloatArray, bias: FloatArray, stride: int, padding: int
) -> FloatArray:
    return answers.conv2d(x[:, -1:], weight[:, -1:], bias, stride, padding)


def _last_window_missing(
    x: FloatArray, weight: FloatArray, bias: FloatArray, stride: int, padding: int
) -> FloatArray:
    return answers.conv2d(x, weight, bias, stride, padding)[:, :, :-1, :-1]


CONV2D = Exercise(
    name="conv2d",
    topic=TOPIC,
    question=(
        "Convolve x (N, IC, H, W) with weight (OC, IC, KH, KW) and add bias (OC,): every output is "
        "the sum of a window "
        "times the filter, over all input channels; `padding` zeros stand on all four sides."
    ),
    returns="y (N, OC, OH, OW)",
    reference=answers.conv2d,
    cases=(
        {
            "x": np.array([[[[1.0, 2.0, 4.0, 8.0]]]]),
            "weight": np.array([[[[-1.0, 0.0, 1.0]]]]),
            "bias": np.array([0.0]),
            "stride": 1,
            "padding": 0,
        },
        {
            "x": halves(10, 1, 1, 4, 4),
            "weight": halves(11, 1, 1, 2, 2),
            "bias": np.array([0.5]),
            "stride": 1,
            "padding": 0,
        },
        {
            "x": halves(12, 1, 2, 3, 4),
            "weight": halves(13, 3, 2, 2, 2),
            "bias": halves(14, 3),
            "stride": 1,
            "padding": 0,
        },
        {
            "x": halves(15, 1, 1, 5, 5),
            "weight": halves(16, 1, 1, 3, 3),
            "bias": np.array([0.0]),
            "stride": 2,
            "padding": 0,
        },
        {
            "x": halves(17, 1, 1, 3, 3),
            "weight": halves(18, 1, 1, 3, 3),
            "bias": np.array([0.0]),
            "stride": 1,
            "padding": 1,
        },
        {
            "x": halves(19, 2, 2, 4, 5),
            "weight": halves(20, 2, 2, 3, 2),
            "bias": halves(21, 2),
            "stride": 2,
            "padding": 1,
        },
    ),
    mistakes=(
        Mistake(
            "Your convolution flips the kernel: that is a convolution in the mathematical sense; "
            "layers use "
            "cross-correlation.",
            lambda x, weight, bias, stride, padding: answers.conv2d(
                x, weight[:, :, ::-1, ::-1], bias, stride, padding
            ),
        ),
        Mistake(
            "Your convolution forgets the bias.",
            lambda x, weight, bias, stride, padding: answers.conv2d(x, weight, 0 * bias, stride, padding),
        ),
        Mistake(
            "Your convolution adds the bias once per input channel: it belongs to the output, "
            "outside of that sum.",
            lambda x, weight, bias, stride, padding: answers.conv2d(
                x, weight, bias * x.shape[1], stride, padding
            ),
        ),
        Mistake(
            "Your convolution keeps the last input channel only: add the channels up, with += and "
            "not with =.",
            _last_channel_only,
        ),
        Mistake(
            "Your convolution ignores the stride: the windows have to move by `stride` pixels.",
            lambda x, weight, bias, stride, padding: answers.conv2d(x, weight, bias, 1, padding),
        ),
        Mistake(
            "Your convolution ignores the padding.",
            lambda x, weight, bias, stride, padding: answers.conv2d(x, weight, bias, stride, 0),
        ),
        Mistake(
            "Your padding stands at the right and the bottom only: half of it belongs to the left "
            "and the top.",
            _padded_at_the_end,
        ),
        Mistake("Your padding repeats the edge pixels: it has to be zeros.", _edge_repeated),
        Mistake(
            "Your convolution leaves out the last row and column of windows: there is one window "
            "more than steps.",
            _last_window_missing,
        ),
    ),
)


def _channels_innermost(x: FloatArray, kernel_size: int, stride: int, padding: int) -> FloatArray:
    columns = answers.im2col(x, kernel_size, stride, padding)
    N, C = x.shape[:2]
    apart = columns.reshape(N, C, kernel_size**2, -1)
    return apart.transpose(0, 2, 1, 3).reshape(columns.shape)


def _kernel_transposed(x: FloatArray, kernel_size: int, stride: int, padding: int) -> FloatArray:
    columns = answers.im2col(x, kernel_size, stride, padding)
    N, C = x.shape[:2]
    apart = columns.reshape(N, C, kernel_size, kernel_size, -1)
    return apart.transpose(0, 1, 3, 2, 4).reshape(columns.shape)


def _windows_column_by_column(x: FloatArray, kernel_size: int, stride: int, padding: int) -> FloatArray:
    columns = answers.im2col(x, kernel_size, stride, padding)
    OH = answers.output_size(x.shape[2], kernel_size, stride, padding)
    apart = columns.reshape(*columns.shape[:2], OH, -1)
    return apart.transpose(0, 1, 3, 2).reshape(columns.shape)


IM2COL = Exercise(
    name="im2col",
    topic=TOPIC,
    question=(
        "Lay every window of x (N, IC, H, W) out as a column, channel by channel and row by row, the "
        "windows in reading "
        "order, so that weight.reshape(OC, -1) @ columns is the convolution."
    ),
    returns="columns (N, IC * K * K, OH * OW)",
    reference=answers.im2col,
    cases=(
        {"x": np.arange(9.0).reshape(1, 1, 3, 3), "kernel_size": 2, "stride": 1, "padding": 0},
        {"x": np.arange(16.0).reshape(1, 2, 2, 4), "kernel_size": 2, "stride": 2, "padding": 0},
        {"x": np.arange(24.0).reshape(1, 2, 3, 4), "kernel_size": 2, "stride": 1, "padding": 0},
        {"x": np.arange(1.0, 13).reshape(2, 1, 2, 3), "kernel_size": 3, "stride": 1, "padding": 1},
    ),
    mistakes=(
        Mistake(
            "Your columns run through the channels innermost: a filter's numbers lie channel by channel.",
            _channels_innermost,
        ),
        Mistake("Your windows are transposed: inside a window kx runs faster than ky.", _kernel_transposed),
        Mistake(
            "Your windows come column by column: reading order is row by row.", _windows_column_by_column
        ),
        Mistake(
            "Your matrix is transposed: a window is a column, not a row.",
            lambda x, kernel_size, stride, padding: answers.im2col(x, kernel_size, stride, padding).transpose(
                0, 2, 1
            ),
        ),
        Mistake(
            "Your columns ignore the stride.",
            lambda x, kernel_size, stride, padding: answers.im2col(x, kernel_size, 1, padding),
        ),
        Mistake(
            "Your columns ignore the padding.",
            lambda x, kernel_size, stride, padding: answers.im2col(x, kernel_size, stride, 0),
        ),
    ),
)


def _summed_over_channels(
    x: FloatArray, weight: FloatArray, bias: FloatArray, stride: int, padding: int
) -> FloatArray:
    y = answers.depthwise_conv2d(x, weight, 0 * bias, stride, padding)
    return y.sum(axis=1, keepdims=True) + bias[:, None, None]


DEPTHWISE_CONV2D = Exercise(
    name="depthwise_conv2d",
    topic=TOPIC,
    question=(
        "Convolve every channel of x (N, C, H, W) with its own filter, weight (C, 1, KH, KW), and "
        "add bias (C,)."
    ),
    returns="y (N, C, OH, OW)",
    reference=answers.depthwise_conv2d,
    cases=(
        {
            "x": halves(30, 1, 1, 3, 3),
            "weight": halves(31, 1, 1, 2, 2),
            "bias": np.array([0.0]),
            "stride": 1,
            "padding": 0,
        },
        {
            "x": halves(32, 1, 2, 3, 3),
            "weight": halves(33, 2, 1, 2, 2),
            "bias": halves(34, 2),
            "stride": 1,
            "padding": 0,
        },
        {
            "x": halves(35, 2, 3, 4, 4),
            "weight": halves(36, 3, 1, 3, 3),
            "bias": halves(37, 3),
            "stride": 2,
            "padding": 1,
        },
    ),
    mistakes=(
        Mistake(
            "Your layer adds the channels up: in a depthwise convolution each stays by itself.",
            _summed_over_channels,
        ),
        Mistake(
            "Your layer uses the first filter for all channels.",
            lambda x, weight, bias, stride, padding: answers.depthwise_conv2d(
                x, np.repeat(weight[:1], len(weight), axis=0), bias, stride, padding
            ),
        ),
        Mistake(
            "Your layer flips the kernel: layers use cross-correlation.",
            lambda x, weight, bias, stride, padding: answers.depthwise_conv2d(
                x, weight[:, :, ::-1, ::-1], bias, stride, padding
            ),
        ),
        Mistake(
            "Your layer forgets the bias.",
            lambda x, weight, bias, stride, padding: answers.depthwise_conv2d(
                x, weight, 0 * bias, stride, padding
            ),
        ),
    ),
)


def _by_two(x: FloatArray, height: int, width: int) -> FloatArray:
    return x.repeat(2, axis=2).repeat(2, axis=3)


def _tiled(x: FloatArray, height: int, width: int) -> FloatArray:
    times = (1, 1, -(-height // x.shape[2]), -(-width // x.shape[3]))
    return np.tile(x, times)[:, :, :height, :width]


def _to_nearest_centre(x: FloatArray, height: int, width: int) -> FloatArray:
    H, W = x.shape[2:]
    rows = np.rint(np.arange(height) * H / height).astype(int).clip(0, H - 1)
    columns = np.rint(np.arange(width) * W / width).astype(int).clip(0, W - 1)
    return x[:, :, rows][:, :, :, columns]


UPSAMPLE = Exercise(
    name="upsample_nearest2d",
    topic=TOPIC,
    question=(
        "Enlarge a map x (N, C, H, W) to `height` x `width` by repeating its values, as the feature "
        "pyramid does: output "
        "row i copies row floor(i H / height), and columns likewise."
    ),
    returns="y (N, C, height, width)",
    reference=answers.upsample_nearest2d,
    cases=(
        {"x": np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), "height": 4, "width": 4},
        {"x": np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), "height": 3, "width": 3},
        {"x": halves(40, 1, 2, 3, 4), "height": 5, "width": 7},
    ),
    mistakes=(
        Mistake(
            "Your map always grows by two: a map of 3 rows comes from one of 2 as well as a map of 4 "
            "does. Use the size that "
            "is asked for.",
            _by_two,
        ),
        Mistake(
            "Your map is laid out like tiles, side by side: each value has to be repeated at its place.",
            _tiled,
        ),
        Mistake("You round i H / height to the nearest row: round down.", _to_nearest_centre),
        Mistake(
            "Height and width are exchanged: an array has rows first.",
            lambda x, height, width: answers.upsample_nearest2d(x, width, height),
        ),
    ),
)


def _edge_read_on(x: FloatArray, places: FloatArray) -> FloatArray:
    return answers.bilinear_samples(np.pad(x, 9, "edge"), places + 9)


def _shares_exchanged(x: FloatArray, places: FloatArray) -> FloatArray:
    return answers.bilinear_samples(x, np.floor(places) + 1 - (places - np.floor(places)))


BILINEAR_SAMPLES = Exercise(
    name="bilinear_samples",
    topic=TOPIC,
    question=(
        "Read a map x (H, W) at places (K, 2), rows and columns that need not be whole, as a deformable "
        "convolution does: each sample is a blend of the four pixels around it, the nearer the more, and "
        "pixels outside of the map are zero."
    ),
    returns="samples (K,)",
    reference=answers.bilinear_samples,
    cases=(
        {"x": np.array([[0.0, 4.0, 8.0]]), "places": np.array([[0.0, 0.25], [0.0, 1.0], [0.0, 1.5]])},
        {"x": np.array([[0.0, 4.0], [8.0, 12.0]]), "places": np.array([[0.5, 0.5], [0.25, 0.75]])},
        {"x": np.array([[0.0, 4.0, 8.0]]), "places": np.array([[0.0, 2.25], [0.0, -0.5], [0.0, 7.0]])},
        {"x": halves(50, 4, 3), "places": halves(51, 6, 2) / 2 + 1.25},
    ),
    mistakes=(
        Mistake(
            "You take the nearest pixel: between pixels the values are blended.",
            lambda x, places: answers.bilinear_samples(x, np.floor(places + 0.5)),
        ),
        Mistake(
            "You take the pixel above left: between pixels the values are blended.",
            lambda x, places: answers.bilinear_samples(x, np.floor(places)),
        ),
        Mistake("You repeat the edge: pixels outside of the map are zero.", _edge_read_on),
        Mistake("Your shares are exchanged: the nearer pixel counts more.", _shares_exchanged),
        Mistake(
            "Rows and columns are exchanged: a place is (row, column), y before x.",
            lambda x, places: answers.bilinear_samples(x, places[:, ::-1]),
        ),
    ),
)

EXERCISES = (OUTPUT_SIZE, CONV2D, IM2COL, DEPTHWISE_CONV2D, UPSAMPLE, BILINEAR_SAMPLES)
