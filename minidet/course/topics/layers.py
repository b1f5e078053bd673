"""Exercises on the layers beside convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._typing import FloatArray
from minidet.course.answers import layers as answers
from minidet.course.exercise import Exercise, Mistake
from minidet.course.topics._numbers import halves

TOPIC = "Layers"


def _without_ceil(x: FloatArray, kernel_size: int, stride: int) -> FloatArray:
    H, W = x.shape[2:]
    rows, columns = (H - kernel_size) // stride + 1, (W - kernel_size) // stride + 1
    return answers.max_pool2d(x, kernel_size, stride)[:, :, :rows, :columns]


def _padded_with_zeros(x: FloatArray, kernel_size: int, stride: int) -> FloatArray:
    OH, OW = answers.max_pool2d(x, kernel_size, stride).shape[2:]
    below = (OH - 1) * stride + kernel_size - x.shape[2]
    right = (OW - 1) * stride + kernel_size - x.shape[3]
    padded = np.pad(x, ((0, 0), (0, 0), (0, max(below, 0)), (0, max(right, 0))))
    return answers.max_pool2d(padded, kernel_size, stride)


def _mean_pool(x: FloatArray, kernel_size: int, stride: int) -> FloatArray:
    y = np.empty_like(answers.max_pool2d(x, kernel_size, stride))
    for oy in range(y.shape[2]):
        for ox in range(y.shape[3]):
            top, left = oy * stride, ox * stride
            y[:, :, oy, ox] = x[:, :, top : top + kernel_size, left : left + kernel_size].mean(axis=(2, 3))
    return y


MAX_POOL2D = Exercise(
    name="max_pool2d",
    topic=TOPIC,
    question=(
        "Take the maximum over square windows of x (N, C, H, W), as MTCNN does: a last window that "
        "hangs over the "
        "right or lower edge counts too (ceil mode), as long as it starts inside."
    ),
    returns="y (N, C, OH, OW)",
    reference=answers.max_pool2d,
    cases=(
        {"x": halves(50, 1, 1, 4, 4), "kernel_size": 2, "stride": 2},
        {"x": np.array([[[[1.0, 5.0, 2.0], [4.0, 3.0, 6.0]]]]), "kernel_size": 2, "stride": 2},
        {"x": -1 - np.arange(9.0).reshape(1, 1, 3, 3), "kernel_size": 2, "stride": 2},
        {"x": halves(51, 1, 2, 6, 5), "kernel_size": 3, "stride": 2},
        {"x": halves(52, 2, 1, 4, 4), "kernel_size": 1, "stride": 2},
    ),
    mistakes=(
        Mistake(
            "Your pooling drops a last window that hangs over the edge: the number of windows is rounded up.",
            _without_ceil,
        ),
        Mistake(
            "Your pooling fills up with zeros, which beat negative values: what is outside does not exist.",
            _padded_with_zeros,
        ),
        Mistake("Your pooling takes the mean, not the maximum.", _mean_pool),
        Mistake(
            "Your windows lie side by side whatever the stride: they have to move by `stride` pixels.",
            lambda x, kernel_size, stride: answers.max_pool2d(x, kernel_size, kernel_size),
        ),
        Mistake(
            "Your pooling takes the maximum over all channels: each channel is pooled by itself.",
            lambda x, kernel_size, stride: np.repeat(
                answers.max_pool2d(x.max(axis=1, keepdims=True), kernel_size, stride), x.shape[1], axis=1
            ),
        ),
    ),
)

PRELU = Exercise(
    name="prelu",
    topic=TOPIC,
    question="Multiply the negative values of channel c of x (N, C, H, W) by slope[c], slope being (C,).",
    returns="y (N, C, H, W)",
    reference=answers.prelu,
    cases=(
        {"x": np.array([-2.0, 2.0]).reshape(1, 1, 1, 2), "slope": np.array([0.25])},
        {"x": np.array([-2.0, 2.0]).reshape(1, 1, 1, 2), "slope": np.array([1.25])},
        {"x": halves(53, 1, 2, 2, 2), "slope": np.array([0.5, -0.25])},
        {"x": halves(54, 2, 3, 2, 3), "slope": np.array([0.25, 0.5, -1.0])},
        {"x": halves(55, 1, 3, 3, 3), "slope": np.array([0.25, 0.5, 0.75])},
    ),
    mistakes=(
        Mistake(
            "Your PReLU is max(x, slope * x): that is the same for slopes from 0 to 1 only, and "
            "MTCNN's run from -1.28 "
            "to 1.30.",
            lambda x, slope: np.maximum(x, slope[:, None, None] * x),
        ),
        Mistake(
            "Your PReLU uses the first slope for all channels.",
            lambda x, slope: np.where(x > 0, x, slope[0] * x),
        ),
        Mistake(
            "Your PReLU lays the slopes along the columns and not along the channels: give them the "
            "shape (C, 1, 1).",
            lambda x, slope: np.where(x > 0, x, slope * x),
        ),
        Mistake("Your PReLU is a ReLU: negative values are not zero.", lambda x, slope: np.maximum(x, 0)),
        Mistake(
            "Your PReLU multiplies the positive values: it is the negative ones that get the slope.",
            lambda x, slope: np.where(x > 0, slope[:, None, None] * x, x),
        ),
    ),
)

LINEAR = Exercise(
    name="linear",
    topic=TOPIC,
    question="Compute a fully connected layer of x (N, I) with weight (O, I) and bias (O,).",
    returns="y (N, O)",
    reference=answers.linear,
    cases=(
        {"x": halves(56, 1, 2), "weight": halves(57, 2, 2), "bias": np.array([1.0, -1.0])},
        {"x": halves(58, 3, 3), "weight": halves(59, 3, 3), "bias": np.array([1.0, 2.0, 3.0])},
        {"x": halves(60, 2, 4), "weight": halves(61, 3, 4), "bias": halves(62, 3)},
    ),
    mistakes=(
        Mistake(
            "Your weight is not transposed: it is stored as (outputs, inputs).",
            lambda x, weight, bias: x @ weight + bias,
        ),
        Mistake("Your layer forgets the bias.", lambda x, weight, bias: x @ weight.T),
        Mistake("Your layer subtracts the bias.", lambda x, weight, bias: x @ weight.T - bias),
        Mistake(
            "Your bias runs along the samples: there is one number for each output.",
            lambda x, weight, bias: x @ weight.T + bias[:, None],
        ),
    ),
)


def _naive_softmax(x: FloatArray) -> FloatArray:
    exponentials = np.exp(x)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


SOFTMAX = Exercise(
    name="softmax",
    topic=TOPIC,
    question=(
        "Turn logits x (M, C) into scores that are positive and sum to one in each row, however "
        "large the logits are."
    ),
    returns="scores (M, C)",
    reference=answers.softmax,
    cases=(
        {"x": np.log([[1.0, 3.0]])},
        {"x": halves(63, 3, 2)},
        {"x": halves(64, 2, 3)},
        {"x": np.array([[1000.0, 1001.0], [-1000.0, -1000.0]])},
    ),
    mistakes=(
        Mistake(
            "Your softmax overflows: subtract the largest logit of each row before exp, which "
            "changes nothing else.",
            _naive_softmax,
        ),
        Mistake(
            "Your softmax runs down the columns: the classes of one sample stand in a row.",
            lambda x: answers.softmax(x.T).T,
        ),
        Mistake(
            "Your softmax sums over the whole array: each row sums to one by itself.",
            lambda x: np.exp(x - x.max()) / np.exp(x - x.max()).sum(),
        ),
        Mistake(
            "You subtract the largest logit of the whole array, and rows far below it become 0 / 0: "
            "take each row's own.",
            lambda x: np.exp(x - x.max()) / np.exp(x - x.max()).sum(axis=1, keepdims=True),
        ),
        Mistake(
            "Your softmax leaves out exp: it divides the logits themselves by their sum.",
            lambda x: x / x.sum(axis=1, keepdims=True),
        ),
    ),
)


def _batch(seed: int, *shape: int, momentum: float = 0.1, eps: float = 1e-5) -> dict[str, Any]:
    C = shape[1]
    return {
        "x": halves(seed, *shape),
        "weight": 1 + halves(seed + 1, C) / 4,
        "bias": halves(seed + 2, C),
        "running_mean": halves(seed + 3, C),
        "running_var": 2 + halves(seed + 4, C) / 2,
        "momentum": momentum,
        "eps": eps,
    }


def _normalised(
    x: FloatArray, mean: FloatArray, std: FloatArray, weight: FloatArray, bias: FloatArray
) -> FloatArray:
    return weight[:, None, None] * (x - mean) / std + bias[:, None, None]


def _trained_with(axes: tuple[int, ...], *, unbiased: bool = False, eps_outside: bool = False) -> Any:
    """Make a batch norm that takes its statistics over ``axes``."""

    def batch_norm(
        x: FloatArray,
        weight: FloatArray,
        bias: FloatArray,
        running_mean: FloatArray,
        running_var: FloatArray,
        momentum: float,
        eps: float,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        mean = x.mean(axis=axes, keepdims=True)
        var = x.var(axis=axes, keepdims=True, ddof=1 if unbiased else 0)
        std = np.sqrt(var) + eps if eps_outside else np.sqrt(var + eps)
        _, new_mean, new_var = answers.batch_norm_training(
            x, weight, bias, running_mean, running_var, momentum, eps
        )
        return _normalised(x, mean, std, weight, bias), new_mean, new_var

    return batch_norm


def _biased_running_var(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
    running_mean: FloatArray,
    running_var: FloatArray,
    momentum: float,
    eps: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    y, new_mean, _ = answers.batch_norm_training(x, weight, bias, running_mean, running_var, momentum, eps)
    return y, new_mean, (1 - momentum) * running_var + momentum * x.var(axis=(0, 2, 3))


def _keras_momentum(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
    running_mean: FloatArray,
    running_var: FloatArray,
    momentum: float,
    eps: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    return answers.batch_norm_training(x, weight, bias, running_mean, running_var, 1 - momentum, eps)


def _running_in_training(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
    running_mean: FloatArray,
    running_var: FloatArray,
    momentum: float,
    eps: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    _, new_mean, new_var = answers.batch_norm_training(
        x, weight, bias, running_mean, running_var, momentum, eps
    )
    return answers.batch_norm_inference(x, weight, bias, new_mean, new_var, eps), new_mean, new_var


BATCH_NORM_TRAINING = Exercise(
    name="batch_norm_training",
    topic=TOPIC,
    question=(
        "Normalise every channel of x (N, C, H, W) by the mean and the variance (divided by the "
        "count n) of this batch, "
        "times weight plus bias, (C,) each; and move the running statistics towards the batch's by "
        "the share `momentum`, "
        "the variance there divided by n - 1, as PyTorch does."
    ),
    returns="(y (N, C, H, W), running_mean (C,), running_var (C,))",
    reference=answers.batch_norm_training,
    cases=(
        {
            "x": np.array([1.0, 3.0]).reshape(2, 1, 1, 1),
            "weight": np.array([1.0]),
            "bias": np.array([0.0]),
            "running_mean": np.array([0.0]),
            "running_var": np.array([1.0]),
            "momentum": 0.1,
            "eps": 0.25,
        },
        _batch(70, 2, 2, 2, 2),
        _batch(80, 3, 2, 1, 2, momentum=0.25, eps=0.125),
    ),
    mistakes=(
        Mistake(
            "Your batch norm normalises with the variance divided by n - 1: that one is for the "
            "running variance only.",
            _trained_with((0, 2, 3), unbiased=True),
        ),
        Mistake(
            "Your running variance is divided by n: it should be divided by n - 1, unlike the one "
            "that normalises.",
            _biased_running_var,
        ),
        Mistake(
            "Your momentum is the share of the old value, as in Keras: here it is the share of the new one.",
            _keras_momentum,
        ),
        Mistake(
            "Your statistics are of each pixel over the batch: a channel has one mean, over N, H and W.",
            _trained_with((0,)),
        ),
        Mistake(
            "Your statistics are of each image by itself, an instance norm: the mean runs over the "
            "batch too.",
            _trained_with((2, 3)),
        ),
        Mistake(
            "Your statistics are one for all channels: every channel has its own.",
            _trained_with((0, 1, 2, 3)),
        ),
        Mistake(
            "You add eps to the standard deviation: it belongs under the root, to the variance.",
            _trained_with((0, 2, 3), eps_outside=True),
        ),
        Mistake(
            "You normalise with the running statistics: in training it is those of this batch.",
            _running_in_training,
        ),
    ),
)


def _kept_statistics(seed: int, *shape: int, eps: float) -> dict[str, Any]:
    arguments = _batch(seed, *shape, eps=eps)
    del arguments["momentum"]
    return arguments


def _own_statistics(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
    running_mean: FloatArray,
    running_var: FloatArray,
    eps: float,
) -> FloatArray:
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    return answers.batch_norm_inference(x, weight, bias, mean, var, eps)


BATCH_NORM_INFERENCE = Exercise(
    name="batch_norm_inference",
    topic=TOPIC,
    question=(
        "Normalise every channel of x (N, C, H, W) by the running mean and variance, times weight "
        "plus bias, (C,) each."
    ),
    returns="y (N, C, H, W)",
    reference=answers.batch_norm_inference,
    cases=(
        {
            "x": np.array([1.0, 3.0]).reshape(1, 1, 1, 2),
            "weight": np.array([2.0]),
            "bias": np.array([0.5]),
            "running_mean": np.array([1.0]),
            "running_var": np.array([3.75]),
            "eps": 0.25,
        },
        _kept_statistics(90, 2, 2, 1, 2, eps=0.125),
        _kept_statistics(100, 1, 3, 2, 2, eps=1e-3),
    ),
    mistakes=(
        Mistake(
            "You normalise with the statistics of this batch: at inference it is the running ones, "
            "so that an image's "
            "result does not depend on its neighbours.",
            _own_statistics,
        ),
        Mistake(
            "Your batch norm forgets eps.",
            lambda x, weight, bias, running_mean, running_var, eps: answers.batch_norm_inference(
                x, weight, bias, running_mean, running_var, 0.0
            ),
        ),
        Mistake(
            "You add eps to the standard deviation: it belongs under the root, to the variance.",
            lambda x, weight, bias, running_mean, running_var, eps: answers.batch_norm_inference(
                x, weight, bias, running_mean, (np.sqrt(running_var) + eps) ** 2, 0.0
            ),
        ),
        Mistake(
            "You divide by the variance: it is its root that brings the spread to one.",
            lambda x, weight, bias, running_mean, running_var, eps: answers.batch_norm_inference(
                x, weight, bias, running_mean, (running_var + eps) ** 2, 0.0
            ),
        ),
        Mistake(
            "You multiply the bias by the weight too: it is added last.",
            lambda x, weight, bias, running_mean, running_var, eps: answers.batch_norm_inference(
                x, weight, weight * bias, running_mean, running_var, eps
            ),
        ),
    ),
)


def _folding(seed: int, OC: int, IC: int, eps: float) -> dict[str, Any]:
    return {
        "conv_weight": halves(seed, OC, IC, 2, 2),
        "weight": 1 + halves(seed + 1, OC) / 4,
        "bias": halves(seed + 2, OC),
        "running_mean": 1 + halves(seed + 3, OC) / 4,
        "running_var": 2 + halves(seed + 4, OC) / 2,
        "eps": eps,
    }


FOLD_BATCH_NORM = Exercise(
    name="fold_batch_norm",
    topic=TOPIC,
    question=(
        "A convolution without bias is followed by a batch norm at inference: find filters and a "
        "bias with which the "
        "convolution alone gives the same."
    ),
    returns="(conv_weight (OC, IC, KH, KW), conv_bias (OC,))",
    reference=answers.fold_batch_norm,
    cases=(
        {
            "conv_weight": np.array([[[[3.0]]]]),
            "weight": np.array([2.0]),
            "bias": np.array([0.5]),
            "running_mean": np.array([1.0]),
            "running_var": np.array([3.75]),
            "eps": 0.25,
        },
        _folding(110, 2, 2, 1e-3),
        _folding(120, 3, 1, 0.125),
    ),
    mistakes=(
        Mistake(
            "Your bias forgets the running mean: it is subtracted from the convolution's output, so "
            "it leaves a constant.",
            lambda conv_weight, weight, bias, running_mean, running_var, eps: answers.fold_batch_norm(
                conv_weight, weight, bias, 0 * running_mean, running_var, eps
            ),
        ),
        Mistake(
            "Your bias subtracts the running mean as it is: the scale multiplies it as well.",
            lambda conv_weight, weight, bias, running_mean, running_var, eps: (
                answers.fold_batch_norm(conv_weight, weight, bias, running_mean, running_var, eps)[0],
                bias - running_mean,
            ),
        ),
        Mistake(
            "You divide by the variance: it is its root that brings the spread to one.",
            lambda conv_weight, weight, bias, running_mean, running_var, eps: answers.fold_batch_norm(
                conv_weight, weight, bias, running_mean, (running_var + eps) ** 2, 0.0
            ),
        ),
        Mistake(
            "Your fold forgets eps.",
            lambda conv_weight, weight, bias, running_mean, running_var, eps: answers.fold_batch_norm(
                conv_weight, weight, bias, running_mean, running_var, 0.0
            ),
        ),
        Mistake(
            "Your scale runs along the input channels: it belongs to the output channels, axis 0.",
            lambda conv_weight, weight, bias, running_mean, running_var, eps: (
                conv_weight * (weight / np.sqrt(running_var + eps))[:, None, None],
                answers.fold_batch_norm(conv_weight, weight, bias, running_mean, running_var, eps)[1],
            ),
        ),
    ),
)

EXERCISES = (
    MAX_POOL2D,
    PRELU,
    LINEAR,
    SOFTMAX,
    BATCH_NORM_TRAINING,
    BATCH_NORM_INFERENCE,
    FOLD_BATCH_NORM,
)
