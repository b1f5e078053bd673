r"""What a network should say of a window: the inverse of what the detector makes of its answers.

A window is x1 y1 x2 y2, continuous; S is its side, u the distance from an edge of the window to the same edge
of the face, in sides: :math:`u_1 = (x_1^{face} - x_1^{window}) / S`, likewise for y1, x2, y2.

**R-Net and O-Net** are shown the pixels of a box that counts from 1, and the detector moves each edge by its
delta times S. So a delta is u itself.

**P-Net** is different. The detector does not start from the window the cell has looked at, but from its
``cell_windows``, which begin a twelfth of the side later, and whose side it takes to be eleven twelfths of S
(``docs/compat.md``, "Box sides" and "Labels of P-Net"). To come out at the face, the deltas have to be

.. math:: t_1 = \frac{12 u_1 - 1}{11}, \qquad t_2 = \frac{12 u_2}{11}

Deltas are multiples of 2^-16, so that mirroring a label is exact: ``1 - (1 - x)`` is ``x`` again in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._typing import Float32Array, Float64Array, FloatArray
from minidet.detectors.mtcnn import inclusive_side, place_landmarks, shift, side
from minidet.image.pyramid import CELL_SIZE
from minidet.training.sampling.samples import NetworkName
from minidet.training.sampling.windows import boxes_of_windows, windows_of_boxes

STEP = 2.0**-16
"""Deltas are whole multiples of it."""


def encode_labels(network: NetworkName, windows: FloatArray, boxes: FloatArray) -> Float32Array:
    """Say which deltas lead from windows to faces.

    Parameters
    ----------
    network : "pnet", "rnet" or "onet"
    windows : (M, 4) array, x1 y1 x2 y2
    boxes : (M, 4) array, x1 y1 x2 y2
        The face of each window.

    Returns
    -------
    (M, 4) float32 array
        Multiples of 2^-16.

    Examples
    --------
    A face that begins 3 pixels right of a window of 12, and ends with it:

    >>> window, face = np.array([[0.0, 0.0, 12.0, 12.0]]), np.array([[3.0, 0.0, 12.0, 12.0]])
    >>> encode_labels("rnet", window, face)
    array([[0.25, 0.  , 0.  , 0.  ]], dtype=float32)
    >>> encode_labels("pnet", window, face).round(4)  # (12 * 0.25 - 1) / 11 and -1 / 11
    array([[ 0.1818, -0.0909,  0.    ,  0.    ]], dtype=float32)
    """
    windows = windows.astype(np.float64)
    sides = windows[:, 2:] - windows[:, :2]  # (M, 2)
    u = (boxes - windows) / np.tile(sides, 2)  # (M, 4)
    if network == "pnet":
        return on_grid((CELL_SIZE * u - np.array([1, 1, 0, 0])) / (CELL_SIZE - 1))
    return on_grid(u)


def decode_labels(network: NetworkName, windows: FloatArray, box_deltas: FloatArray) -> Float64Array:
    """Undo :func:`encode_labels` as the detector does it, with the detector's own functions.

    Parameters
    ----------
    network : "pnet", "rnet" or "onet"
    windows : (M, 4) array, x1 y1 x2 y2
    box_deltas : (M, 4) array

    Returns
    -------
    (M, 4) float64 array, x1 y1 x2 y2, continuous

    Examples
    --------
    >>> window = np.array([[0.0, 0.0, 12.0, 12.0]])
    >>> decode_labels("onet", window, np.array([[0.25, 0.0, 0.0, 0.0]]))
    array([[ 3., 0., 12., 12.]])
    """
    deltas: Any = box_deltas.astype(np.float64)  # the detector's functions are annotated for float32
    if network == "pnet":
        # What cell_windows says of a cell, without rounding down to whole pixels.
        cells: Any = windows.astype(np.float64)
        cells[:, :2] += side(cells) / CELL_SIZE
        return np.asarray(shift(cells, deltas, side(cells)), np.float64)
    boxes: Any = boxes_of_windows(windows)
    return windows_of_boxes(shift(boxes, deltas, inclusive_side(boxes)))


def encode_points(windows: FloatArray, landmarks: FloatArray) -> Float32Array:
    """Say where points lie in their windows.

    Parameters
    ----------
    windows : (M, 4) array, x1 y1 x2 y2
    landmarks : (M, 5, 2) array

    Returns
    -------
    (M, 10) float32 array
        x1..x5, y1..y5 from the window's corner, in sides of the window; multiples of 2^-16.

    Examples
    --------
    >>> points = np.array([[[2.0, 4.0], [6.0, 4.0], [4.0, 5.0], [3.0, 6.0], [5.0, 6.0]]])
    >>> encode_points(np.array([[0.0, 0.0, 8.0, 8.0]]), points)[0]
    array([0.25 , 0.75 , 0.5  , 0.375, 0.625, 0.5  , 0.5  , 0.625, 0.75 , 0.75 ], dtype=float32)
    """
    windows = windows.astype(np.float64)
    sides = windows[:, 2:] - windows[:, :2]  # (M, 2)
    shares = (landmarks - windows[:, None, :2]) / sides[:, None]  # (M, 5, 2)
    return on_grid(shares.transpose(0, 2, 1).reshape(-1, 10))


def decode_points(windows: FloatArray, landmark_deltas: FloatArray) -> Float64Array:
    """Undo :func:`encode_points` as the detector does it, with the detector's own function.

    Parameters
    ----------
    windows : (M, 4) array, x1 y1 x2 y2
    landmark_deltas : (M, 10) array

    Returns
    -------
    (M, 5, 2) float64 array

    Examples
    --------
    >>> decode_points(np.array([[10.0, 20.0, 18.0, 28.0]]), np.full((1, 10), 0.5))[0, 0]
    array([14., 24.])
    """
    boxes: Any = boxes_of_windows(windows)  # as in decode_labels
    deltas: Any = landmark_deltas.astype(np.float64)
    return np.asarray(place_landmarks(boxes, deltas), np.float64)


def on_grid(deltas: FloatArray) -> Float32Array:
    """Round to multiples of 2^-16.

    Examples
    --------
    >>> (on_grid(np.array([0.25, 1 / 11])) * 2**16).tolist()
    [16384.0, 5958.0]
    """
    return (np.rint(deltas / STEP) * STEP + 0.0).astype(np.float32)  # + 0.0: there is no -0
