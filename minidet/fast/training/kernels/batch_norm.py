"""Batch norm with a rectifier behind it, forward and back: it stays in the caches what can."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES, tile_choose, tile_load, tile_of_scalar, tile_slope, tile_store
from minidet.fast.team import Counters, Team, end_step, first_block, join, next_block

BLOCK = 4096
"""Numbers that a thread works on at a time: they stay in the first cache for the second look."""

MEAN, SCALE, BIAS, SLOPE = range(4)
"""Rows of the constants that make of x its normalised, rectified value."""


@jit_fast
def batch_norm_plan(
    x: Float32Array,
    weight: Float32Array,
    bias: Float32Array,
    eps: float,
    learns: bool,
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    partial: NDArray[np.float64],
    constants: Float32Array,
    y: Float32Array,
    counters: Counters,
) -> None:
    r"""Normalise every channel of a map and rectify it.

    Twin of :func:`minidet.ops.batch_norm2d_forward` and, behind it, :func:`minidet.ops.leaky_relu_forward`.

    Each block of pixels has its own mean :math:`\mu_b` and sum :math:`M_b` of squared differences from it, in
    float32; the blocks are joined in float64:

    .. math:: n \sigma^2 = \sum_b \left( M_b + n_b (\mu_b - \mu)^2 \right)

    Parameters
    ----------
    x : (pixels * C,) array
    weight, bias : (channels,) arrays
    eps : float
    learns : bool
        Whether mean and variance are those of x, else those that are given.
    mean, variance : (channels,) arrays
        Written if ``learns``.
    partial : (blocks, 2, C) array
        Scratch; :func:`block_count` counts the blocks.
    constants : (4 * C,) array
        ``SLOPE`` is read: 1 for no rectifier. The rest is written.
    y : (pixels * C,) array
        Written.
    """
    team = join(counters)
    blocks, _, C = partial.shape
    if learns:
        _statistics(x, partial, team)
    c = first_block(team)
    while c < C:
        if c < len(weight):
            if learns:
                _join_statistics(x, partial, c, mean, variance)
            constants[MEAN * C + c] = mean[c]
            constants[SCALE * C + c] = weight[c] / np.sqrt(variance[c] + eps)
            constants[BIAS * C + c] = bias[c]
        else:
            for row in (MEAN, SCALE, BIAS):
                constants[row * C + c] = 0.0
        c = next_block(team)
    end_step(team, C)

    block = first_block(team)
    while block < blocks:
        first, count = _pixels_of_block(block, x, C)
        for c in range(0, C, LANES):
            mean_of = tile_load(1, 1, LANES, constants, MEAN * C + c, 0)
            scale = tile_load(1, 1, LANES, constants, SCALE * C + c, 0)
            shift = tile_load(1, 1, LANES, constants, BIAS * C + c, 0)
            at = first * C + c
            for _ in range(count):
                value = (tile_load(1, 1, LANES, x, at, 0) - mean_of) * scale + shift
                tile_store(y, at, 0, tile_slope(value, constants, SLOPE * C + c))
                at += C
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def _statistics(x: Float32Array, partial: NDArray[np.float64], team: Team) -> None:
    blocks, _, C = partial.shape
    spill = np.empty(LANES, np.float32)
    block = first_block(team)
    while block < blocks:
        first, count = _pixels_of_block(block, x, C)
        for c in range(0, C, LANES):
            even = tile_of_scalar(1, 1, LANES, np.float32(0))
            odd = tile_of_scalar(1, 1, LANES, np.float32(0))
            at = first * C + c
            for _ in range(count // 2):
                even = even + tile_load(1, 1, LANES, x, at, 0)
                odd = odd + tile_load(1, 1, LANES, x, at + C, 0)
                at += 2 * C
            if count % 2 == 1:
                even = even + tile_load(1, 1, LANES, x, at, 0)
            tile_store(spill, 0, 0, even + odd)
            for i in range(LANES):
                spill[i] /= np.float32(count)
                partial[block, 0, c + i] = spill[i]

            center = tile_load(1, 1, LANES, spill, 0, 0)
            even = tile_of_scalar(1, 1, LANES, np.float32(0))
            odd = tile_of_scalar(1, 1, LANES, np.float32(0))
            at = first * C + c
            for _ in range(count // 2):
                difference = tile_load(1, 1, LANES, x, at, 0) - center
                even = even + difference * difference
                difference = tile_load(1, 1, LANES, x, at + C, 0) - center
                odd = odd + difference * difference
                at += 2 * C
            if count % 2 == 1:
                difference = tile_load(1, 1, LANES, x, at, 0) - center
                even = even + difference * difference
            tile_store(spill, 0, 0, even + odd)
            for i in range(LANES):
                partial[block, 1, c + i] = spill[i]
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def _join_statistics(
    x: Float32Array,
    partial: NDArray[np.float64],
    c: int,
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
) -> None:
    blocks, _, C = partial.shape
    pixels = len(x) // C
    total = 0.0
    for block in range(blocks):
        total += _pixels_of_block(block, x, C)[1] * partial[block, 0, c]
    mean[c] = total / pixels
    total = 0.0
    for block in range(blocks):
        apart = partial[block, 0, c] - mean[c]
        total += partial[block, 1, c] + _pixels_of_block(block, x, C)[1] * apart * apart
    variance[c] = total / pixels


@jit_fast
def batch_norm_backward_plan(
    grad_y: Float32Array,
    x: Float32Array,
    constants: Float32Array,
    inv_std: NDArray[np.float64],
    learns: bool,
    partial: NDArray[np.float64],
    factors: Float32Array,
    grad_weight: Float32Array,
    grad_bias: Float32Array,
    grad_x: Float32Array,
    counters: Counters,
) -> None:
    r"""Go back through :func:`batch_norm_plan`.

    Twin of :func:`minidet.ops.leaky_relu_backward` and, behind it, :func:`minidet.ops.batch_norm2d_backward`.
    Sums over a block of pixels are float32, those of the blocks float64. With :math:`s = \gamma / \sigma`, g
    for the gradient in front of the rectifier and d for :math:`x - \mu` it is

    .. math:: s \, g - s \, \overline{g} - \frac{s}{\sigma^2} \, \overline{g \, d} \; d

    Parameters
    ----------
    grad_y, x : (pixels * C,) arrays
    constants : (4 * C,) array
        Of the forward pass.
    inv_std : (channels,) array
    learns : bool
        Whether the statistics were those of x.
    partial : (blocks, 2, C) array
        Scratch.
    factors : (2 * C,) array
        Scratch.
    grad_weight, grad_bias : (channels,) arrays
        Written.
    grad_x : (pixels * C,) array
        Written.
    """
    team = join(counters)
    blocks, _, C = partial.shape
    pixels = len(x) // C
    spill = np.empty(2 * LANES, np.float32)
    zero = tile_of_scalar(1, 1, LANES, np.float32(0))
    block = first_block(team)
    while block < blocks:
        first, count = _pixels_of_block(block, x, C)
        for c in range(0, C, LANES):
            mean_of = tile_load(1, 1, LANES, constants, MEAN * C + c, 0)
            scale = tile_load(1, 1, LANES, constants, SCALE * C + c, 0)
            shift = tile_load(1, 1, LANES, constants, BIAS * C + c, 0)
            slope = tile_load(1, 1, LANES, constants, SLOPE * C + c, 0)
            sum_g = tile_of_scalar(1, 1, LANES, np.float32(0))
            sum_gd = tile_of_scalar(1, 1, LANES, np.float32(0))
            at = first * C + c
            for _ in range(count):
                g = tile_load(1, 1, LANES, grad_y, at, 0)
                d = tile_load(1, 1, LANES, x, at, 0) - mean_of
                g = tile_choose(d * scale + shift, zero, g, slope * g)
                sum_g = sum_g + g
                sum_gd = sum_gd + g * d
                at += C
            tile_store(spill, 0, 0, sum_g)
            tile_store(spill, LANES, 0, sum_gd)
            for i in range(LANES):
                partial[block, 0, c + i] = spill[i]
                partial[block, 1, c + i] = spill[LANES + i]
        block = next_block(team)
    end_step(team, blocks)

    c = first_block(team)
    while c < C:
        factors[c] = factors[C + c] = 0.0
        if c < len(grad_weight):
            all_g, all_gd = 0.0, 0.0
            for block in range(blocks):
                all_g += partial[block, 0, c]
                all_gd += partial[block, 1, c]
            grad_bias[c] = all_g
            grad_weight[c] = all_gd * inv_std[c]
            if learns:
                factors[c] = constants[SCALE * C + c] * all_g / pixels
                factors[C + c] = constants[SCALE * C + c] * inv_std[c] * inv_std[c] * all_gd / pixels
        c = next_block(team)
    end_step(team, C)

    block = first_block(team)
    while block < blocks:
        first, count = _pixels_of_block(block, x, C)
        for c in range(0, C, LANES):
            mean_of = tile_load(1, 1, LANES, constants, MEAN * C + c, 0)
            scale = tile_load(1, 1, LANES, constants, SCALE * C + c, 0)
            shift = tile_load(1, 1, LANES, constants, BIAS * C + c, 0)
            slope = tile_load(1, 1, LANES, constants, SLOPE * C + c, 0)
            through_mean = tile_load(1, 1, LANES, factors, c, 0)
            through_variance = tile_load(1, 1, LANES, factors, C + c, 0)
            at = first * C + c
            for _ in range(count):
                g = tile_load(1, 1, LANES, grad_y, at, 0)
                d = tile_load(1, 1, LANES, x, at, 0) - mean_of
                g = tile_choose(d * scale + shift, zero, g, slope * g)
                tile_store(grad_x, at, 0, scale * g - through_mean - through_variance * d)
                at += C
        block = next_block(team)
    end_step(team, blocks)


def block_count(x: Float32Array, C: int) -> int:
    """Count the blocks of a map of C numbers per pixel."""
    pixels = len(x) // C
    return -(-pixels // max(BLOCK // C, 1))


@jit_fast
def _pixels_of_block(block: int, x: Float32Array, C: int) -> tuple[int, int]:
    size = max(BLOCK // C, 1)
    return block * size, min(size, len(x) // C - block * size)
