"""Arrays as compiled code wants them. For Numba a read-only array, or one with gaps, is a type of its own.

Each type would cost seconds of compiling, so images are always read-only, and tensors never.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float32Array
from minidet.nn import Conv2d, Linear


def frozen(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image contiguous and read-only."""
    image = np.ascontiguousarray(image).view()
    image.flags.writeable = False
    return image


def as_tensor(x: NDArray[Any]) -> Float32Array:
    """Return x contiguous, aligned, writable and as float32."""
    return np.require(x, np.float32, ["C", "A", "W"])


def bias_of(layer: Conv2d | Linear) -> Float32Array:
    """Return a layer's bias (outputs,): zeros if it has none."""
    return np.zeros(len(layer.weight.data), np.float32) if layer.bias is None else layer.bias.data


NO_IMAGE = frozen(np.zeros((1, 1, 3), np.uint8))
"""In place of an image, where a tensor is given."""
