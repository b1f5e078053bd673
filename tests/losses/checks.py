"""What the tests of the losses share: the gradient check over all reductions, and exact messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from minidet.errors import InputError
from tests.gradients import assert_gradients
from tests.oracles.cases import Numbers

Loss = Callable[..., tuple[Any, NDArray[Any]]]


def assert_loss_gradients(loss: Loss, array: NDArray[np.float64], *others: Any, **options: Any) -> None:
    """Require the gradient of ``loss(array, *others, **options)`` under every reduction.

    The losses of "none" are weighted at random, so that each has to have the gradient of its own.
    """
    losses, gradients = loss(array, *others, **options, reduction="none")
    weights = Numbers("weights").real(*losses.shape)
    weight_of_gradient = weights.reshape(losses.shape + (1,) * (array.ndim - losses.ndim))
    assert_gradients(
        lambda: float(np.vdot(weights, loss(array, *others, **options, reduction="none")[0])),
        {"none": array},
        {"none": weight_of_gradient * gradients},
    )
    for reduction in ("sum", "mean"):
        _, gradient = loss(array, *others, **options, reduction=reduction)
        assert_gradients(
            lambda reduction=reduction: loss(array, *others, **options, reduction=reduction)[0],
            {reduction: array},
            {reduction: gradient},
        )


def assert_refuses(message: str, loss: Loss, *arrays: Any, **options: Any) -> None:
    """Require an ``InputError`` with exactly this message, on one line."""
    with pytest.raises(InputError) as error:
        loss(*arrays, **options)
    assert str(error.value) == message
    assert "\n" not in message
