"""The short trainings that are compared with PyTorch, each defined once: ten optimiser steps on fixed data.

``make_trajectories.py`` stores where plain PyTorch (``tests/live_torch/torch_objectives.py``) gets to in
``trajectories.npz``; ``tests/training`` compares minidet with that, without PyTorch; ``tests/live_torch``
compares the two directly. Hard samples are mined anew at every step, on each side by its own losses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minidet.training.optim import SGD, Adam, AdamW, Optimizer
from tests.oracles.cases import find_oracle
from tests.oracles.gradient_cases import Array, GradientCase, objective_of

FILE = Path(__file__).with_name("trajectories.npz")
STEPS = 10

# Class names and arguments, here and in PyTorch. A gradient that ought to be zero is rounding, 1e-16;
# AdamW, which adds no decay to it, would divide that by an eps of 1e-8 and see it in the weights.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4}),
    "nesterov": ("SGD", {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}),
    "adam": ("Adam", {"lr": 1e-3, "weight_decay": 5e-4}),
    "adamw": ("AdamW", {"lr": 1e-3, "eps": 1e-6, "weight_decay": 0.05}),
}
KINDS: dict[str, type[Optimizer]] = {"SGD": SGD, "Adam": Adam, "AdamW": AdamW}


@dataclass(frozen=True)
class Trajectory:
    """Ten steps of one optimiser, from the weights and on the batch of a gradient case.

    Attributes
    ----------
    case : GradientCase
    optimizer : str
        A key of ``OPTIMIZERS``.
    """

    case: GradientCase
    optimizer: str

    def __str__(self) -> str:
        return f"{self.case}-{self.optimizer}"


def trajectories() -> Iterator[Trajectory]:
    """Every network with every optimiser; RetinaFace once with batch norms frozen."""
    trained = [
        GradientCase("pnet_landmarks", "shipped", "mean"),
        GradientCase("rnet_landmarks", "shipped", "mean"),
        GradientCase("onet", "shipped", "mean"),
        GradientCase("retinaface", "shipped", "reference"),
    ]
    for case, optimizer in product(trained, OPTIMIZERS):
        yield Trajectory(case, optimizer)
    yield Trajectory(GradientCase("retinaface", "random", "background", frozen=True), "adam")


TRAJECTORIES = list(trajectories())


class Way(NamedTuple):
    """What happened in ten steps.

    Attributes
    ----------
    losses : (10,) array
        Before each step.
    kept : (10, ...) bool array
        The mined set of each step.
    tensors : dict
        The state at the end by name: parameters, and the running statistics.
    """

    losses: Array
    kept: Array
    tensors: dict[str, Array]


def follow(trajectory: Trajectory, dtype: str) -> Way:
    """Train minidet's network."""
    case = trajectory.case
    module, batch = case.module(dtype), case.batch(dtype)
    kind, options = OPTIMIZERS[trajectory.optimizer]
    optimizer = KINDS[kind](module.parameters(), **options)
    losses, kept = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        objective = objective_of(case, module, batch)
        module.backward(*objective.gradients)
        optimizer.step()
        losses.append(objective.value)
        kept.append(objective.kept)
    return Way(np.array(losses), np.stack(kept), module.state_dict())


def movement(trajectory: Trajectory, tensors: dict[str, Array]) -> dict[str, Array]:
    """Return how far every tensor has come from where it began."""
    state = trajectory.case.state()
    return {name: array - state[name].astype(array.dtype) for name, array in tensors.items()}


class Expected(NamedTuple):
    """Where PyTorch got to, in float64.

    Attributes
    ----------
    losses : (10,) array
    kept : (10, ...) bool array
    names : (T,) array of str
        The tensors, in alphabetical order.
    summaries : (T, 56) array
        Of the movements, as ``gradient_cases.summarise`` makes them.
    largest : (T,) array
        max|tensor| at the end.
    farthest : (T,) array
        max|movement|.
    """

    losses: Array
    kept: Array
    names: Array
    summaries: Array
    largest: Array
    farthest: Array


def expected(trajectory: Trajectory) -> Expected:
    """Return what is stored."""
    return Expected(**find_oracle(FILE, str(trajectory), maker="make_trajectories"))
