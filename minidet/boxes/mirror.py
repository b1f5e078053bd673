r"""Mirroring: the same faces with left and right exchanged, which doubles a data set for nothing.

::

    0     x        width        0        width - x   width
    |-----o-----------|         |-----------o-----|
"""

from __future__ import annotations

import numpy as np

from minidet._check import check_float
from minidet._typing import FloatArray
from minidet.boxes._check import check_rows
from minidet.errors import InputError, is_number

# Left eye, right eye, nose, left mouth corner, right mouth corner: what each is called in the mirror.
MIRRORED_LANDMARKS = (1, 0, 2, 4, 3)


def mirror_boxes(boxes: FloatArray, width: float) -> FloatArray:
    r"""Find ``boxes`` again in the mirrored image.

    .. math:: x_1' = \text{width} - x_2, \qquad x_2' = \text{width} - x_1, \qquad y' = y

    The sides change places because the left side of a box has become the one further to the right.

    Parameters
    ----------
    boxes : (K, 4) array, x1 y1 x2 y2, pixels
    width : float
        Of the image, in pixels, above 0. Coordinates are continuous: it is ``width``, not ``width - 1``, that
        the left border becomes.

    Returns
    -------
    mirrored : (K, 4) array, x1 y1 x2 y2, pixels

    Raises
    ------
    InputError
        If the shape is not (K, 4), or ``width`` is not a finite number above 0.

    Examples
    --------
    A box that touches the left border of an image 100 pixels wide touches the right one in the mirror:

    >>> mirror_boxes(np.array([[0.0, 20.0, 30.0, 60.0]]), 100)
    array([[ 70., 20., 100., 60.]])
    """
    check_rows("mirror_boxes", "boxes", boxes, 4)
    _check_width("mirror_boxes", width)
    x1, y1, x2, y2 = boxes.T  # (K,) each
    return np.stack([float(width) - x2, y1, float(width) - x1, y2], axis=1)


def mirror_landmarks(landmarks: FloatArray, width: float) -> FloatArray:
    r"""Find ``landmarks`` again in the mirrored image.

    .. math:: x_i' = \text{width} - x_{m(i)}, \qquad y_i' = y_{m(i)}, \qquad m = (1, 0, 2, 4, 3)

    Points are named as seen in the image, so left and right change places: the left eye of the mirrored face
    is the one that was on the right. To mirror x alone and keep the order is a known mistake in training
    code. No loss complains about it, but half of the faces then teach that the left eye is on the right, and
    the network learns to put both eyes, and both corners of the mouth, in the middle.

    Parameters
    ----------
    landmarks : (K, 5, 2) array, pixels
        Left eye, right eye, nose, left mouth corner, right mouth corner. The points of a face without
        landmarks may be NaN, and stay so.
    width : float
        Of the image, in pixels, above 0; see :func:`mirror_boxes`.

    Returns
    -------
    mirrored : (K, 5, 2) array, pixels

    Raises
    ------
    InputError
        If the shape is not (K, 5, 2), or ``width`` is not a finite number above 0.

    Examples
    --------
    The left eye, at x = 10 in an image 100 pixels wide, becomes the right eye at 90:

    >>> landmarks = np.array([[[10.0, 1.0], [30.0, 2.0], [20.0, 3.0], [12.0, 4.0], [28.0, 5.0]]])
    >>> mirror_landmarks(landmarks, 100)[0]
    array([[70., 2.],
           [90., 1.],
           [80., 3.],
           [72., 5.],
           [88., 4.]])
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != (5, 2):
        raise InputError(f"mirror_landmarks: `landmarks` has shape {landmarks.shape}; expected (K, 5, 2)")
    check_float("mirror_landmarks", landmarks=landmarks)
    _check_width("mirror_landmarks", width)
    mirrored = landmarks[:, MIRRORED_LANDMARKS]  # (K, 5, 2), a copy
    mirrored[..., 0] = float(width) - mirrored[..., 0]
    return mirrored


def _check_width(function: str, width: float) -> None:
    if not (is_number(width) and 0 < width < float("inf")):
        raise InputError(f"{function}: width={width!r}; expected a finite number of pixels above 0")
