r"""Stochastic gradient descent with momentum: a ball that rolls downhill and keeps some of its velocity."""

from __future__ import annotations

from collections.abc import Mapping

from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.nn.parameter import Parameter
from minidet.training.optim._check import check_at_least_zero, check_below_one
from minidet.training.optim.optimizer import Optimizer


class SGD(Optimizer):
    r"""Stochastic gradient descent, as PyTorch defines it.

    .. math::
        g &\leftarrow g + \lambda w \\
        v &\leftarrow \mu v + g \qquad (v = g \text{ at the first step}) \\
        w &\leftarrow w - \eta \, v, \quad \text{or with Nesterov} \quad w \leftarrow w - \eta \, (g + \mu v)

    with weight w, gradient g, velocity v, learning rate :math:`\eta`, momentum :math:`\mu` and weight decay
    :math:`\lambda`: the gradient of :math:`\tfrac{\lambda}{2} \lVert w \rVert^2` added to the loss.

    **Where the learning rate stands.** Here it multiplies the velocity as a whole. Caffe and Sutskever et al.
    keep it inside: :math:`v \leftarrow \mu v - \eta g` and :math:`w \leftarrow w + v`. While the rate is
    constant the two are the same, one velocity being :math:`-\eta` times the other. When the rate drops to a
    tenth, this one moves a tenth as far at once, while there the old velocity, made with the old rate, runs
    out over about :math:`1 / (1 - \mu)` steps. A published schedule carries over all the same; the weights do
    not come out equal.

    Parameters
    ----------
    parameters : dict of Parameter by name
    lr : float
        Learning rate :math:`\eta`.
    momentum : float
        Share of the velocity that is kept, from 0 (none, the plain method) to below 1; 0.9 is usual.
    weight_decay : float
        :math:`\lambda`, 0 for none; RetinaFace takes 5e-4. Every parameter decays, biases too.
    nesterov : bool
        Measure from where the velocity is about to lead; needs momentum.

    Raises
    ------
    InputError
        If there are no parameters, or a number is out of its range.

    Notes
    -----
    Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep learning",
    ICML 2013, section 2. Nesterov's method measures the gradient :math:`-\eta \mu v` further on; the variable
    ``w`` is that point here, which is why the velocity appears in the formula twice.

    Examples
    --------
    The gradient is 2 twice; the velocity is 2, then 0.5 * 2 + 2 = 3:

    >>> import numpy as np
    >>> weight = Parameter(np.array([1.0]))
    >>> optimizer = SGD({"weight": weight}, lr=0.25, momentum=0.5)
    >>> weight.grad = np.array([2.0])
    >>> optimizer.step()
    >>> weight.data
    array([0.5])
    >>> optimizer.step()
    >>> weight.data
    array([-0.25])
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        *,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, lr=lr)
        check_below_one("SGD", "momentum", momentum)
        check_at_least_zero("SGD", "weight_decay", weight_decay)
        if nesterov and momentum == 0:
            raise InputError("SGD: nesterov=True with momentum=0; expected momentum above 0, such as 0.9")
        self.momentum = float(momentum)
        self.weight_decay = float(weight_decay)
        self.nesterov = nesterov
        # From zero the first velocity is momentum * 0 + grad, the gradient.
        self.velocity = self.zeros() if momentum > 0 else {}

    def update(self, name: str, data: FloatArray, grad: FloatArray) -> FloatArray:
        """Compute the new values of one parameter and its velocity."""
        grad = grad + self.weight_decay * data
        if self.momentum == 0:
            return data - self.lr * grad
        velocity = self.velocity[name] = self.momentum * self.velocity[name] + grad
        if self.nesterov:
            return data - self.lr * (grad + self.momentum * velocity)
        return data - self.lr * velocity

    def buffers(self) -> dict[str, dict[str, FloatArray]]:
        """List the velocities; without momentum there are none."""
        return {"velocity": self.velocity} if self.velocity else {}
