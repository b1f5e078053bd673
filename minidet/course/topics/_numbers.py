"""Numbers for inputs: few digits, so that a student can follow a sum by hand."""

from __future__ import annotations

import numpy as np

from minidet._typing import Float64Array, RGBImage


def halves(seed: int, *shape: int) -> Float64Array:
    """Draw multiples of 1/2 from -3 to 3.

    Examples
    --------
    >>> halves(0, 4)
    array([ 2.5,  1. ,  0. , -1.5])
    """
    return np.random.default_rng(seed).integers(-6, 7, shape) / 2


def pixels(seed: int, height: int, width: int) -> RGBImage:
    """Draw an RGB image.

    Examples
    --------
    >>> pixels(0, 2, 3).shape
    (2, 3, 3)
    """
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
