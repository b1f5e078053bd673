r"""Focal loss: cross-entropy in which samples that are already right count for little."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_float, check_shape
from minidet._typing import FloatArray
from minidet.errors import InputError, is_share
from minidet.losses._check import check_indices, check_not_negative
from minidet.losses._reduction import Reduction, reduce_losses


@overload
def focal_loss(
    logits: FloatArray,
    labels: NDArray[np.integer[Any]],
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: Literal["none"],
) -> tuple[FloatArray, FloatArray]: ...
@overload
def focal_loss(
    logits: FloatArray,
    labels: NDArray[np.integer[Any]],
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: Literal["sum", "mean"] = "mean",
) -> tuple[float, FloatArray]: ...
def focal_loss(
    logits: FloatArray,
    labels: NDArray[np.integer[Any]],
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "mean",
) -> tuple[FloatArray | float, FloatArray]:
    r"""Compare the ``logits`` of (no face, face) with the ``labels``.

    .. math::
        L = -\alpha_t (1 - p_t)^\gamma \ln p_t, \qquad
        p_t = \frac{e^{z_y}}{e^{z_0} + e^{z_1}}, \qquad
        \alpha_t = \begin{cases} \alpha & y = 1 \\ 1 - \alpha & y = 0 \end{cases}

    for the logits :math:`z_0, z_1` and the label :math:`y` of a sample: :math:`p_t` is the softmax score of
    the right class.

    Parameters
    ----------
    logits : (M, 2) array, float32 or float64
        Before softmax: no face, face.
    labels : (M,) array of any integer type
        1 for a face, 0 for none.
    alpha : float
        Weight of faces, 0 to 1; the rest weighs 1 - ``alpha``. 0.25 is what the paper found best together
        with ``gamma`` 2.
    gamma : float
        How little easy samples count, at least 0. With 2, the paper's choice, a sample with score 0.9 counts
        a hundredth. 0 is cross-entropy weighted by ``alpha``.
    reduction : "none", "sum" or "mean"
        Over the samples. The paper divides the sum by the number of faces: take "sum" for that.

    Returns
    -------
    value : float, or (M,) array for "none"
    grad_logits : (M, 2) array

    Raises
    ------
    InputError
        If types or shapes disagree, a label is not 0 or 1, a logit is NaN or infinite, an option is out of
        range, a loss is too large for the type, or a mean is asked of no samples.

    Notes
    -----
    Source: Lin et al. 2017 (Focal Loss for Dense Object Detection, arXiv 1708.02002), eq. 5. The paper has
    one logit and a sigmoid; the softmax of two is the sigmoid of their difference.

    The gradient: everything depends on :math:`d = z_{1-y} - z_y` alone. With the cross-entropy
    :math:`\ell = -\ln p_t = \ln(1 + e^d)` and :math:`q = 1 - p_t = e^{d - \ell}`, the derivatives are
    :math:`\ell' = q` and :math:`q' = p_t q`, hence

    .. math:: \frac{dL}{dd} = \alpha_t (\gamma q^{\gamma - 1} q' \ell + q^\gamma \ell')
              = \alpha_t q^\gamma (\gamma p_t \ell + q)

    which has no negative power, so that :math:`q = 0` does no harm for any :math:`\gamma`. The logit of the
    label gets minus this, the other plus.

    Examples
    --------
    A face with the score 3/4 costs 1/4 * (1/4)^2 * ln 4/3, and a background of the same logits, whose score
    is 1/4, costs 3/4 * (3/4)^2 * ln 4:

    >>> logits = np.log([[1.0, 3.0], [1.0, 3.0]])
    >>> losses, grad_logits = focal_loss(logits, np.array([1, 0]), reduction="none")
    >>> np.exp(losses * [64, 64 / 27]).round(6)
    array([1.333333, 4.      ])

    Without ``gamma`` the gradient is that of cross-entropy times ``alpha`` and 1 - ``alpha``:

    >>> focal_loss(logits, np.array([1, 0]), gamma=0, reduction="none")[1]
    array([[ 0.0625, -0.0625],
           [-0.5625,  0.5625]])
    """
    check_float("focal_loss", logits=logits)
    if logits.ndim != 2 or logits.shape[1] != 2:
        raise InputError(f"focal_loss: `logits` has shape {logits.shape}; expected (M, 2): no face, face")
    M = len(logits)
    check_shape("focal_loss", "labels", labels, (M,), "one per row of `logits`")
    labels = check_indices("focal_loss", "labels", labels, 2, row="sample")
    check_finite("focal_loss", "logits", logits, "sample", "class")
    if not is_share(alpha):
        raise InputError(f"focal_loss: alpha={alpha!r}; expected a number from 0 to 1")
    check_not_negative("focal_loss", "gamma", gamma, logits.dtype)

    samples = np.arange(M)
    weight = np.where(labels == 1, alpha, 1 - alpha).astype(logits.dtype)  # (M,)
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite loss is reported by reduce_losses
        difference = logits[samples, 1 - labels] - logits[samples, labels]  # (M,)
        cross_entropy = np.logaddexp(0, difference)  # (M,)
        p = np.exp(-cross_entropy)  # (M,)
        q = np.exp(difference - cross_entropy)  # (M,), where 1 - p would cancel
        focus = weight * q ** float(gamma)  # (M,)
        losses = focus * cross_entropy
        grad_difference = focus * (float(gamma) * p * cross_entropy + q)
    grad_logits = np.empty_like(logits)
    grad_logits[samples, labels] = -grad_difference
    grad_logits[samples, 1 - labels] = grad_difference
    return reduce_losses("focal_loss", losses, grad_logits, reduction, logits=logits)
