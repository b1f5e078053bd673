"""Memory for intermediate results, borrowed for one run and handed back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from minidet._typing import Float32Array

ALIGNMENT = 16
"""float32 numbers in a cache line: where vectors should begin."""

KEPT = 48 * 2**20
"""float32 numbers kept for the next run, in all: 192 MB, enough for images of 1920 x 1080 pixels."""


def aligned(size: int) -> int:
    """Round a number of float32 numbers up to whole cache lines."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def aligned_empty(size: int) -> Float32Array:
    """Return a flat float32 array, not filled, that begins at a multiple of 64 bytes."""
    raw = np.empty(size + ALIGNMENT, np.float32)
    start = -raw.ctypes.data // 4 % ALIGNMENT
    return raw[start : start + size]


class Workspaces:
    """Flat float32 arrays that runs take turns in using; threads may borrow at the same time."""

    def __init__(self) -> None:
        self._idle: list[Float32Array] = []
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self, size: int) -> Iterator[Float32Array]:
        """Lend an array of at least ``size`` numbers; it holds whatever the last borrower left there."""
        with self._lock:
            array = self._idle.pop() if self._idle else None  # the last handed back is likely in the cache
        if array is None or len(array) < size:
            array = aligned_empty(size)
        try:
            yield array
        finally:
            with self._lock:
                if len(array) + sum(map(len, self._idle)) <= KEPT:
                    self._idle.append(array)


workspaces = Workspaces()
"""Those of the process: detectors do not run at the same time in one thread, so they can share."""
