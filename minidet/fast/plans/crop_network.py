"""What R-Net and O-Net share when compiled: stages of convolution and pooling, then layers without pooling.

::

    crop 0 ─ conv, pool ─ conv, pool ─ ... ─┐
    crop 1 ─ conv, pool ─ conv, pool ─ ... ─┤ features of all crops ─ conv 2x2 ─ linear ─ heads
    ...

In the stages a thread works on one crop at a time, all of it in its cache, with pixels as the rows of a
register tile. The maps behind them have 3x3 pixels and less, so from there on crops are the rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array, FloatArray
from minidet.errors import InputError
from minidet.fast.arguments import NO_IMAGE, as_tensor, bias_of, frozen
from minidet.fast.kernels.conv_rgb import conv_rgb_row
from minidet.fast.kernels.crops import load_crop
from minidet.fast.kernels.max_pool import max_pool_row, pooled_size
from minidet.fast.kernels.resize_area import sums_size
from minidet.fast.kernels.small_layers import conv2x2_flatten, linear
from minidet.fast.kernels.winograd_valid import pack_winograd_valid, winograd_scratch, winograd_valid
from minidet.fast.layout import PANEL, Dense, WeightPacker, as_record
from minidet.fast.simd import LANES
from minidet.fast.team import Counters, end_step, first_block, get_num_threads, join, next_block, run_plan
from minidet.fast.workspace import aligned, workspaces
from minidet.nn import Conv2d, Linear, PReLU

STEPS = 4
"""Of the plan: the stages of each crop, then one step for each layer of all crops together."""

OUTPUTS = 16
"""Numbers per crop: two logits, four box deltas, ten landmark deltas if the network has them."""


class Stage(NamedTuple):
    """A 3x3 convolution with its activation, and the max pooling with stride 2 behind it.

    Attributes
    ----------
    side, inputs, outputs : int
        Side of the map that is convolved, its channels, those of the pooled map.
    conv : Dense
        Its outputs are padded to whole vectors.
    window : int
        Side of the pooling window.
    map, map_size, pooled, pooled_size : int
        Places of what the two make, in a thread's scratch, and numbers per crop.
    """

    side: int
    inputs: int
    outputs: int
    conv: Dense
    window: int
    map: int
    map_size: int
    pooled: int
    pooled_size: int


class Tail(NamedTuple):
    """The layers behind the stages: a 2x2 convolution of maps (side, side, inputs), and two linear ones."""

    side: int
    inputs: int
    conv: Dense
    linear: Dense
    heads: Dense


class Places(NamedTuple):
    """Where things lie in the arena.

    Each thread has ``scratch_size`` numbers of its own from 0 on; in there are ``winograd`` and ``sums``,
    which is for the resizing. The others are of all crops, one after the other.
    """

    scratch_size: int
    winograd: int
    sums: int
    features: int
    flat: int
    hidden: int
    outputs: int


@jit_fast
def _plan(
    image: NDArray[Any],
    windows: NDArray[np.int64],
    tensor: Float32Array,
    crops: int,
    groups: int,
    arena: Float32Array,
    places: Places,
    weights: Float32Array,
    stages: NDArray[np.void],
    tail_record: NDArray[np.void],
    counters: Counters,
) -> None:
    tail = tail_record[0]
    team = join(counters)
    scratch = team.member * places.scratch_size
    sums = arena[scratch + places.sums : scratch + places.scratch_size]
    group = first_block(team)
    while group < groups:
        first, last = group * crops // groups, (group + 1) * crops // groups
        source, source_size = scratch, 3 * stages[0].side * stages[0].side
        for i in range(last - first):
            at = source + i * source_size
            load_crop(image, windows, tensor, first + i, stages[0].side, sums, arena, at)
        for k in range(len(stages)):
            stage = stages[k]
            conv, side, size = _dense(stage.conv), stage.side, stage.map_size
            map_at, pooled_at = scratch + stage.map, scratch + stage.pooled
            if k == len(stages) - 1:
                pooled_at = places.features + first * stage.pooled_size
            if k > 0:
                winograd_valid(
                    *(arena, last - first, source, source_size, side),
                    *(weights, conv, map_at, size, scratch + places.winograd),
                )
            for i in range(last - first):
                at, middle, to = (
                    source + i * source_size,
                    map_at + i * size,
                    pooled_at + i * stage.pooled_size,
                )
                row = 0
                for y in range(pooled_size(side - 2, stage.window)):
                    # Row by row, so that what is pooled is still at hand.
                    while k == 0 and row < min(2 * y + stage.window, side - 2):
                        conv_rgb_row(arena, at, side, row, weights, conv, middle)
                        row += 1
                    max_pool_row(arena, middle, side - 2, conv.outputs, stage.window, y, to, stage.outputs)
            source, source_size = pooled_at, stage.pooled_size
        group = next_block(team)
    end_step(team, groups)
    conv = _dense(tail.conv)
    conv2x2_flatten(arena, crops, places.features, tail.side, tail.inputs, weights, conv, places.flat, team)
    linear(arena, crops, places.flat, weights, _dense(tail.linear), places.hidden, team)
    linear(arena, crops, places.hidden, weights, _dense(tail.heads), places.outputs, team)


@jit_fast
def _dense(layer: Any) -> Dense:
    """Turn a part of a record into the tuple that kernels take."""
    return Dense(layer.weight, layer.bias, layer.slope, layer.inputs, layer.outputs)


class CropNetworkBuilder:
    """Collects the layers of a network in the order of its ``forward``, and plans where the maps lie.

    Parameters
    ----------
    side : int
        Of the crops, in pixels.
    crops_together : int
        At most so many are worked on at the same time: few enough for a processor's own cache, and enough to
        fill register tiles.
    """

    def __init__(self, side: int, crops_together: int) -> None:
        self._packer = WeightPacker()
        self._stages: list[Stage] = []
        self._side, self._inputs = side, 3
        self._together = crops_together
        self._place = self._together * side * side * 3
        self._winograd = 0

    def conv_pool(self, conv: Conv2d, prelu: PReLU, window: int) -> None:
        """Append a 3x3 convolution, its PReLU, and a pooling with stride 2."""
        if self._stages:
            arrays = conv.weight.data, bias_of(conv), prelu.weight.data
            dense = pack_winograd_valid(self._packer, *arrays)
            self._winograd = max(self._winograd, winograd_scratch(dense.inputs, dense.outputs))
        else:
            dense = self._conv(conv, prelu, PANEL)
        outputs = len(bias_of(conv))
        convolved = self._side - 2
        pooled = pooled_size(convolved, window)
        map_size, pooled_numbers = convolved * convolved * dense.outputs, pooled * pooled * outputs
        map_at, pooled_at = self._take(map_size), self._take(pooled_numbers)
        self._stages.append(
            Stage(
                *(self._side, self._inputs, outputs, dense, window),
                *(map_at, map_size, pooled_at, pooled_numbers),
            )
        )
        self._side, self._inputs = pooled, outputs

    def _take(self, size: int) -> int:
        place = aligned(self._place)
        self._place = place + self._together * size + LANES  # some kernels reach a little further
        return place

    def build(
        self, name: str, conv: Conv2d, prelu: PReLU, hidden: Linear, hidden_prelu: PReLU, *heads: Linear
    ) -> CropNetwork:
        """Append the 2x2 convolution, the linear layer and the heads, which become one layer."""
        weight = np.concatenate([head.weight.data for head in heads])
        bias = np.concatenate([bias_of(head) for head in heads])
        tail = Tail(
            self._side,
            self._inputs,
            self._conv(conv, prelu),
            self._packer.dense(hidden.weight.data.T, bias_of(hidden), hidden_prelu.weight.data),
            self._packer.dense(weight.T, bias, np.ones(len(bias)), multiple=OUTPUTS),
        )
        scratch = aligned(self._place)
        return CropNetwork(
            *(name, self._packer.packed(), tuple(self._stages), tail),
            *(self._together, scratch, scratch + aligned(self._winograd)),
        )

    def _conv(self, conv: Conv2d, prelu: PReLU, multiple: int = LANES) -> Dense:
        terms = conv.weight.data.transpose(2, 3, 1, 0)  # (ky, kx, input, output)
        return self._packer.dense(
            terms.reshape(-1, terms.shape[3]), bias_of(conv), prelu.weight.data, multiple=multiple
        )


class CropNetwork:
    """A compiled network without its last function. Threads may share it.

    Parameters
    ----------
    name : str
        For messages.
    weights : float32 array
    stages : tuple of Stage
    tail : Tail
    crops_together : int
    winograd, sums : int
        Places in a thread's scratch, behind the maps.
    """

    def __init__(
        self,
        name: str,
        weights: Float32Array,
        stages: tuple[Stage, ...],
        tail: Tail,
        crops_together: int,
        winograd: int,
        sums: int,
    ) -> None:
        self._name, self._weights, self._side = name, weights, stages[0].side
        self._together, self._winograd, self._sums = crops_together, winograd, sums
        self._stages = np.concatenate([as_record(stage) for stage in stages])
        self._tail, self._tail_record = tail, as_record(tail)

    def of_tensor(self, x: FloatArray) -> Float32Array:
        """Compute the raw outputs (N, OUTPUTS) of x (N, 3, side, side), which is brought to float32 if it is
        not.

        Raises
        ------
        InputError
            If the shape is another.
        """
        side = self._side
        if x.ndim != 4 or x.shape[1:] != (3, side, side):
            raise InputError(f"{self._name}: `x` has shape {x.shape}; expected (N, 3, {side}, {side})")
        return self._run(NO_IMAGE, NO_WINDOWS, as_tensor(x), len(x))

    def of_windows(self, image: NDArray[np.uint8], windows: NDArray[np.int64]) -> Float32Array:
        """Compute the same of windows (N, 4) of an image: left, top, and one past right and bottom."""
        return self._run(frozen(image), windows, NO_TENSOR, len(windows))

    def _run(
        self, image: NDArray[np.uint8], windows: NDArray[np.int64], tensor: Float32Array, crops: int
    ) -> Float32Array:
        if crops == 0:
            return np.empty((0, OUTPUTS), np.float32)
        # Enough groups for all threads, of equal size, since a group is not divided.
        groups = max(-(-crops // self._together), min(get_num_threads(), crops))
        threads = min(get_num_threads(), groups)
        widest = int((windows[:, 2] - windows[:, 0]).max()) if len(windows) else 0
        tail = self._tail
        scratch_size = aligned(self._sums + sums_size(widest))
        features = threads * scratch_size
        flat = features + aligned(crops * tail.side**2 * tail.inputs + LANES)
        hidden = flat + aligned(crops * tail.linear.inputs)
        outputs = hidden + aligned(crops * tail.linear.outputs)
        places = Places(scratch_size, self._winograd, self._sums, features, flat, hidden, outputs)
        with workspaces.borrow(outputs + crops * OUTPUTS) as arena:
            run_plan(
                _plan,
                *(image, windows, tensor, crops, groups, arena, places),
                *(self._weights, self._stages, self._tail_record),
                steps=STEPS,
                threads=threads,
            )
            return arena[outputs : outputs + crops * OUTPUTS].reshape(crops, OUTPUTS).copy()


NO_TENSOR = np.zeros((0, 0, 0, 0), np.float32)
NO_WINDOWS = np.zeros((0, 4), np.int64)
