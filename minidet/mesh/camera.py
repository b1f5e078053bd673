r"""Where the vertices of a head come to lie: turned and moved before the camera, then seen through it.

A camera is seven numbers (Deng et al. 2019, section 3.2), in this order:

====================  ====================================================================================
location x, y, z      of the head's origin as the camera sees it, in units of the head; z is the distance
yaw, pitch, roll      of the head, radians, as in ``minidet.datasets.synthetic.pose``
focal length          in half sides of the picture: what is at the distance z shows at focal / z of its size
====================  ====================================================================================

The paper names location, pose and focal length and gives no formula. Whether the camera goes round the head
or the head turns before the camera, the picture is the same; here the head turns, so that its pose does not
move it out of sight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minidet._check import check_float, check_shape
from minidet._typing import FloatArray
from minidet.errors import InputError, is_number
from minidet.mesh._check import check_vertices

LOCATION, POSE, FOCAL = slice(0, 3), slice(3, 6), 6


def place_forward(vertices: FloatArray, camera: FloatArray) -> FloatArray:
    r"""Turn N heads and move them to where the camera sees them.

    .. math:: p = R v + t

    Parameters
    ----------
    vertices : (N, V, 3) array, float32 or float64
        In head coordinates.
    camera : (N, 7) array of the same type

    Returns
    -------
    points : (N, V, 3) array

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    A head 8 units away that is turned to the right: what was in front of it, at -z, is now at x.

    >>> camera = np.array([[0.0, 0.0, 8.0, np.pi / 2, 0.0, 0.0, 5.0]])
    >>> place_forward(np.array([[[0.0, 0.0, -1.0]]]), camera).round() + 0.0
    array([[[1., 0., 8.]]])
    """
    check_vertices("place", vertices=vertices)
    _check_camera("place", vertices, camera)
    rotation = _rotations(camera[:, POSE]).matrix
    return vertices @ rotation.swapaxes(1, 2) + camera[:, None, LOCATION]


def place_backward(
    grad_output: FloatArray, vertices: FloatArray, camera: FloatArray
) -> tuple[FloatArray, FloatArray]:
    r"""Send the gradient of the points back to the vertices, to the location and to the pose.

    .. math::
        \frac{\partial L}{\partial v} = R^T g, \qquad
        \frac{\partial L}{\partial t} = \sum_v g, \qquad
        \frac{\partial L}{\partial \alpha} = \sum_v g^T \frac{\partial R}{\partial \alpha} v

    Parameters
    ----------
    grad_output : (N, V, 3) array, float32 or float64
    vertices : (N, V, 3) array of the same type
    camera : (N, 7) array of the same type

    Returns
    -------
    grad_vertices : (N, V, 3) array
    grad_camera : (N, 7) array
        0 for the focal length, which has no part in this step.

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    >>> camera = np.array([[0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 5.0]])
    >>> grad_vertices, grad_camera = place_backward(
    ...     np.array([[[1.0, 0.0, 0.0]]]), np.array([[[0.0, 0.0, -1.0]]]), camera
    ... )
    >>> grad_camera  # the point goes to the right with the head, and as the head turns to the right
    array([[1., 0., 0., 1., 0., 0., 0.]])
    """
    check_vertices("place", grad_output=grad_output, vertices=vertices)
    _check_camera("place", vertices, camera)
    rotation = _rotations(camera[:, POSE])
    grad_matrix = grad_output.swapaxes(1, 2) @ vertices  # (N, 3, 3)
    grad_camera = np.zeros_like(camera)
    grad_camera[:, LOCATION] = grad_output.sum(axis=1)
    for column, by_angle in enumerate(rotation.by_angle, POSE.start):
        grad_camera[:, column] = (grad_matrix * by_angle).sum(axis=(1, 2))
    return grad_output @ rotation.matrix, grad_camera


def project_forward(points: FloatArray, focal: FloatArray, side: float) -> FloatArray:
    r"""See points through a camera: x and y in pixels of a square picture, and the depth as it was.

    .. math::
        u = \frac{s}{2} \left(1 + f \frac{x}{z}\right), \qquad
        v = \frac{s}{2} \left(1 + f \frac{y}{z}\right)

    Parameters
    ----------
    points : (N, V, 3) array, float32 or float64
    focal : (N,) array of the same type
    side : float
        s, pixels.

    Returns
    -------
    image_points : (N, V, 3) array
        u, v, z.

    Raises
    ------
    InputError
        If types or shapes disagree, or a point is not before the camera.

    Examples
    --------
    >>> project_forward(np.array([[[1.0, 0.0, 8.0]]]), np.array([4.0]), side=64)
    array([[[48., 32.,  8.]]])
    """
    _check_projection(points, focal, side)
    x, y, z = np.moveaxis(points, 2, 0)
    scale = focal[:, None] * points.dtype.type(side / 2)
    middle = points.dtype.type(side / 2)
    return np.stack([middle + scale * x / z, middle + scale * y / z, z], axis=2)


def project_backward(
    grad_output: FloatArray, points: FloatArray, focal: FloatArray, side: float
) -> tuple[FloatArray, FloatArray]:
    r"""Send the gradient of the points in the picture back to the points and to the focal length.

    .. math::
        \frac{\partial u}{\partial x} = \frac{s f}{2 z}, \qquad
        \frac{\partial u}{\partial z} = -\frac{s f x}{2 z^2}, \qquad
        \frac{\partial u}{\partial f} = \frac{s x}{2 z}

    and the same for v with y.

    Parameters
    ----------
    grad_output : (N, V, 3) array, float32 or float64
    points : (N, V, 3) array of the same type
    focal : (N,) array of the same type
    side : float

    Returns
    -------
    grad_points : (N, V, 3) array
    grad_focal : (N,) array

    Raises
    ------
    InputError
        If types or shapes disagree, or a point is not before the camera.

    Examples
    --------
    >>> grad_points, grad_focal = project_backward(
    ...     np.array([[[1.0, 0.0, 0.0]]]), np.array([[[1.0, 0.0, 8.0]]]), np.array([4.0]), side=64
    ... )
    >>> grad_points, grad_focal
    (array([[[16.,  0., -2.]]]), array([4.]))
    """
    _check_projection(points, focal, side)
    check_vertices("project", points=points, grad_output=grad_output)
    x, y, z = np.moveaxis(points, 2, 0)
    gu, gv, gz = np.moveaxis(grad_output, 2, 0)
    half = points.dtype.type(side / 2)
    scale = half * focal[:, None] / z
    along = (gu * x + gv * y) / z  # how the picture stretches
    grad_points = np.stack([scale * gu, scale * gv, gz - scale * along], axis=2)
    return grad_points, half * along.sum(axis=1)


class _Rotation(NamedTuple):
    matrix: FloatArray  # (N, 3, 3)
    by_angle: tuple[FloatArray, FloatArray, FloatArray]  # its derivatives by yaw, pitch and roll


def _rotations(angles: FloatArray) -> _Rotation:
    """Return the matrices of three turns in this order: yaw about y, pitch about x, roll about z."""
    (a, b, c), (p, q, r) = np.cos(angles).T, np.sin(angles).T
    none, one = np.zeros_like(a), np.ones_like(a)

    def matrix(*rows: tuple[FloatArray, FloatArray, FloatArray]) -> FloatArray:
        return np.stack([np.stack(row, axis=1) for row in rows], axis=1)  # (N, 3, 3)

    nothing = (none, none, none)
    yaw = matrix((a, none, -p), (none, one, none), (p, none, a))
    by_yaw = matrix((-p, none, -a), nothing, (a, none, -p))
    pitch = matrix((one, none, none), (none, b, -q), (none, q, b))
    by_pitch = matrix(nothing, (none, -q, -b), (none, b, -q))
    roll = matrix((c, -r, none), (r, c, none), (none, none, one))
    by_roll = matrix((-r, -c, none), (c, -r, none), nothing)
    derivatives = (roll @ pitch @ by_yaw, roll @ by_pitch @ yaw, by_roll @ pitch @ yaw)
    return _Rotation(roll @ pitch @ yaw, derivatives)


def _check_camera(function: str, vertices: FloatArray, camera: FloatArray) -> None:
    check_float(function, vertices=vertices, camera=camera)
    check_shape(function, "camera", camera, (len(vertices), 7), "location, pose, focal length of each mesh")


def _check_projection(points: FloatArray, focal: FloatArray, side: float) -> None:
    N, _ = check_vertices("project", points=points)
    check_float("project", points=points, focal=focal)
    check_shape("project", "focal", focal, (N,), "one per mesh")
    if not (is_number(side) and side > 0):
        raise InputError(f"project: side={side!r}; expected a number above 0")
    if not (points[..., 2] > 0).all():
        nearest = float(points[..., 2].min())
        raise InputError(
            f"project: a point has the depth {nearest:g}; expected all before the camera, above 0"
        )
