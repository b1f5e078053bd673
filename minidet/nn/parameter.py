"""The two kinds of array a layer owns."""

from __future__ import annotations

from minidet._typing import FloatArray
from minidet.errors import InputError


class Parameter:
    """An array that is learnt.

    Attributes
    ----------
    data : array of any shape
        The values.
    grad : array like ``data``, or None
        The gradient of the loss with respect to ``data``, added up over all backward passes since it was last
        cleared; None if there was none.
    starts_at_zero : bool
        Whether :func:`minidet.nn.initialise` leaves the values as they were built. So for layers that are to
        change nothing until they have learnt something.
    """

    def __init__(self, data: FloatArray) -> None:
        self.data = data
        self.starts_at_zero = False
        self.grad: FloatArray | None = None

    def accumulate(self, grad: FloatArray) -> None:
        """Add to the gradient: whatever is used twice gets both gradients.

        Parameters
        ----------
        grad : array of the shape of ``data``

        Raises
        ------
        InputError
            If ``grad`` has another shape than ``data``.
        """
        if grad.shape != self.data.shape:
            raise InputError(
                f"Parameter: gradient of shape {grad.shape} for values of shape {self.data.shape}"
            )
        # A copy the first time: what is done to one of the two arrays later must not reach the other.
        self.grad = grad.copy() if self.grad is None else self.grad + grad

    def __repr__(self) -> str:
        return f"Parameter{self.data.shape}"


class Buffer:
    """An array that belongs to a layer's state but is not learnt, such as a running mean.

    Attributes
    ----------
    data : array of any shape
        The values.
    """

    def __init__(self, data: FloatArray) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"Buffer{self.data.shape}"
