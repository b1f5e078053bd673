r"""From boxes to what a network learns, and back.

A network does not learn pixels: it learns how far and by which factor an anchor misses the face. The shift of
the centre is counted in anchor sides and the change of size in logarithms, so a small and a large face ask
the same of the network (Girshick et al. 2014, appendix C). Dividing by the *variances* 0.1 and 0.2 brings the
numbers to about one (Liu et al. 2016, SSD); RetinaFace codes its five points as it does centres.
"""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.boxes._check import check_area, check_rows
from minidet.boxes.format import centre_to_corners, corners_to_centre
from minidet.errors import InputError

VARIANCES = (0.1, 0.2)
"""Scale of the shifts and of the log factors, as in SSD (Liu et al. 2016) and RetinaFace's reference code."""


def decode_boxes(
    box_deltas: FloatArray, anchors: FloatArray, variances: tuple[float, float] = VARIANCES
) -> FloatArray:
    r"""Apply ``box_deltas`` to ``anchors``.

    .. math:: c = c_a + v_0 \, t_c \, s_a, \qquad s = s_a \, e^{v_1 t_s}

    with centre :math:`c` and size :math:`s` (width and height) of the box, :math:`c_a, s_a` of the anchor.

    Parameters
    ----------
    box_deltas : (A, 4) array
        Centre shift x, y and log factor of width, height.
    anchors : (A, 4) array, x1 y1 x2 y2, pixels
    variances : (float, float)

    Returns
    -------
    boxes : (A, 4) array, x1 y1 x2 y2, pixels

    Raises
    ------
    InputError
        If shapes are not (A, 4) or disagree.

    Examples
    --------
    A 10 x 10 anchor moved right by 0.1 * 5 * 10 = 5 pixels, its height doubled by 0.2 * 5 ln 2:

    >>> decode_boxes(np.array([[5.0, 0.0, 0.0, 5 * np.log(2)]]), np.array([[0.0, 0.0, 10.0, 10.0]]))
    array([[ 5., -5., 15., 15.]])
    """
    _check("decode_boxes", "box_deltas", box_deltas, 4, anchors)
    anchor = corners_to_centre(anchors)  # (A, 4) cx cy w h
    centre = anchor[:, :2] + variances[0] * box_deltas[:, :2] * anchor[:, 2:]
    size = anchor[:, 2:] * np.exp(variances[1] * box_deltas[:, 2:])
    return centre_to_corners(np.concatenate([centre, size], axis=1))


def encode_boxes(
    boxes: FloatArray, anchors: FloatArray, variances: tuple[float, float] = VARIANCES
) -> FloatArray:
    r"""Compute the deltas that :func:`decode_boxes` turns into ``boxes``.

    .. math:: t_c = \frac{c - c_a}{v_0 \, s_a}, \qquad t_s = \frac{\ln(s / s_a)}{v_1}

    Parameters
    ----------
    boxes : (A, 4) array, x1 y1 x2 y2, pixels
        The face wanted of each anchor; width and height above zero.
    anchors : (A, 4) array, x1 y1 x2 y2, pixels
        Width and height above zero.
    variances : (float, float)

    Returns
    -------
    box_deltas : (A, 4) array

    Raises
    ------
    InputError
        If shapes are not (A, 4) or disagree, or a box or an anchor is not finite or has no area: the
        logarithm of a side of 0 is infinite, and so is a shift counted in such sides.

    Examples
    --------
    >>> encode_boxes(np.array([[5.0, -5.0, 15.0, 15.0]]), np.array([[0.0, 0.0, 10.0, 10.0]])).round(4)
    array([[5.    , 0.    , 0.    , 3.4657]])
    """
    _check("encode_boxes", "boxes", boxes, 4, anchors)
    check_area("encode_boxes", "box", boxes, "encoding")
    check_area("encode_boxes", "anchor", anchors, "encoding")
    box, anchor = corners_to_centre(boxes), corners_to_centre(anchors)  # (A, 4) cx cy w h
    shift = (box[:, :2] - anchor[:, :2]) / (variances[0] * anchor[:, 2:])
    log_factor = np.log(box[:, 2:] / anchor[:, 2:]) / variances[1]
    return np.concatenate([shift, log_factor], axis=1)


def decode_landmarks(
    landmark_deltas: FloatArray, anchors: FloatArray, variances: tuple[float, float] = VARIANCES
) -> FloatArray:
    r"""Turn ``landmark_deltas`` into points: each is shifted from the anchor's centre.

    .. math:: p = c_a + v_0 \, t \, s_a

    Parameters
    ----------
    landmark_deltas : (A, 10) array, x1 y1 .. x5 y5
    anchors : (A, 4) array, x1 y1 x2 y2, pixels
    variances : (float, float)
        Only the first is used.

    Returns
    -------
    landmarks : (A, 5, 2) array, pixels

    Raises
    ------
    InputError
        If shapes are not (A, 10) and (A, 4).

    Examples
    --------
    >>> deltas = np.array([[5.0, -5.0] + [0.0] * 8])
    >>> decode_landmarks(deltas, np.array([[0.0, 0.0, 10.0, 10.0]]))[0, :2]
    array([[10.,  0.],
           [ 5.,  5.]])
    """
    _check("decode_landmarks", "landmark_deltas", landmark_deltas, 10, anchors)
    anchor = corners_to_centre(anchors)[:, None]  # (A, 1, 4) cx cy w h
    shifts = landmark_deltas.reshape(-1, 5, 2)
    return anchor[..., :2] + variances[0] * shifts * anchor[..., 2:]


def encode_landmarks(
    landmarks: FloatArray, anchors: FloatArray, variances: tuple[float, float] = VARIANCES
) -> FloatArray:
    r"""Compute the deltas that :func:`decode_landmarks` turns into ``landmarks``.

    .. math:: t = \frac{p - c_a}{v_0 \, s_a}

    Parameters
    ----------
    landmarks : (A, 5, 2) array, pixels
    anchors : (A, 4) array, x1 y1 x2 y2, pixels
        Width and height above zero.
    variances : (float, float)
        Only the first is used.

    Returns
    -------
    landmark_deltas : (A, 10) array, x1 y1 .. x5 y5

    Raises
    ------
    InputError
        If shapes are not (A, 5, 2) and (A, 4), a point is not finite, or an anchor is not or has no area.

    Examples
    --------
    >>> corner = np.full((1, 5, 2), [10.0, 0.0])
    >>> encode_landmarks(corner, np.array([[0.0, 0.0, 10.0, 10.0]]))[0, :4]
    array([ 5., -5.,  5., -5.])
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != (5, 2):
        raise InputError(f"encode_landmarks: `landmarks` has shape {landmarks.shape}; expected (A, 5, 2)")
    _check("encode_landmarks", "landmarks", landmarks.reshape(-1, 10), 10, anchors)
    unknown = ~np.isfinite(landmarks).all(axis=2)  # (A, 5)
    if unknown.any():
        row, point = (int(index) for index in np.argwhere(unknown)[0])
        raise InputError(
            f"encode_landmarks: point {point} of row {row} is not finite: {landmarks[row, point]}; "
            "leave out faces whose points are not known"
        )
    check_area("encode_landmarks", "anchor", anchors, "encoding")
    anchor = corners_to_centre(anchors)[:, None]  # (A, 1, 4) cx cy w h
    shifts = (landmarks - anchor[..., :2]) / (variances[0] * anchor[..., 2:])
    return shifts.reshape(-1, 10)


def _check(function: str, name: str, array: FloatArray, columns: int, anchors: FloatArray) -> None:
    check_rows(function, name, array, columns)
    check_rows(function, "anchors", anchors, 4)
    if len(array) != len(anchors):
        raise InputError(f"{function}: `{name}` has {len(array)} rows, `anchors` has {len(anchors)}")
