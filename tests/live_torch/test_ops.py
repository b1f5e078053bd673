"""Every operation against PyTorch itself, in both float types, forward and backward.

The stored cases, then larger ones.
"""

import numpy as np
import pytest
import torch

from minidet.errors import InputError
from minidet.ops import max_pool2d_forward
from minidet.ops.upsample_nearest2d import nearest_index
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.live_torch.torch_ops import torch_backward, torch_call
from tests.oracles import cases
from tests.oracles.cases import (
    BACKWARD_CASES,
    CASES,
    Case,
    Numbers,
    call,
    expected,
    expected_gradients,
    gradients,
    smallest_side,
    times,
    upstream,
)

EVERY_CASE = [case for of_one_op in CASES.values() for case in of_one_op]
EVERY_BACKWARD_CASE = [case for of_one_op in BACKWARD_CASES.values() for case in of_one_op]


def assert_equals_torch(case, dtype):
    ours = call(case.op, case.inputs(dtype), case.options)
    theirs = torch_call(case.op, case.inputs(dtype), case.options)
    assert ours.keys() == theirs.keys()
    for name, output in ours.items():
        if name == "argmax":
            np.testing.assert_array_equal(output, theirs[name])
        else:
            assert_close(output, theirs[name], OP_TOLERANCE[dtype])


def torch_gradients(case, dtype):
    y = torch_call(case.op, case.inputs(dtype), case.options)["y"]
    return torch_backward(case.op, case.inputs(dtype), case.options, upstream(case, y))


def assert_gradients_equal_torch(case, dtype):
    ours, theirs = gradients(case, dtype), torch_gradients(case, dtype)
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        assert_close(gradient, theirs[name], OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
def test_stored_cases(case, dtype):
    assert_equals_torch(case, dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", EVERY_BACKWARD_CASE, ids=str)
def test_gradients_of_stored_cases(case, dtype):
    assert_gradients_equal_torch(case, dtype)


@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
def test_the_stored_oracle_is_what_torch_says_today(case):
    today = torch_call(case.op, case.inputs("float64"), case.options)
    assert today.keys() == expected(case).keys()
    for name, output in today.items():
        assert_close(output.astype(float), expected(case)[name].astype(float), OP_TOLERANCE["float64"])


@pytest.mark.parametrize("case", EVERY_BACKWARD_CASE, ids=str)
def test_the_stored_gradients_are_what_torch_says_today(case):
    today = torch_gradients(case, "float64")
    assert today.keys() == expected_gradients(case).keys()
    for name, gradient in today.items():
        assert_close(gradient, expected_gradients(case)[name], OP_TOLERANCE["float64"])


# ---- Larger cases, at random -----------------------------------------------------------------------


def random_cases(op, make, count):
    """Draw ``count`` cases; ``draw(low, high)`` is one whole number, both ends included."""
    drawn = []
    for i in range(count):
        random = np.random.RandomState(i)
        drawn.append(
            make(lambda low, high, random=random: int(random.randint(low, high + 1)), f"{op}-random{i}")
        )
    return drawn


def conv2d(draw, name):
    k, stride, padding = draw(1, 5), draw(1, 4), draw(0, 3)
    shape = draw(1, 4), draw(1, 40), draw(5, 40), draw(5, 40)
    return cases.conv2d(
        shape, (draw(1, 40), k, draw(1, 5)), bias=bool(draw(0, 1)), stride=stride, padding=padding
    )


def deform_conv2d(draw, name):
    k, padding, groups = draw(1, 4), draw(0, 3), draw(1, 3)
    shape = draw(1, 3), groups * draw(1, 8), draw(4, 16), draw(4, 16)
    filters = draw(1, 20), k, draw(1, 4)
    options = {"stride": draw(1, 3), "masked": bool(draw(0, 1)), "bias": bool(draw(0, 1))}
    return cases.deform_conv2d(shape, filters, groups=groups, padding=padding, **options)


def depthwise_conv2d(draw, name):
    shape = draw(1, 4), draw(1, 40), draw(5, 60), draw(5, 60)
    window = draw(1, 5), draw(1, 5)
    return cases.depthwise_conv2d(shape, window, bias=bool(draw(0, 1)), stride=draw(1, 4), padding=draw(0, 3))


def linear(draw, name):
    return cases.linear(draw(1, 64), draw(1, 1500), draw(1, 300), bias=bool(draw(0, 1)))


def max_pool2d(draw, name):
    shape = draw(1, 4), draw(1, 8), draw(5, 60), draw(5, 60)
    k = draw(1, 5)
    options = {
        "kernel_size": k,
        "stride": draw(1, 6),
        "padding": draw(0, k // 2),
        "ceil_mode": bool(draw(0, 1)),
    }
    return Case(name, "max_pool2d", {"x": Numbers(name).whole(-9, 9, *shape)}, options)


def batch_norm2d(draw, name):
    shape = draw(1, 8), draw(1, 32), draw(2, 60), draw(2, 60)
    return cases.batch_norm2d(
        shape, training=bool(draw(0, 1)), eps=10.0 ** -draw(1, 8), momentum=draw(0, 10) / 10
    )


def relu(draw, name):
    return Case(name, "relu", {"x": Numbers(name).real(draw(1, 4), draw(1, 32), draw(1, 60), draw(1, 60))})


def leaky_relu(draw, name):
    x = Numbers(name).real(draw(1, 4), draw(1, 32), draw(1, 60), draw(1, 60))
    return Case(name, "leaky_relu", {"x": x}, {"negative_slope": draw(-20, 20) / 10})


def prelu(draw, name):
    C = draw(1, 64)
    shape = (draw(1, 4), C, draw(1, 40), draw(1, 40)) if draw(0, 1) else (draw(1, 64), C)
    numbers = Numbers(name)
    return Case(name, "prelu", {"x": numbers.real(*shape), "slope": numbers.real(C)})


def sigmoid(draw, name):
    return Case(name, "sigmoid", {"x": 8 * Numbers(name).real(draw(1, 4), draw(1, 32), draw(1, 60))})


def softmax(draw, name):
    shape = tuple(draw(1, 30) for _ in range(draw(2, 4)))
    axis = draw(0, len(shape) - 1)
    x = 20 * Numbers(name).real(*shape)
    # One row is undecided: where all scores are certain, every gradient is the rounding of a zero.
    row = [slice(None) if i == axis else 0 for i in range(len(shape))]
    x[tuple(row)] = 0
    return Case(name, "softmax", {"x": x}, {"axis": axis})


def upsample_nearest2d(draw, name):
    H, W = draw(1, 60), draw(1, 60)
    size = 2 * H - draw(0, 1), 2 * W - draw(0, 1)
    return cases.upsample_nearest2d((draw(1, 4), draw(1, 16), H, W), size)


def concat(draw, name):
    axis, sides = draw(-4, 3), [draw(1, 12) for _ in range(4)]
    numbers, xs = Numbers(name), []
    for _ in range(draw(1, 5)):
        sides[axis] = draw(0, 12)
        xs.append(numbers.real(*sides))
    return Case(name, "concat", {"xs": xs}, {"axis": axis})


MAKERS = [
    batch_norm2d,
    concat,
    conv2d,
    deform_conv2d,
    depthwise_conv2d,
    leaky_relu,
    linear,
    max_pool2d,
    prelu,
    relu,
    sigmoid,
    softmax,
    upsample_nearest2d,
]
RANDOM_CASES = [case for make in MAKERS for case in random_cases(make.__name__, make, 40)]


def test_every_op_has_random_cases():
    assert {make.__name__ for make in MAKERS} == set(CASES)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", RANDOM_CASES, ids=str)
def test_random_cases(case, dtype):
    assert_equals_torch(case, dtype)
    assert_gradients_equal_torch(case, dtype)


# ---- The shapes of networks, at the sizes of photographs -------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "case",
    [
        cases.conv2d((1, 3, 240, 321), (8, 3, 3), bias=False, stride=2, padding=1),
        cases.conv2d((1, 64, 60, 81), (64, 3, 3), bias=True, stride=1, padding=1),
        cases.conv2d((2, 128, 15, 20), (256, 1, 1), bias=False, stride=1, padding=0),
        cases.depthwise_conv2d((1, 64, 60, 81), (3, 3), bias=False, stride=2, padding=1),
        cases.linear(100, 1152, 256, bias=True),
        cases.batch_norm2d((2, 64, 60, 81), training=True),
        cases.batch_norm2d((2, 64, 60, 81), training=False),
    ],
    ids=str,
)
def test_network_sized_cases(case, dtype):
    assert_equals_torch(case, dtype)
    assert_gradients_equal_torch(case, dtype)


# ---- Sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel_size", [2, 3, 4])
def test_pooled_sizes_are_those_of_torch(kernel_size, stride, ceil_mode, padding):
    options = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    smallest = smallest_side(kernel_size, stride, ceil_mode=ceil_mode) - 2 * padding
    for size in range(max(smallest, 1), 41):
        x = np.zeros((1, 1, size, size))
        y, _ = max_pool2d_forward(x, **options)
        assert y.shape == torch_call("max_pool2d", {"x": x}, options)["y"].shape


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel_size", [2, 3, 4])
def test_torch_refuses_the_same_sizes(kernel_size, stride, ceil_mode):
    options = {"kernel_size": kernel_size, "stride": stride, "ceil_mode": ceil_mode}
    for size in range(1, smallest_side(kernel_size, stride, ceil_mode=ceil_mode)):
        x = np.zeros((1, 1, size, 40))
        with pytest.raises(InputError):
            max_pool2d_forward(x, **options)
        with pytest.raises(RuntimeError):
            torch_call("max_pool2d", {"x": x}, options)


def torch_index(size, new_size):
    x = torch.arange(size, dtype=torch.float64).reshape(1, 1, 1, size)
    return torch.nn.functional.interpolate(x, size=(1, new_size), mode="nearest").flatten().numpy()


@pytest.mark.parametrize("less", [0, 1])
def test_the_sizes_of_a_pyramid_are_upsampled_as_in_torch(less):
    for size in range(1, 1001):
        new_size = 2 * size - less
        np.testing.assert_array_equal(
            nearest_index(size, new_size), torch_index(size, new_size), times((size,))
        )


def test_the_first_enlargement_where_torch_lands_one_lower_is_26_to_44():
    # What the docstring of nearest_index says; should PyTorch ever change it, the docstring goes.
    differing = [
        (size, new_size)
        for new_size in range(1, 45)
        for size in range(1, new_size + 1)
        if (nearest_index(size, new_size) != torch_index(size, new_size)).any()
    ]
    assert differing == [(26, 44)]
    assert nearest_index(26, 44)[22] == 13
    assert torch_index(26, 44)[22] == 12
