"""Where numbers lie: feature maps in the arena, weights in one packed array.

A kernel is given two flat float32 arrays, the *arena* with everything that is computed on the way and the
packed *weights*, and small tuples of whole numbers that say where in them something begins. A plan is given
all of a network's tuples in one NumPy record (:func:`as_record`), whose fields compiled code reads under the
same names.

A map is channels-last: the channels of one pixel are neighbours, as the lanes of a vector are. Behind each
row lies one pixel more than the image has, and one before the first row. Where a kernel that looks around
needs zeros beyond the edge, the kernel before it has put zeros there: the end of one row is the begin of the
next::

    0 x x x x 0 x x x x 0 x x x x 0        a map of 3 rows and 4 columns
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float32Array
from minidet.fast.simd import LANES, TILE_COLUMNS
from minidet.fast.workspace import aligned, aligned_empty

PANEL = TILE_COLUMNS * LANES
"""Output channels that a register tile holds."""


class Map(NamedTuple):
    """A feature map, or some channels of one.

    Attributes
    ----------
    at : int
        Place of the first channel of the upper left pixel.
    height, width : int
        In pixels, the one behind each row not counted.
    stride : int
        Numbers from one pixel to the next.
    """

    at: int
    height: int
    width: int
    stride: int

    def channels_from(self, first: int) -> Map:
        """Return the same map without its first channels."""
        return self._replace(at=self.at + first)


class Dense(NamedTuple):
    """The packed weights of a convolution or linear layer, with its bias and the slopes of its activation.

    Attributes
    ----------
    weight, bias, slope : int
        Places in the packed weights. The weights are in the order in which the kernel reads them.
    inputs, outputs : int
        Channels; ``outputs`` is padded to a multiple of the lanes.
    """

    weight: int
    bias: int
    slope: int
    inputs: int
    outputs: int


class Winograd(NamedTuple):
    """The packed weights of a 3x3 convolution, transformed; see :mod:`minidet.fast.kernels.winograd`.

    Attributes
    ----------
    weight, bias, slope : int
        Places in the packed weights: 36 matrices, and a number each per output channel.
    inputs, outputs : int
        Channels; multiples of the lanes.
    split, jump : int
        Output channels from ``split`` on are stored ``jump`` channels further: two layers that read the same
        map can be one.
    """

    weight: int
    bias: int
    slope: int
    inputs: int
    outputs: int
    split: int
    jump: int


class Depthwise(NamedTuple):
    """The packed weights of a depthwise 3x3 convolution: (3, 3, channels), bias, slopes."""

    weight: int
    bias: int
    slope: int
    channels: int


def as_record(value: Any) -> NDArray[np.void]:
    """Return a named tuple as an array of one record.

    Its fields are whole numbers, named tuples, or tuples of equal named tuples. Passed as a tuple, some
    hundred numbers would cost a call 50 microseconds, and a plan a second to compile.

    Examples
    --------
    >>> as_record(Map(16, 3, 4, stride=8))["width"]
    array([4])
    """
    return np.array([_plain(value)], _record_type(value))


def _record_type(value: Any) -> Any:
    if isinstance(value, int):
        return np.dtype(np.int64)
    if hasattr(value, "_fields"):
        fields = zip(value._fields, value, strict=True)
        return np.dtype([(name, _record_type(field)) for name, field in fields])
    return np.dtype((_record_type(value[0]), (len(value),)))


def _plain(value: Any) -> Any:
    """Return what NumPy takes for a record: tuples for records, lists for arrays of them."""
    if isinstance(value, int):
        return value
    kind = tuple if hasattr(value, "_fields") else list
    return kind(map(_plain, value))


class Arena:
    """Plans which map lies where: call :meth:`map` and :meth:`release` in the order in which a network runs.

    What has been released is given to later maps, so the arena is as large as the largest set of maps that
    are needed at the same time.

    Attributes
    ----------
    size : int
        Numbers the arena needs.
    """

    def __init__(self) -> None:
        self.size = 0
        self._holes: list[tuple[int, int]] = []  # (begin, end), in order
        self._taken: dict[int, int] = {}

    def take(self, size: int) -> int:
        """Return the place for ``size`` numbers."""
        size = aligned(size)
        for i, (begin, end) in enumerate(self._holes):
            if end - begin >= size:
                self._holes[i] = (begin + size, end)
                break
        else:
            begin = self.size
            if self._holes and self._holes[-1][1] == self.size:  # the last hole grows
                begin, _ = self._holes.pop()
            self.size = begin + size
        self._taken[begin] = begin + size
        return begin

    def map(self, height: int, width: int, channels: int) -> Map:
        """Return the place for a map."""
        begin = self.take((height * (width + 1) + 1) * channels)
        return Map(begin + channels, height, width, channels)

    def release(self, *maps: Map) -> None:
        """Give back what has been read for the last time."""
        for released in maps:
            self.give_back(released.at - released.stride)

    def give_back(self, begin: int) -> None:
        """Give back what :meth:`take` returned."""
        self._holes.append((begin, self._taken.pop(begin)))
        self._holes.sort()
        merged: list[tuple[int, int]] = []
        for start, end in self._holes:
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], end)
            elif start < end:
                merged.append((start, end))
        self._holes = merged


class WeightPacker:
    """Collects the weights of a network into one flat array."""

    def __init__(self) -> None:
        self._parts: list[Float32Array] = []
        self._size = 0

    def add(self, array: NDArray[Any]) -> int:
        """Append numbers and return their place."""
        flat = np.ascontiguousarray(array, np.float32).ravel()
        place = self._size
        self._parts.append(flat)
        self._size += aligned(flat.size)
        return place

    def dense(
        self, weight: NDArray[Any], bias: NDArray[Any], slope: NDArray[Any], *, multiple: int = LANES
    ) -> Dense:
        """Append a matrix (terms, outputs) with bias and slopes (outputs,), in panels of output channels.

        ``terms`` is what one output adds up: input channels, or taps times input channels. The outputs are
        padded with zeros to a multiple of ``multiple``.
        """
        terms, outputs = weight.shape
        fill = (0, -outputs % multiple)
        return Dense(
            self.add(in_panels(np.pad(weight, [(0, 0), fill]))),
            self.add(np.pad(bias, fill)),
            self.add(np.pad(slope, fill)),
            terms,
            outputs + fill[1],
        )

    def depthwise(self, weight: NDArray[Any], bias: NDArray[Any], slope: NDArray[Any]) -> Depthwise:
        """Append the filters (C, 1, 3, 3) of a depthwise convolution, with bias and slopes (C,)."""
        taps = weight[:, 0].transpose(1, 2, 0)  # (3, 3, C)
        return Depthwise(self.add(taps), self.add(bias), self.add(slope), len(weight))

    def packed(self) -> Float32Array:
        """Return everything that was appended."""
        packed = aligned_empty(self._size)
        packed[:] = 0
        place = 0
        for part in self._parts:
            packed[place : place + part.size] = part
            place += aligned(part.size)
        return packed


def in_panels(matrix: NDArray[Any]) -> NDArray[Any]:
    """Return a matrix (terms, outputs) flat: by panels of output channels, each term by term."""
    outputs = matrix.shape[1]
    return np.concatenate([matrix[:, first : first + PANEL].ravel() for first in range(0, outputs, PANEL)])
