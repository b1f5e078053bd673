"""Where a crop network finds its crops: in an image, to be resized, or in a tensor, to be transposed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.kernels.resize_area import RowLayout, Window, area_edges, resize_area_row


@jit_fast
def load_crop(
    image: NDArray[Any],
    windows: NDArray[np.int64],
    tensor: Float32Array,
    number: int,
    size: int,
    sums: Float32Array,
    arena: Float32Array,
    target: int,
) -> None:
    """Write crop ``number`` as (size, size, 3), normalised.

    Twin: :func:`minidet.image.crop_squares` and :func:`minidet.image.mtcnn_input`, within 1e-6, of a row of
    ``windows``: left, top, and one past right and bottom; outside of the image all is black. If ``tensor``
    (N, 3, size, size) is not empty, it is the transpose of that. ``sums`` has room for the
    sums of the widest window.
    """
    if tensor.size > 0:
        for channel in range(3):
            for y in range(size):
                for x in range(size):
                    arena[target + (y * size + x) * 3 + channel] = tensor[number, channel, y, x]
        return
    window = Window(windows[number, 0], windows[number, 1], windows[number, 2], windows[number, 3])
    edges = area_edges(window.right - window.left, size)
    for y in range(size):
        at = target + y * size * 3
        resize_area_row(image, window, y, size, edges, sums, arena, at, RowLayout(6, 3, 1))
