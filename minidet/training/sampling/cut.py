"""Crops as the detector shows them to a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._typing import FloatArray, IntArray, RGBImage
from minidet.image import crop_squares
from minidet.training.sampling.windows import boxes_of_windows


def cut(image: RGBImage, windows: FloatArray, size: int) -> tuple[NDArray[np.uint8], IntArray]:
    """Cut windows out of a photograph, with the detector's own function.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    windows : (M, 4) array, x1 y1 x2 y2
        They may reach outside the photograph; what lies inside is stretched then, as in the detector.
    size : int
        Side of the crops, in pixels.

    Returns
    -------
    crops : (M', size, size, 3) uint8 array
        The detector goes on with fractions of grey levels; here they are rounded.
    kept : (M',) integer array
        Which windows they are: one without a single pixel inside the photograph has no crop.

    Examples
    --------
    >>> image = np.arange(16, dtype=np.uint8).reshape(4, 4)[..., None].repeat(3, axis=2)
    >>> cut(image, np.array([[0.0, 0.0, 2.0, 2.0]]), 2)[0][0, :, :, 0]
    array([[0, 1],
           [4, 5]], dtype=uint8)
    """
    crops, kept = crop_squares(image, boxes_of_windows(windows), size)
    return np.rint(crops).astype(np.uint8), kept
