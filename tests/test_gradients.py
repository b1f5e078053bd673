"""The judge of backward passes itself: the right ones pass, and every usual mistake is found."""

import numpy as np
import pytest

from minidet.ops import batch_norm2d_backward, conv2d_backward, max_pool2d_backward
from tests.gradients import assert_backward_of_op, assert_gradients, numeric_gradient
from tests.oracles import cases
from tests.oracles.cases import Case, Numbers, backward_arguments, call, call_backward, upstream

# As many rows as columns and as many outputs as inputs, so that no shape gives a swapped axis away; windows
# that overlap and hang over the edge.
CASES = {
    "conv2d": cases.conv2d((2, 2, 3, 3), (2, 2, 2), bias=True, stride=1, padding=1),
    "depthwise_conv2d": cases.depthwise_conv2d((2, 2, 3, 3), (2, 2), bias=True, stride=1, padding=1),
    "linear": cases.linear(3, 3, 3, bias=True),
    "batch_norm2d": cases.batch_norm2d((2, 2, 2, 3), training=True),
    "softmax": Case("softmax", "softmax", {"x": Numbers("softmax").real(3, 3)}, {"axis": 1}),
    "prelu": Case(
        "prelu", "prelu", {"x": Numbers("prelu").real(2, 2, 3, 3), "slope": np.array([0.25, -1.5])}
    ),
    "max_pool2d": cases.max_pool2d(
        "overlapping", Numbers("pool").shuffled(2, 2, 4, 4), kernel_size=3, stride=2, padding=1
    ),
}
GRADIENTS = {
    "conv2d": ("x", "weight", "bias"),
    "depthwise_conv2d": ("x", "weight", "bias"),
    "linear": ("x", "weight", "bias"),
    "batch_norm2d": ("x", "weight", "bias"),
    "softmax": ("x",),
    "prelu": ("x", "slope"),
    "max_pool2d": ("x",),
}
EVERY_GRADIENT = [(op, name) for op, names in GRADIENTS.items() for name in names]


@pytest.mark.parametrize("op", CASES)
def test_accepts_the_right_backward(op):
    assert_backward_of_op(CASES[op])


# ---- Mistakes that any backward can have -----------------------------------------------------------


def one_element(gradient, error):
    """Change the smallest of all elements, by very little."""
    wrong = gradient.copy()
    smallest = np.unravel_index(np.abs(gradient).argmin(), gradient.shape)
    wrong[smallest] += error * np.abs(gradient).max()
    return wrong


MISTAKES = {
    "zeros": np.zeros_like,
    "flipped sign": np.negative,
    "twice": lambda gradient: 2 * gradient,
    "mean over two images": lambda gradient: gradient / 2,
    "reversed": lambda gradient: np.flip(gradient).copy(),
    "the first for all": lambda gradient: np.full_like(gradient, gradient.ravel()[0]),
    "shifted by one": lambda gradient: np.roll(gradient, 1),
    "one element": lambda gradient: one_element(gradient, 1e-5),
    "one NaN": lambda gradient: one_element(gradient, np.nan),
}


def spoilt(name, mistake):
    """Return minidet's backward with a mistake in one of its gradients."""

    def backward(op, grad_output, arguments):
        gradients = call_backward(op, grad_output, arguments)
        return {**gradients, name: mistake(gradients[name])}

    return backward


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize(("op", "name"), EVERY_GRADIENT)
def test_rejects(op, name, mistake):
    with pytest.raises(AssertionError, match="disagreement"):
        assert_backward_of_op(CASES[op], spoilt(name, MISTAKES[mistake]))


@pytest.mark.parametrize(("op", "name"), EVERY_GRADIENT)
def test_rejects_another_shape(op, name):
    with pytest.raises(AssertionError, match="shape"):
        assert_backward_of_op(CASES[op], spoilt(name, lambda gradient: gradient[None]))


@pytest.mark.parametrize(("op", "name"), EVERY_GRADIENT)
def test_rejects_another_type(op, name):
    with pytest.raises(AssertionError, match="float32, expected float64"):
        assert_backward_of_op(CASES[op], spoilt(name, lambda gradient: gradient.astype(np.float32)))


@pytest.mark.parametrize(("op", "name"), EVERY_GRADIENT)
def test_rejects_a_missing_gradient(op, name):
    def backward(op, grad_output, arguments):
        gradients = call_backward(op, grad_output, arguments)
        del gradients[name]
        return gradients

    with pytest.raises(AssertionError, match=r"^gradients of"):
        assert_backward_of_op(CASES[op], backward)


@pytest.mark.parametrize("op", CASES)
def test_rejects_a_gradient_of_nothing(op):
    def backward(op, grad_output, arguments):
        return {**call_backward(op, grad_output, arguments), "other": np.zeros(1)}

    with pytest.raises(AssertionError, match=r"^gradients of"):
        assert_backward_of_op(CASES[op], backward)


# ---- The mistakes of each --------------------------------------------------------------------------


def convolved_unflipped(g, x, weight, **options):
    grad_x, _, _ = conv2d_backward(g, x, weight[..., ::-1, ::-1], **options)
    return {"x": grad_x}


def without_one_image(g, x, weight, **options):
    _, grad_weight, _ = conv2d_backward(g[:1], x[:1], weight, **options)
    return {"weight": grad_weight}


def constant_statistics(g, cache):
    return {"x": batch_norm2d_backward(g, cache._replace(training=False))[0]}


def batch_norm_of(bracket):
    def backward(g, cache):
        def mean(array):
            return array.mean(axis=(0, 2, 3), keepdims=True)

        scale = (cache.weight * cache.inv_std).reshape(1, -1, 1, 1)
        return {"x": scale * bracket(g, cache.x_hat, mean)}

    return backward


def without_std(g, cache):
    return {"x": batch_norm2d_backward(g, cache)[0] / cache.inv_std.reshape(1, -1, 1, 1)}


def without_weight(g, cache):
    return {"x": batch_norm2d_backward(g, cache._replace(weight=np.ones_like(cache.weight)))[0]}


def by_the_unnormalised(g, cache):
    std = 1 / cache.inv_std.reshape(1, -1, 1, 1)
    return {"weight": (g * cache.x_hat * std).sum(axis=(0, 2, 3))}


def softmax_of(gradient):
    return lambda g, y, axis: {"x": gradient(g, y)}


def prelu_slope_from(which):
    return lambda g, x, slope: {"slope": (g * x * which(x)).sum(axis=(0, 2, 3))}


def prelu_x_by(factor):
    return lambda g, x, slope: {"x": g * np.where(x > 0, 1.0, factor(slope))}


def pooled(change):
    """Route the gradient by a changed argmax."""
    return lambda g, argmax, input_shape: {"x": max_pool2d_backward(g, change(argmax), input_shape)}


def the_last_window_wins(g, argmax, input_shape):
    grad_x = np.zeros(input_shape)
    for n, c, oy, ox in np.ndindex(g.shape):
        grad_x[n, c].ravel()[argmax[n, c, oy, ox]] = g[n, c, oy, ox]
    return {"x": grad_x}


MISTAKES_OF = {
    "conv2d": {
        "input and output channels swapped": lambda g, x, weight, **options: {
            "weight": conv2d_backward(g, x, weight, **options)[1].swapaxes(0, 1).copy()
        },
        "rows and columns of the filter swapped": lambda g, x, weight, **options: {
            "weight": conv2d_backward(g, x, weight, **options)[1].swapaxes(2, 3).copy()
        },
        "rows and columns of the image swapped": lambda g, x, weight, **options: {
            "x": conv2d_backward(g, x, weight, **options)[0].swapaxes(2, 3).copy()
        },
        "filter channels swapped": lambda g, x, weight, **options: {
            "x": conv2d_backward(g, x, weight.swapaxes(0, 1), **options)[0]
        },
        "filter flipped": convolved_unflipped,
        "first image only": without_one_image,
        "bias is the mean": lambda g, **_: {"bias": g.mean(axis=(0, 2, 3))},
        "bias of one image": lambda g, **_: {"bias": g[0].sum(axis=(1, 2))},
        "bias forgotten": lambda g, **_: {"bias": np.zeros(g.shape[1])},
    },
    "linear": {
        "x and g swapped": lambda g, x, weight: {"weight": x.T @ g},
        "x by the transposed weight": lambda g, x, weight: {"x": g @ weight.T},
        "bias is the mean": lambda g, **_: {"bias": g.mean(axis=0)},
        "bias sums over outputs": lambda g, **_: {"bias": g.sum(axis=1)},
        "bias forgotten": lambda g, **_: {"bias": np.zeros(g.shape[1])},
    },
    "batch_norm2d": {
        "without both statistics": constant_statistics,
        "without the mean": batch_norm_of(lambda g, x_hat, mean: g - x_hat * mean(g * x_hat)),
        "without the variance": batch_norm_of(lambda g, x_hat, mean: g - mean(g)),
        "sign of the variance": batch_norm_of(lambda g, x_hat, mean: g - mean(g) + x_hat * mean(g * x_hat)),
        "statistics of one channel": batch_norm_of(
            lambda g, x_hat, mean: g - g.mean() - x_hat * mean(g * x_hat)
        ),
        "without the deviation": without_std,
        "without the weight": without_weight,
        "weight by the unnormalised input": by_the_unnormalised,
        "bias forgotten": lambda g, cache: {"bias": np.zeros(g.shape[1])},
    },
    "softmax": {
        "without the sum": softmax_of(lambda g, y: y * g),
        "of each score alone": softmax_of(lambda g, y: y * (1 - y) * g),
        "without the score": softmax_of(lambda g, y: g - (g * y).sum(axis=1, keepdims=True)),
        "along the other axis": softmax_of(lambda g, y: y * (g - (g * y).sum(axis=0, keepdims=True))),
        "mean instead of sum": softmax_of(lambda g, y: y * (g - (g * y).mean(axis=1, keepdims=True))),
        "sum of the gradient only": softmax_of(lambda g, y: y * (g - g.sum(axis=1, keepdims=True))),
    },
    "prelu": {
        "slope from all pixels": prelu_slope_from(lambda x: np.ones_like(x)),
        "slope from the positive side": prelu_slope_from(lambda x: x > 0),
        "slope is the mean": lambda g, x, slope: {"slope": (g * np.minimum(x, 0)).mean(axis=(0, 2, 3))},
        "slope without x": lambda g, x, slope: {"slope": (g * (x <= 0)).sum(axis=(0, 2, 3))},
        "slope forgotten": lambda g, x, slope: {"slope": np.zeros_like(slope)},
        "a relu": prelu_x_by(lambda slope: 0.0),
        "the identity": prelu_x_by(lambda slope: 1.0),
        "one slope for all": prelu_x_by(lambda slope: slope[0]),
        "slopes along another axis": prelu_x_by(lambda slope: slope.reshape(-1, 1, 1, 1)),
    },
    "max_pool2d": {
        "the last window wins": the_last_window_wins,
        "the next pixel": pooled(lambda argmax: (argmax + 1) % 16),
        "rows and columns swapped": pooled(lambda argmax: argmax % 4 * 4 + argmax // 4),
        "windows swapped": pooled(lambda argmax: argmax.swapaxes(2, 3).copy()),
        "channels swapped": pooled(lambda argmax: argmax[:, ::-1]),
        "shared by all": lambda g, argmax, input_shape: {
            "x": np.broadcast_to(g.mean(axis=(2, 3), keepdims=True), input_shape).copy()
        },
    },
}


@pytest.mark.parametrize(
    ("op", "mistake"), [(op, mistake) for op, mistakes in MISTAKES_OF.items() for mistake in mistakes]
)
def test_rejects_the_usual_mistake(op, mistake):
    def backward(op, grad_output, arguments):
        wrong = MISTAKES_OF[op][mistake](grad_output, **arguments)
        return {**call_backward(op, grad_output, arguments), **wrong}

    with pytest.raises(AssertionError, match="disagreement"):
        assert_backward_of_op(CASES[op], backward)


# ---- Why the gradient of the output is random ------------------------------------------------------

# With ones, the input gradient of a softmax and of a batch norm in training is zero: the scores sum to one,
# and the outputs of a channel to a constant, whatever comes in. So are these.
HIDDEN_BY_ONES = {
    "softmax": {
        "zeros": softmax_of(lambda g, y: np.zeros_like(y)),
        "sign": softmax_of(lambda g, y: -y * (g - (g * y).sum(axis=1, keepdims=True))),
        "without the score": MISTAKES_OF["softmax"]["without the score"],
    },
    "batch_norm2d": {
        "zeros": batch_norm_of(lambda g, x_hat, mean: np.zeros_like(g)),
        "without the variance": MISTAKES_OF["batch_norm2d"]["without the variance"],
        "sign of the variance": MISTAKES_OF["batch_norm2d"]["sign of the variance"],
        "without the deviation": without_std,
        "without the weight": without_weight,
    },
}


@pytest.mark.parametrize(
    ("op", "mistake"), [(op, mistake) for op, mistakes in HIDDEN_BY_ONES.items() for mistake in mistakes]
)
def test_a_gradient_of_ones_would_not_notice(op, mistake):
    case, wrong = CASES[op], HIDDEN_BY_ONES[op][mistake]
    arguments = backward_arguments(op, case.arrays, case.options)
    y = call(op, case.arrays, case.options)["y"]

    ones, random = np.ones_like(y), upstream(case, y)
    right = call_backward(op, ones, arguments)["x"]
    np.testing.assert_allclose(right, 0, atol=1e-14)
    np.testing.assert_allclose(wrong(ones, **arguments)["x"], right, atol=1e-14)
    difference = wrong(random, **arguments)["x"] - call_backward(op, random, arguments)["x"]
    assert np.abs(difference).max() > 0.1


# ---- Differences -----------------------------------------------------------------------------------


def test_differences_of_a_square():
    x = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -4.0]])
    assert numeric_gradient(lambda: float((x**2).sum()), x).tolist() == (2 * x).tolist()


@pytest.mark.parametrize("step", [2.0**-4, 2.0**-10])
def test_differences_of_a_cube_are_off_by_the_step_squared(step):
    x = np.array([1.0, -2.0, 3.0])
    gradient = numeric_gradient(lambda: float((x**3).sum()), x, step)
    np.testing.assert_allclose(gradient, 3 * x**2 + step**2, rtol=1e-9)


def test_the_array_is_restored():
    x = Numbers(0).real(3, 4)
    before = x.tobytes()
    numeric_gradient(lambda: float(np.exp(x).sum()), x)
    assert x.tobytes() == before


def test_arrays_need_not_be_contiguous():
    larger = Numbers(0).real(4, 6)
    x = larger[::2, ::-3].T
    np.testing.assert_allclose(numeric_gradient(lambda: float((x**2).sum()), x), 2 * x, rtol=1e-9)


def test_an_empty_array_has_an_empty_gradient():
    assert numeric_gradient(lambda: 0.0, np.zeros((0, 3))).shape == (0, 3)


def test_differences_refuse_float32():
    with pytest.raises(AssertionError, match=r"^float32: differences of float32 are mostly rounding"):
        numeric_gradient(lambda: 0.0, np.zeros(3, np.float32))


def test_every_array_is_looked_at():
    arrays = {"a": np.array([1.0, 2.0]), "b": np.array([3.0])}

    def function():
        return float(arrays["a"].sum() * arrays["b"][0])

    right = {"a": np.array([3.0, 3.0]), "b": np.array([3.0])}
    assert_gradients(function, arrays, right)
    for name in arrays:
        with pytest.raises(AssertionError, match="disagreement"):
            assert_gradients(function, arrays, {**right, name: right[name] + 1e-5})
