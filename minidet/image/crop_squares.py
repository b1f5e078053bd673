"""Square crops of an image, all resized to one side: what R-Net and O-Net look at."""

from __future__ import annotations

from typing import Literal

import numpy as np

from minidet._typing import Float32Array, FloatArray, IntArray, RGBImage
from minidet.errors import InputError
from minidet.image.resize import resize_area


def crop_squares(
    image: RGBImage, boxes: FloatArray, size: int, *, border: Literal["clip", "zero"] = "clip"
) -> tuple[Float32Array, IntArray]:
    """Cut every box out of the image and resize it to ``size`` x ``size``.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    boxes : (P, 4) array
        x1 y1 x2 y2 in MTCNN's 1-based pixels; they may reach outside the image.
    size : int
        Side of the crops, in pixels.
    border : "clip" or "zero"
        "clip" cuts the box at the edge of the image, so that a face at the border is stretched to a square;
        "zero" fills what lies outside with black, as the authors' code does.

    Returns
    -------
    crops : (P', size, size, 3) float32 array
        0 to 255.
    kept : (P',) integer array
        Which boxes they are: one without a single pixel inside the image has no crop.

    Raises
    ------
    InputError
        If ``border`` is neither.

    Examples
    --------
    A box of four pixels, two of which lie to the left of the image:

    >>> image = np.array([[[10] * 3, [20] * 3, [30] * 3, [40] * 3]], np.uint8)
    >>> box = np.array([[-1.0, 1.0, 2.0, 1.0]])
    >>> crop_squares(image, box, 2)[0][0, 0, :, 0]
    array([10., 20.], dtype=float32)
    >>> crop_squares(image, box, 2, border="zero")[0][0, 0, :, 0]
    array([ 0., 15.], dtype=float32)
    """
    if border not in ("clip", "zero"):
        raise InputError(f"crop_squares: border={border!r}; expected 'clip' or 'zero'")
    H, W = image.shape[:2]
    wanted = pixel_windows(boxes)  # (P, 4)
    # Compat: what "clip" leaves is no longer square, and is resized to a square all the same.
    inside = np.stack([np.maximum(wanted[:, :2], 0), np.minimum(wanted[:, 2:], [W, H])], axis=1)  # (P, 2, 2)
    kept = np.flatnonzero((inside[:, 1] > inside[:, 0]).all(axis=1))

    crops = np.empty((len(kept), size, size, 3), np.float32)
    for crop, box, (start, stop) in zip(crops, wanted[kept], inside[kept], strict=True):
        window = image[start[1] : stop[1], start[0] : stop[0]]
        if border == "zero":
            left, top, right, bottom = box
            outside = ((start[1] - top, bottom - stop[1]), (start[0] - left, right - stop[0]), (0, 0))
            window = np.pad(window, outside)
        crop[:] = resize_area(window, size, size)
    return crops, kept


# Compat: MTCNN counts pixels from 1 and both corners belong to the box; docs/compat.md "Crop windows".
def pixel_windows(boxes: FloatArray) -> IntArray:
    """Turn 1-based inclusive boxes (P, 4) into slices (P, 4): left, top, and one past right and bottom.

    Examples
    --------
    Fractions are cut off towards zero; pixels 3 to 5 of MTCNN are 2, 3 and 4 here:

    >>> pixel_windows(np.array([[3.7, 1.0, 5.9, 1.2]]))
    array([[2, 0, 5, 1]])
    """
    whole = np.trunc(boxes).astype(np.intp)
    return whole - np.array([1, 1, 0, 0])
