"""Sums over a batch, shared by the operations whose parameters serve every pixel."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray


def sum_per_channel(x: FloatArray) -> FloatArray:
    """Add up everything but axis 1, the channels: (N, C) or (N, C, H, W) to (C,).

    In float64, since float32 would lose digits over the many terms; the result has the type of ``x``.
    """
    every_axis_but_channels = (0, *range(2, x.ndim))
    return x.sum(axis=every_axis_but_channels, dtype=np.float64).astype(x.dtype)
