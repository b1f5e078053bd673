"""The runs on which optimisers are compared with PyTorch, each defined once.

Random gradients, ten steps. ``make_optim.py`` runs them through PyTorch and stores the weights after every
step in ``optim.npz``; ``tests/training`` compares minidet with those; ``tests/live_torch`` compares the two
directly. A run is known by its name, which also seeds its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.nn.parameter import Parameter
from minidet.training.optim import SGD, Adam, AdamW, Optimizer
from tests.oracles.cases import Numbers, find_oracle

FILE = Path(__file__).with_name("optim.npz")
STEPS = 10
KINDS: dict[str, type[Optimizer]] = {"SGD": SGD, "Adam": Adam, "AdamW": AdamW}

# A convolution, its bias, a matrix, and single numbers.
SHAPES = {
    "conv.weight": (3, 2, 3, 2),
    "conv.bias": (3,),
    "head.weight": (4, 5),
    "slope": (1,),
    "one.weight": (1, 1, 1, 1),
}

Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Run:
    """One optimiser on random gradients.

    Attributes
    ----------
    name : str
    kind : str
        Class name, the same here and in PyTorch.
    options : dict
        Arguments of the constructor besides the parameters.
    lrs : tuple of float
        Learning rates by step; empty for the one of the options.
    gradients : str
        "real", or "rare" for gradients that are mostly zero.
    """

    name: str
    kind: str
    options: dict[str, Any]
    lrs: tuple[float, ...] = ()
    gradients: str = "real"
    shapes: dict[str, tuple[int, ...]] = field(default_factory=lambda: SHAPES)

    def __str__(self) -> str:
        return self.name

    def weights(self, dtype: str) -> Weights:
        """Return the weights to begin with."""
        numbers = Numbers(self.name)
        return {name: numbers.real(*shape).astype(dtype) for name, shape in self.shapes.items()}

    def gradient(self, step: int, dtype: str) -> Weights:
        """Return the gradients of step 0, 1, ..."""
        numbers = Numbers(f"{self.name}, step {step}")
        if self.gradients == "rare":
            draw = {name: numbers.some_of([0.0] * 6 + [-0.5, 1.0], *s) for name, s in self.shapes.items()}
        else:
            draw = {name: numbers.real(*shape) for name, shape in self.shapes.items()}
        return {name: array.astype(dtype) for name, array in draw.items()}

    def parameters(self, dtype: str) -> dict[str, Parameter]:
        """Return new parameters with the weights to begin with."""
        return {name: Parameter(array) for name, array in self.weights(dtype).items()}

    def optimizer(self, parameters: dict[str, Parameter]) -> Optimizer:
        """Make minidet's optimiser."""
        return KINDS[self.kind](parameters, **self.options)


def advance(run: Run, optimizer: Optimizer) -> None:
    """Take minidet's optimiser one step further."""
    step = optimizer.steps
    if run.lrs:
        optimizer.lr = run.lrs[step]
    for name, parameter in optimizer.parameters.items():
        parameter.grad = run.gradient(step, parameter.data.dtype.name)[name]
    optimizer.step()


def weights_of(optimizer: Optimizer) -> Weights:
    """Return the present weights by name."""
    return {name: parameter.data for name, parameter in optimizer.parameters.items()}


def trajectory(run: Run, dtype: str) -> Weights:
    """Run minidet and return the weights after every step, (STEPS, *shape)."""
    optimizer = run.optimizer(run.parameters(dtype))
    after = []
    for _ in range(STEPS):
        advance(run, optimizer)
        after.append(weights_of(optimizer))
    return stack(after)


def stack(after: list[Weights]) -> Weights:
    """Join the weights after every step, so that agreement is measured over the whole way.

    A single number that happens to pass close to zero is as inexact as it was before.
    """
    return {name: np.stack([weights[name] for weights in after]) for name in after[0]}


def expected(run: Run) -> Weights:
    """Return the weights after every step as PyTorch computed them, in float64, (STEPS, *shape)."""
    return find_oracle(FILE, run.name, maker="make_optim")


def runs() -> Iterator[Run]:
    """Every option of every optimiser, alone and together; changing rates; gradients that are mostly zero."""
    for momentum, weight_decay, nesterov in product((0.0, 0.5, 0.9), (0.0, 0.05), (False, True)):
        if momentum > 0 or not nesterov:
            name = f"SGD-momentum{momentum}-decay{weight_decay}{'-nesterov' if nesterov else ''}"
            options = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
            yield Run(name, "SGD", {"lr": 0.05, **options})

    for kind, betas, weight_decay in product(("Adam", "AdamW"), ((0.9, 0.999), (0.5, 0.75)), (0.0, 0.2)):
        name = f"{kind}-betas{betas[0]}-{betas[1]}-decay{weight_decay}"
        yield Run(name, kind, {"lr": 0.05, "betas": betas, "weight_decay": weight_decay})
    for kind in ("Adam", "AdamW"):
        yield Run(f"{kind}-default", kind, {})
        yield Run(f"{kind}-large-eps", kind, {"lr": 0.05, "eps": 0.5})
        yield Run(f"{kind}-no-memory", kind, {"lr": 0.05, "betas": (0.0, 0.0), "eps": 0.1})

    dropping = tuple(float(lr) for lr in np.repeat([0.1, 0.02, 0.0, 0.05], [3, 3, 1, 3]))
    yield Run("SGD-changing-lr", "SGD", {"lr": 1.0, "momentum": 0.9, "weight_decay": 0.05}, dropping)
    yield Run("SGD-changing-lr-nesterov", "SGD", {"lr": 1.0, "momentum": 0.9, "nesterov": True}, dropping)
    yield Run("Adam-changing-lr", "Adam", {"weight_decay": 0.2}, dropping)
    yield Run("AdamW-changing-lr", "AdamW", {"weight_decay": 0.2}, dropping)

    yield Run("SGD-rare", "SGD", {"lr": 0.05, "momentum": 0.9}, gradients="rare")
    yield Run("Adam-rare", "Adam", {"lr": 0.05}, gradients="rare")
    yield Run("AdamW-rare", "AdamW", {"lr": 0.05}, gradients="rare")


RUNS = list(runs())
