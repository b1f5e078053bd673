"""From pixels to the tensor a network takes."""

from __future__ import annotations

import numpy as np

from minidet._typing import Float32Array, RGBImage


def mtcnn_input(image: RGBImage) -> Float32Array:
    """Return (1, 3, H, W): RGB, about -1 to 1."""
    x = (image.astype(np.float32) - np.float32(127.5)) / np.float32(128)  # (H, W, 3)
    return x.transpose(2, 0, 1)[None]


def retinaface_input(image: RGBImage) -> Float32Array:
    """Return (1, 3, H, W): BGR, less the mean of each channel."""
    bgr = image[:, :, ::-1].astype(np.float32)  # (H, W, 3)
    return (bgr - np.array([104, 117, 123], np.float32)).transpose(2, 0, 1)[None]


def resize_bilinear(image: RGBImage, height: int, width: int) -> Float32Array:
    """Return (height, width, C): between the four nearest pixel centres."""
    H, W = image.shape[:2]
    out = np.empty((height, width, image.shape[2]), np.float32)
    for i in range(height):
        y = min(max((i + 0.5) * H / height - 0.5, 0), H - 1)
        top = int(y)
        bottom = min(top + 1, H - 1)
        for j in range(width):
            x = min(max((j + 0.5) * W / width - 0.5, 0), W - 1)
            left = int(x)
            right = min(left + 1, W - 1)
            upper = (1 - (x - left)) * image[top, left] + (x - left) * image[top, right]
            lower = (1 - (x - left)) * image[bottom, left] + (x - left) * image[bottom, right]
            out[i, j] = (1 - (y - top)) * upper + (y - top) * lower
    return out


def resize_area(image: RGBImage, height: int, width: int) -> Float32Array:
    """Return (height, width, C): the mean of all pixels that an output pixel touches."""
    H, W = image.shape[:2]
    out = np.empty((height, width, image.shape[2]), np.float32)
    for i in range(height):
        for j in range(width):
            rows = slice(i * H // height, -(-(i + 1) * H // height))  # -(-a // b) rounds up
            columns = slice(j * W // width, -(-(j + 1) * W // width))
            out[i, j] = image[rows, columns].mean(axis=(0, 1))
    return out
