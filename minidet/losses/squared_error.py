r"""Squared error: MTCNN's price of a box or of five points."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

from minidet._typing import FloatArray
from minidet.losses._check import check_pair
from minidet.losses._reduction import Reduction, reduce_losses


@overload
def squared_error(
    predictions: FloatArray, targets: FloatArray, *, reduction: Literal["none"]
) -> tuple[FloatArray, FloatArray]: ...
@overload
def squared_error(
    predictions: FloatArray, targets: FloatArray, *, reduction: Literal["sum", "mean"] = "mean"
) -> tuple[float, FloatArray]: ...
def squared_error(
    predictions: FloatArray, targets: FloatArray, *, reduction: Reduction = "mean"
) -> tuple[FloatArray | float, FloatArray]:
    r"""Compare ``predictions`` with ``targets``, element by element.

    .. math:: L = d^2, \qquad \frac{dL}{dd} = 2 d, \qquad d = \text{prediction} - \text{target}

    There is no half in front.

    Parameters
    ----------
    predictions : (M, ...) array of any shape, float32 or float64
    targets : array of the same shape and type
    reduction : "none", "sum" or "mean"
        Over the elements.

    Returns
    -------
    value : float, or an array like ``predictions`` for "none"
    grad_predictions : array like ``predictions``

    Raises
    ------
    InputError
        If types or shapes disagree, a number is NaN or infinite, a loss is too large for the type, or a mean
        is asked of no elements.

    Notes
    -----
    Source: MTCNN (Zhang et al. 2016, arXiv 1604.02878), eqs. 2 and 3, which are its sums over the 4 numbers
    of a box and the 10 of five points.

    Examples
    --------
    >>> squared_error(np.array([[1.0, 2.0]]), np.array([[4.0, 2.0]]), reduction="none")
    (array([[9., 0.]]), array([[-6.,  0.]]))
    >>> squared_error(np.array([[1.0, 2.0]]), np.array([[4.0, 2.0]]))
    (4.5, array([[-3.,  0.]]))
    """
    check_pair("squared_error", predictions, targets)

    with np.errstate(over="ignore"):  # an infinite loss is reported by reduce_losses
        difference = predictions - targets
        losses = difference * difference
        grad_predictions = 2 * difference
    return reduce_losses(
        "squared_error", losses, grad_predictions, reduction, predictions=predictions, targets=targets
    )
