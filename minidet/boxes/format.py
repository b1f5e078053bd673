"""The three ways to write a box down, and the way between them.

::

    x1,y1 ┌───────┐ ─            corners  x1 y1 x2 y2
          │ cx,cy │ h            xywh     x1 y1 w h
          │   +   │              centre   cx cy w h
          └───────┘ x2,y2
          |── w ──|
"""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.boxes._check import check_rows


def xyxy_to_xywh(boxes: FloatArray) -> FloatArray:
    """Turn corners into top left corner, width and height.

    Parameters
    ----------
    boxes : (K, 4) array, x1 y1 x2 y2

    Returns
    -------
    (K, 4) array, x1 y1 w h

    Raises
    ------
    InputError
        If ``boxes`` has another shape.

    Examples
    --------
    >>> xyxy_to_xywh(np.array([[10.0, 20.0, 40.0, 60.0]]))
    array([[10., 20., 30., 40.]])
    """
    check_rows("xyxy_to_xywh", "boxes", boxes, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def xywh_to_xyxy(boxes: FloatArray) -> FloatArray:
    """Turn top left corner, width and height into corners.

    Parameters
    ----------
    boxes : (K, 4) array, x1 y1 w h

    Returns
    -------
    (K, 4) array, x1 y1 x2 y2

    Raises
    ------
    InputError
        If ``boxes`` has another shape.

    Examples
    --------
    >>> xywh_to_xyxy(np.array([[10.0, 20.0, 30.0, 40.0]]))
    array([[10., 20., 40., 60.]])
    """
    check_rows("xywh_to_xyxy", "boxes", boxes, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def corners_to_centre(boxes: FloatArray) -> FloatArray:
    """Turn corners into centre, width and height.

    Parameters
    ----------
    boxes : (K, 4) array, x1 y1 x2 y2

    Returns
    -------
    (K, 4) array, cx cy w h

    Raises
    ------
    InputError
        If ``boxes`` has another shape.

    Examples
    --------
    >>> corners_to_centre(np.array([[10.0, 20.0, 40.0, 60.0]]))
    array([[25., 40., 30., 40.]])
    """
    check_rows("corners_to_centre", "boxes", boxes, 4)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def centre_to_corners(boxes: FloatArray) -> FloatArray:
    """Turn centre, width and height into corners.

    Parameters
    ----------
    boxes : (K, 4) array, cx cy w h

    Returns
    -------
    (K, 4) array, x1 y1 x2 y2

    Raises
    ------
    InputError
        If ``boxes`` has another shape.

    Examples
    --------
    >>> centre_to_corners(np.array([[25.0, 40.0, 30.0, 40.0]]))
    array([[10., 20., 40., 60.]])
    """
    check_rows("centre_to_corners", "boxes", boxes, 4)
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
