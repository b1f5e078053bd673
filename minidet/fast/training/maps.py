"""Channels-last maps: the memory of the fast layers, in the shape that all others expect.

A fast layer's result has the shape (N, C, H, W), as everybody's, but in memory the channels of a pixel are
neighbours, so that a vector register holds many channels of one pixel. The channels of a pixel are followed
by zeros up to the next multiple of the lanes, so that there are whole vectors::

    memory     r g b 0  r g b 0  r g b 0 ...     for 4 lanes and 3 channels: pixel after pixel
    the array  [r r r ...], [g g g ...], [b b b ...]     a view of it, (N, 3, H, W)

The next fast layer recognises such a view and reads the memory below it; whatever else it is given is copied
once. Code in between, such as a sum or a concatenation, needs to know nothing of all this.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any, cast

import numpy as np

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.simd import LANES
from minidet.fast.team import Counters, end_step, first_block, join, next_block, run_plan
from minidet.fast.workspace import KEPT, aligned_empty

ROWS_PER_BLOCK = 16
SMALL = 60_000
"""Numbers that are copied or computed faster than another thread can be woken."""
LOOK_EVERY = 16
"""Arrays that are given back between two looks at how much is kept."""


class _Idle:
    """Memory of maps that nobody holds any more: a training step needs the same sizes as the one before.

    New memory costs a trip to the operating system for each of its pages, about as long as filling it.
    """

    def __init__(self) -> None:
        self._arrays: dict[int, deque[Float32Array]] = {}
        self._given = itertools.count()

    def take(self, size: int) -> Float32Array:
        """Return a flat array of ``size`` numbers that begins at a cache line."""
        try:
            return self._arrays[size].pop()
        except (KeyError, IndexError):
            return aligned_empty(size)

    def give(self, array: Float32Array) -> None:
        """Keep an array for the next who asks; if that is too much, forget all."""
        # No lock: this may run at any time, within take() too. Each of these calls is indivisible.
        self._arrays.setdefault(len(array), deque()).append(array)
        if next(self._given) % LOOK_EVERY == 0 and self.size() > KEPT:
            self._arrays.clear()

    def size(self) -> int:
        """Count the numbers kept."""
        return sum(size * len(arrays) for size, arrays in list(self._arrays.items()))


_idle = _Idle()


class _Map(np.ndarray[Any, Any]):
    """Flat memory of a map, marked as ours: the numbers behind each pixel's channels are zeros.

    Attributes
    ----------
    channels : int
        The channels that are no padding.
    array : flat array
        The memory itself; idle when this object, which all views hold on to, has gone.
    """

    channels: int = 0
    array: Float32Array | None = None

    def __del__(self) -> None:
        if self.array is not None:
            _idle.give(self.array)


def padded(channels: int) -> int:
    """Round up to whole vectors."""
    return -(-channels // LANES) * LANES


def new_map(N: int, C: int, H: int, W: int) -> tuple[Float32Array, Float32Array]:
    """Make a map, not filled.

    Returns
    -------
    memory : (N * H * W * padded(C),) array
        To be written, the zeros behind the channels too.
    view : (N, C, H, W) array
    """
    memory = borrow(N * H * W * padded(C), C)
    return memory, memory.reshape(N, H, W, padded(C))[..., :C].transpose(0, 3, 1, 2)


def borrow(size: int, channels: int = 0) -> Float32Array:
    """Return flat memory that goes back to the idle when the last view of it has gone."""
    array = _idle.take(size)
    owner = array.view(_Map)
    owner.channels, owner.array = channels, array
    return _flat(owner)


def _flat(owner: _Map) -> Float32Array:
    """View a map as a plain array that holds on to it."""
    # By way of a memoryview, since NumPy's views of arrays forget whatever lies between them and the first.
    return np.frombuffer(memoryview(cast(Any, owner)), np.float32)


def memory_of(x: Float32Array) -> Float32Array:
    """Return the memory of a map like that of :func:`new_map`, copied if ``x`` (N, C, H, W) is none."""
    N, C, H, W = x.shape
    pixels = x.transpose(0, 2, 3, 1)  # (N, H, W, C)
    if padded(C) == C:
        if pixels.flags.c_contiguous:
            return pixels.reshape(-1)
    elif (owner := _owner(x)) is not None:
        return _flat(owner)
    memory, _ = new_map(N, C, H, W)
    run_plan(_copy_plan, x, memory, padded(C), steps=1, alone=x.size < SMALL)
    return memory


def _owner(x: Float32Array) -> _Map | None:
    """Return the map that ``x`` is the whole view of, if there is one."""
    base: Any = x.base
    while isinstance(base, np.ndarray):
        base = base.base
    owner: Any = base.obj if isinstance(base, memoryview) else None
    if not isinstance(owner, _Map):
        return None
    N, C, H, W = x.shape
    step = padded(C) * x.itemsize
    strides = (H * W * step, x.itemsize, W * step, step)
    is_whole = (
        owner.channels == C
        and owner.size == N * H * W * padded(C)
        and all(x.strides[i] == strides[i] for i in range(4) if x.shape[i] > 1)
    )
    return owner if is_whole else None


def pixels_of(x: Float32Array) -> Float32Array:
    """Copy ``x`` (N, C, H, W) without padding, pixel after pixel: for an image's few channels.

    Behind the last pixel there is room for one vector more.
    """
    memory = borrow(x.size + LANES)
    run_plan(_copy_plan, x, memory, x.shape[1], steps=1, alone=x.size < SMALL)
    return memory


@jit_fast
def _copy_plan(x: Float32Array, memory: Float32Array, channels: int, counters: Counters) -> None:
    team = join(counters)
    N, C, H, W = x.shape
    channels_last = x.strides[1] < x.strides[3]
    blocks = (N * H + ROWS_PER_BLOCK - 1) // ROWS_PER_BLOCK
    block = first_block(team)
    while block < blocks:
        for row in range(block * ROWS_PER_BLOCK, min((block + 1) * ROWS_PER_BLOCK, N * H)):
            n, iy = row // H, row % H
            line = memory[row * W * channels : (row + 1) * W * channels]
            if channels_last:
                for ix in range(W):
                    for c in range(C):
                        line[ix * channels + c] = x[n, c, iy, ix]
            else:
                for c in range(C):
                    for ix in range(W):
                        line[ix * channels + c] = x[n, c, iy, ix]
            for ix in range(W):
                for c in range(C, channels):
                    line[ix * channels + c] = 0.0
        block = next_block(team)
    end_step(team, blocks)
