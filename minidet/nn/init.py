r"""First weights: random, and of such a size that signals neither grow nor die on their way through.

A weight array has shape (out, in) or (out, in, KH, KW). One output is a sum of ``fan_in`` products. If inputs
and weights are independent and centred, its variance is ``fan_in`` times that of a weight times that of an
input, so a weight of variance 1 / fan_in keeps the size of a signal. On the way back an input collects
``fan_out`` products, and 1 / fan_out keeps the size of a gradient. The rules below differ in which of the two
they respect, and in whether the activation that follows takes half of the signal away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from minidet._check import FLOAT_TYPES, check_shape
from minidet._typing import FloatArray
from minidet.errors import InputError, is_number
from minidet.nn.module import Module

Shape = tuple[int, ...]


def kaiming_normal(
    shape: Shape,
    rng: np.random.Generator,
    *,
    negative_slope: float = 0.0,
    mode: Literal["fan_in", "fan_out"] = "fan_in",
    dtype: DTypeLike = np.float32,
) -> FloatArray:
    r"""Draw weights for a layer with a rectifier behind it, from a normal distribution.

    .. math:: \sigma^2 = \frac{2}{(1 + a^2) \, \text{fan}}

    A rectifier keeps of a centred signal the half that is positive, and :math:`a^2` of the other, in terms of
    mean squares: :math:`(1 + a^2) / 2`. The weights make up for that.

    Parameters
    ----------
    shape : tuple of int
        (out, in) or (out, in, KH, KW).
    rng : np.random.Generator
    negative_slope : float
        a: 0 for ReLU, the slope of a leaky one, the first slope (0.25) of PReLU.
    mode : "fan_in" or "fan_out"
        Whether signals or gradients keep their size; either is enough (section 2.2 of the paper).
    dtype : float32 or float64
        The numbers are drawn as float64 and then rounded, so both types get the same.

    Returns
    -------
    weight : array of ``shape``

    Raises
    ------
    InputError
        If ``shape`` is not that of a weight, or an option is unknown.

    Notes
    -----
    He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015, equation 10 (14 for fan_out) and with a
    slope 15.

    Examples
    --------
    200 inputs, so the standard deviation is sqrt(2 / 200) = 0.1:

    >>> weight = kaiming_normal((500, 200), np.random.default_rng(0))
    >>> weight.shape, round(float(weight.std()), 3)
    ((500, 200), 0.1)
    """
    std = _kaiming_std("kaiming_normal", shape, negative_slope, mode)
    return _normal("kaiming_normal", std, shape, rng, dtype)


def kaiming_uniform(
    shape: Shape,
    rng: np.random.Generator,
    *,
    negative_slope: float = 0.0,
    mode: Literal["fan_in", "fan_out"] = "fan_in",
    dtype: DTypeLike = np.float32,
) -> FloatArray:
    r"""Draw weights for a layer with a rectifier behind it, all equally likely up to a bound.

    .. math:: w \in [-b, b], \qquad b = \sqrt{\frac{6}{(1 + a^2) \, \text{fan}}}

    which has the variance of :func:`kaiming_normal`, that of a uniform distribution being :math:`b^2 / 3`.

    Parameters
    ----------
    shape, rng, negative_slope, mode, dtype
        As in :func:`kaiming_normal`.

    Returns
    -------
    weight : array of ``shape``

    Raises
    ------
    InputError
        If ``shape`` is not that of a weight, or an option is unknown.

    Notes
    -----
    He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015, equations 10, 14 and 15, which give the
    variance.

    Examples
    --------
    6 inputs, so the bound is 1:

    >>> weight = kaiming_uniform((1000, 6), np.random.default_rng(0))
    >>> bool(abs(weight).max() <= 1), round(float(abs(weight).max()), 2)
    (True, 1.0)
    """
    std = _kaiming_std("kaiming_uniform", shape, negative_slope, mode)
    return _uniform("kaiming_uniform", math.sqrt(3) * std, shape, rng, dtype)


def xavier_normal(shape: Shape, rng: np.random.Generator, *, dtype: DTypeLike = np.float32) -> FloatArray:
    r"""Draw weights for a layer without a rectifier behind it, from a normal distribution.

    .. math:: \sigma^2 = \frac{2}{\text{fan\_in} + \text{fan\_out}}

    the compromise between what keeps the size of signals and what keeps that of gradients.

    Parameters
    ----------
    shape : tuple of int
        (out, in) or (out, in, KH, KW).
    rng : np.random.Generator
    dtype : float32 or float64
        The numbers are drawn as float64 and then rounded, so both types get the same.

    Returns
    -------
    weight : array of ``shape``

    Raises
    ------
    InputError
        If ``shape`` is not that of a weight.

    Notes
    -----
    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    equation 12.

    Examples
    --------
    50 inputs and 150 outputs, so the standard deviation is sqrt(2 / 200) = 0.1:

    >>> weight = xavier_normal((150, 50), np.random.default_rng(0))
    >>> weight.shape, round(float(weight.std()), 2)
    ((150, 50), 0.1)
    """
    fan_in, fan_out = _checked_fans("xavier_normal", shape)
    return _normal("xavier_normal", math.sqrt(2 / (fan_in + fan_out)), shape, rng, dtype)


def xavier_uniform(shape: Shape, rng: np.random.Generator, *, dtype: DTypeLike = np.float32) -> FloatArray:
    r"""Draw weights for a layer without a rectifier behind it, all equally likely up to a bound.

    .. math:: w \in [-b, b], \qquad b = \sqrt{\frac{6}{\text{fan\_in} + \text{fan\_out}}}

    What Caffe calls "xavier" is :func:`caffe_xavier`.

    Parameters
    ----------
    shape, rng, dtype
        As in :func:`xavier_normal`.

    Returns
    -------
    weight : array of ``shape``

    Raises
    ------
    InputError
        If ``shape`` is not that of a weight.

    Notes
    -----
    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    equation 16.

    Examples
    --------
    2 inputs and 4 outputs, so the bound is 1:

    >>> weight = xavier_uniform((4, 2), np.random.default_rng(0))
    >>> weight.shape, bool(abs(weight).max() <= 1)
    ((4, 2), True)
    """
    fan_in, fan_out = _checked_fans("xavier_uniform", shape)
    return _uniform("xavier_uniform", math.sqrt(6 / (fan_in + fan_out)), shape, rng, dtype)


def caffe_xavier(shape: Shape, rng: np.random.Generator, *, dtype: DTypeLike = np.float32) -> FloatArray:
    r"""Draw weights as Caffe's filler "xavier" does: the number of outputs has no part in it.

    .. math:: w \in [-b, b], \qquad b = \sqrt{\frac{3}{\text{fan\_in}}}

    so the variance is 1 / fan_in: a signal keeps its size if no rectifier takes half of it.

    The released prototxt files of MTCNN name this filler.

    Parameters
    ----------
    shape, rng, dtype
        As in :func:`xavier_normal`.

    Returns
    -------
    weight : array of ``shape``

    Raises
    ------
    InputError
        If ``shape`` is not that of a weight.

    Notes
    -----
    Caffe, ``filler.hpp``, XavierFiller with its default variance norm.

    Examples
    --------
    3 inputs, so the bound is 1 whatever the number of outputs:

    >>> weight = caffe_xavier((1000, 3), np.random.default_rng(0))
    >>> bool(abs(weight).max() <= 1), round(float(abs(weight).max()), 2)
    (True, 1.0)
    """
    fan_in, _ = _checked_fans("caffe_xavier", shape)
    return _uniform("caffe_xavier", math.sqrt(3 / fan_in), shape, rng, dtype)


def fans(shape: Shape) -> tuple[int, int]:
    """Count the products that make one output, and those that one input is part of.

    Parameters
    ----------
    shape : tuple of int
        (out, in) or (out, in, KH, KW).

    Returns
    -------
    fan_in : int
        in * KH * KW
    fan_out : int
        out * KH * KW

    Raises
    ------
    InputError
        If ``shape`` has fewer than two axes, or a side below 1.

    Notes
    -----
    PyTorch's rule, which goes by the shape alone. For a depthwise filter (C, 1, KH, KW) its fan_in is right,
    KH * KW, but its fan_out C * KH * KW counts all channels although an input feeds only its own; so such
    layers are better drawn by fan_in. Nor does the rule know of the stride, with which an input is part of
    fewer products.

    Examples
    --------
    >>> fans((16, 3, 5, 5)), fans((64, 1, 3, 3)), fans((2, 256))
    ((75, 400), (9, 576), (256, 2))
    """
    return _checked_fans("fans", shape)


def initialise(
    module: Module,
    rng: np.random.Generator,
    draw: Callable[[Shape, np.random.Generator], FloatArray] = kaiming_normal,
) -> None:
    """Give every weight of a new module its first random values.

    Weights are the parameters of two or more axes: those of convolutions and fully connected layers. All
    others stay as they were built: biases 0, batch norm 1 and 0, PReLU 0.25; and so do weights that are to
    start at zero, as those that predict the offsets of a :class:`minidet.nn.DeformConv2d`. Weights are drawn
    in the order of ``module.parameters()``, so the same module and the same seed give the same values.

    Parameters
    ----------
    module : Module
        Keeps its float type.
    rng : np.random.Generator
    draw : function of shape and rng
        One of this file; options go in by ``functools.partial(kaiming_normal, negative_slope=0.25)``. He's
        rule is the default since most convolutions of both detectors have a rectifier behind them.

    Raises
    ------
    InputError
        If ``draw`` returns an array of another shape; then nothing is changed.

    Examples
    --------
    >>> from minidet.nn import Linear
    >>> layer = Linear(2, 3)
    >>> initialise(layer, np.random.default_rng(0), draw=xavier_uniform)
    >>> bool(layer.weight.data.any()), bool(layer.bias.data.any())
    (True, False)
    """
    weights = {
        name: value
        for name, value in module.parameters().items()
        if value.data.ndim >= 2 and not value.starts_at_zero
    }
    drawn = {name: draw(weight.data.shape, rng) for name, weight in weights.items()}
    for name, weight in weights.items():
        check_shape("initialise", name, drawn[name], weight.data.shape, "the shape `draw` was given")
    for name, weight in weights.items():
        weight.data = drawn[name].astype(weight.data.dtype)


def _checked_fans(function: str, shape: Shape) -> tuple[int, int]:
    if len(shape) < 2 or min(shape) < 1:
        raise InputError(
            f"{function}: shape {shape}; expected (out, in) or (out, in, KH, KW), all at least 1"
        )
    out_channels, in_channels, *window = shape
    return in_channels * math.prod(window), out_channels * math.prod(window)


def _kaiming_std(function: str, shape: Shape, negative_slope: float, mode: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise InputError(f"{function}: mode={mode!r}; expected 'fan_in' or 'fan_out'")
    if not is_number(negative_slope) or not math.isfinite(negative_slope):
        raise InputError(f"{function}: negative_slope={negative_slope!r}; expected a finite number")
    fan_in, fan_out = _checked_fans(function, shape)
    fan = fan_in if mode == "fan_in" else fan_out
    return math.sqrt(2 / ((1 + negative_slope**2) * fan))


def _normal(
    function: str, std: float, shape: Shape, rng: np.random.Generator, dtype: DTypeLike
) -> FloatArray:
    return rng.normal(0, std, shape).astype(_checked_type(function, dtype))


def _uniform(
    function: str, bound: float, shape: Shape, rng: np.random.Generator, dtype: DTypeLike
) -> FloatArray:
    return rng.uniform(-bound, bound, shape).astype(_checked_type(function, dtype))


def _checked_type(function: str, dtype: DTypeLike) -> np.dtype[Any]:
    if np.dtype(dtype) not in FLOAT_TYPES:
        raise InputError(f"{function}: dtype={np.dtype(dtype)}; expected float32 or float64")
    return np.dtype(dtype)
