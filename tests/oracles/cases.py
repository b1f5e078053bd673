"""The cases on which operations are compared with PyTorch, each defined once.

``make_ops.py`` runs them through PyTorch and stores the results in ``ops.npz``; ``tests/ops`` compares
minidet with those, without PyTorch; ``tests/live_torch`` compares the two directly. A case is known by its
name, which also seeds its numbers, so that one can be added anywhere without changing the others.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minidet.ops

FILE = Path(__file__).with_name("ops.npz")
Arrays = dict[str, Any]  # of arrays; concat takes a list of them


@dataclass(frozen=True)
class Case:
    """One call of one operation.

    Attributes
    ----------
    name : str
    op : str
        "conv2d" stands for ``minidet.ops.conv2d_forward``.
    arrays : dict
        The arrays by argument name, in float64; every number is exact in float32 too.
    options : dict
        The other arguments by name.
    """

    name: str
    op: str
    arrays: Arrays
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def inputs(self, dtype: str) -> Arrays:
        """Return fresh copies of the arrays in ``dtype``."""
        return each_array(lambda array: array.astype(dtype), self.arrays)


def each_array(function: Any, arrays: Arrays) -> Arrays:
    """Apply ``function`` to every array, also to those in a list."""
    return {
        name: [function(array) for array in value] if isinstance(value, list) else function(value)
        for name, value in arrays.items()
    }


def call(op: str, arrays: Arrays, options: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Run minidet's operation and return its outputs by name."""
    result = getattr(minidet.ops, f"{op}_forward")(**arrays, **options)
    if op == "max_pool2d":
        y, argmax = result
        return {"y": y, "argmax": argmax}
    if op == "batch_norm2d":
        y, cache = result
        return {"y": y, "running_mean": cache.running_mean, "running_var": cache.running_var}
    return {"y": result}


def expected(case: Case) -> dict[str, NDArray[Any]]:
    """Return what PyTorch computed in float64, by output name."""
    return find_oracle(FILE, case.name, maker="make_ops")


def find_oracle(file: Path, name: str, *, maker: str) -> dict[str, NDArray[Any]]:
    """Return the arrays stored in ``file`` under "name/output", by output."""
    prefix = f"{name}/"
    found = {key.removeprefix(prefix): array for key, array in stored(file).items() if key.startswith(prefix)}
    if not found:
        raise LookupError(f"{name} is not in {file.name}: run python -m tests.oracles.{maker}")
    return found


@functools.cache
def stored(file: Path) -> dict[str, NDArray[Any]]:
    """Return everything in a file of oracles, under the keys "case/output"."""
    with np.load(file) as archive:
        return {key: archive[key] for key in archive.files}


# ---- Numbers ---------------------------------------------------------------------------------------


class Numbers:
    """Random numbers that are the same on every machine and with every version of NumPy.

    NumPy promises never to change the stream of ``RandomState`` (NEP 19). Only its ``random_sample`` is used,
    whose numbers are whole multiples of 2**-53, and what is done to them here is exact, so that neither
    rounding nor a mathematical library has a say.
    """

    def __init__(self, seed: int | str) -> None:
        number = zlib.crc32(seed.encode()) if isinstance(seed, str) else seed
        self.random = np.random.RandomState(number)

    def real(self, *shape: int) -> NDArray[np.float64]:
        """Multiples of 2**-19 in [-2, 2): 21 bits, so float32 holds them too."""
        return np.floor(self.random.random_sample(shape) * 2**21) / 2**19 - 2

    def positive(self, *shape: int) -> NDArray[np.float64]:
        """Multiples of 2**-20 in [1/2, 3/2), for variances."""
        return np.floor(self.random.random_sample(shape) * 2**20) / 2**20 + 0.5

    def whole(self, low: int, high: int, *shape: int) -> NDArray[np.float64]:
        """Whole numbers from ``low`` to ``high``, both included."""
        return np.floor(self.random.random_sample(shape) * (high - low + 1)) + low

    def some_of(self, values: list[float], *shape: int) -> NDArray[np.float64]:
        """Values from a list."""
        return np.array(values)[self.whole(0, len(values) - 1, *shape).astype(int)]


# ---- Convolutions ----------------------------------------------------------------------------------

# Images, rows, columns: even and odd, one and two.
CONV_SIZES = [(1, 6, 9), (2, 7, 8)]
# (images, input channels, rows, columns), (output channels, filter rows, filter columns), stride, padding.
CONV_EXTRAS = [
    ((1, 1, 1, 1), (1, 1, 1), 1, 0),
    ((1, 1, 1, 1), (1, 3, 3), 1, 1),  # only padding around one pixel
    ((2, 3, 5, 4), (2, 5, 4), 1, 0),  # a filter as large as the image
    ((1, 2, 4, 9), (3, 1, 3), 1, 0),  # filters that are not square
    ((1, 2, 9, 4), (3, 3, 1), 2, 0),
    ((2, 2, 7, 8), (2, 2, 3), 1, 1),
    ((1, 2, 9, 10), (2, 5, 5), 2, 2),
    ((1, 2, 11, 9), (1, 7, 7), 4, 3),
    ((1, 2, 5, 6), (2, 2, 2), 7, 0),  # a stride beyond the image
    ((1, 2, 4, 5), (2, 1, 1), 1, 3),  # padding beyond the filter
    ((3, 5, 5, 6), (7, 3, 3), 1, 1),
    ((1, 64, 3, 3), (8, 1, 1), 1, 0),
]


def conv2d(x_shape: tuple[int, ...], filters: tuple[int, int, int], **options: Any) -> Case:
    """Filters are (output channels, filter rows, filter columns); options are bias, stride, padding."""
    n, ic, h, w = x_shape
    oc, kh, kw = filters
    return _conv("conv2d", f"{oc}x{kh}x{kw}", (n, ic, h, w), (oc, ic, kh, kw), **options)


def depthwise_conv2d(x_shape: tuple[int, ...], window: tuple[int, int], **options: Any) -> Case:
    """The window is (filter rows, filter columns); options are bias, stride and padding."""
    kh, kw = window
    channels = x_shape[1]
    return _conv("depthwise_conv2d", f"{kh}x{kw}", x_shape, (channels, 1, kh, kw), **options)


def _conv(
    op: str,
    filters: str,
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    *,
    bias: bool,
    stride: int,
    padding: int,
) -> Case:
    ending = "-bias" if bias else ""
    name = f"{op}-{times(x_shape)}-filters{filters}-stride{stride}-padding{padding}{ending}"
    numbers = Numbers(name)
    arrays = {"x": numbers.real(*x_shape), "weight": numbers.real(*weight_shape)}
    if bias:
        arrays["bias"] = numbers.real(weight_shape[0])
    return Case(name, op, arrays, {"stride": stride, "padding": padding})


def times(shape: tuple[int, ...]) -> str:
    """Write a shape as 1x3x6x9."""
    return "x".join(map(str, shape))


def conv2d_cases() -> Iterator[Case]:
    """Sweep over filter, stride, padding, size and bias; then the odd ones."""
    for k, stride, padding, (n, h, w), bias in product(
        (1, 2, 3), (1, 2, 3), (0, 1, 2), CONV_SIZES, (True, False)
    ):
        yield conv2d((n, 3, h, w), (2, k, k), bias=bias, stride=stride, padding=padding)
    for x_shape, filters, stride, padding in CONV_EXTRAS:
        yield conv2d(x_shape, filters, bias=True, stride=stride, padding=padding)


def depthwise_conv2d_cases() -> Iterator[Case]:
    """Sweep as for conv2d, each channel with its filter."""
    for k, stride, padding, (n, h, w), bias in product(
        (1, 2, 3), (1, 2, 3), (0, 1, 2), CONV_SIZES, (True, False)
    ):
        yield depthwise_conv2d((n, 3, h, w), (k, k), bias=bias, stride=stride, padding=padding)
    for x_shape, (_, kh, kw), stride, padding in CONV_EXTRAS:
        yield depthwise_conv2d(x_shape, (kh, kw), bias=True, stride=stride, padding=padding)


# ---- Linear ----------------------------------------------------------------------------------------


def linear(rows: int, inputs: int, outputs: int, *, bias: bool) -> Case:
    """A batch of ``rows`` vectors."""
    name = f"linear-{rows}x{inputs}-to{outputs}{'-bias' if bias else ''}"
    numbers = Numbers(name)
    arrays = {"x": numbers.real(rows, inputs), "weight": numbers.real(outputs, inputs)}
    if bias:
        arrays["bias"] = numbers.real(outputs)
    return Case(name, "linear", arrays)


def linear_cases() -> Iterator[Case]:
    """Sweep over all three sizes, one included; then a long sum."""
    for rows, inputs, outputs, bias in product((1, 2, 5), (1, 4, 7), (1, 3), (True, False)):
        yield linear(rows, inputs, outputs, bias=bias)
    yield linear(2, 1152, 5, bias=True)


# ---- Max pooling -----------------------------------------------------------------------------------


def max_pool2d(name: str, x: NDArray[np.float64], **options: Any) -> Case:
    """Name the case; options are those of the operation."""
    return Case(f"max_pool2d-{name}", "max_pool2d", {"x": x}, options)


def smallest_side(kernel_size: int, stride: int, *, ceil_mode: bool) -> int:
    """Smallest side without padding in which a window fits: with ceil_mode, one that hangs over is enough."""
    return max(kernel_size - stride + 1, 1) if ceil_mode else kernel_size


def max_pool2d_cases() -> Iterator[Case]:
    """Every size from the smallest to 13, of whole numbers so that ties are everywhere; then the odd ones."""
    for k, stride, ceil_mode in product((2, 3), (1, 2, 3), (False, True)):
        for size in range(smallest_side(k, stride, ceil_mode=ceil_mode), 14):
            name = f"{size}x{size + 1}-window{k}-stride{stride}{'-ceil' if ceil_mode else ''}"
            x = Numbers(name).whole(-3, 3, 1, 2, size, size + 1)
            yield max_pool2d(name, x, kernel_size=k, stride=stride, ceil_mode=ceil_mode)
    for k, stride, ceil_mode, size in product((2, 3), (1, 2, 3), (False, True), (1, 4, 7)):
        name = f"{size + 1}x{size}-window{k}-stride{stride}-padding1{'-ceil' if ceil_mode else ''}"
        x = Numbers(name).whole(-3, 3, 2, 1, size + 1, size)
        yield max_pool2d(name, x, kernel_size=k, stride=stride, padding=1, ceil_mode=ceil_mode)

    inf, nan = np.inf, np.nan
    overlapping = {"kernel_size": 3, "stride": 2, "ceil_mode": True}
    yield max_pool2d("window1", Numbers("window1").real(1, 2, 3, 4), kernel_size=1, stride=1)
    yield max_pool2d("window5", Numbers("window5").real(2, 2, 9, 8), kernel_size=5, stride=2, padding=2)
    yield max_pool2d("all-equal", np.full((1, 1, 6, 6), 0.5), **overlapping)
    yield max_pool2d("all-negative", Numbers("negative").real(1, 1, 5, 6) - 8, padding=1, **overlapping)
    yield max_pool2d("all-minus-infinity", np.full((1, 1, 5, 6), -inf), padding=1, **overlapping)
    yield max_pool2d("infinities", Numbers("inf").some_of([-inf, 1.0, inf], 1, 2, 6, 7), **overlapping)
    yield max_pool2d("one-nan", np.where(np.arange(42) == 17, nan, 2.0).reshape(1, 1, 6, 7), **overlapping)
    yield max_pool2d("many-nan", Numbers("nan").some_of([-1.0, nan, inf], 1, 2, 6, 7), **overlapping)


# ---- Batch norm ------------------------------------------------------------------------------------


def batch_norm2d(shape: tuple[int, int, int, int], **options: Any) -> Case:
    """Name the case; options are those of the operation."""
    mode = "training" if options["training"] else "inference"
    rest = "".join(f"-{key}{value}" for key, value in options.items() if key != "training")
    name = f"batch_norm2d-{times(shape)}-{mode}{rest}"
    numbers = Numbers(name)
    C = shape[1]
    arrays = {
        "x": numbers.real(*shape),
        "weight": numbers.real(C),
        "bias": numbers.real(C),
        "running_mean": numbers.real(C),
        "running_var": numbers.positive(C),
    }
    return Case(name, "batch_norm2d", arrays, options)


def batch_norm2d_cases() -> Iterator[Case]:
    """Sweep over shapes, both modes, and the two options; then a channel that does not vary."""
    for shape, training in product([(1, 1, 1, 2), (1, 3, 4, 5), (2, 3, 1, 1), (3, 2, 5, 4)], (True, False)):
        yield batch_norm2d(shape, training=training)
    for eps, momentum in [(1e-3, 0.1), (1e-5, 0.0), (1e-5, 1.0), (0.5, 0.25)]:
        yield batch_norm2d((2, 3, 3, 4), training=True, eps=eps, momentum=momentum)
    yield batch_norm2d((2, 3, 3, 4), training=False, eps=0.5)
    yield batch_norm2d((1, 2, 1, 1), training=False)

    numbers = Numbers("constant")
    constant = np.broadcast_to(np.array([2.0, -0.5]).reshape(1, 2, 1, 1), (2, 2, 3, 3)).copy()
    others = {"weight": numbers.real(2), "bias": numbers.real(2)}
    running = {"running_mean": numbers.real(2), "running_var": numbers.positive(2)}
    yield Case(
        "batch_norm2d-constant", "batch_norm2d", {"x": constant, **others, **running}, {"training": True}
    )


# ---- Activations -----------------------------------------------------------------------------------

SHAPES = [(1,), (2, 3), (2, 3, 4), (2, 3, 4, 5)]
SPECIAL = np.array([[-np.inf, -2.0, -1.0, -(2.0**-20), -0.0], [0.0, 2.0**-20, 1.0, np.inf, np.nan]])


def relu_cases() -> Iterator[Case]:
    """Every number of axes, and every kind of number."""
    for shape in SHAPES:
        name = f"relu-{times(shape)}"
        yield Case(name, "relu", {"x": Numbers(name).real(*shape)})
    yield Case("relu-special", "relu", {"x": SPECIAL})


def leaky_relu_cases() -> Iterator[Case]:
    """The same with slopes below zero, zero and above one among them."""
    for shape, slope in product(SHAPES, (-0.5, 0.0, 0.1, 1.0, 1.5)):
        name = f"leaky_relu-{times(shape)}-slope{slope}"
        yield Case(name, "leaky_relu", {"x": Numbers(name).real(*shape)}, {"negative_slope": slope})
    yield Case("leaky_relu-special", "leaky_relu", {"x": SPECIAL}, {"negative_slope": 0.1})


def prelu_cases() -> Iterator[Case]:
    """2-D and 4-D; slopes in the range of the released ones, below zero, zero and above one among them."""
    slopes = np.array([-1.28125, 0.0, 0.25, 1.0, 1.296875])
    for shape in [(1, 5), (4, 5), (1, 5, 1, 1), (2, 5, 3, 4), (2, 5, 6)]:
        name = f"prelu-{times(shape)}"
        yield Case(name, "prelu", {"x": Numbers(name).real(*shape), "slope": slopes})
    yield Case("prelu-one-channel", "prelu", {"x": Numbers("one").real(2, 1, 3, 3), "slope": slopes[:1]})
    yield Case("prelu-special", "prelu", {"x": SPECIAL, "slope": slopes[[0, 2, 2, 3, 4]]})


def softmax_cases() -> Iterator[Case]:
    """Every axis by both of its names; logits whose exponentials would overflow or vanish."""
    for shape in SHAPES:
        for axis in range(-len(shape), len(shape)):
            name = f"softmax-{times(shape)}-axis{axis}"
            yield Case(name, "softmax", {"x": Numbers(name).real(*shape)}, {"axis": axis})
    yield Case("softmax-default-axis", "softmax", {"x": Numbers("default").real(2, 3, 4)})
    large = {
        "large": [[1e4, -1e4], [1e4, 1e4], [-1e4, -1e4], [88.0, 89.0], [-104.0, -103.0]],
        "one-sided": [[0.0, -80.0, -1e6], [1e6, 1e6 + 1, 0.0]],
        "minus-infinity": [[0.0, -np.inf, 1.0]],
    }
    for name, rows in large.items():
        yield Case(f"softmax-{name}", "softmax", {"x": np.array(rows)}, {"axis": 1})


# ---- Upsampling and concatenation ------------------------------------------------------------------


def upsample_nearest2d(shape: tuple[int, int, int, int], size: tuple[int, int]) -> Case:
    """Resize to ``size``."""
    name = f"upsample_nearest2d-{times(shape)}-to{times(size)}"
    return Case(name, "upsample_nearest2d", {"x": Numbers(name).real(*shape)}, {"size": size})


def upsample_nearest2d_cases() -> Iterator[Case]:
    """Double, double less one, unchanged, and sizes that are no multiple, up and down."""
    for h, w in [(1, 1), (1, 4), (2, 3), (5, 4), (7, 8)]:
        for less_h, less_w in product((0, 1), (0, 1)):
            yield upsample_nearest2d((1, 2, h, w), (2 * h - less_h, 2 * w - less_w))
    for shape, size in [
        ((2, 3, 4, 5), (4, 5)),
        ((2, 1, 3, 4), (7, 10)),
        ((1, 2, 3, 7), (11, 8)),
        ((1, 1, 5, 5), (13, 16)),
        ((1, 2, 7, 6), (3, 4)),
        ((1, 2, 5, 6), (1, 1)),
    ]:
        yield upsample_nearest2d(shape, size)


def concat_cases() -> Iterator[Case]:
    """Every axis by both of its names, one to three tensors, of different lengths along the axis."""
    for axis, count in product((0, 1, 2, 3, -1, -4), (1, 2, 3)):
        name = f"concat-axis{axis}-of{count}"
        numbers = Numbers(name)
        shapes = [[2, 3, 4, 5] for _ in range(count)]
        for i, shape in enumerate(shapes):
            shape[axis] = i + 1
        yield Case(name, "concat", {"xs": [numbers.real(*shape) for shape in shapes]}, {"axis": axis})
    numbers = Numbers("two")
    yield Case("concat-default-axis", "concat", {"xs": [numbers.real(2, 3), numbers.real(2, 1)]})


# ---- All of them -----------------------------------------------------------------------------------

CASES: dict[str, list[Case]] = {
    "batch_norm2d": list(batch_norm2d_cases()),
    "concat": list(concat_cases()),
    "conv2d": list(conv2d_cases()),
    "depthwise_conv2d": list(depthwise_conv2d_cases()),
    "leaky_relu": list(leaky_relu_cases()),
    "linear": list(linear_cases()),
    "max_pool2d": list(max_pool2d_cases()),
    "prelu": list(prelu_cases()),
    "relu": list(relu_cases()),
    "softmax": list(softmax_cases()),
    "upsample_nearest2d": list(upsample_nearest2d_cases()),
}
