r"""Softmax cross-entropy: the price of a classification is minus the logarithm of the right class's score."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_float, check_ndim, check_shape
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.losses._check import check_indices
from minidet.losses._reduction import Reduction, reduce_losses


@overload
def softmax_cross_entropy(
    logits: FloatArray, labels: NDArray[np.integer[Any]], *, reduction: Literal["none"]
) -> tuple[FloatArray, FloatArray]: ...
@overload
def softmax_cross_entropy(
    logits: FloatArray, labels: NDArray[np.integer[Any]], *, reduction: Literal["sum", "mean"] = "mean"
) -> tuple[float, FloatArray]: ...
def softmax_cross_entropy(
    logits: FloatArray, labels: NDArray[np.integer[Any]], *, reduction: Reduction = "mean"
) -> tuple[FloatArray | float, FloatArray]:
    r"""Compare ``logits`` with the class each sample has.

    .. math:: L = -\ln p_y = -\ln \frac{e^{z_y}}{\sum_c e^{z_c}} = \ln \sum_c e^{z_c - z_y}

    for the logits :math:`z` and the label :math:`y` of a sample. For two classes this is the binary
    cross-entropy of the difference of the logits: with the score :math:`p = 1 / (1 + e^{-(z_1 - z_0)})`,

    .. math:: L = -(y \ln p + (1 - y) \ln(1 - p))

    Parameters
    ----------
    logits : (M, C) array, float32 or float64
        Before softmax.
    labels : (M,) array of any integer type
        0 to C - 1; for two classes 1 is the face. Samples that do not count are left out beforehand: there
        is no label for "ignore".
    reduction : "none", "sum" or "mean"
        Over the samples.

    Returns
    -------
    value : float, or (M,) array for "none"
    grad_logits : (M, C) array

    Raises
    ------
    InputError
        If types or shapes disagree, a label is no class, a logit is NaN or infinite, a loss is too large for
        the type, or a mean is asked of no samples.

    Notes
    -----
    Source of the two-class form: MTCNN (Zhang et al. 2016, arXiv 1604.02878), eq. 1. The version on arXiv
    prints :math:`(1 - y)(1 - \ln p)`, a misprint: taken literally, a background would cost
    :math:`\ln p - 1`, which is negative and has no lowest value.

    The exponents are taken of differences of logits and added by pairs with ``logaddexp``, which neither
    overflows nor loses a small loss beside a 1.

    The gradient: :math:`\partial \ln \sum_c e^{z_c} / \partial z_j = p_j`, and the :math:`-z_y` in :math:`L`
    takes one off the label's, so

    .. math:: \frac{\partial L}{\partial z_j} = p_j - [j = y], \qquad p_y - 1 = -\sum_{c \ne y} p_c

    where the last form does not cancel when the label's score is nearly one.

    Examples
    --------
    Logits that differ by ln 3 give the scores 1/4 and 3/4. To a face that costs ln 4/3, to a background ln 4:

    >>> logits = np.log([[1.0, 3.0], [1.0, 3.0]])
    >>> losses, grad_logits = softmax_cross_entropy(logits, np.array([1, 0]), reduction="none")
    >>> np.exp(losses).round(6)
    array([1.333333, 4.      ])
    >>> grad_logits.round(6)
    array([[ 0.25, -0.25],
           [-0.75,  0.75]])
    """
    check_float("softmax_cross_entropy", logits=logits)
    check_ndim("softmax_cross_entropy", "logits", logits, 2, "M, C")
    M, C = logits.shape
    if C == 0:
        raise InputError(
            f"softmax_cross_entropy: `logits` has shape {logits.shape}; expected at least one class"
        )
    check_shape("softmax_cross_entropy", "labels", labels, (M,), "one per row of `logits`")
    labels = check_indices("softmax_cross_entropy", "labels", labels, C, row="sample")
    check_finite("softmax_cross_entropy", "logits", logits, "sample", "class")

    of_label = np.arange(M), labels
    with np.errstate(over="ignore"):  # an infinite loss is reported by reduce_losses
        losses = np.logaddexp.reduce(logits - logits[of_label][:, None], axis=1)  # (M,)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))  # (M, C)
    grad_logits = exponentials / exponentials.sum(axis=1, keepdims=True)  # (M, C), so far the scores
    grad_logits[of_label] = 0
    grad_logits[of_label] = -grad_logits.sum(axis=1)
    return reduce_losses("softmax_cross_entropy", losses, grad_logits, reduction, logits=logits)
