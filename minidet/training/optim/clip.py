"""Clipping: one very large gradient shall not undo what many small ones have learnt."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from minidet.errors import InputError, is_number
from minidet.nn.parameter import Parameter
from minidet.training.optim._check import check_gradient, check_parameters


def clip_grad_norm(parameters: Mapping[str, Parameter], max_norm: float) -> float:
    r"""Shorten the gradient of all parameters together to ``max_norm``, where it is longer.

    .. math::
        \lVert g \rVert = \sqrt{\textstyle\sum_p \sum_i g_{p,i}^2}, \qquad
        g \leftarrow g \; \min\left(1, \frac{\text{max\_norm}}{\lVert g \rVert + 10^{-6}}\right)

    All gradients shrink by the same factor, so the direction stays. To be called between backward and step.

    Parameters
    ----------
    parameters : dict of Parameter by name
        Those without a gradient are passed over: they add nothing to the length.
    max_norm : float
        Above 0; infinity only measures.

    Returns
    -------
    norm : float
        The length before clipping, 0 where there is no gradient at all.

    Raises
    ------
    InputError
        If a gradient is not finite or not like its parameter, a parameter has two names, or ``max_norm`` is
        not above 0; then nothing is changed.

    Notes
    -----
    Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    algorithm 1. The 1e-6 is PyTorch's, against a division by zero.

    Examples
    --------
    The length is 5, from 3, 0 and 4, so that 1 leaves a fifth:

    >>> weight, bias = Parameter(np.zeros(2)), Parameter(np.zeros(1))
    >>> weight.grad, bias.grad = np.array([3.0, 0.0]), np.array([4.0])
    >>> clip_grad_norm({"weight": weight, "bias": bias}, 1)
    5.0
    >>> weight.grad.round(4), bias.grad.round(4)
    (array([0.6, 0. ]), array([0.8]))
    """
    check_parameters("clip_grad_norm", parameters)
    if not is_number(max_norm) or not max_norm > 0:
        raise InputError(f"clip_grad_norm: max_norm={max_norm!r}; expected a number above 0")

    squares = 0.0
    for name, parameter in parameters.items():
        if parameter.grad is not None:
            check_gradient("clip_grad_norm", name, parameter.data, parameter.grad)
            grad = parameter.grad.astype(np.float64)  # squares of float32 overflow beyond 2e19
            squares += float(np.vdot(grad, grad))
    norm = math.sqrt(squares)
    if norm == math.inf:
        raise InputError("clip_grad_norm: the gradients are too large to be squared; expected below 1e154")

    factor = float(max_norm) / (norm + 1e-6)
    if factor < 1:
        for parameter in parameters.values():
            if parameter.grad is not None:
                parameter.grad = parameter.grad * factor
    return norm
