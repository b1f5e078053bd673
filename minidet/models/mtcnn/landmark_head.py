"""The way back through a landmark head, which O-Net has and P-Net and R-Net may or may not have."""

from __future__ import annotations

from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.nn import Layer


def back_through_landmark_head(
    head: Layer | None, grad_landmark_deltas: FloatArray | None
) -> FloatArray | float:
    """Return the head's share of the gradient: zero if there is no head.

    Raises
    ------
    InputError
        If there is a head and no gradient for it, or the other way round.
    """
    if head is None and grad_landmark_deltas is None:
        return 0.0
    if head is None:
        raise InputError(
            "backward: `grad_landmark_deltas` is given, but the network has no landmark head; pass None"
        )
    if grad_landmark_deltas is None:
        raise InputError(
            "backward: `grad_landmark_deltas` is None, but the network has a landmark head; "
            "pass zeros if there is nothing to learn from"
        )
    return head.backward(grad_landmark_deltas)
