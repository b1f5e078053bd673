r"""Learning-rate schedules: functions from the number of steps taken to the rate of the next one.

They remember nothing, so a resumed run needs only its step number. A schedule counts optimiser steps, not
epochs: where a paper says "epoch 55", write ``55 * steps_per_epoch``. In a training loop::

    optimizer.lr = schedule(optimizer.steps)
    optimizer.step()

RetinaFace is trained with a rate that rises over 5 epochs and drops at two milestones::

    1e-2          ___________________
                /                    |
              /                      |
    1e-3    /                        |_________
    1e-4                                       |______
            0    5                   55        68     80   epoch
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from minidet._check import check_whole
from minidet.errors import InputError
from minidet.training.optim._check import check_above_zero, check_at_least_zero

Schedule: TypeAlias = Callable[[int], float]
"""From the number of steps already taken, 0 before the first, to the learning rate of the next."""


@dataclass(frozen=True)
class MultiStep:
    r"""A rate that drops at milestones.

    .. math:: \eta(s) = \text{lr} \cdot \gamma^{k}, \qquad k = \#\{\text{milestones} \le s\}

    Parameters
    ----------
    lr : float
    milestones : tuple of int
        Increasing; the step with this number is the first with the lower rate. None of them: a constant rate.
    gamma : float
        Factor at each milestone; a tenth is the usual drop, and RetinaFace's.

    Raises
    ------
    InputError
        If a number is out of its range, or the milestones do not increase.

    Examples
    --------
    >>> schedule = MultiStep(1.0, (2, 3), gamma=0.5)
    >>> [schedule(step) for step in range(5)]
    [1.0, 1.0, 0.5, 0.25, 0.25]
    """

    lr: float
    milestones: tuple[int, ...]
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check_at_least_zero("MultiStep", "lr", self.lr)
        check_above_zero("MultiStep", "gamma", self.gamma)
        for i, milestone in enumerate(self.milestones):
            check_whole("MultiStep", f"milestones[{i}]", milestone, least=1)
        if any(later <= earlier for earlier, later in pairwise(self.milestones)):
            raise InputError(f"MultiStep: milestones={self.milestones!r}; expected increasing numbers")

    def __call__(self, step: int) -> float:
        """Return the rate after ``step`` steps."""
        check_whole("MultiStep", "step", step, least=0)
        return self.lr * self.gamma ** bisect_right(self.milestones, step)


@dataclass(frozen=True)
class Cosine:
    r"""A rate that falls along half a wave: slowly, then fast, then slowly again.

    .. math::
        \eta(s) = \text{final\_lr}
                + \frac{1 + \cos(\pi s / \text{steps})}{2} \, (\text{lr} - \text{final\_lr})

    and ``final_lr`` ever after.

    Parameters
    ----------
    lr : float
        Rate of the first step.
    steps : int
        When the rate has come down to ``final_lr``: usually the steps of the whole training.
    final_lr : float
        Zero leaves the weights where they are, which is the reason to train for ``steps`` steps.

    Raises
    ------
    InputError
        If a number is out of its range.

    Notes
    -----
    Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation 5, without
    the restarts.

    Examples
    --------
    >>> schedule = Cosine(1.0, 4)
    >>> [round(schedule(step), 4) for step in range(6)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0]
    """

    lr: float
    steps: int
    final_lr: float = 0.0

    def __post_init__(self) -> None:
        check_at_least_zero("Cosine", "lr", self.lr)
        check_whole("Cosine", "steps", self.steps, least=1)
        check_at_least_zero("Cosine", "final_lr", self.final_lr)

    def __call__(self, step: int) -> float:
        """Return the rate after ``step`` steps."""
        check_whole("Cosine", "step", step, least=0)
        share = min(step, self.steps) / self.steps
        return self.final_lr + (1 + math.cos(math.pi * share)) / 2 * (self.lr - self.final_lr)


@dataclass(frozen=True)
class WarmUp:
    r"""A rate that rises in a straight line to that of another schedule, and then follows it.

    .. math::
        \eta(s) = \begin{cases}
            \text{start\_lr} + \dfrac{s}{\text{steps}} \, (\text{then}(\text{steps}) - \text{start\_lr})
                & s < \text{steps} \\
            \text{then}(s) & \text{otherwise}
        \end{cases}

    The first weights are random and their gradients large; a full rate would throw them about.

    Parameters
    ----------
    start_lr : float
        Rate of the first step.
    steps : int
        How many steps the rise takes; step number ``steps`` is the first that has the rate of ``then``.
    then : schedule
        It is given the number of all steps, those of the rise included, so milestones are counted from the
        beginning of the training, as papers do.

    Raises
    ------
    InputError
        If a number is out of its range.

    Notes
    -----
    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017, section 2.2, "gradual
    warmup". RetinaFace (Deng et al. 2020, section 4.2): from 1e-3 to 1e-2 in 5 epochs, a tenth of it from 55
    and a hundredth from 68, of 80.

    Examples
    --------
    RetinaFace's schedule, with 100 steps per epoch, at the epochs 0, 2.5, 5, 54, 55 and 68:

    >>> schedule = WarmUp(1e-3, 500, MultiStep(1e-2, (5500, 6800)))
    >>> [round(schedule(step), 6) for step in (0, 250, 500, 5400, 5500, 6800)]
    [0.001, 0.0055, 0.01, 0.01, 0.001, 0.0001]
    """

    start_lr: float
    steps: int
    then: Schedule

    def __post_init__(self) -> None:
        check_at_least_zero("WarmUp", "start_lr", self.start_lr)
        check_whole("WarmUp", "steps", self.steps, least=1)
        if not callable(self.then):
            raise InputError(f"WarmUp: then={self.then!r}; expected a schedule, such as MultiStep(0.01, ())")

    def __call__(self, step: int) -> float:
        """Return the rate after ``step`` steps."""
        check_whole("WarmUp", "step", step, least=0)
        if step >= self.steps:
            return self.then(step)
        return self.start_lr + step / self.steps * (self.then(self.steps) - self.start_lr)
