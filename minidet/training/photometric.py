r"""Other light, other cameras: the colours of training crops, changed at random.

Brightness, contrast, saturation and the colour of the light all act on a pixel as a matrix and an offset do,
so the four together are one matrix A (3, 3) and one offset b (3,) per crop:

.. math::
    p' = \underbrace{c \, [\, s I + (1 - s) \, \mathbf{1} l^T \,] \operatorname{diag}(g)}_{A} \; p
         + \underbrace{127.5 (1 - c) + b_0}_{b}

with the gain g of each channel (light), the saturation s that moves a pixel from its grey value
:math:`l^T p` or towards it, the contrast c about mid-grey, and the brightness :math:`b_0`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit
from minidet._typing import Float32Array
from minidet.errors import InputError, is_number, is_share

LUMA = np.array([0.299, 0.587, 0.114])
"""Share of red, green and blue in the grey value, as ITU-R BT.601 defines it. Read-only."""
LUMA.flags.writeable = False

MID_GREY = 127.5


@dataclass(frozen=True)
class PhotometricSettings:
    """How far the colours of a crop may be changed; all zero changes nothing.

    The defaults are changes after which a person still takes the crop for a photograph.

    Attributes
    ----------
    brightness : float
        Grey levels that are added or subtracted at most.
    contrast : float
        Factors from 1 - contrast to 1 + contrast.
    saturation : float
        Likewise.
    light : float
        Likewise, of each channel on its own: lamps are yellow, shadows are blue.
    grey : float
        Share of the crops that lose all colour: a face is one in a black and white photograph, too.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> PhotometricSettings(contrast=2)
    Traceback (most recent call last):
    minidet.errors.InputError: PhotometricSettings: contrast=2; expected 0 to 1
    """

    brightness: float = 32
    contrast: float = 0.3
    saturation: float = 0.3
    light: float = 0.1
    grey: float = 0.1

    def __post_init__(self) -> None:
        if not (is_number(self.brightness) and 0 <= self.brightness <= 255):
            raise InputError(f"PhotometricSettings: brightness={self.brightness!r}; expected 0 to 255")
        for name in ("contrast", "saturation", "light", "grey"):
            if not is_share(getattr(self, name)):
                raise InputError(f"PhotometricSettings: {name}={getattr(self, name)!r}; expected 0 to 1")


def distort_colours(
    crops: NDArray[np.uint8], rng: np.random.Generator, settings: PhotometricSettings
) -> NDArray[np.uint8]:
    """Change the colours of every crop at random.

    Parameters
    ----------
    crops : (M, height, width, 3) uint8 array
        RGB.
    rng : numpy Generator
    settings : PhotometricSettings

    Returns
    -------
    (M, height, width, 3) uint8 array
        A new one.

    Raises
    ------
    InputError
        If ``crops`` is not (M, height, width, 3) of uint8.

    Examples
    --------
    One crop of one pixel becomes brighter by 7:

    >>> crop = np.array([[[[10, 20, 30]]]], np.uint8)
    >>> only_brightness = PhotometricSettings(brightness=25, contrast=0, saturation=0, light=0, grey=0)
    >>> distort_colours(crop, np.random.default_rng(0), only_brightness).ravel()
    array([17, 27, 37], dtype=uint8)
    """
    if crops.ndim != 4 or crops.shape[3] != 3 or crops.dtype != np.uint8:
        raise InputError(
            f"distort_colours: `crops` is {crops.dtype} of shape {crops.shape}; "
            "expected uint8, (M, height, width, 3)"
        )
    matrices, offsets = _draw(len(crops), rng, settings)
    distorted = np.empty(crops.shape, np.uint8)
    _distort_kernel(np.ascontiguousarray(crops), matrices, offsets, distorted)
    return distorted


def _draw(
    count: int, rng: np.random.Generator, settings: PhotometricSettings
) -> tuple[Float32Array, Float32Array]:
    """Draw A (M, 3, 3) and b (M,), the same for each channel."""
    brightness = settings.brightness * rng.uniform(-1, 1, count)  # (M,)
    contrast = 1 + settings.contrast * rng.uniform(-1, 1, count)
    saturation = 1 + settings.saturation * rng.uniform(-1, 1, count)
    gains = 1 + settings.light * rng.uniform(-1, 1, (count, 3))
    saturation[rng.random(count) < settings.grey] = 0

    blend = (
        saturation[:, None, None] * np.eye(3) + (1 - saturation)[:, None, None] * LUMA
    )  # rows are s e + (1-s) l
    matrices = contrast[:, None, None] * blend * gains[:, None, :]
    offsets = MID_GREY * (1 - contrast) + brightness
    return matrices.astype(np.float32), offsets.astype(np.float32)


@jit
def _distort_kernel(
    crops: NDArray[np.uint8], matrices: Float32Array, offsets: Float32Array, distorted: NDArray[np.uint8]
) -> None:
    M, height, width, _ = crops.shape
    lowest, highest, half = np.float32(0), np.float32(255), np.float32(0.5)
    for m in range(M):
        matrix, offset = matrices[m], offsets[m]
        for i in range(height):
            for j in range(width):
                red = np.float32(crops[m, i, j, 0])
                green = np.float32(crops[m, i, j, 1])
                blue = np.float32(crops[m, i, j, 2])
                for c in range(3):
                    value = matrix[c, 0] * red + matrix[c, 1] * green + matrix[c, 2] * blue + offset
                    value = min(max(value, lowest), highest)
                    distorted[m, i, j, c] = np.uint8(value + half)  # the nearest whole number
