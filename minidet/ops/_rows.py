"""The innermost loop of the convolutions."""

from __future__ import annotations

from minidet._jit import jit
from minidet._typing import FloatArray


@jit
def add_scaled_row(row: FloatArray, factor: float, source: FloatArray, stride: int) -> None:
    """row[i] += factor * source[i * stride], for every i."""
    # Stride 1 is written apart because a compiler makes vector code only for a step it knows:
    # neighbouring outputs read neighbouring inputs, eight or sixteen at a time, and the order in which
    # any one output is summed stays as written.
    if stride == 1:
        for i in range(row.size):
            row[i] += factor * source[i]
    else:
        for i in range(row.size):
            row[i] += factor * source[i * stride]
