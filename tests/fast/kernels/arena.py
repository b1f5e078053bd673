"""What the tests of kernels share: maps in an arena filled with nonsense, and back."""

import numpy as np

from minidet.fast.layout import Arena, WeightPacker
from minidet.fast.team import join

NONSENSE = np.float32(1e30)
"""What a kernel must not read and must not leave where it has to write."""


class Bench:
    """An arena and packed weights for one kernel.

    First :meth:`source`, :meth:`target`, :meth:`scratch` and the packer, then :meth:`filled`.
    """

    def __init__(self):
        self.plan = Arena()
        self.packer = WeightPacker()
        self._sources = []

    def source(self, x):
        """Place an array (C, H, W), its zeros beyond the edges included."""
        C, H, W = x.shape
        place = self.plan.map(H, W, C)
        self._sources.append((place, x))
        return place

    def target(self, channels, height, width):
        return self.plan.map(height, width, channels)

    def scratch(self, size):
        return self.plan.take(size)

    def filled(self):
        """Return (arena, weights)."""
        self.plan.take(4096)  # nothing lies at the very end, so that a test sees who writes there
        arena = np.full(self.plan.size, NONSENSE, np.float32)
        for place, x in self._sources:
            C, H, W = x.shape
            padded = np.zeros((H, W + 1, C), np.float32)
            padded[:, :W] = x.transpose(1, 2, 0)
            begin = place.at - C
            arena[begin : begin + C] = 0
            arena[place.at : place.at + padded.size] = padded.ravel()
        return arena, self.packer.packed()


def read_map(arena, place, channels):
    """Return the map as (channels, H, W)."""
    rows = np.arange(place.height)[:, None, None] * (place.width + 1)
    pixels = place.at + (rows + np.arange(place.width)[:, None]) * place.stride
    return arena[pixels + np.arange(channels)].transpose(2, 0, 1)


def edges_are_zero(arena, place):
    """Tell whether the pixel before the map and the one behind each of its rows are zero."""
    before = arena[place.at - place.stride : place.at]
    ends = place.at + (np.arange(place.height) * (place.width + 1) + place.width) * place.stride
    behind = arena[ends[:, None] + np.arange(place.stride)]
    return bool((before == 0).all() and (behind == 0).all())


def alone():
    """Return a team of one, for a kernel called from Python."""
    return join(np.zeros(64, np.int64))


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def activate(y, slope):
    """The definition of the activation, for y (C, H, W)."""
    return np.where(y > 0, y, y * slope[:, None, None])


def agreement(got, expected):
    """max|difference| / max|expected|."""
    return np.abs(got - expected).max() / np.abs(expected).max()
