"""Zero padding, shared by the convolutions."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray


def zero_pad(x: FloatArray, padding: int) -> FloatArray:
    """Surround every (H, W) plane of ``x`` (N, C, H, W) with ``padding`` rows and columns of zeros."""
    if padding == 0:
        return np.ascontiguousarray(x)
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def crop_padding(grad_padded: FloatArray, padding: int) -> FloatArray:
    """Undo :func:`zero_pad`: drop the gradient that fell on the zeros, which nothing can change."""
    H, W = grad_padded.shape[2] - 2 * padding, grad_padded.shape[3] - 2 * padding
    return grad_padded[:, :, padding : padding + H, padding : padding + W]
