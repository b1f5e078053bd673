"""The cases on which whole networks are compared with PyTorch, each defined once.

``make_networks.py`` stores what the twins of ``tests/live_torch/twins.py`` compute in ``networks.npz``;
``tests/models`` compares minidet with that, without PyTorch; ``tests/live_torch`` compares the two directly.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.models.mtcnn import ONet, PNet, RNet
from minidet.models.retinaface import RetinaFaceNet
from minidet.nn import Module
from minidet.weights import SHIPPED, load_npz
from tests.oracles.cases import Numbers, find_oracle, times

FILE = Path(__file__).with_name("networks.npz")
State = dict[str, NDArray[np.float32]]

NETWORKS = {
    "pnet": PNet,
    "pnet_landmarks": lambda: PNet(landmark_head=True),
    "rnet": RNet,
    "rnet_landmarks": lambda: RNet(landmark_head=True),
    "onet": ONet,
    "retinaface": RetinaFaceNet,
}
MTCNN_OUTPUTS = ("logits", "box_deltas", "landmark_deltas")
RETINAFACE_OUTPUTS = ("box_deltas", "logits", "landmark_deltas")


@dataclass(frozen=True)
class NetworkCase:
    """One network with one set of weights on one input.

    Attributes
    ----------
    network : str
        A key of ``NETWORKS``.
    weights : str
        "shipped" or "random".
    shape : (N, 3, H, W)
        Of the input.
    training : bool
        Whether batch norms use the batch, and learn from it.
    """

    network: str
    weights: str
    shape: tuple[int, int, int, int]
    training: bool = False

    def __str__(self) -> str:
        return f"{self.network}-{self.weights}-{times(self.shape)}{'-training' if self.training else ''}"

    def input(self, dtype: str) -> NDArray[Any]:
        """Return noise over the range of pixels that the network sees."""
        numbers = Numbers(str(self))
        x = (
            numbers.whole(-120, 150, *self.shape)
            if self.network == "retinaface"
            else numbers.real(*self.shape) / 2
        )
        return x.astype(dtype)

    def state(self) -> State:
        """Return the weights by name."""
        return shipped_state(self.network) if self.weights == "shipped" else random_state(self.network)

    def module(self, dtype: str) -> Module:
        """Return minidet's network, loaded."""
        module = NETWORKS[self.network]().astype(dtype)
        module.load_state_dict(self.state())
        return module.train() if self.training else module.eval()


def outputs(case: NetworkCase, module: Module, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Run minidet's network and return its outputs by name, without those it does not have."""
    names = RETINAFACE_OUTPUTS if case.network == "retinaface" else MTCNN_OUTPUTS
    return {name: y for name, y in zip(names, module.forward(x), strict=True) if y is not None}


# ---- Weights ---------------------------------------------------------------------------------------


def shipped_state(network: str) -> State:
    """Return the released weights of a network."""
    if network == "retinaface":
        return _shipped_arrays("retinaface_mobilenet025")
    prefix = f"{network}."
    arrays = _shipped_arrays("mtcnn")
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


@functools.cache
def _shipped_arrays(name: str) -> State:
    _, arrays = load_npz(SHIPPED[name].path)
    return arrays


@functools.cache
def random_state(network: str) -> State:
    """Return random values for everything: slopes in -1.3..1.3, variances above zero, the rest any."""
    shapes = {name: array.shape for name, array in NETWORKS[network]().state_dict().items()}
    return {name: random_array(Numbers(f"{network} {name}"), name, shape) for name, shape in shapes.items()}


def random_array(numbers: Numbers, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return random values for the array of this name."""
    if name.endswith("running_var"):
        array = numbers.positive(*shape)
    elif "prelu" in name:
        array = numbers.real(*shape) * 0.65
    elif len(shape) > 1:  # so that a sum over all inputs of an output stays of their size
        array = numbers.real(*shape) / np.sqrt(np.prod(shape[1:]))
    else:
        array = numbers.real(*shape)
    return array.astype(np.float32)


# ---- Cases -----------------------------------------------------------------------------------------

PNET_SIZES = [(1, 12, 12), (1, 13, 17), (2, 24, 31), (1, 11, 12)]
RETINAFACE_SIZES = [(1, 64, 64), (1, 65, 97), (2, 33, 47), (1, 1, 1), (1, 31, 64)]


def network_cases() -> list[NetworkCase]:
    """Even and odd sizes, shipped and random weights; the landmark heads exist with random weights only."""
    sizes = {
        "pnet": [(n, 3, h, w) for n, h, w in PNET_SIZES],
        "rnet": [(1, 3, 24, 24), (3, 3, 24, 24)],
        "onet": [(1, 3, 48, 48), (2, 3, 48, 48)],
        "retinaface": [(n, 3, h, w) for n, h, w in RETINAFACE_SIZES],
    }
    cases = [
        NetworkCase(network, weights, shape)
        for network, shapes in sizes.items()
        for weights in ("shipped", "random")
        for shape in shapes
    ]
    cases += [NetworkCase("pnet_landmarks", "random", shape) for shape in sizes["pnet"]]
    cases += [NetworkCase("rnet_landmarks", "random", shape) for shape in sizes["rnet"]]
    cases += [NetworkCase("retinaface", weights, (2, 3, 64, 64), True) for weights in ("shipped", "random")]
    return cases


CASES = network_cases()


def cases_of(*networks: str) -> list[NetworkCase]:
    """Return the cases of some networks, in inference."""
    return [case for case in CASES if case.network in networks and not case.training]


def expected(case: NetworkCase) -> dict[str, NDArray[Any]]:
    """Return what PyTorch computed in float64, by output name; in training also the running statistics."""
    return find_oracle(FILE, str(case), maker="make_networks")
