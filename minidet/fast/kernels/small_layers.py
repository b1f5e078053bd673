"""The last layers of R-Net and O-Net, where crops rather than pixels are the rows of a tile."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.kernels.matmul import multiply_rows, multiply_windows
from minidet.fast.layout import PANEL, Dense
from minidet.fast.team import Team, end_step, first_block, next_block

TWO: Any = np.int64(2)
"""Lines of a window; a plain number would be compiled into a kernel of its own."""

CROPS_PER_BLOCK = 64
"""Crops that share what a block loads of the weights."""


@jit_fast
def conv2x2_flatten(
    arena: Float32Array,
    crops: int,
    source: int,
    side: int,
    channels: int,
    weights: Float32Array,
    layer: Dense,
    target: int,
    team: Team,
) -> None:
    """Convolve maps (crops, side, side, channels) with 2x2 filters, and flatten the result column by column.

    Twin: :func:`minidet.ops.conv2d_forward`, the activation, and
    :func:`minidet.models.mtcnn.flatten.flatten_columns_first`; within 1e-5 of the largest output.
    """
    size = side - 1
    pixels = size * size
    blocks = -(-crops // CROPS_PER_BLOCK) * pixels
    block = first_block(team)
    while block < blocks:
        first, pixel = block // pixels * CROPS_PER_BLOCK, block % pixels
        y, x = pixel // size, pixel % size
        corner = source + (first * side * side + y * side + x) * channels
        multiply_windows(
            arena,
            corner,
            side * side * channels,
            min(CROPS_PER_BLOCK, crops - first),
            TWO,
            side * channels,
            2 * channels,
            weights,
            layer,
            target + (first * pixels + x * size + y) * layer.outputs,
            pixels * layer.outputs,
        )
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def linear(
    arena: Float32Array,
    crops: int,
    source: int,
    weights: Float32Array,
    layer: Dense,
    target: int,
    team: Team,
) -> None:
    """Compute slope(x @ weight + bias) of x (crops, inputs), in blocks of crops and of output channels.

    Twin: :func:`minidet.ops.linear_forward`, then the activation; within 1e-5 of the largest output.
    """
    panels = -(-layer.outputs // PANEL)
    blocks = -(-crops // CROPS_PER_BLOCK) * panels
    block = first_block(team)
    while block < blocks:
        first, channel = block // panels * CROPS_PER_BLOCK, block % panels * PANEL
        part = Dense(
            layer.weight + channel * layer.inputs,
            layer.bias + channel,
            layer.slope + channel,
            layer.inputs,
            min(PANEL, layer.outputs - channel),
        )
        multiply_rows(
            arena,
            source + first * layer.inputs,
            layer.inputs,
            min(CROPS_PER_BLOCK, crops - first),
            weights,
            part,
            target + first * layer.outputs + channel,
            layer.outputs,
        )
        block = next_block(team)
    end_step(team, blocks)
