r"""From the vertices of a face to what a network learns, and back.

x and y are coded as landmarks are, by the anchor. For the depth there is no anchor: a picture does not tell
how far away a face is. So depths are counted from the tip of the nose, in sides of the anchor like the rest.
"""

from __future__ import annotations

import numpy as np

from minidet._check import check_finite, check_float
from minidet._typing import FloatArray
from minidet.boxes._check import check_area, check_rows
from minidet.boxes.coding import VARIANCES
from minidet.boxes.format import corners_to_centre
from minidet.errors import InputError


def decode_vertices(
    vertex_deltas: FloatArray, anchors: FloatArray, variances: tuple[float, float] = VARIANCES
) -> FloatArray:
    r"""Turn ``vertex_deltas`` into points: each is shifted from the anchor's centre.

    .. math:: (x, y) = c_a + v_0 \, t_{xy} \, s_a, \qquad z = v_0 \, t_z \sqrt{w_a h_a}

    Parameters
    ----------
    vertex_deltas : (A, V, 3) array
    anchors : (A, 4) array of the same type, x1 y1 x2 y2, pixels
    variances : (float, float)
        Only the first is used.

    Returns
    -------
    vertices : (A, V, 3) array, pixels
        z away from the viewer, 0 where the network puts the tip of the nose.

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    >>> deltas = np.array([[[5.0, -5.0, 2.0]]])
    >>> decode_vertices(deltas, np.array([[0.0, 0.0, 10.0, 10.0]]))
    array([[[10.,  0.,  2.]]])
    """
    _check("decode_vertices", "vertex_deltas", vertex_deltas, anchors)
    centre, sides = _frames(anchors)
    return centre + vertex_deltas.dtype.type(variances[0]) * vertex_deltas * sides


def encode_vertices(
    vertices: FloatArray, anchors: FloatArray, nose: int, variances: tuple[float, float] = VARIANCES
) -> FloatArray:
    r"""Compute the deltas that :func:`decode_vertices` turns into ``vertices``.

    .. math::
        t_{xy} = \frac{(x, y) - c_a}{v_0 \, s_a}, \qquad
        t_z = \frac{z - z_\text{nose}}{v_0 \sqrt{w_a h_a}}

    Parameters
    ----------
    vertices : (A, V, 3) array, pixels
        z away from the viewer, counted from anywhere.
    anchors : (A, 4) array of the same type, x1 y1 x2 y2, pixels
        Width and height above zero.
    nose : int
        The vertex whose depth becomes 0.
    variances : (float, float)
        Only the first is used.

    Returns
    -------
    vertex_deltas : (A, V, 3) array

    Raises
    ------
    InputError
        If types or shapes disagree, a vertex is not finite, there is no vertex ``nose``, or an anchor is not
        finite or has no area.

    Examples
    --------
    >>> face = np.array([[[10.0, 0.0, 7.0], [5.0, 5.0, 5.0]]])
    >>> encode_vertices(face, np.array([[0.0, 0.0, 10.0, 10.0]]), nose=1)
    array([[[ 5., -5.,  2.],
            [ 0.,  0.,  0.]]])
    """
    _check("encode_vertices", "vertices", vertices, anchors)
    check_finite("encode_vertices", "vertices", vertices, "row", "vertex")
    check_area("encode_vertices", "anchor", anchors, "encoding")
    if not 0 <= nose < vertices.shape[1]:
        raise InputError(f"encode_vertices: nose={nose}; expected a vertex, 0 to {vertices.shape[1] - 1}")
    centre, sides = _frames(anchors)
    origin = np.broadcast_to(centre, (len(vertices), 1, 3)).copy()
    origin[:, 0, 2] = vertices[:, nose, 2]
    return (vertices - origin) / (vertices.dtype.type(variances[0]) * sides)


def _frames(anchors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the centre of each anchor, at depth 0, and its sides along x, y and z; (A, 1, 3) each."""
    cx, cy, w, h = corners_to_centre(anchors).T
    centre = np.stack([cx, cy, np.zeros_like(cx)], axis=1)
    return centre[:, None], np.stack([w, h, np.sqrt(w * h)], axis=1)[:, None]


def _check(function: str, name: str, array: FloatArray, anchors: FloatArray) -> None:
    if array.ndim != 3 or array.shape[2] != 3:
        raise InputError(f"{function}: `{name}` has shape {array.shape}; expected (A, V, 3)")
    check_rows(function, "anchors", anchors, 4)
    check_float(function, **{name: array}, anchors=anchors)
    if len(array) != len(anchors):
        raise InputError(f"{function}: `{name}` has {len(array)} rows, `anchors` has {len(anchors)}")
