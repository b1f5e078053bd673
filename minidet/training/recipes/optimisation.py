"""How the weights move during a training: optimiser, learning rate, length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from minidet._check import check_whole
from minidet.errors import InputError, is_number, is_share
from minidet.nn.parameter import Parameter
from minidet.training.optim import SGD, AdamW, Cosine, MultiStep, Optimizer, Schedule, WarmUp


@dataclass(frozen=True)
class Length:
    """How long a training is: so many steps, or so many times through the data.

    Attributes
    ----------
    steps, epochs : int or None
        One of them.
    """

    steps: int | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise InputError(f"Length: steps={self.steps}, epochs={self.epochs}; expected one of the two")
        name, value = ("steps", self.steps) if self.epochs is None else ("epochs", self.epochs)
        check_whole("Length", name, value, least=1)

    def in_steps(self, steps_per_epoch: int) -> int:
        """Return the number of steps.

        Parameters
        ----------
        steps_per_epoch : int

        Returns
        -------
        int

        Examples
        --------
        >>> Length(epochs=3).in_steps(200), Length(steps=50).in_steps(200)
        (600, 50)
        """
        return self.steps if self.steps is not None else (self.epochs or 0) * steps_per_epoch


@dataclass(frozen=True)
class Optimisation:
    """Optimiser and learning rate.

    Attributes
    ----------
    optimizer : "sgd" or "adamw"
        Stochastic gradient descent with momentum, as both papers; or AdamW, which needs no search for the
        rate and is further after few steps: the choice where there is only a CPU.
    lr : float
        The highest learning rate.
    momentum : float
        Of "sgd".
    weight_decay : float
    warm_up : float
        Share of the steps over which the rate rises from a tenth of ``lr``; 0 for none. A network with
        random weights has large gradients at first.
    decay : "cosine" or tuple of float
        The rate falls along half a cosine wave to 0; or it drops to a tenth at these shares of the steps.
    max_norm : float or None
        Longer gradients are shortened; None leaves them.
    """

    optimizer: Literal["sgd", "adamw"] = "adamw"
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warm_up: float = 0.05
    decay: Literal["cosine"] | tuple[float, ...] = "cosine"
    max_norm: float | None = 10.0

    def __post_init__(self) -> None:
        if self.optimizer not in ("sgd", "adamw"):
            raise InputError(f"Optimisation: optimizer={self.optimizer!r}; expected 'sgd' or 'adamw'")
        if not is_number(self.lr) or not 0 < self.lr < 1:
            raise InputError(f"Optimisation: lr={self.lr!r}; expected a number between 0 and 1")
        shares = () if self.decay == "cosine" else self.decay
        for share in (self.warm_up, *shares):
            if not is_share(share):
                raise InputError(f"Optimisation: {share!r} is no share of the steps; expected 0 to 1")

    def make_optimizer(self, parameters: Mapping[str, Parameter]) -> Optimizer:
        """Return the optimiser of ``parameters``.

        Parameters
        ----------
        parameters : mapping of str to Parameter

        Returns
        -------
        Optimizer
        """
        if self.optimizer == "adamw":
            return AdamW(parameters, lr=self.lr, weight_decay=self.weight_decay)
        return SGD(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def make_schedule(self, steps: int) -> Schedule:
        """Return the learning rate of a training of ``steps`` steps.

        Parameters
        ----------
        steps : int
            Of the whole training.

        Returns
        -------
        Schedule

        Examples
        --------
        >>> schedule = Optimisation(lr=0.01, warm_up=0.1, decay=(0.5,)).make_schedule(100)
        >>> [round(schedule(step), 4) for step in (0, 5, 10, 49, 50)]
        [0.001, 0.0055, 0.01, 0.01, 0.001]
        """
        then: Schedule
        if self.decay == "cosine":
            then = Cosine(self.lr, steps)
        else:
            milestones = sorted({max(1, round(share * steps)) for share in self.decay})
            then = MultiStep(self.lr, tuple(milestones))
        rising = round(self.warm_up * steps)
        return WarmUp(self.lr / 10, rising, then) if rising else then
