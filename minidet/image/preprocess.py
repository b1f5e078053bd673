"""From pixels (H, W, 3) to the tensor (N, 3, H, W) that a network was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float32Array

BGR_MEAN = np.array([104, 117, 123], np.float32)
"""Mean of ImageNet's blue, green and red, as Caffe's networks subtract it."""


def mtcnn_input(images: NDArray[Any]) -> Float32Array:
    """Bring pixels to about -1 .. 1: (value - 127.5) / 128, channels RGB.

    Parameters
    ----------
    images : (N, H, W, 3) array
        RGB, 0 to 255.

    Returns
    -------
    x : (N, 3, H, W) float32 array

    Examples
    --------
    >>> mtcnn_input(np.array([[[[0, 127.5, 255.5]]]])).ravel()
    array([-0.99609375,  0.        ,  1.        ], dtype=float32)
    """
    x = (images.astype(np.float32) - np.float32(127.5)) * np.float32(1 / 128)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def retinaface_input(image: NDArray[Any]) -> Float32Array:
    """Reverse the channels to BGR and subtract the mean of each.

    This is the only place with BGR: the reference code reads images with OpenCV, whose channel order is blue,
    green, red, and subtracts the means that Caffe's networks used.

    Parameters
    ----------
    image : (H, W, 3) array
        RGB, 0 to 255.

    Returns
    -------
    x : (1, 3, H, W) float32 array

    Examples
    --------
    >>> retinaface_input(np.array([[[255, 117, 104]]])).ravel()
    array([  0.,   0., 132.], dtype=float32)
    """
    bgr = image[:, :, ::-1].astype(np.float32) - BGR_MEAN  # (H, W, 3)
    return np.ascontiguousarray(bgr.transpose(2, 0, 1))[None]  # (1, 3, H, W)
