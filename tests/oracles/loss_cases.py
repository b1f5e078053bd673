"""The cases on which losses are compared with PyTorch, each defined once.

``make_losses.py`` runs them through PyTorch and stores values and gradients in ``losses.npz``;
``tests/losses`` compares minidet with those, without PyTorch; ``tests/live_torch`` compares the two directly.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minidet.losses
from tests.oracles.cases import Arrays, Case, Numbers, find_oracle, times

FILE = Path(__file__).with_name("losses.npz")
REDUCTIONS = ("none", "sum", "mean")

# A Case's ``op`` is the name of the loss; its ``arrays`` hold floats, the one with the gradient first. Labels
# and triangles, which stay whole numbers in every float type, are among its ``options``.


def call(loss: str, arrays: Arrays, options: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Run minidet's loss and return its two outputs by name; a number becomes an array without axes."""
    value, gradient = getattr(minidet.losses, loss)(**arrays, **options)
    return {"value": np.asarray(value), "gradient": gradient}


def expected(case: Case, dtype: str) -> dict[str, NDArray[Any]]:
    """Return what PyTorch computed in float64, in the types that minidet returns for ``dtype``."""
    found = find_oracle(FILE, case.name, maker="make_losses")
    value_type = dtype if case.options["reduction"] == "none" else "float64"
    return {"value": found["value"].astype(value_type), "gradient": found["gradient"].astype(dtype)}


# ---- Classification --------------------------------------------------------------------------------

# Every row comes once with each label. The exponentials of these overflow or vanish in one type or both.
EXTREME = [
    [1e4, -1e4],
    [-1e4, 1e4],
    [1e4, 1e4],
    [-1e4, -1e4],
    [1e4, 9999.0],
    [88.0, 89.0],
    [-104.0, -103.0],
    [0.0, -80.0],
    [0.0, 17.5],
    [0.0, 0.0],
]
EXTREME_THREE = [[1e4, 10001.0, 0.0], [0.0, -80.0, -1e4], [-1e4, -1e4, -1e4]]


def with_each_label(rows: list[list[float]]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return logits and labels: every row with every class."""
    classes = len(rows[0])
    return np.repeat(np.array(rows), classes, axis=0), np.tile(np.arange(classes), len(rows))


def classification(loss: str, M: int, C: int, **options: Any) -> Case:
    """M samples of C classes."""
    name = f"{loss}-{M}x{C}{_ending(options)}"
    numbers = Numbers(name)
    logits = numbers.real(M, C)  # no surer than this: PyTorch's p - 1 of one sure sample cancels in float32
    labels = numbers.whole(0, C - 1, M).astype(int)
    return Case(name, loss, {"logits": logits}, {"labels": labels, **options})


def _ending(options: dict[str, Any]) -> str:
    return "".join(f"-{key}{value:.3g}" for key, value in options.items() if key != "reduction") + (
        f"-{options['reduction']}"
    )


def softmax_cross_entropy_cases() -> Iterator[Case]:
    """Sweep over samples, classes and reductions; then logits whose exponentials overflow or vanish."""
    sizes = [(1, 1), (1, 2), (6, 2), (5, 3), (4, 11)]
    for (M, C), reduction in product(sizes, REDUCTIONS):
        yield classification("softmax_cross_entropy", M, C, reduction=reduction)
    for rows, reduction in product([EXTREME, EXTREME_THREE], REDUCTIONS):
        logits, labels = with_each_label(rows)
        name = f"softmax_cross_entropy-extreme{len(rows[0])}-{reduction}"
        yield Case(
            name, "softmax_cross_entropy", {"logits": logits}, {"labels": labels, "reduction": reduction}
        )


def focal_loss_cases() -> Iterator[Case]:
    """Sweep over gamma, alpha and reductions; then scores of 0 and 1."""
    for gamma, alpha, reduction in product((0.0, 0.5, 1.0, 2.0, 5.0), (0.0, 0.25, 1.0), REDUCTIONS):
        yield classification("focal_loss", 7, 2, gamma=gamma, alpha=alpha, reduction=reduction)
    yield classification("focal_loss", 1, 2, reduction="mean")  # the defaults
    logits, labels = with_each_label(EXTREME)
    for gamma, reduction in product((0.0, 0.5, 2.0), REDUCTIONS):
        options = {"gamma": gamma, "reduction": reduction}
        name = f"focal_loss-extreme{_ending(options)}"
        yield Case(name, "focal_loss", {"logits": logits}, {"labels": labels, **options})


# ---- Regression ------------------------------------------------------------------------------------


def regression(loss: str, shape: tuple[int, ...], **options: Any) -> Case:
    """Two arrays of ``shape``."""
    name = f"{loss}-{times(shape)}{_ending(options)}"
    numbers = Numbers(name)
    arrays = {"predictions": numbers.real(*shape), "targets": numbers.real(*shape)}
    return Case(name, loss, arrays, options)


SHAPES = [(1,), (5,), (3, 4), (2, 5, 2)]


def smooth_l1_cases() -> Iterator[Case]:
    """Sweep over shapes, switch points and reductions; then errors of nothing and of exactly the switch."""
    for shape, beta, reduction in product(SHAPES, (0.0, 1 / 9, 1.0, 2.5), REDUCTIONS):
        yield regression("smooth_l1", shape, beta=beta, reduction=reduction)
    yield regression("smooth_l1", (4, 10), reduction="mean")  # the default switch
    for beta, reduction in product((0.0, 0.5, 1.0), REDUCTIONS):
        options = {"beta": beta, "reduction": reduction}
        targets = Numbers("kinks").real(2, 4)
        errors = np.array([[0.0, beta, -beta, 2 * beta], [0.0, 2.0**-19, -(2.0**-19), -3.0]])
        arrays = {"predictions": targets + errors, "targets": targets}
        yield Case(f"smooth_l1-kinks{_ending(options)}", "smooth_l1", arrays, options)


def squared_error_cases() -> Iterator[Case]:
    """Sweep over shapes and reductions; then a perfect prediction."""
    for shape, reduction in product([*SHAPES, (4, 10)], REDUCTIONS):
        yield regression("squared_error", shape, reduction=reduction)
    same = Numbers("same").real(2, 4)
    arrays = {"predictions": same, "targets": same}
    yield Case("squared_error-same", "squared_error", arrays, {"reduction": "none"})


def binary_cross_entropy_cases() -> Iterator[Case]:
    """Sweep over shapes and reductions; then logits whose exponentials overflow, and targets of 0 and 1."""
    for shape, reduction in product(SHAPES, REDUCTIONS):
        yield shares(shape, reduction=reduction)
    for reduction in REDUCTIONS:
        logits = np.repeat([1e4, -1e4, 88.0, -104.0, 17.5, 0.0], 3).reshape(6, 3)
        arrays = {"logits": logits, "targets": np.tile([0.0, 1.0, 0.5], (6, 1))}
        name = f"binary_cross_entropy-extreme-{reduction}"
        yield Case(name, "binary_cross_entropy", arrays, {"reduction": reduction})


def shares(shape: tuple[int, ...], **options: Any) -> Case:
    """Logits, and targets between 0 and 1."""
    name = f"binary_cross_entropy-{times(shape)}{_ending(options)}"
    numbers = Numbers(name)
    arrays = {"logits": numbers.real(*shape), "targets": numbers.whole(0, 64, *shape) / 64}
    return Case(name, "binary_cross_entropy", arrays, options)


def iou_loss_cases() -> Iterator[Case]:
    """Sweep over boxes and reductions; then equal boxes, equal sides, a thin one, one inside the other."""
    for M, reduction in product((1, 5, 12), REDUCTIONS):
        yield around_a_point(M, reduction=reduction)
    for reduction in REDUCTIONS:
        distances = [[1, 2, 3, 4], [1, 2, 3, 4], [1, 1, 1, 1], [8, 8, 8, 8], [2.0**-9, 5, 2.0**-9, 5]]
        targets = [[1, 2, 3, 4], [2, 2, 1, 5], [8, 8, 8, 8], [1, 1, 1, 1], [5, 2.0**-9, 5, 2.0**-9]]
        arrays = {"distances": np.array(distances, float), "targets": np.array(targets, float)}
        yield Case(f"iou_loss-odd-{reduction}", "iou_loss", arrays, {"reduction": reduction})


def around_a_point(M: int, **options: Any) -> Case:
    """M pairs of boxes around one point each, at most sixty times as far on one side as on another."""
    name = f"iou_loss-{M}x4{_ending(options)}"
    numbers = Numbers(name)
    arrays = {"distances": numbers.whole(1, 64, M, 4) / 8, "targets": numbers.whole(1, 64, M, 4) / 8}
    return Case(name, "iou_loss", arrays, options)


# ---- Meshes ----------------------------------------------------------------------------------------


def faces(loss: str, N: int, V: int, T: int = 0, **options: Any) -> Case:
    """N faces of V vertices; ``edge_length_l1`` gets T random triangles, which share vertices and edges."""
    name = f"{loss}-{N}x{V}{f'-triangles{T}' if T else ''}{_ending(options)}"
    numbers = Numbers(name)
    arrays = {"vertices": numbers.real(N, V, 3), "targets": numbers.real(N, V, 3)}
    if T:
        options = {"triangles": numbers.whole(0, V - 1, T, 3).astype(int), **options}
    return Case(name, loss, arrays, options)


def vertex_l1_cases() -> Iterator[Case]:
    """Sweep over faces, vertices and reductions; then vertices that are right in some of their numbers."""
    for (N, V), reduction in product([(1, 1), (1, 4), (3, 5)], REDUCTIONS):
        yield faces("vertex_l1", N, V, reduction=reduction)
    numbers = Numbers("right")
    for reduction in REDUCTIONS:
        targets = numbers.real(2, 4, 3)
        arrays = {"vertices": targets + numbers.whole(-1, 1, 2, 4, 3), "targets": targets}
        yield Case(f"vertex_l1-right-{reduction}", "vertex_l1", arrays, {"reduction": reduction})


def edge_length_l1_cases() -> Iterator[Case]:
    """Sweep over faces, vertices, triangles, reductions; then edges without length and of the right one."""
    for (N, V, T), reduction in product([(1, 3, 1), (1, 4, 4), (3, 6, 9)], REDUCTIONS):
        yield faces("edge_length_l1", N, V, T, reduction=reduction)
    for name, vertices, targets, triangles in ODD_MESHES:
        arrays = {"vertices": np.array([vertices]), "targets": np.array([targets])}
        options = {"triangles": np.array(triangles), "reduction": "none"}
        yield Case(f"edge_length_l1-{name}", "edge_length_l1", arrays, options)


O, X, Y, Z = [0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 5.0]  # noqa: E741
ODD_MESHES = [
    ("two-in-one-place", [X, X, Y], [O, X, Y], [[0, 1, 2]]),
    ("all-in-one-place", [X, X, X], [O, X, Y], [[0, 1, 2]]),
    ("targets-in-one-place", [O, X, Y], [Y, Y, Y], [[0, 1, 2]]),
    ("both-in-one-place", [X, X, X], [Y, Y, Y], [[0, 1, 2]]),
    ("moved", [[1.0, 1.0, 1.0], [4.0, 1.0, 1.0], [1.0, 5.0, 1.0]], [O, X, Y], [[0, 1, 2]]),
    ("one-edge-turned", [O, [3.0, 4.0, 0.0], Y], [O, Z, Z], [[0, 1, 2]]),  # 0-1 is 5 long in both
    ("triangle-that-is-an-edge", [O, X, Y], [Y, O, X], [[0, 0, 1]]),
    ("triangle-twice", [O, X, Y], [Z, O, Y], [[0, 1, 2], [2, 1, 0]]),
    ("unused-vertex", [O, X, Y, Z], [Z, O, Y, X], [[1, 2, 3]]),
]

# ---- Pictures --------------------------------------------------------------------------------------


def drawn(N: int, H: int, W: int, **options: Any) -> Case:
    """N pictures of H x W pixels; about half of the pixels are covered."""
    name = f"pixel_l1-{N}x{H}x{W}{_ending(options)}"
    numbers = Numbers(name)
    arrays = {"pictures": numbers.real(N, H, W, 3), "crops": numbers.real(N, H, W, 3)}
    options = {"covered": numbers.whole(0, 1, N, H, W) > 0, **options}
    return Case(name, "pixel_l1", arrays, options)


def pixel_l1_cases() -> Iterator[Case]:
    """Sweep over shapes and reductions; then pictures that are right in some of their numbers."""
    for (N, H, W), reduction in product([(1, 1, 1), (1, 3, 2), (4, 2, 3)], REDUCTIONS):
        yield drawn(N, H, W, reduction=reduction)
    numbers = Numbers("right pictures")
    for reduction in REDUCTIONS:
        crops = numbers.real(2, 2, 2, 3)
        arrays = {"pictures": crops + numbers.whole(-1, 1, 2, 2, 2, 3), "crops": crops}
        options = {"covered": np.ones((2, 2, 2), np.bool_), "reduction": reduction}
        yield Case(f"pixel_l1-right-{reduction}", "pixel_l1", arrays, options)


# ---- All of them -----------------------------------------------------------------------------------

CASES: dict[str, list[Case]] = {
    "binary_cross_entropy": list(binary_cross_entropy_cases()),
    "edge_length_l1": list(edge_length_l1_cases()),
    "focal_loss": list(focal_loss_cases()),
    "iou_loss": list(iou_loss_cases()),
    "pixel_l1": list(pixel_l1_cases()),
    "smooth_l1": list(smooth_l1_cases()),
    "softmax_cross_entropy": list(softmax_cross_entropy_cases()),
    "squared_error": list(squared_error_cases()),
    "vertex_l1": list(vertex_l1_cases()),
}
