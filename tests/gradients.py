"""The judge of every backward pass: does a small step change the output as much as the gradient says?

A backward pass is linear in the gradient it is given, so it is checked with a random one: with ones, the
input gradients of softmax and batch norm are zero, and a backward pass that returns zeros would do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.check import assert_close
from tests.oracles.cases import Numbers

Array = NDArray[np.float64]

GRADIENT_TOLERANCE = 1e-6
STEP = 1e-5  # central differences are off by STEP**2 (1e-10), and by rounding over STEP (1e-11)


def numeric_gradient(function: Callable[[], float], array: Array) -> Array:
    """Return d ``function()`` / d ``array`` by central differences, one element after the other.

    ``function`` must read ``array``, which is changed in place and restored.
    """
    assert array.dtype == np.float64, f"{array.dtype}: differences of float32 are mostly rounding"
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + STEP
        above = function()
        array[index] = value - STEP
        below = function()
        array[index] = value
        gradient[index] = (above - below) / (2 * STEP)
    return gradient


def assert_gradients(
    function: Callable[[], float],
    arrays: Mapping[str, Array],
    gradients: Mapping[str, Array],
    tolerance: float = GRADIENT_TOLERANCE,
) -> None:
    """Require of every array the gradient of the number that ``function`` computes from the arrays."""
    assert arrays.keys() == gradients.keys(), f"gradients of {list(gradients)}, expected {list(arrays)}"
    for name, array in arrays.items():
        print(name, end=": ")
        assert_close(gradients[name], numeric_gradient(function, array), tolerance)


def assert_backward(
    forward: Callable[..., Array],
    backward: Callable[[Array], Mapping[str, Array]],
    arrays: Mapping[str, Any],
) -> None:
    """Require that ``backward(grad_output)`` returns the gradient of every array that ``forward`` takes.

    Each by name; the number that is differentiated is the sum of ``grad_output * forward(**arrays)``.
    """
    grad_output = Numbers("upstream").real(*forward(**arrays).shape)
    assert_gradients(lambda: float(np.vdot(grad_output, forward(**arrays))), arrays, backward(grad_output))
