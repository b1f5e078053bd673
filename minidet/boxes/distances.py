r"""From a location to the box around it, and back: four distances, counted in strides.

What a network answers for a location is the logarithm of each distance, so that the distance is positive
whatever it says; five landmarks are counted from the location as well. *Centre-ness* tells how near the
middle of the box the location is: those near a border see little of the face, and say worse boxes.
"""

from __future__ import annotations

import numpy as np

from minidet._check import check_finite, check_float, check_shape
from minidet._typing import FloatArray
from minidet.boxes._check import check_rows
from minidet.errors import InputError

LANDMARK_UNIT = 0.25
"""Strides that a landmark is shifted by 1: brings the numbers to about one, as variances do for anchors."""

MOST_LOG = 8.0
"""The logarithm of a distance is taken to be within so much of 0, which is 1/3000 to 3000 strides: a network
after its first steps says anything, and a box at infinity overlaps nothing."""


def decode_distances(distances: FloatArray, points: FloatArray, strides: FloatArray) -> FloatArray:
    """Return the boxes that lie so far around the points.

    Parameters
    ----------
    distances : (L, 4) array, strides
        To the left, top, right and bottom side.
    points : (L, 2) array, x y, pixels
    strides : (L,) array, pixels

    Returns
    -------
    boxes : (L, 4) array, x1 y1 x2 y2, pixels

    Raises
    ------
    InputError
        If shapes or types disagree.

    Examples
    --------
    >>> decode_distances(np.array([[1.0, 0.5, 2.0, 1.0]]), np.array([[20.0, 12.0]]), np.array([8.0]))
    array([[12.,  8., 36., 20.]])
    """
    _check("decode_distances", "distances", distances, 4, points, strides)
    sides = distances * strides[:, None]
    return np.concatenate([points - sides[:, :2], points + sides[:, 2:]], axis=1)


def encode_distances(boxes: FloatArray, points: FloatArray, strides: FloatArray) -> FloatArray:
    """Return the distances that :func:`decode_distances` turns into ``boxes``.

    Parameters
    ----------
    boxes : (L, 4) array, x1 y1 x2 y2, pixels
    points : (L, 2) array, x y, pixels
        Each inside its box.
    strides : (L,) array, pixels

    Returns
    -------
    distances : (L, 4) array, strides
        Left, top, right, bottom; all above 0.

    Raises
    ------
    InputError
        If shapes or types disagree, or a point is not inside its box.

    Examples
    --------
    >>> encode_distances(np.array([[12.0, 8.0, 36.0, 20.0]]), np.array([[20.0, 12.0]]), np.array([8.0]))
    array([[1. , 0.5, 2. , 1. ]])
    """
    _check("encode_distances", "boxes", boxes, 4, points, strides)
    distances = np.concatenate([points - boxes[:, :2], boxes[:, 2:] - points], axis=1) / strides[:, None]
    inside = (distances > 0).all(axis=1)
    if not inside.all():
        row = int(np.argmin(inside))
        raise InputError(f"encode_distances: point {row}, {points[row]}, is not inside its box {boxes[row]}")
    return distances


def decode_points(landmark_deltas: FloatArray, points: FloatArray, strides: FloatArray) -> FloatArray:
    """Turn ``landmark_deltas`` into landmarks: each is shifted from the location.

    Parameters
    ----------
    landmark_deltas : (L, 10) array, x1 y1 .. x5 y5, quarters of a stride
    points : (L, 2) array, x y, pixels
    strides : (L,) array, pixels

    Returns
    -------
    landmarks : (L, 5, 2) array, pixels

    Raises
    ------
    InputError
        If shapes or types disagree.

    Examples
    --------
    >>> deltas = np.array([[4.0, -2.0] + [0.0] * 8])
    >>> decode_points(deltas, np.array([[20.0, 12.0]]), np.array([8.0]))[0, :2]
    array([[28.,  8.],
           [20., 12.]])
    """
    _check("decode_points", "landmark_deltas", landmark_deltas, 10, points, strides)
    shifts = landmark_deltas.reshape(-1, 5, 2)
    return points[:, None] + LANDMARK_UNIT * strides[:, None, None] * shifts


def encode_points(landmarks: FloatArray, points: FloatArray, strides: FloatArray) -> FloatArray:
    """Return the deltas that :func:`decode_points` turns into ``landmarks``.

    Parameters
    ----------
    landmarks : (L, 5, 2) array, pixels
    points : (L, 2) array, x y, pixels
    strides : (L,) array, pixels

    Returns
    -------
    landmark_deltas : (L, 10) array, x1 y1 .. x5 y5, quarters of a stride

    Raises
    ------
    InputError
        If shapes or types disagree, or a landmark is not finite.

    Examples
    --------
    >>> landmarks = np.full((1, 5, 2), [28.0, 8.0])
    >>> encode_points(landmarks, np.array([[20.0, 12.0]]), np.array([8.0]))[0, :4]
    array([ 4., -2.,  4., -2.])
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != (5, 2):
        raise InputError(f"encode_points: `landmarks` has shape {landmarks.shape}; expected (L, 5, 2)")
    _check("encode_points", "landmarks", landmarks.reshape(-1, 10), 10, points, strides)
    check_finite("encode_points", "landmarks", landmarks, "row", "point")
    shifts = (landmarks - points[:, None]) / (LANDMARK_UNIT * strides[:, None, None])
    return shifts.reshape(-1, 10)


def centre_ness(distances: FloatArray) -> FloatArray:
    r"""Tell how near the middle of its box each location is.

    .. math:: \sqrt{\frac{\min(l, r)}{\max(l, r)} \cdot \frac{\min(t, b)}{\max(t, b)}}

    Parameters
    ----------
    distances : (L, 4) array
        Left, top, right, bottom; above 0, in any unit.

    Returns
    -------
    centre_ness : (L,) array
        1 in the middle, towards 0 at the border.

    Raises
    ------
    InputError
        If the shape is not (L, 4), or a distance is not above 0.

    Notes
    -----
    Source: Tian et al. 2019 (FCOS, arXiv 1904.01355), eq. 3.

    Examples
    --------
    In the middle; four times as far from the right as from the left; the same in both directions:

    >>> centre_ness(np.array([[2.0, 3.0, 2.0, 3.0], [1.0, 2.0, 4.0, 2.0], [1.0, 4.0, 4.0, 1.0]]))
    array([1.  , 0.5 , 0.25])
    """
    check_rows("centre_ness", "distances", distances, 4)
    if not (distances > 0).all():
        row = int(np.argmin((distances > 0).all(axis=1)))
        raise InputError(f"centre_ness: distances {row} are {distances[row]}; expected numbers above 0")
    here, there = distances[:, :2], distances[:, 2:]  # left and top, right and bottom
    ratios = np.minimum(here, there) / np.maximum(here, there)  # (L, 2)
    return np.sqrt(ratios[:, 0] * ratios[:, 1])


def _check(
    function: str, name: str, array: FloatArray, columns: int, points: FloatArray, strides: FloatArray
) -> None:
    check_rows(function, name, array, columns)
    check_float(function, **{name: array, "points": points, "strides": strides})
    check_shape(function, "points", points, (len(array), 2), f"one per row of `{name}`")
    check_shape(function, "strides", strides, (len(array),), f"one per row of `{name}`")
