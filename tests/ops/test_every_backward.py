"""What holds for every backward pass: against differences, against PyTorch, and by itself."""

import numpy as np
import pytest

import minidet.ops
from minidet.ops import BatchNormCache
from tests.check import FLOATS, LAYOUTS, OP_TOLERANCE, assert_close, every_other
from tests.gradients import STEP, assert_backward_of_op
from tests.oracles.cases import (
    BACKWARD_CASES,
    BACKWARD_FILE,
    CASES,
    NOT_COMPARABLE,
    SMOOTH_CASES,
    TYPICAL,
    Numbers,
    backward_arguments,
    call,
    call_backward,
    expected_gradients,
    gradients,
    images,
    is_per_image,
    stored,
    upstream,
    with_gradient,
)

EXACT = {"concat", "relu"}  # nothing is computed, only passed on


def listed(cases_by_op):
    return [case for cases in cases_by_op.values() for case in cases]


def test_every_op_has_a_backward():
    backwards = {name for name in minidet.ops.__all__ if name.endswith("_backward")}
    assert backwards == {f"{op}_backward" for op in CASES}


# ---- Against differences ---------------------------------------------------------------------------


def test_differences_cover_every_op():
    assert {op: len(cases) for op, cases in SMOOTH_CASES.items()} == {
        "batch_norm2d": 15,
        "concat": 19,
        "conv2d": 33,
        "deform_conv2d": 22,
        "depthwise_conv2d": 33,
        "leaky_relu": 20,
        "linear": 36,
        "max_pool2d": 29,
        "prelu": 6,
        "relu": 4,
        "sigmoid": 5,
        "softmax": 24,
        "upsample_nearest2d": 26,
    }


# A channel that does not vary is divided by sqrt(eps), 0.003: on that scale the usual step is large.
STEPS = {"batch_norm2d-constant": 2.0**-24}


@pytest.mark.parametrize("case", listed(SMOOTH_CASES), ids=str)
def test_is_the_gradient_of_the_forward_pass(case):
    assert_backward_of_op(case, step=STEPS.get(case.name, STEP))


# ---- Against PyTorch -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", listed(BACKWARD_CASES), ids=str)
def test_equals_torch(case, dtype):
    ours, theirs = gradients(case, dtype), expected_gradients(case)
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        tolerance = 0 if case.op in EXACT else OP_TOLERANCE[dtype]
        assert_close(gradient, theirs[name].astype(dtype), tolerance)


def test_the_oracle_has_every_case_and_no_other():
    names = {key.rpartition("/")[0] for key in stored(BACKWARD_FILE)}
    assert names == {case.name for case in listed(CASES)} - NOT_COMPARABLE
    assert names == {case.name for case in listed(BACKWARD_CASES)}


# ---- By itself -------------------------------------------------------------------------------------

(FROZEN,) = [case for case in CASES["batch_norm2d"] if case.name == "batch_norm2d-3x2x5x4-inference"]
ONE_OF_EACH = [*TYPICAL.values(), FROZEN]
# A batch norm in training knows no single images.
OF_INDEPENDENT_IMAGES = [case for case in ONE_OF_EACH if case is not TYPICAL["batch_norm2d"]]


def prepared(case, dtype):
    """Return the gradient of the output and the other arguments of the backward pass."""
    arrays = case.inputs(dtype)
    grad_output = upstream(case, call(case.op, arrays, case.options)["y"])
    return grad_output, backward_arguments(case.op, arrays, case.options)


def each_argument(function, arguments):
    """Apply ``function`` to every array among the arguments, also to those of a cache."""

    def change(value):
        if isinstance(value, BatchNormCache):
            return BatchNormCache(*map(change, value))
        return function(value) if isinstance(value, np.ndarray) else value

    return {name: change(value) for name, value in arguments.items()}


def arrays_among(arguments):
    found = []
    each_argument(found.append, arguments)
    return found


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_every_gradient_has_the_shape_and_type_of_its_array(case, dtype):
    inputs = with_gradient(case.op, case.inputs(dtype))
    found = gradients(case, dtype)
    assert {name: gradient.shape for name, gradient in found.items()} == {
        name: array.shape for name, array in inputs.items()
    }
    assert {gradient.dtype for gradient in found.values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_the_input_is_not_modified(case, dtype):
    grad_output, arguments = prepared(case, dtype)
    inputs = [grad_output, *arrays_among(arguments)]
    before = [array.tobytes() for array in inputs]
    call_backward(case.op, grad_output, arguments)
    assert [array.tobytes() for array in inputs] == before


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_every_gradient_is_an_array_of_its_own(case, dtype):
    grad_output, arguments = prepared(case, dtype)
    results = list(call_backward(case.op, grad_output, arguments).values())
    for i, gradient in enumerate(results):
        assert gradient.flags.writeable
        others = [grad_output, *arrays_among(arguments), *results[:i]]
        assert not any(np.shares_memory(gradient, other) for other in others)


def laid_out(layout, array):
    """Apply a layout also to whole numbers, which have no NaN to put in between."""
    if array.dtype == np.intp and layout is every_other:
        larger = np.full((*array.shape[:-1], 2 * array.shape[-1]), -(10**9), array.dtype)
        larger[..., ::2] = array
        return larger[..., ::2]
    return layout(array)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_the_layout_in_memory_does_not_matter(case, dtype, layout):
    grad_output, arguments = prepared(case, dtype)
    contiguous = call_backward(case.op, grad_output, arguments)
    elsewhere = each_argument(lambda array: laid_out(layout, array), arguments)
    for name, gradient in call_backward(case.op, layout(grad_output), elsewhere).items():
        assert_close(gradient, contiguous[name], OP_TOLERANCE[dtype])


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_is_linear_in_the_gradient_of_the_output(case):
    g, arguments = prepared(case, "float64")
    h = Numbers("another").real(*g.shape)
    of_g, of_h = call_backward(case.op, g, arguments), call_backward(case.op, h, arguments)
    for name, gradient in call_backward(case.op, 0.75 * g - 3 * h, arguments).items():
        assert_close(gradient, 0.75 * of_g[name] - 3 * of_h[name], OP_TOLERANCE["float64"])


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_zeros_come_back_as_zeros(case):
    grad_output, arguments = prepared(case, "float64")
    for gradient in call_backward(case.op, np.zeros_like(grad_output), arguments).values():
        assert (gradient == 0).all()


@pytest.mark.parametrize("case", OF_INDEPENDENT_IMAGES, ids=str)
def test_a_batch_is_its_images_one_by_one(case):
    arrays = case.inputs("float64")
    grad_output, arguments = prepared(case, "float64")
    batch = call_backward(case.op, grad_output, arguments)
    alone = []
    for n in range(len(grad_output)):
        arguments = backward_arguments(case.op, images(arrays, slice(n, n + 1)), case.options)
        alone.append(call_backward(case.op, grad_output[n : n + 1], arguments))
    for name, gradient in batch.items():
        parts = [of_one[name] for of_one in alone]
        together = np.concatenate(parts) if is_per_image(name) else np.sum(parts, axis=0)
        assert_close(gradient, together, OP_TOLERANCE["float64"])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", OF_INDEPENDENT_IMAGES, ids=str)
def test_an_empty_batch_has_empty_gradients_and_none_for_the_parameters(case, dtype):
    grad_output, arguments = prepared(case, dtype)
    batch = call_backward(case.op, grad_output, arguments)
    arguments = backward_arguments(case.op, images(case.inputs(dtype), slice(0)), case.options)
    for name, gradient in call_backward(case.op, grad_output[:0], arguments).items():
        assert gradient.dtype == dtype
        if is_per_image(name):
            assert gradient.shape == (0, *batch[name].shape[1:])
        else:
            np.testing.assert_array_equal(gradient, np.zeros_like(batch[name]))


# Too large for differences, but the output is linear in each input: a change v of it changes the output by
# forward(v), and the loss by the sum of grad_output * forward(v), which is to be the sum of gradient * v.
@pytest.mark.parametrize(
    "case",
    [
        case
        for op in ("conv2d", "deform_conv2d", "depthwise_conv2d", "linear")
        for case in BACKWARD_CASES[op]
        if case not in SMOOTH_CASES[op]
    ],
    ids=str,
)
def test_is_the_adjoint_of_the_forward_pass(case):
    arrays = {name: array for name, array in case.inputs("float64").items() if name != "bias"}
    grad_output, arguments = prepared(case, "float64")
    found = call_backward(case.op, grad_output, arguments)
    for name in ("x", "weight"):
        v = Numbers(f"{case.name}-change").real(*arrays[name].shape)
        change = call(case.op, {**arrays, name: v}, case.options)["y"]
        rounding = 1e-15 * np.vdot(np.abs(grad_output), np.abs(change)) + 1e-12
        assert abs(np.vdot(grad_output, change) - np.vdot(found[name], v)) <= rounding
