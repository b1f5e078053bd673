"""What every objective returns, and the one step they all repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._typing import FloatArray
from minidet.errors import InputError, LossOverflowError, is_number


@dataclass(frozen=True)
class Objective:
    """The number to minimise and the way downhill.

    Attributes
    ----------
    value : float
        The tasks' losses, each times its weight, added up.
    parts : dict of str to float
        The loss of each task, before its weight.
    gradients : tuple of arrays, of the shapes of the outputs
        Of ``value`` with respect to each output of the network, in the order of the outputs, so that
        ``network.backward(*objective.gradients)`` is the next line. None where the output was None.
    kept : (M,) or (N, A) bool array
        Which samples (MTCNN) or anchors (RetinaFace) the classification learns from, after mining.
    """

    value: float
    parts: dict[str, float]
    gradients: tuple[FloatArray | None, ...]
    kept: NDArray[np.bool_]


def sum_over(
    chosen: NDArray[np.bool_],
    loss: Callable[..., tuple[float, FloatArray]],
    predictions: FloatArray,
    targets: NDArray[Any],
    *,
    weight: float,
    divisor: float,
    function: str,
    axes: tuple[str, ...],
) -> tuple[float, FloatArray]:
    """Add up ``loss`` over the chosen predictions only.

    Parameters
    ----------
    chosen : bool array
        Over the leading axes of ``predictions``; P are true.
    loss : function
        One of ``minidet.losses``.
    predictions : array
        All of them.
    targets : (P, ...) array
        Of the chosen ones.
    weight : float
        Of this task in the objective.
    divisor : float
        Above zero.
    function, axes : str, tuple of str
        The objective and the axes of ``chosen``, for messages.

    Returns
    -------
    value : float
        The sum over ``divisor``, without ``weight``.
    gradient : array like ``predictions``
        Of ``weight * value``; zero for predictions that were not chosen.
    """
    with naming_place(function, chosen, axes):
        value, grad_chosen = loss(predictions[chosen], targets, reduction="sum")
    gradient = np.zeros_like(predictions)
    gradient[chosen] = grad_chosen * (weight / divisor)
    return value / divisor, gradient


@contextmanager
def naming_place(function: str, chosen: NDArray[np.bool_], axes: tuple[str, ...]) -> Iterator[None]:
    """Let an overflow in a loss over the ``chosen`` predictions name the place in the batch, by its axes."""
    try:
        yield
    except LossOverflowError as error:
        index = np.argwhere(chosen)[error.sample]
        place = ", ".join(f"{axis} {i}" for axis, i in zip(axes, index, strict=True))
        raise InputError(f"{function}: {error.what} in {place}, where {error.why}") from error


def check_weights(settings: object, *names: str) -> None:
    """Require of each weight in ``settings`` a finite number from 0 up."""
    for name in names:
        weight = getattr(settings, name)
        if not (is_number(weight) and 0 <= weight < float("inf")):
            raise InputError(f"{type(settings).__name__}: {name}={weight!r}; expected a number from 0 up")
