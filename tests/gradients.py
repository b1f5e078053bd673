"""The judge of every backward pass: does a small step change the output as much as the gradient says?

A backward pass is linear in the gradient it is given, so it is checked with a random one: with ones, the
input gradients of softmax and batch norm are zero, and a backward pass that returns zeros would do.
``tests/test_gradients.py`` hands it wrong ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.check import assert_close
from tests.oracles.cases import (
    Arrays,
    Case,
    Numbers,
    backward_arguments,
    call,
    call_backward,
    with_gradient,
)

Array = NDArray[np.float64]

GRADIENT_TOLERANCE = 1e-6
# Central differences are off by STEP**2 (6e-11), and by rounding over STEP (1e-11). A power of two, so that
# nothing is rounded when it is added to the numbers of the tests, which have few digits.
STEP = 2.0**-17


def numeric_gradient(function: Callable[[], float], array: Array, step: float = STEP) -> Array:
    """Return d ``function()`` / d ``array`` by central differences, one element after the other.

    ``function`` must read ``array``, which is changed in place and restored.
    """
    assert array.dtype == np.float64, f"{array.dtype}: differences of float32 are mostly rounding"
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = function()
        array[index] = value - step
        below = function()
        array[index] = value
        gradient[index] = (above - below) / (2 * step)
    return gradient


def assert_gradients(
    function: Callable[[], float],
    arrays: Mapping[str, Array],
    gradients: Mapping[str, Array],
    tolerance: float = GRADIENT_TOLERANCE,
    step: float = STEP,
) -> None:
    """Require of every array the gradient of the number that ``function`` computes from the arrays."""
    assert arrays.keys() == gradients.keys(), f"gradients of {list(gradients)}, expected {list(arrays)}"
    for name, array in arrays.items():
        print(name, end=": ")
        assert_close(gradients[name], numeric_gradient(function, array, step), tolerance)


def assert_backward(
    forward: Callable[..., Array],
    backward: Callable[[Array], Mapping[str, Array]],
    arrays: Mapping[str, Any],
    step: float = STEP,
) -> None:
    """Require that ``backward(grad_output)`` returns the gradient of every array that ``forward`` takes.

    Each by name; the number that is differentiated is the sum of ``grad_output * forward(**arrays)``.
    """
    grad_output = Numbers("upstream").real(*forward(**arrays).shape)

    def loss() -> float:
        return float(np.vdot(grad_output, forward(**arrays)))

    assert_gradients(loss, arrays, backward(grad_output), step=step)


def assert_backward_of_op(
    case: Case,
    backward: Callable[[str, Array, Arrays], Mapping[str, Array]] = call_backward,
    step: float = STEP,
) -> None:
    """Require that an operation's backward pass returns the gradients of its forward pass on one case.

    ``backward(op, grad_output, arguments)`` is minidet's, unless a test has another one to judge.
    """
    arrays = case.inputs("float64")
    inputs = with_gradient(case.op, arrays)
    if "bias" in inputs:
        arrays["bias"] = inputs["bias"]

    def forward(**_: Array) -> Array:  # reads the very arrays that are changed
        return call(case.op, arrays, case.options)["y"]

    def gradients(grad_output: Array) -> Mapping[str, Array]:
        return backward(case.op, grad_output, backward_arguments(case.op, arrays, case.options))

    assert_backward(forward, gradients, inputs, step)
