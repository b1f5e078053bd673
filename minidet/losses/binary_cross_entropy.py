r"""Binary cross-entropy: how surprised a score between 0 and 1 is at what it should have been."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.losses._check import check_pair
from minidet.losses._reduction import Reduction, reduce_losses


@overload
def binary_cross_entropy(
    logits: FloatArray, targets: FloatArray, *, reduction: Literal["none"]
) -> tuple[FloatArray, FloatArray]: ...
@overload
def binary_cross_entropy(
    logits: FloatArray, targets: FloatArray, *, reduction: Literal["sum", "mean"] = "mean"
) -> tuple[float, FloatArray]: ...
def binary_cross_entropy(
    logits: FloatArray, targets: FloatArray, *, reduction: Reduction = "mean"
) -> tuple[FloatArray | float, FloatArray]:
    r"""Compare the sigmoids of ``logits`` with ``targets``, element by element.

    .. math:: L = -t \ln \sigma(z) - (1 - t) \ln (1 - \sigma(z)), \qquad \sigma(z) = \frac{1}{1 + e^{-z}}

    Parameters
    ----------
    logits : (M, ...) array of any shape, float32 or float64
        Before the sigmoid.
    targets : array of the same shape and type
        0 to 1; numbers in between, such as a centre-ness, are meant as such.
    reduction : "none", "sum" or "mean"
        Over the elements.

    Returns
    -------
    value : float, or an array like ``logits`` for "none"
    grad_logits : array like ``logits``

    Raises
    ------
    InputError
        If types or shapes disagree, a number is NaN or infinite, a target is not from 0 to 1, or a mean is
        asked of no elements.

    Notes
    -----
    Since :math:`-\ln \sigma(z) = \ln(1 + e^{-z})` and :math:`1 - \sigma(z) = \sigma(-z)`,

    .. math:: L = \ln(1 + e^{z}) - t z, \qquad \frac{dL}{dz} = \sigma(z) - t

    which overflows nowhere. It is least at :math:`\sigma(z) = t`, and not zero there unless t is 0 or 1.

    Source: Tian et al. 2019 (FCOS, arXiv 1904.01355), section 3.3, which teaches the centre-ness by it. Eq. 1
    of Zhang et al. 2016 is the same for a target of 0 or 1.

    Examples
    --------
    A score of 3/4 for what should be 1, 0 and 3/4. The last cannot be better:

    >>> logits = np.log(np.array([3.0, 3.0, 3.0]))
    >>> losses, grad_logits = binary_cross_entropy(logits, np.array([1, 0, 0.75]), reduction="none")
    >>> np.exp(losses).round(4)
    array([1.3333, 4.    , 1.7548])
    >>> grad_logits.round(4) + 0
    array([-0.25,  0.75,  0.  ])
    """
    check_pair("binary_cross_entropy", logits, targets, name="logits")
    outside = (targets < 0) | (targets > 1)
    if outside.any():
        at = tuple(int(i) for i in np.argwhere(outside)[0])
        raise InputError(
            f"binary_cross_entropy: `targets` is {targets[at]} in sample {at[0]}; expected 0 to 1"
        )

    softplus = np.logaddexp(0, logits)  # ln(1 + exp(z))
    losses = softplus - targets * logits
    grad_logits = np.exp(logits - softplus) - targets  # the sigmoid is exp(z) / (1 + exp(z))
    return reduce_losses(
        "binary_cross_entropy", losses, grad_logits, reduction, logits=logits, targets=targets
    )
