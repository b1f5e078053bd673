"""The cases on which operations are compared with PyTorch, each defined once.

``make_ops.py`` runs them through PyTorch, forward and backward, and stores the results in ``ops.npz`` and
``ops_backward.npz``; ``tests/ops`` compares minidet with those, without PyTorch; ``tests/live_torch``
compares the two directly. A case is known by its name, which also seeds its numbers, so that one can be added
anywhere without changing the others.
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
BACKWARD_FILE = Path(__file__).with_name("ops_backward.npz")
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


def named(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Give every array a name, those in a list too: xs[0] is xs0."""
    return {
        name + number: array
        for name, value in arrays.items()
        for number, array in (
            ((str(i), part) for i, part in enumerate(value)) if isinstance(value, list) else [("", value)]
        )
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


# ---- Backward --------------------------------------------------------------------------------------


def upstream(case: Case, y: NDArray[Any]) -> NDArray[Any]:
    """Make up the gradient of the output ``y``: random, and the same whoever asks."""
    return Numbers(f"{case.name}-upstream").real(*y.shape).astype(y.dtype)


def backward_arguments(op: str, arrays: Arrays, options: dict[str, Any]) -> dict[str, Any]:
    """Return what minidet's backward pass takes beside the gradient of the output, by argument name."""
    if op == "batch_norm2d":
        _, cache = minidet.ops.batch_norm2d_forward(**arrays, **options)
        return {"cache": cache}
    if op == "concat":
        axis = options.get("axis", 1)
        return {"sizes": [x.shape[axis] for x in arrays["xs"]], **options}
    if op == "max_pool2d":
        return {"argmax": call(op, arrays, options)["argmax"], "input_shape": arrays["x"].shape}
    if op in ("sigmoid", "softmax"):
        return {"y": call(op, arrays, options)["y"], **options}
    if op == "upsample_nearest2d":
        return {"input_shape": arrays["x"].shape}
    return {name: value for name, value in {**arrays, **options}.items() if name != "bias"}


def call_backward(op: str, grad_output: NDArray[Any], arguments: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Run minidet's backward pass and return the gradients, each by the name of its array."""
    result = getattr(minidet.ops, f"{op}_backward")(grad_output, **arguments)
    if op == "concat":
        return {f"xs{i}": gradient for i, gradient in enumerate(result)}
    if op == "prelu":
        return dict(zip(("x", "slope"), result, strict=True))
    if op == "deform_conv2d":
        by_name = zip(("x", "offset", "weight", "bias", "mask"), result, strict=True)
        return {name: gradient for name, gradient in by_name if gradient is not None}
    if isinstance(result, tuple):
        return dict(zip(("x", "weight", "bias"), result, strict=True))
    return {"x": result}


def gradients(case: Case, dtype: str) -> dict[str, NDArray[Any]]:
    """Run minidet on a case, forward and backward, and return the gradients."""
    arrays = case.inputs(dtype)
    grad_output = upstream(case, call(case.op, arrays, case.options)["y"])
    return call_backward(case.op, grad_output, backward_arguments(case.op, arrays, case.options))


def with_gradient(op: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return the arrays whose gradients minidet's backward pass returns, by name.

    The running statistics have none. A bias has one even where there was none: that of a bias of zeros.
    """
    chosen = {name: array for name, array in named(arrays).items() if not name.startswith("running_")}
    if op in ("conv2d", "deform_conv2d", "depthwise_conv2d", "linear") and "bias" not in chosen:
        chosen["bias"] = np.zeros(len(chosen["weight"]), chosen["weight"].dtype)
    return chosen


def expected_gradients(case: Case) -> dict[str, NDArray[Any]]:
    """Return the gradients that PyTorch computed in float64."""
    return find_oracle(BACKWARD_FILE, case.name, maker="make_ops")


def is_per_image(name: str) -> bool:
    """Tell an array with an axis of images from a parameter."""
    return name.startswith("x") or name in ("offset", "mask")


def images(arrays: Arrays, which: slice) -> Arrays:
    """Return the arrays with only some of the images; the parameters are as they were."""
    chosen = {**arrays}
    for name in filter(is_per_image, arrays):
        chosen[name] = [x[which] for x in arrays[name]] if name == "xs" else arrays[name][which]
    return chosen


# ---- The files of oracles --------------------------------------------------------------------------


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

    def shuffled(self, *shape: int) -> NDArray[np.float64]:
        """0, 1, 2, ... in random order: no two are equal."""
        return np.argsort(self.random.random_sample(shape), axis=None).reshape(shape).astype(np.float64)

    def some_of(self, values: list[float], *shape: int) -> NDArray[np.float64]:
        """Values from a list."""
        return np.array(values)[self.whole(0, len(values) - 1, *shape).astype(int)]


# ---- Convolutions ----------------------------------------------------------------------------------

# Images, rows, columns: even and odd, one and two.
CONV_SIZES = [(1, 6, 9), (2, 7, 8)]
CONV_SWEEP = list(product((1, 2, 3), (1, 2, 3), (0, 1, 2)))  # filter, stride, padding
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
    """Sweep over filter, stride, padding, size and bias; then small ones; then the odd ones."""
    for (k, stride, padding), (n, h, w), bias in product(CONV_SWEEP, CONV_SIZES, (True, False)):
        yield conv2d((n, 3, h, w), (2, k, k), bias=bias, stride=stride, padding=padding)
    for k, stride, padding in CONV_SWEEP:
        yield conv2d((2, 2, 4, 5), (3, k, k), bias=k != 2, stride=stride, padding=padding)
    for x_shape, filters, stride, padding in CONV_EXTRAS:
        yield conv2d(x_shape, filters, bias=True, stride=stride, padding=padding)


def depthwise_conv2d_cases() -> Iterator[Case]:
    """Sweep as for conv2d, each channel with its filter."""
    for (k, stride, padding), (n, h, w), bias in product(CONV_SWEEP, CONV_SIZES, (True, False)):
        yield depthwise_conv2d((n, 3, h, w), (k, k), bias=bias, stride=stride, padding=padding)
    for k, stride, padding in CONV_SWEEP:
        yield depthwise_conv2d((2, 2, 4, 5), (k, k), bias=k != 2, stride=stride, padding=padding)
    for x_shape, (_, kh, kw), stride, padding in CONV_EXTRAS:
        yield depthwise_conv2d(x_shape, (kh, kw), bias=True, stride=stride, padding=padding)


# ---- Deformable convolution ------------------------------------------------------------------------


def deform_conv2d(
    x_shape: tuple[int, ...],
    filters: tuple[int, int, int],
    *,
    groups: int = 1,
    masked: bool,
    bias: bool,
    stride: int,
    padding: int,
    whole: bool = False,
) -> Case:
    """Filters as for conv2d; ``groups`` share offsets, which with ``whole`` are whole numbers of pixels."""
    n, ic, h, w = x_shape
    oc, kh, kw = filters
    plane = ((h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1)
    endings = {f"-groups{groups}": groups > 1, "-mask": masked, "-bias": bias, "-whole": whole}
    name = f"deform_conv2d-{times(x_shape)}-filters{times(filters)}-stride{stride}-padding{padding}"
    name += "".join(ending for ending, wanted in endings.items() if wanted)
    numbers = Numbers(name)
    offset_shape = (n, 2 * groups * kh * kw, *plane)
    arrays = {
        "x": numbers.real(*x_shape),
        "offset": numbers.whole(-3, 3, *offset_shape) if whole else numbers.real(*offset_shape),
        "weight": numbers.real(oc, ic, kh, kw),
    }
    if bias:
        arrays["bias"] = numbers.real(oc)
    if masked:
        arrays["mask"] = numbers.real(n, groups * kh * kw, *plane)
    return Case(name, "deform_conv2d", arrays, {"stride": stride, "padding": padding})


def deform_conv2d_cases() -> Iterator[Case]:
    """Sweep over filter, stride, padding and size, with and without mask, in groups; then the odd ones.

    Offsets are up to two pixels, so on these small images many samples fall outside, or on the edge.
    """
    sweep = product((1, 2, 3), (1, 2), (0, 1, 2), [(1, 4, 5), (2, 5, 4)])
    for i, (k, stride, padding, (n, h, w)) in enumerate(sweep):
        groups, masked = (1, 2, 4)[i % 3], i % 4 in (0, 3)  # either size with and without
        options = {"stride": stride, "padding": padding, "masked": masked, "bias": not masked}
        yield deform_conv2d((n, 4, h, w), (2, k, k), groups=groups, **options)
    for stride, masked in product((1, 2), (True, False)):
        yield deform_conv2d((1, 2, 3, 4), (2, 2, 2), masked=masked, bias=True, stride=stride, padding=0)
        yield deform_conv2d((2, 1, 3, 2), (1, 1, 2), masked=masked, bias=True, stride=stride, padding=1)
        yield deform_conv2d(
            (1, 2, 4, 3), (2, 1, 1), groups=2, masked=masked, bias=True, stride=stride, padding=0
        )
        # Every sample on a pixel, where the gradient of the offset is a matter of convention.
        yield deform_conv2d(
            (2, 2, 5, 6), (2, 3, 3), masked=masked, bias=True, stride=stride, padding=1, whole=True
        )
    for x_shape, filters, stride, padding in CONV_EXTRAS:
        yield deform_conv2d(x_shape, filters, masked=True, bias=True, stride=stride, padding=padding)
    yield deform_conv2d((2, 6, 7, 8), (3, 3, 3), groups=3, masked=True, bias=True, stride=2, padding=1)


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
    for k, stride, padding, ceil_mode in product((2, 3), (1, 2, 3), (0, 1), (False, True)):
        name = f"no-ties-window{k}-stride{stride}-padding{padding}{'-ceil' if ceil_mode else ''}"
        x = Numbers(name).shuffled(2, 2, 4, 5)
        yield max_pool2d(name, x, kernel_size=k, stride=stride, padding=padding, ceil_mode=ceil_mode)

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
    """Sweep over shapes, both modes, and the two options; two values; a channel that does not vary."""
    for shape, training in product([(1, 1, 1, 2), (1, 3, 4, 5), (2, 3, 1, 1), (3, 2, 5, 4)], (True, False)):
        yield batch_norm2d(shape, training=training)
    for eps, momentum in [(1e-3, 0.1), (1e-5, 0.0), (1e-5, 1.0), (0.5, 0.25)]:
        yield batch_norm2d((2, 3, 3, 4), training=True, eps=eps, momentum=momentum)
    for shape in [(1, 1, 1, 2), (2, 3, 1, 1)]:
        yield batch_norm2d(shape, training=True, eps=0.5)
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
SPECIAL = np.array([[-np.inf, -2.0, -1.0, -(2.0**-20), -0.0], [0.0, 2.0**-20, 1.0, np.inf, 3.0]])
NAN = np.array([[np.nan, -1.0, 1.0], [1.0, np.nan, np.nan]])


def relu_cases() -> Iterator[Case]:
    """Every number of axes, and every kind of number."""
    for shape in SHAPES:
        name = f"relu-{times(shape)}"
        yield Case(name, "relu", {"x": Numbers(name).real(*shape)})
    yield Case("relu-special", "relu", {"x": SPECIAL})
    yield Case("relu-nan", "relu", {"x": NAN})


def leaky_relu_cases() -> Iterator[Case]:
    """The same with slopes below zero, zero and above one among them."""
    for shape, slope in product(SHAPES, (-0.5, 0.0, 0.1, 1.0, 1.5)):
        name = f"leaky_relu-{times(shape)}-slope{slope}"
        yield Case(name, "leaky_relu", {"x": Numbers(name).real(*shape)}, {"negative_slope": slope})
    for name, x in {"special": SPECIAL, "nan": NAN}.items():
        yield Case(f"leaky_relu-{name}", "leaky_relu", {"x": x}, {"negative_slope": 0.1})


def prelu_cases() -> Iterator[Case]:
    """2-D and 4-D; slopes in the range of the released ones, below zero, zero and above one among them."""
    slopes = np.array([-1.28125, 0.0, 0.25, 1.0, 1.296875])
    for shape in [(1, 5), (4, 5), (1, 5, 1, 1), (2, 5, 3, 4), (2, 5, 6)]:
        name = f"prelu-{times(shape)}"
        yield Case(name, "prelu", {"x": Numbers(name).real(*shape), "slope": slopes})
    yield Case("prelu-one-channel", "prelu", {"x": Numbers("one").real(2, 1, 3, 3), "slope": slopes[:1]})
    yield Case("prelu-special", "prelu", {"x": SPECIAL, "slope": slopes[[0, 2, 2, 3, 4]]})
    yield Case("prelu-nan", "prelu", {"x": NAN, "slope": slopes[:3]})


def sigmoid_cases() -> Iterator[Case]:
    """Every number of axes, and numbers whose exponentials would overflow or vanish."""
    for shape in SHAPES:
        name = f"sigmoid-{times(shape)}"
        yield Case(name, "sigmoid", {"x": Numbers(name).real(*shape)})
    yield Case("sigmoid-special", "sigmoid", {"x": SPECIAL})
    yield Case("sigmoid-large", "sigmoid", {"x": np.array([-1e6, -800.0, -36.5, 0.25, 36.5, 800.0])})
    yield Case("sigmoid-nan", "sigmoid", {"x": NAN})


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
    "deform_conv2d": list(deform_conv2d_cases()),
    "depthwise_conv2d": list(depthwise_conv2d_cases()),
    "leaky_relu": list(leaky_relu_cases()),
    "linear": list(linear_cases()),
    "max_pool2d": list(max_pool2d_cases()),
    "prelu": list(prelu_cases()),
    "relu": list(relu_cases()),
    "sigmoid": list(sigmoid_cases()),
    "softmax": list(softmax_cases()),
    "upsample_nearest2d": list(upsample_nearest2d_cases()),
}

# ---- Those whose gradients are compared ------------------------------------------------------------

# relu: PyTorch lets the gradient of a NaN pass, minidet stops it, as it does all that is not above zero.
# batch_norm2d: normalising two values makes -1 and 1 of whatever comes in, so the gradient of x is zero but
# for a share of eps; what the formula returns for it is the rounding of its large terms, in both libraries.
# Where eps is small, tests/ops/test_batch_norm2d.py compares it with an exact formula for two values.
NOT_COMPARABLE = {"relu-nan", "batch_norm2d-1x1x1x2-training", "batch_norm2d-2x3x1x1-training"}

BACKWARD_CASES = {
    op: [case for case in cases if case.name not in NOT_COMPARABLE] for op, cases in CASES.items()
}

# Differences take two forward passes per number, and CI runs kernels as plain Python too.
MOST_NUMBERS = {"conv2d": 140, "deform_conv2d": 220, "depthwise_conv2d": 140, "max_pool2d": 140}


def suits_differences(case: Case) -> bool:
    """Tell whether a case is small enough, and no small step away from a kink."""
    arrays = named(case.arrays)
    if sum(array.size for array in arrays.values()) > MOST_NUMBERS.get(case.op, 400):
        return False
    if case.op in ("relu", "leaky_relu", "prelu"):  # which bend at zero
        return bool(np.isfinite(arrays["x"]).all() and np.abs(arrays["x"]).min() >= 1e-3)
    if case.op == "max_pool2d":  # which bends where two values are equal
        in_order = np.sort(arrays["x"], axis=None)
        return bool(np.isfinite(in_order).all() and np.diff(in_order).min(initial=1.0) >= 1e-3)
    if case.op == "deform_conv2d":  # which bends where a sample is on a pixel
        return bool(np.abs(arrays["offset"] - np.round(arrays["offset"])).min() >= 1e-4)
    if case.op == "sigmoid":
        return bool(np.isfinite(arrays["x"]).all())
    return True


SMOOTH_CASES = {
    op: [case for case in cases if suits_differences(case)] for op, cases in BACKWARD_CASES.items()
}


# ---- One of each ------------------------------------------------------------------------------------

# With no side of length one, where there is more than one way to lay it out in memory.
TYPICAL_NAMES = {
    "batch_norm2d": "batch_norm2d-3x2x5x4-training",
    "concat": "concat-axis1-of3",
    "conv2d": "conv2d-2x3x7x8-filters2x3x3-stride2-padding0-bias",  # unpadded: nothing copies the input
    "deform_conv2d": "deform_conv2d-2x6x7x8-filters3x3x3-stride2-padding1-groups3-mask-bias",
    "depthwise_conv2d": "depthwise_conv2d-2x3x7x8-filters3x3-stride2-padding0-bias",
    "leaky_relu": "leaky_relu-2x3x4x5-slope0.1",
    "linear": "linear-5x7-to3-bias",
    "max_pool2d": "max_pool2d-window5",
    "prelu": "prelu-2x5x3x4",
    "relu": "relu-2x3x4x5",
    "sigmoid": "sigmoid-2x3x4x5",
    "softmax": "softmax-2x3x4x5-axis1",
    "upsample_nearest2d": "upsample_nearest2d-2x1x3x4-to7x10",
}
TYPICAL = {op: next(case for case in CASES[op] if case.name == name) for op, name in TYPICAL_NAMES.items()}
