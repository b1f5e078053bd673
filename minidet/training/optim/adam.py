r"""Adam: every weight has a step length of its own, by how large its gradients have been."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.nn.parameter import Parameter
from minidet.training.optim._check import check_above_zero, check_at_least_zero, check_below_one
from minidet.training.optim.optimizer import Optimizer


class Adam(Optimizer):
    r"""Adaptive moment estimation, as PyTorch defines it.

    .. math::
        g &\leftarrow g + \lambda w \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) \, g \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) \, g^2 \\
        w &\leftarrow w - \eta \, \frac{\hat m}{\sqrt{\hat v} + \epsilon}, \qquad
        \hat m = \frac{m}{1 - \beta_1^t}, \quad \hat v = \frac{v}{1 - \beta_2^t}

    with weight w, gradient g, learning rate :math:`\eta`, weight decay :math:`\lambda`; t is 1 at the first
    step. m and v are running means of the gradient and of its square. Both start at zero, so after t steps
    their weights add up to :math:`(1 - \beta) \sum_{i<t} \beta^i = 1 - \beta^t` and not to one; the division
    makes up for it. The quotient is about 1 where a gradient keeps its sign and small where it flickers, so a
    weight moves by about :math:`\eta` or less whatever the scale of the loss. The most is
    :math:`\eta (1 - \beta_1) / \sqrt{1 - \beta_2}`, 3.2 times as far, where one gradient follows many zeros.

    Parameters
    ----------
    parameters : dict of Parameter by name
    lr : float
        Learning rate :math:`\eta`; the paper's default.
    betas : (float, float)
        Share that each mean keeps of itself; the paper's defaults, about the last 10 and 1000 gradients.
    eps : float
        Keeps the quotient finite where all gradients were zero; the paper's default.
    weight_decay : float
        :math:`\lambda`, added to the gradient and so scaled like it: a weight with large gradients decays
        less. :class:`AdamW` decays all alike, and is the better choice where there is any decay.

    Raises
    ------
    InputError
        If there are no parameters, or a number is out of its range.

    Notes
    -----
    Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.

    Examples
    --------
    The first step is the learning rate, in the direction against the gradient, however large that is:

    >>> weight = Parameter(np.array([1.0, 1.0]))
    >>> optimizer = Adam({"weight": weight}, lr=0.25)
    >>> weight.grad = np.array([1000.0, -0.001])
    >>> optimizer.step()
    >>> weight.data.round(4)
    array([0.75, 1.25])
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr=lr)
        if len(betas) != 2:
            raise InputError(f"{self._name}: betas={betas!r}; expected two numbers")
        for i, beta in enumerate(betas):
            check_below_one(self._name, f"betas[{i}]", beta)
        check_above_zero(self._name, "eps", eps)
        check_at_least_zero(self._name, "weight_decay", weight_decay)
        self.betas = float(betas[0]), float(betas[1])
        self.eps = float(eps)
        self.weight_decay = float(weight_decay)
        self.first_moment = self.zeros()
        self.second_moment = self.zeros()

    def update(self, name: str, data: FloatArray, grad: FloatArray) -> FloatArray:
        """Compute the new values of one parameter and its moments."""
        return data - self.lr * self.direction(name, grad + self.weight_decay * data)

    def direction(self, name: str, grad: FloatArray) -> FloatArray:
        """Bring the moments of one parameter up to date and return their quotient, each divided as above.

        Parameters
        ----------
        name : str
            Of the parameter.
        grad : array of the shape of the parameter

        Returns
        -------
        array of the same shape
        """
        beta1, beta2 = self.betas
        m = self.first_moment[name] = beta1 * self.first_moment[name] + (1 - beta1) * grad
        v = self.second_moment[name] = beta2 * self.second_moment[name] + (1 - beta2) * grad**2
        m_hat = m / (1 - beta1**self.steps)
        v_hat = v / (1 - beta2**self.steps)
        return m_hat / (np.sqrt(v_hat) + self.eps)

    def buffers(self) -> dict[str, dict[str, FloatArray]]:
        """List both moments."""
        return {"first_moment": self.first_moment, "second_moment": self.second_moment}
