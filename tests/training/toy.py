"""A network of one layer and endless data: a training that takes milliseconds."""

from typing import NamedTuple

import numpy as np

from minidet.nn import Linear, Module, initialise
from minidet.training.batch import Batch
from minidet.training.objectives import Objective
from minidet.training.optim import SGD, Cosine
from minidet.training.trainer import train

TRUTH = np.arange(12, dtype=np.float32).reshape(3, 4) / 10


class ToyNetwork(Module):
    def __init__(self):
        self.linear = Linear(4, 3)

    def forward(self, x):
        return (self.linear.forward(x),)

    def backward(self, grad):
        return self.linear.backward(grad)


class ToyTargets(NamedTuple):
    y: np.ndarray


class ToyBatches:
    """Batch k has five rows; its images are called a{k}.jpg and b{k}.jpg."""

    steps_per_epoch = 10

    def __init__(self, seed=0, broken_at=None):
        self.seed, self.broken_at = seed, broken_at

    def batch(self, step):
        x = np.random.default_rng([self.seed, step]).standard_normal((5, 4)).astype(np.float32)
        if step == self.broken_at:
            x[2, 1] = np.nan
        names = [f"a{step}.jpg", f"a{step}.jpg", f"b{step}.jpg", f"b{step}.jpg", f"b{step}.jpg"]
        return Batch(x, ToyTargets(x @ TRUTH.T), names)


def toy_objective(outputs, targets):
    error = outputs[0] - targets.y
    value = float((error**2).mean())
    return Objective(value, {"error": value}, (2 * error / error.size,), np.ones(len(error), bool))


def toy_training(folder, *, steps=40, batches=None, seed=0, recipe=None, momentum=0.9, **options):
    """Train from random weights; returns the run."""
    network = ToyNetwork()
    initialise(network, np.random.default_rng(seed))
    return train(
        network,
        batches or ToyBatches(seed),
        toy_objective,
        SGD(network.parameters(), lr=0.1, momentum=momentum),
        Cosine(0.1, 40),
        steps=steps,
        folder=folder,
        recipe=recipe or {"seed": seed},
        progress=False,
        **{"checkpoint_every": 7, **options},
    )
