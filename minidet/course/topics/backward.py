"""Exercises on backward passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidet._typing import Float64Array, FloatArray
from minidet.course.answers import backward as answers
from minidet.course.exercise import Exercise, Mistake
from minidet.course.topics._numbers import halves

TOPIC = "Backward passes"
ThreeGradients = tuple[FloatArray, FloatArray, FloatArray]


# ---- numerical gradient ----------------------------------------------------------------------------


def sum_of_cubes(x: Float64Array) -> float:
    """Return the sum of the cubes, whose gradient is 3 x^2."""
    return float((x**3).sum())


def product(x: Float64Array) -> float:
    """Return the product of all numbers."""
    return float(x.prod())


Function = Callable[[Float64Array], float]


def _forward_difference(function: Function, x: Float64Array, step: float) -> Float64Array:
    moved = _moved(x, step)
    return np.array([(function(y) - function(x)) / step for y in moved]).reshape(x.shape)


def _backward_difference(function: Function, x: Float64Array, step: float) -> Float64Array:
    return _forward_difference(function, x, -step)


def _moved(x: Float64Array, step: float) -> list[Float64Array]:
    """Copies of ``x``, one per number, which is moved in it."""
    copies = [x.copy() for _ in range(x.size)]
    for k, copy in enumerate(copies):
        copy.flat[k] += step
    return copies


def _all_at_once(function: Function, x: Float64Array, step: float) -> Float64Array:
    slope = (function(x + step) - function(x - step)) / (2 * step)
    return np.full(x.shape, slope)


def _not_restored(function: Function, x: Float64Array, step: float) -> Float64Array:
    x, gradient = x.copy(), np.empty_like(x)
    for index in np.ndindex(x.shape):
        x[index] += step
        above = function(x)
        x[index] -= 2 * step
        gradient[index] = (above - function(x)) / (2 * step)
    return gradient


NUMERICAL_GRADIENT = Exercise(
    name="numerical_gradient",
    topic=TOPIC,
    question=(
        "Compute the gradient of function(x), a number, with respect to every element of the array x "
        "by central "
        "differences: one element at a time, `step` to both sides."
    ),
    returns="gradient, an array like x",
    reference=answers.numerical_gradient,
    cases=(
        {"function": sum_of_cubes, "x": np.array([2.0]), "step": 0.5},
        {"function": sum_of_cubes, "x": np.array([[1.0, -2.0], [0.5, 3.0]]), "step": 0.01},
        {"function": product, "x": np.array([1.0, 2.0, 4.0]), "step": 0.125},
    ),
    mistakes=(
        Mistake(
            "Your difference goes to one side only: f(x + step) - f(x) is off by the order of step, "
            "the central one by that "
            "of its square.",
            _forward_difference,
        ),
        Mistake(
            "Your difference goes to one side only: f(x) - f(x - step) is off by the order of step, "
            "the central one by that "
            "of its square.",
            _backward_difference,
        ),
        Mistake(
            "You divide by step: from x - step to x + step it is twice as far.",
            lambda function, x, step: 2 * answers.numerical_gradient(function, x, step),
        ),
        Mistake("You move all elements at once: each has a slope of its own.", _all_at_once),
        Mistake(
            "You do not move an element back before you go on to the next.",
            _not_restored,
        ),
    ),
)


# ---- linear ----------------------------------------------------------------------------------------


def _linear_case(seed: int, N: int, inputs: int, outputs: int) -> dict[str, Any]:
    return {
        "grad_output": halves(seed, N, outputs),
        "x": halves(seed + 1, N, inputs),
        "weight": halves(seed + 2, outputs, inputs),
    }


def _changed(gradients: ThreeGradients, number: int, value: FloatArray) -> ThreeGradients:
    """Replace one of three gradients."""
    first, second, third = (value if k == number else one for k, one in enumerate(gradients))
    return first, second, third


LINEAR_BACKWARD = Exercise(
    name="linear_backward",
    topic=TOPIC,
    question=(
        "Of y = x @ weight.T + bias the gradient grad_output (N, O) of the loss is known: send it "
        "back to x (N, I), weight "
        "(O, I) and the bias."
    ),
    returns="(grad_x (N, I), grad_weight (O, I), grad_bias (O,))",
    reference=answers.linear_backward,
    cases=(_linear_case(200, 1, 2, 2), _linear_case(210, 2, 2, 2), _linear_case(220, 3, 4, 2)),
    mistakes=(
        Mistake(
            "Your grad_x uses weight.T: forward multiplies by the transposed weight, so backward by "
            "the weight itself.",
            lambda grad_output, x, weight: _changed(
                answers.linear_backward(grad_output, x, weight), 0, grad_output @ weight.T
            ),
        ),
        Mistake(
            "Your grad_weight is transposed: it has to have the shape of the weight, (outputs, inputs).",
            lambda grad_output, x, weight: _changed(
                answers.linear_backward(grad_output, x, weight), 1, x.T @ grad_output
            ),
        ),
        Mistake(
            "Your grad_bias is the mean over the batch: the bias serves all samples, and their "
            "gradients add up.",
            lambda grad_output, x, weight: _changed(
                answers.linear_backward(grad_output, x, weight), 2, grad_output.mean(axis=0)
            ),
        ),
        Mistake(
            "You divide by the batch size: a mean belongs to the loss, whose gradient has it already.",
            lambda grad_output, x, weight: (
                grad_output @ weight,
                grad_output.T @ x / len(x),
                grad_output.mean(axis=0),
            ),
        ),
        Mistake(
            "Your grad_bias is not summed over the batch: it has to have the shape of the bias.",
            lambda grad_output, x, weight: _changed(
                answers.linear_backward(grad_output, x, weight), 2, grad_output
            ),
        ),
        Mistake(
            "Your gradients ignore grad_output, as if every output counted 1.",
            lambda grad_output, x, weight: answers.linear_backward(np.ones_like(grad_output), x, weight),
        ),
    ),
)


# ---- PReLU -----------------------------------------------------------------------------------------


def _prelu_slope_per_pixel(
    grad_output: FloatArray, x: FloatArray, slope: FloatArray
) -> tuple[FloatArray, FloatArray]:
    grad_x, _ = answers.prelu_backward(grad_output, x, slope)
    return grad_x, np.where(x > 0, 0, grad_output * x)


PRELU_BACKWARD = Exercise(
    name="prelu_backward",
    topic=TOPIC,
    question=(
        "Of a PReLU the gradient grad_output (N, C, H, W) of the loss is known: send it back to x "
        "(N, C, H, W) and to the "
        "slopes (C,)."
    ),
    returns="(grad_x (N, C, H, W), grad_slope (C,))",
    reference=answers.prelu_backward,
    cases=(
        {
            "grad_output": np.array([10.0, 100.0]).reshape(1, 1, 1, 2),
            "x": np.array([-2.0, 2.0]).reshape(1, 1, 1, 2),
            "slope": np.array([0.25]),
        },
        {
            "grad_output": np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 2, 1, 2),
            "x": np.array([-2.0, -1.0, 2.0, -4.0]).reshape(1, 2, 1, 2),
            "slope": np.array([0.25, -0.5]),
        },
        {
            "grad_output": halves(230, 2, 2, 2, 3),
            "x": halves(231, 2, 2, 2, 3),
            "slope": np.array([1.25, 0.5]),
        },
    ),
    mistakes=(
        Mistake(
            "Your grad_slope counts the positive values too: there the slope is not used.",
            lambda grad_output, x, slope: (
                answers.prelu_backward(grad_output, x, slope)[0],
                (grad_output * x).sum(axis=(0, 2, 3)),
            ),
        ),
        Mistake(
            "Your grad_slope is one per pixel: a slope serves its whole channel, and the pixels' "
            "shares add up.",
            _prelu_slope_per_pixel,
        ),
        Mistake(
            "Your grad_x is zero where x is negative, as for a ReLU: there it is the slope times "
            "grad_output.",
            lambda grad_output, x, slope: (
                np.where(x > 0, grad_output, 0),
                answers.prelu_backward(grad_output, x, slope)[1],
            ),
        ),
        Mistake(
            "Your grad_x is grad_output itself where x is negative: there the slope multiplies it.",
            lambda grad_output, x, slope: (
                grad_output.copy(),
                answers.prelu_backward(grad_output, x, slope)[1],
            ),
        ),
        Mistake(
            "Your grad_slope leaves out x: of slope * x the derivative by the slope is x.",
            lambda grad_output, x, slope: (
                answers.prelu_backward(grad_output, x, slope)[0],
                np.where(x > 0, 0, grad_output).sum(axis=(0, 2, 3)),
            ),
        ),
        Mistake(
            "Your grad_slope is the mean over the pixels: their shares add up.",
            lambda grad_output, x, slope: (
                answers.prelu_backward(grad_output, x, slope)[0],
                np.where(x > 0, 0, grad_output * x).mean(axis=(0, 2, 3)),
            ),
        ),
    ),
)


# ---- max-pool --------------------------------------------------------------------------------------


def _pool_backward(shares: Callable[[FloatArray], FloatArray], *, adds: bool = True) -> Any:
    """Make a backward pass that hands grad_output on by ``shares`` of a window."""

    def backward(grad_output: FloatArray, x: FloatArray, kernel_size: int, stride: int) -> FloatArray:
        grad_x = np.zeros_like(x)
        for n, c, oy, ox in np.ndindex(grad_output.shape):
            top, left = oy * stride, ox * stride
            place = (n, c, slice(top, top + kernel_size), slice(left, left + kernel_size))
            share = shares(x[place])
            handed_on = share * grad_output[n, c, oy, ox]
            grad_x[place] = (
                grad_x[place] + handed_on if adds else np.where(share > 0, handed_on, grad_x[place])
            )
        return grad_x

    return backward


def _of_first_maximum(window: FloatArray) -> FloatArray:
    return (np.arange(window.size).reshape(window.shape) == window.argmax()).astype(float)


def _of_last_maximum(window: FloatArray) -> FloatArray:
    return _of_first_maximum(window[::-1, ::-1])[::-1, ::-1]


def _of_all_maxima(window: FloatArray) -> FloatArray:
    return (window == window.max()).astype(float)


def _of_all_alike(window: FloatArray) -> FloatArray:
    return np.full(window.shape, 1 / window.size)


MAX_POOL2D_BACKWARD = Exercise(
    name="max_pool2d_backward",
    topic=TOPIC,
    question=(
        "Send grad_output (N, C, OH, OW) back through a max-pool of x (N, C, H, W): each window's "
        "gradient goes to the pixel "
        "that was the maximum, of equal ones to the first in reading order."
    ),
    returns="grad_x (N, C, H, W)",
    reference=answers.max_pool2d_backward,
    cases=(
        {
            "grad_output": np.array([[[[10.0, 100.0]]]]),
            "x": np.array([[[[1.0, 2.0, 3.0, 0.0], [4.0, 0.0, 1.0, 2.0]]]]),
            "kernel_size": 2,
            "stride": 2,
        },
        {
            "grad_output": np.array([[[[10.0, 100.0]]]]),
            "x": np.array([[[[1.0, 5.0, 3.0], [4.0, 0.0, 1.0]]]]),
            "kernel_size": 2,
            "stride": 1,
        },
        {
            "grad_output": np.array([[[[10.0]]]]),
            "x": np.array([[[[1.0, 2.0], [2.0, 0.0]]]]),
            "kernel_size": 2,
            "stride": 2,
        },
        {"grad_output": halves(240, 2, 2, 2, 2), "x": halves(241, 2, 2, 5, 5), "kernel_size": 3, "stride": 2},
    ),
    mistakes=(
        Mistake(
            "Where windows overlap, your gradients overwrite each other: a pixel that wins twice "
            "gets the sum.",
            _pool_backward(_of_first_maximum, adds=False),
        ),
        Mistake(
            "Your gradient goes to all pixels of a window alike, as for a mean: only the maximum had a say.",
            _pool_backward(_of_all_alike),
        ),
        Mistake(
            "Of equal maxima all get your gradient, which then counts twice: the first in reading "
            "order gets it.",
            _pool_backward(_of_all_maxima),
        ),
        Mistake(
            "Of equal maxima the last gets your gradient: compare with > and not with >=.",
            _pool_backward(_of_last_maximum),
        ),
    ),
)


# ---- convolution -----------------------------------------------------------------------------------


def _conv_case(
    seed: int, x: tuple[int, ...], weight: tuple[int, ...], stride: int, padding: int
) -> dict[str, Any]:
    OH, OW = (
        (side + 2 * padding - kernel) // stride + 1 for side, kernel in zip(x[2:], weight[2:], strict=True)
    )
    return {
        "grad_output": halves(seed, x[0], weight[0], OH, OW),
        "x": halves(seed + 1, *x),
        "weight": halves(seed + 2, *weight),
        "stride": stride,
        "padding": padding,
    }


def _conv_overwrites(
    grad_output: FloatArray, x: FloatArray, weight: FloatArray, stride: int, padding: int
) -> ThreeGradients:
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    grad_padded = np.zeros_like(padded)
    KH, KW = weight.shape[2:]
    for n, oc, oy, ox in np.ndindex(grad_output.shape):
        top, left = oy * stride, ox * stride
        grad_padded[n, :, top : top + KH, left : left + KW] = weight[oc] * grad_output[n, oc, oy, ox]
    grad_x = grad_padded[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]
    return _changed(answers.conv2d_backward(grad_output, x, weight, stride, padding), 0, grad_x)


def _conv_keeps_padding(
    grad_output: FloatArray, x: FloatArray, weight: FloatArray, stride: int, padding: int
) -> ThreeGradients:
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return answers.conv2d_backward(grad_output, padded, weight, stride, 0)


def _conv_forward_direction(
    grad_output: FloatArray, x: FloatArray, weight: FloatArray, stride: int, padding: int
) -> ThreeGradients:
    flipped = answers.conv2d_backward(grad_output, x, weight[:, :, ::-1, ::-1], stride, padding)[0]
    return _changed(answers.conv2d_backward(grad_output, x, weight, stride, padding), 0, flipped)


CONV2D_BACKWARD = Exercise(
    name="conv2d_backward",
    topic=TOPIC,
    question=(
        "Send grad_output (N, OC, OH, OW) back through a convolution of x (N, IC, H, W) with weight "
        "(OC, IC, KH, KW): each "
        "output hands its gradient to every pixel it saw, times the weight, and to every weight, "
        "times the pixel."
    ),
    returns="(grad_x (N, IC, H, W), grad_weight (OC, IC, KH, KW), grad_bias (OC,))",
    reference=answers.conv2d_backward,
    cases=(
        {
            "grad_output": np.array([[[[1.0, 0.0]]]]),
            "x": np.array([[[[1.0, 2.0, 4.0, 8.0]]]]),
            "weight": np.array([[[[-1.0, 0.0, 1.0]]]]),
            "stride": 1,
            "padding": 0,
        },
        _conv_case(250, (1, 1, 3, 3), (1, 1, 2, 2), 1, 0),
        _conv_case(260, (2, 2, 4, 4), (2, 2, 2, 2), 2, 0),
        _conv_case(270, (2, 1, 3, 3), (2, 1, 3, 3), 1, 1),
    ),
    mistakes=(
        Mistake(
            "Where windows overlap, your grad_x overwrites: a pixel that several windows saw gets the sum.",
            _conv_overwrites,
        ),
        Mistake(
            "Your grad_x still has the padding: those zeros are constants; cut them off.", _conv_keeps_padding
        ),
        Mistake(
            "Your grad_x has the kernel the wrong way round: written as a convolution of "
            "grad_output, it flips.",
            _conv_forward_direction,
        ),
        Mistake(
            "Your grad_bias is not summed over the batch: all images use the same bias.",
            lambda grad_output, x, weight, stride, padding: _changed(
                answers.conv2d_backward(grad_output, x, weight, stride, padding),
                2,
                grad_output.sum(axis=(2, 3)),
            ),
        ),
        Mistake(
            "Your grad_bias is a mean: the bias is added to every pixel of every image, and their "
            "gradients add up.",
            lambda grad_output, x, weight, stride, padding: _changed(
                answers.conv2d_backward(grad_output, x, weight, stride, padding),
                2,
                grad_output.mean(axis=(0, 2, 3)),
            ),
        ),
        Mistake(
            "Your grad_weight is of the first image only: it adds up over the batch.",
            lambda grad_output, x, weight, stride, padding: _changed(
                answers.conv2d_backward(grad_output, x, weight, stride, padding),
                1,
                answers.conv2d_backward(grad_output[:1], x[:1], weight, stride, padding)[1],
            ),
        ),
    ),
)


# ---- batch norm ------------------------------------------------------------------------------------


def _norm_case(seed: int, *shape: int, eps: float) -> dict[str, Any]:
    return {
        "grad_output": halves(seed, *shape),
        "x": halves(seed + 1, *shape),
        "weight": 1 + halves(seed + 2, shape[1]) / 4,
        "eps": eps,
    }


def _norm_backward(*, mean: bool = True, var: bool = True, weight: bool = True, std: bool = True) -> Any:
    """Make a backward pass of batch norm that leaves parts out."""

    def backward(grad_output: FloatArray, x: FloatArray, scale: FloatArray, eps: float) -> ThreeGradients:
        axes = (0, 2, 3)
        spread = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
        x_hat = (x - x.mean(axis=axes, keepdims=True)) / spread
        grad_x = grad_output.copy()
        if mean:
            grad_x -= grad_output.mean(axis=axes, keepdims=True)
        if var:
            grad_x -= x_hat * (grad_output * x_hat).mean(axis=axes, keepdims=True)
        if weight:
            grad_x *= scale[:, None, None]
        if std:
            grad_x /= spread
        return grad_x, (grad_output * x_hat).sum(axis=axes), grad_output.sum(axis=axes)

    return backward


BATCH_NORM_BACKWARD = Exercise(
    name="batch_norm_backward",
    topic=TOPIC,
    question=(
        "Send grad_output (N, C, H, W) back through a batch norm in training, y = weight * x_hat + "
        "bias: the mean and the "
        "variance of the batch depend on x as well."
    ),
    returns="(grad_x (N, C, H, W), grad_weight (C,), grad_bias (C,))",
    reference=answers.batch_norm_backward,
    cases=(
        {
            "grad_output": np.array([5.0, 7.0, 1.0]).reshape(3, 1, 1, 1),
            "x": np.array([1.0, 3.0, 3.5]).reshape(3, 1, 1, 1),
            "weight": np.array([2.0]),
            "eps": 0.25,
        },
        _norm_case(280, 2, 2, 2, 2, eps=1e-5),
        _norm_case(290, 3, 3, 1, 2, eps=0.125),
    ),
    mistakes=(
        Mistake(
            "You treat the mean and the variance as constants, as at inference: in training they "
            "depend on x.",
            _norm_backward(mean=False, var=False),
        ),
        Mistake(
            "You treat the variance as a constant: raising an x widens the spread, which shrinks "
            "every output.",
            _norm_backward(var=False),
        ),
        Mistake(
            "You treat the mean as a constant: raising an x raises it, which lowers every output.",
            _norm_backward(mean=False),
        ),
        Mistake("Your grad_x forgets the weight.", _norm_backward(weight=False)),
        Mistake("Your grad_x is not divided by the standard deviation.", _norm_backward(std=False)),
        Mistake(
            "Your grad_weight is that of the bias: it has to be multiplied by x_hat before the sum.",
            lambda grad_output, x, weight, eps: _changed(
                answers.batch_norm_backward(grad_output, x, weight, eps), 1, grad_output.sum(axis=(0, 2, 3))
            ),
        ),
        Mistake(
            "Your grad_weight is multiplied by x as it came in: it has to be x_hat, the normalised one.",
            lambda grad_output, x, weight, eps: _changed(
                answers.batch_norm_backward(grad_output, x, weight, eps),
                1,
                (grad_output * x).sum(axis=(0, 2, 3)),
            ),
        ),
    ),
)

EXERCISES = (
    NUMERICAL_GRADIENT,
    LINEAR_BACKWARD,
    PRELU_BACKWARD,
    MAX_POOL2D_BACKWARD,
    CONV2D_BACKWARD,
    BATCH_NORM_BACKWARD,
)
