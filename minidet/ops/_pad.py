"""Zero padding, shared by the convolutions."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray


def zero_pad(x: FloatArray, padding: int) -> FloatArray:
    """Surround every (H, W) plane of ``x`` (N, C, H, W) with ``padding`` rows and columns of zeros."""
    if padding == 0:
        return np.ascontiguousarray(x)
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
