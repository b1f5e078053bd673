r"""AdamW: Adam whose weight decay bypasses the gradient."""

from __future__ import annotations

from collections.abc import Mapping

from minidet._typing import FloatArray
from minidet.nn.parameter import Parameter
from minidet.training.optim.adam import Adam


class AdamW(Adam):
    r"""Adam with decoupled weight decay, as PyTorch defines it.

    .. math::
        w \leftarrow (1 - \eta \lambda) \, w - \eta \, \frac{\hat m}{\sqrt{\hat v} + \epsilon}

    with the moments m and v of :class:`Adam`, here of the bare gradient. There the decay is divided by
    :math:`\sqrt{\hat v}` like all the gradient, so the weights with the largest gradients decay least; here
    every weight loses the same share :math:`\eta \lambda` per step. For SGD the two ways are one.

    Parameters
    ----------
    parameters : dict of Parameter by name
    lr, betas, eps
        As in :class:`Adam`.
    weight_decay : float
        :math:`\lambda`; PyTorch's default. The rate multiplies it, so a schedule lowers both.

    Raises
    ------
    InputError
        If there are no parameters, or a number is out of its range.

    Notes
    -----
    Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2. The paper's decay is
    not multiplied by the base rate, only by the schedule; PyTorch's :math:`\eta \lambda` is the paper's
    :math:`\lambda`.

    Examples
    --------
    Without a gradient only the decay is left, 1 - 0.5 * 0.25:

    >>> import numpy as np
    >>> weight = Parameter(np.array([1.0, -8.0]))
    >>> optimizer = AdamW({"weight": weight}, lr=0.5, weight_decay=0.25)
    >>> weight.grad = np.array([0.0, 0.0])
    >>> optimizer.step()
    >>> weight.data
    array([ 0.875, -7.   ])
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(self, name: str, data: FloatArray, grad: FloatArray) -> FloatArray:
        """Compute the new values of one parameter and its moments."""
        return (1 - self.lr * self.weight_decay) * data - self.lr * self.direction(name, grad)
