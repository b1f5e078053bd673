"""The training steps whose gradients are compared with PyTorch, each defined once.

A whole network, everything it minimises, hard samples mined, on fixed data: the gradient of that one number
with respect to every parameter and the input. ``make_gradients.py`` stores what plain PyTorch
(``tests/live_torch/torch_objectives.py``) makes of it in ``gradients.npz``; ``tests/models`` compares minidet
with that, without PyTorch; ``tests/live_torch`` compares the two directly, element by element.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet.boxes import generate_anchors
from minidet.nn import LeakyReLU, MaxPool2d, Module, PReLU, ReLU, freeze_batch_norms
from minidet.training.objectives import (
    ALPHA_ONET,
    ALPHA_PNET,
    ALPHA_RNET,
    PAPER,
    REFERENCE,
    MTCNNTargets,
    Objective,
    RetinaFaceTargets,
    SampleType,
    mtcnn_objective,
    retinaface_objective,
    retinaface_targets,
)
from tests.oracles.cases import Numbers, find_oracle
from tests.oracles.network_cases import NETWORKS, State, random_state, shipped_state

FILE = Path(__file__).with_name("gradients.npz")
Array = NDArray[Any]

# ---- What is minimised -----------------------------------------------------------------------------

# What these names mean to PyTorch is written once more in torch_objectives.py.
ALPHAS = {"pnet": ALPHA_PNET, "rnet": ALPHA_RNET, "onet": ALPHA_ONET}
MTCNN_OBJECTIVES = ("mean", "sum")
RETINAFACE_OBJECTIVES = {
    "reference": REFERENCE,
    "paper": PAPER,
    # An image without faces has its say, and smooth L1 is that of the authors' code.
    "background": replace(PAPER, min_negatives=20, beta=1 / 9),
}


# ---- Data ------------------------------------------------------------------------------------------

# Every sample type, and not in order; 10 of 16 have a class, so 7 of them are kept.
SAMPLE_TYPES = [0, 1, 2, 0, 3, 0, 1, 0, 2, 3, 0, 1, 3, 0, 2, 1]
CROP_SIDES = {"pnet": 12, "rnet": 24, "onet": 48}

IMAGE_SIZE = (72, 100)  # maps of 9 x 13, 5 x 7 and 3 x 4: none is twice the next
# x1, y1, x2, y2 in pixels, and whether the face has landmarks; image by image. Faces for the anchors of each
# level, one too small for any, an image without faces, and a close-up that reaches beyond the edges.
FACES: list[list[tuple[float, float, float, float, bool]]] = [
    [(4, 6, 17, 21, True), (30, 9.5, 76, 59, True), (80.5, 40, 97, 58, False), (10, 52, 15, 58, True)],
    [],
    [(-60, -72, 168, 150, True), (76, 9, 90, 27, False)],
]
# In shares of the box's width and height.
LANDMARKS = np.array([[0.3125, 0.375], [0.6875, 0.40625], [0.5, 0.625], [0.34375, 0.8125], [0.65625, 0.75]])


class Batch(NamedTuple):
    """The images or crops of one training step, and what the network should have answered."""

    x: Array
    targets: Any  # MTCNNTargets or RetinaFaceTargets


def mtcnn_batch(network: str, seed: str, dtype: str) -> Batch:
    """Blotched crops; the targets of samples without a say in a task are NaN, and must not be read."""
    numbers = Numbers(seed)
    types, M, side = np.array(SAMPLE_TYPES), len(SAMPLE_TYPES), CROP_SIDES[network]
    x = blotches(numbers, M, side, side) / 128
    box_deltas = numbers.real(M, 4) / 8
    landmark_deltas = numbers.positive(M, 10) - 0.5
    box_deltas[~np.isin(types, [SampleType.POSITIVE, SampleType.PART])] = np.nan
    landmark_deltas[types != SampleType.LANDMARK] = np.nan
    targets = MTCNNTargets(types, box_deltas.astype(dtype), landmark_deltas.astype(dtype))
    return Batch(x.astype(dtype), targets)


def blotches(numbers: Numbers, N: int, H: int, W: int) -> NDArray[np.float64]:
    """Squares of 4 x 4 pixels of one colour, and noise on top, in -120..120.

    Noise alone looks the same all over to a network: then nothing is harder than the rest, and batch norms
    blow up what little there is.
    """
    squares = numbers.whole(-90, 90, N, 3, H // 4, W // 4)
    return squares.repeat(4, axis=2).repeat(4, axis=3) + numbers.whole(-30, 30, N, 3, H, W)


def retinaface_batch(objective: str, seed: str, dtype: str) -> Batch:
    """Blotched images and faces of several sizes; the targets are rounded to what float32 holds exactly."""
    x = blotches(Numbers(seed), len(FACES), *IMAGE_SIZE)
    boxes = [np.array([face[:4] for face in faces], np.float64).reshape(-1, 4) for faces in FACES]
    targets = retinaface_targets(
        generate_anchors(*IMAGE_SIZE).astype(np.float64),
        boxes,
        [b[:, None, :2] + LANDMARKS * (b[:, 2:] - b[:, :2])[:, None] for b in boxes],  # (G, 5, 2)
        [np.array([face[4] for face in faces], bool) for faces in FACES],
        RETINAFACE_OBJECTIVES[objective].thresholds,
    )
    rounded: RetinaFaceTargets = targets._replace(
        box_deltas=(np.round(targets.box_deltas * 2**12) / 2**12).astype(dtype),
        landmark_deltas=(np.round(targets.landmark_deltas * 2**12) / 2**12).astype(dtype),
    )
    return Batch(x.astype(dtype), rounded)


# ---- Cases -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GradientCase:
    """One training step of one network.

    Attributes
    ----------
    network : str
        A key of ``NETWORKS``.
    weights : str
        "shipped" or "random"; a landmark head that was not released is random.
    objective : str
        One of ``MTCNN_OBJECTIVES`` or ``RETINAFACE_OBJECTIVES``.
    frozen : bool
        Whether batch norms use their running statistics.
    seed : int
        Another one makes other images.
    """

    network: str
    weights: str
    objective: str
    frozen: bool = False
    seed: int = 0

    def __str__(self) -> str:
        frozen, seed = "-frozen" if self.frozen else "", f"-seed{self.seed}" if self.seed else ""
        return f"{self.network}-{self.weights}-{self.objective}{frozen}{seed}"

    @property
    def family(self) -> str:
        """The network's name, whether it has a landmark head or not."""
        return self.network.removesuffix("_landmarks")

    def state(self) -> State:
        """Return the weights by name."""
        state = random_state(self.network)
        return state if self.weights == "random" else state | shipped_state(self.family)

    def module(self, dtype: str) -> Module:
        """Return minidet's network, loaded and ready to learn."""
        module = NETWORKS[self.network]().astype(dtype)
        module.load_state_dict(self.state())
        if self.frozen:
            freeze_batch_norms(module)
        return module.train()

    def batch(self, dtype: str) -> Batch:
        """Return the data; the numbers are the same in both types."""
        seed = f"{self.network} {self.weights} {self.seed}"
        if self.network == "retinaface":
            return retinaface_batch(self.objective, seed, dtype)
        return mtcnn_batch(self.family, seed, dtype)


def gradient_cases() -> Iterator[GradientCase]:
    """Every network with the shipped and with random weights; every objective; batch norms either way.

    RetinaFace's seeds are chosen, for float32. Both types are on the same side of every kink and mine the
    same anchors. And no tensor is off by more than ``FLOAT32_FACTOR`` times PyTorch's error: with other
    seeds up to eight in a thousand are, where PyTorch's error happens to be far below its usual one.
    """
    for network in ("pnet_landmarks", "rnet_landmarks", "onet"):
        yield GradientCase(network, "shipped", "mean")
        yield GradientCase(network, "random", "mean")
    yield GradientCase("pnet", "shipped", "mean")
    yield GradientCase("rnet", "shipped", "mean")
    yield GradientCase("onet", "random", "sum")
    yield GradientCase("retinaface", "shipped", "reference", seed=11)
    yield GradientCase("retinaface", "shipped", "background", frozen=True, seed=13)
    yield GradientCase("retinaface", "random", "paper", seed=12)
    yield GradientCase("retinaface", "random", "reference", frozen=True, seed=25)


CASES = list(gradient_cases())


# ---- minidet's side --------------------------------------------------------------------------------


class Step(NamedTuple):
    """What one training step comes to, before any weight moves.

    Attributes
    ----------
    value : float
        The number that is minimised.
    kept : bool array
        The mined set.
    tensors : dict
        The gradient of every parameter by name and that of the input as "x"; the running statistics by name.
    """

    value: float
    kept: NDArray[np.bool_]
    tensors: dict[str, Array]


def objective_of(case: GradientCase, module: Module, batch: Batch) -> Objective:
    """Run minidet's network forward and judge what it says."""
    outputs = module.forward(batch.x)
    if case.network == "retinaface":
        settings = RETINAFACE_OBJECTIVES[case.objective]
        return retinaface_objective(*outputs, batch.targets, settings=settings)
    return mtcnn_objective(*outputs, batch.targets, alpha=ALPHAS[case.family], reduction=case.objective)


def step(case: GradientCase, dtype: str) -> Step:
    """Run minidet forward and backward."""
    module, batch = case.module(dtype), case.batch(dtype)
    objective = objective_of(case, module, batch)
    grad_x = module.backward(*objective.gradients)
    gradients = {name: parameter.grad for name, parameter in module.parameters().items()}
    return Step(objective.value, objective.kept, {**gradients, "x": grad_x, **running_statistics(module)})


def running_statistics(module: Module) -> dict[str, Array]:
    """Return what the batch norms of minidet's network remember, by name."""
    return {name: array for name, array in module.state_dict().items() if "running" in name}


def kinks(case: GradientCase, dtype: str) -> list[Array]:
    """On which side of its kink every rectifier is, and which pixel every pooling window took.

    Where that differs between two float types, the gradients differ grossly, and neither is wrong.
    """
    module = case.module(dtype)
    module.forward(case.batch(dtype).x)
    return list(_kinks_below(module))


def _kinks_below(module: Module) -> Iterator[Array]:
    if isinstance(module, PReLU | LeakyReLU | ReLU):
        yield module.kept() > 0
    if isinstance(module, MaxPool2d):
        yield module.kept()[0]
    for _, part in module.parts():
        yield from _kinks_below(part)


# ---- What is stored --------------------------------------------------------------------------------

SAMPLES, PROJECTIONS = 48, 8


def summarise(tensors: dict[str, Array], names: list[str]) -> Array:
    """Return a row per tensor: 48 elements of it, and 8 sums of all of it with random signs, over sqrt(size).

    The elements are all there are if there are no more, with zeros behind, else drawn. Whatever is wrong
    anywhere in the tensor shows in the sums, which are of the size of a typical element.
    """
    return np.stack([_summary(name, tensors[name]) for name in names])


def _summary(name: str, tensor: Array) -> Array:
    positions, signs = _draw(name, tensor.size)
    values = tensor.astype(np.float64).ravel()
    sampled = np.zeros(SAMPLES)
    sampled[: len(positions)] = values[positions]
    return np.concatenate([sampled, signs @ values / np.sqrt(tensor.size)])


@functools.cache
def _draw(name: str, size: int) -> tuple[Array, Array]:
    numbers = Numbers(f"summary of {name}")
    signs = numbers.some_of([-1.0, 1.0], PROJECTIONS, size)
    positions = np.arange(size) if size <= SAMPLES else numbers.whole(0, size - 1, SAMPLES).astype(int)
    return positions, signs


def largest(tensors: dict[str, Array], names: list[str]) -> Array:
    """Return max|tensor| of each, by which disagreement is measured."""
    return np.array([np.abs(tensors[name]).max() for name in names], np.float64)


def disagreements(summaries: Array, reference: Array, scale: Array) -> Array:
    """Return max|difference| / scale of each row; what is equal does not disagree, whatever the scale."""
    difference = np.abs(summaries - reference).max(axis=1)
    with np.errstate(divide="ignore"):
        return np.divide(difference, scale, out=np.zeros_like(difference), where=difference != 0)


class Expected(NamedTuple):
    """What PyTorch computed in float64, and how far off its float32 is.

    Attributes
    ----------
    value : array without axes
    kept : bool array
    names : (T,) array of str
        The tensors, in alphabetical order.
    summaries : (T, 56) array
    largest : (T,) array
    float32_errors : (T,) array
        max|float32 - float64| / max|float64| over all elements.
    """

    value: Array
    kept: Array
    names: Array
    summaries: Array
    largest: Array
    float32_errors: Array


def expected(case: GradientCase) -> Expected:
    """Return what is stored for a case."""
    return Expected(**find_oracle(FILE, str(case), maker="make_gradients"))


# A float32 result may be off by three times as much as PyTorch's own. That of a tensor of two numbers may
# happen not to be off at all, so half a unit in the last place is the least that counts.
FLOAT32_FACTOR, FLOAT32_LEAST = 3, 2.0**-24


def float32_ratios(errors: Array, torch_errors: Array) -> Array:
    """Return by what factor each error exceeds PyTorch's."""
    return errors / np.maximum(torch_errors, FLOAT32_LEAST)
