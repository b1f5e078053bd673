"""The networks of trunk and branch that are compared with PyTorch: outputs, and gradients of a weighted sum.

The weights of the sum are random, so that every output has a say. ``make_pyramids.py`` stores what the twins
of ``tests/live_torch/twins.py`` compute in ``pyramids.npz``; ``tests/models`` compares minidet with that,
without PyTorch; ``tests/live_torch`` compares the two directly, element by element.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.models.retinaface import Architecture
from minidet.nn import Module, freeze_batch_norms
from tests.oracles.cases import Numbers, find_oracle, times
from tests.oracles.network_cases import State, random_array

FILE = Path(__file__).with_name("pyramids.npz")
Array = NDArray[Any]
OUTPUTS = ("box_deltas", "logits", "landmark_deltas", "box_deltas2", "logits2", "landmark_deltas2")
"""The last three are those of a cascade's second branch."""
SAMPLES = 10


@dataclass(frozen=True)
class PyramidCase:
    """One network with random weights, on one input.

    Attributes
    ----------
    name : str
        Of an :class:`Architecture`.
    shape : (N, 3, H, W)
        Of the input.
    frozen : bool
        Whether batch norms use their running statistics.
    """

    name: str
    shape: tuple[int, int, int, int]
    frozen: bool = False

    def __str__(self) -> str:
        return f"{self.name}-{times(self.shape)}{'-frozen' if self.frozen else ''}"

    def input(self, dtype: str) -> Array:
        """Return noise over the range of pixels that the network sees."""
        return Numbers(str(self)).whole(-120, 150, *self.shape).astype(dtype)

    def state(self) -> State:
        """Return the weights by name."""
        return random_state(self.name)

    def module(self, dtype: str) -> Module:
        """Return minidet's network, loaded and ready to learn."""
        module = Architecture.from_name(self.name).build().astype(dtype)
        module.load_state_dict(self.state())
        if self.frozen:
            freeze_batch_norms(module)
        return module.train()


@functools.lru_cache(maxsize=1)
def random_state(name: str) -> State:
    """Return random values for everything, as :func:`tests.oracles.network_cases.random_state` does.

    The last batch norm of a bottleneck is scaled down, as the sum with what comes past it would grow from
    block to block.
    """
    shapes = {key: array.shape for key, array in Architecture.from_name(name).build().state_dict().items()}
    state = {key: random_array(Numbers(f"{name} {key}"), key, shape) for key, shape in shapes.items()}
    return {
        key: array / 8 if ".bn3." in key and "running" not in key else array for key, array in state.items()
    }


CASES = [
    PyramidCase("retinaface_resnet50", (1, 3, 45, 70), frozen=True),
    PyramidCase("retinaface_resnet50", (2, 3, 64, 96)),
    PyramidCase("retinaface_resnet50_p2p6", (1, 3, 33, 50), frozen=True),
    PyramidCase("retinaface_mobilenet025_p2p6", (2, 3, 72, 100)),
    PyramidCase("retinaface_mobilenet025_p2p6_shared", (2, 3, 61, 90), frozen=True),
    PyramidCase("retinaface_mobilenet025_shared", (2, 3, 72, 100)),
    PyramidCase("retinaface_mobilenet025_p2p6_cascade", (2, 3, 50, 77), frozen=True),
    PyramidCase("retinaface_mobilenet025_p2p6_deform", (2, 3, 50, 77)),
    PyramidCase("retinaface_mobilenet025_deform2", (2, 3, 45, 70), frozen=True),
]


def upstream(name: str, shape: tuple[int, ...], dtype: str) -> Array:
    """Return the weights of an output in the sum, which are its gradient."""
    return Numbers(f"upstream {name}").real(*shape).astype(dtype)


def step(case: PyramidCase, dtype: str) -> dict[str, Array]:
    """Run minidet forward and backward; return outputs, gradients and what batch norms remember, by name."""
    module = case.module(dtype)
    outputs = dict(zip(OUTPUTS, module.forward(case.input(dtype)), strict=False))
    grads = [upstream(name, y.shape, dtype) for name, y in outputs.items()]
    grad_x = module.backward(*grads)
    gradients = {f"gradient of {name}": value.grad for name, value in module.parameters().items()}
    running = {name: value for name, value in module.state_dict().items() if "running" in name}
    return {**outputs, **gradients, **running, "gradient of x": grad_x}


def summarise(tensors: dict[str, Array]) -> dict[str, Array]:
    """Return a row per tensor: its largest value, a sum with random signs over sqrt(size), some elements."""
    return {name: _summary(name, tensor.astype(np.float64).ravel()) for name, tensor in tensors.items()}


def _summary(name: str, values: Array) -> Array:
    numbers = Numbers(f"summary of {name}")
    positions = numbers.whole(0, values.size - 1, SAMPLES).astype(int)
    signs = np.where(numbers.random.random_sample(values.size) < 0.5, -1.0, 1.0)
    return np.concatenate([[np.abs(values).max(), signs @ values / np.sqrt(values.size)], values[positions]])


def expected(case: PyramidCase) -> dict[str, Array]:
    """Return the summaries that PyTorch's float64 gave."""
    found = find_oracle(FILE, str(case), maker="make_pyramids")
    return dict(zip(found["names"].tolist(), found["summaries"], strict=True))
