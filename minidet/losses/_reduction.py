"""From single losses to the value a loss returns."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np

from minidet._typing import FloatArray
from minidet.errors import InputError, LossOverflowError

Reduction: TypeAlias = Literal["none", "sum", "mean"]


def reduce_losses(
    function: str, losses: FloatArray, gradients: FloatArray, reduction: Reduction, **inputs: FloatArray
) -> tuple[FloatArray | float, FloatArray]:
    """Return the value that ``reduction`` asks for and its gradient.

    Parameters
    ----------
    function : str
        The loss, for messages.
    losses : (M, ...) array
    gradients : array
        The gradient of every single loss.
    reduction : "none", "sum" or "mean"
    **inputs : (M, ...) arrays by name
        What the losses were computed from, for messages.
    """
    if reduction not in get_args(Reduction):
        raise InputError(f"{function}: reduction={reduction!r}; expected 'none', 'sum' or 'mean'")
    _check_overflow(function, losses, inputs)
    if reduction == "none":
        return losses, gradients
    with np.errstate(over="ignore"):
        total = float(losses.sum(dtype=np.float64))
    if total == np.inf:
        raise InputError(f"{function}: the sum of the losses overflows; the largest is {losses.max():.1e}")
    if reduction == "sum":
        return total, gradients
    if losses.size == 0:
        name, array = next(iter(inputs.items()))
        raise InputError(
            f"{function}: `{name}` has shape {array.shape}, and no losses have no mean; "
            "expected at least one, or reduction='sum'"
        )
    return total / losses.size, gradients / losses.size


def _check_overflow(function: str, losses: FloatArray, inputs: dict[str, FloatArray]) -> None:
    infinite = ~np.isfinite(losses)
    if infinite.any():
        at = int(np.argwhere(infinite)[0][0])
        name = max(inputs, key=lambda name: float(np.abs(inputs[name][at]).max()))
        sample = inputs[name][at]
        largest = sample.flat[np.abs(sample).argmax()]
        why = f"the loss overflows {losses.dtype}; expected smaller numbers"
        what = f"`{name}` reaches {largest:.1e}"
        raise LossOverflowError(function, at, what, why)
