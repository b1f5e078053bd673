r"""Smooth L1: the absolute error, with its corner at zero rounded off so that the last steps get shorter."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

from minidet._typing import FloatArray
from minidet.losses._check import check_not_negative, check_pair
from minidet.losses._reduction import Reduction, reduce_losses


@overload
def smooth_l1(
    predictions: FloatArray, targets: FloatArray, *, beta: float = 1.0, reduction: Literal["none"]
) -> tuple[FloatArray, FloatArray]: ...
@overload
def smooth_l1(
    predictions: FloatArray,
    targets: FloatArray,
    *,
    beta: float = 1.0,
    reduction: Literal["sum", "mean"] = "mean",
) -> tuple[float, FloatArray]: ...
def smooth_l1(
    predictions: FloatArray, targets: FloatArray, *, beta: float = 1.0, reduction: Reduction = "mean"
) -> tuple[FloatArray | float, FloatArray]:
    r"""Compare ``predictions`` with ``targets``, element by element.

    .. math::
        L = \begin{cases} d^2 / (2 \beta) & |d| < \beta \\ |d| - \beta / 2 & \text{otherwise} \end{cases}
        \qquad d = \text{prediction} - \text{target}

    Parameters
    ----------
    predictions : (M, ...) array of any shape, float32 or float64
    targets : array of the same shape and type
    beta : float
        The error at which the parabola passes into the line, at least 0. 1 is the definition of Fast R-CNN
        and the default of PyTorch. Faster R-CNN's code counts in :math:`\sigma` with
        :math:`\beta = 1 / \sigma^2`; RetinaFace's authors set :math:`\sigma = 3`, so 1/9. 0 is the
        absolute error itself.
    reduction : "none", "sum" or "mean"
        Over the elements.

    Returns
    -------
    value : float, or an array like ``predictions`` for "none"
    grad_predictions : array like ``predictions``

    Raises
    ------
    InputError
        If types or shapes disagree, a number is NaN or infinite, ``beta`` is negative or too large for the
        type, a loss is too large for the type, or a mean is asked of no elements.

    Notes
    -----
    Source: Girshick 2015 (Fast R-CNN, arXiv 1504.08083), eq. 3.

    The gradient: :math:`d / \beta` on the parabola and the sign of :math:`d` on the line, which is
    :math:`s = d / \beta` cut off at -1 and 1. With it both pieces are one formula,

    .. math:: L = s \, (d - \tfrac{\beta}{2} s)

    since on the parabola :math:`\beta s = d`, and on the line :math:`s = \pm 1`. For :math:`\beta = 0` the
    gradient at :math:`d = 0` is taken to be 0, as by PyTorch.

    Examples
    --------
    Errors of a half and of three, on the parabola and on the line:

    >>> losses, grad_predictions = smooth_l1(np.array([0.5, -3.0]), np.zeros(2), reduction="none")
    >>> losses
    array([0.125, 2.5  ])
    >>> grad_predictions
    array([ 0.5, -1. ])
    """
    check_pair("smooth_l1", predictions, targets)
    check_not_negative("smooth_l1", "beta", beta, predictions.dtype)

    switch = predictions.dtype.type(beta)  # before it is compared with 0: float32 turns 1e-50 into 0
    with np.errstate(over="ignore"):  # an infinite loss is reported by reduce_losses
        difference = predictions - targets
        slope = np.sign(difference) if switch == 0 else np.clip(difference / switch, -1, 1)
        losses = slope * (difference - switch / 2 * slope)
    return reduce_losses("smooth_l1", losses, slope, reduction, predictions=predictions, targets=targets)
