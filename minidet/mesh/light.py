r"""The light on the vertices: a lamp in one place, and what comes from everywhere.

A light is nine numbers (Deng et al. 2019, section 3.2): the place of the lamp x, y, z, in the coordinates of
the camera; its colour r, g, b; the colour of the light from everywhere r, g, b.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minidet._check import check_float, check_shape
from minidet._typing import FloatArray
from minidet.mesh._check import check_vertices

PLACE, LAMP, AMBIENT = slice(0, 3), slice(3, 6), slice(6, 9)


def shade_forward(
    colours: FloatArray, points: FloatArray, normals: FloatArray, light: FloatArray
) -> FloatArray:
    r"""Compute what colours look like in the light: matt surfaces, the same from every side.

    .. math:: y = c \left(a + d \max(0, n \cdot u)\right), \qquad u = \frac{l - p}{\lVert l - p \rVert}

    with the lamp's place l and colour d, and the light a from everywhere. Nothing throws a shadow.

    Parameters
    ----------
    colours : (N, V, 3) array, float32 or float64
        Under white light, red, green, blue.
    points, normals : (N, V, 3) arrays of the same type
    light : (N, 9) array of the same type

    Returns
    -------
    lit : (N, V, 3) array

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    The light comes at 60 degrees, so half of the lamp's arrives.

    >>> place = [np.sqrt(3), 0, -1]
    >>> light = np.array([[*place, 1.0, 1.0, 0.0, 0.25, 0.25, 0.25]])
    >>> point, normal = np.zeros((1, 1, 3)), np.array([[[0.0, 0.0, -1.0]]])
    >>> shade_forward(np.full((1, 1, 3), 0.8), point, normal, light).round(3)
    array([[[0.6, 0.6, 0.2]]])
    """
    _check(colours, points, normals, light)
    ray = _ray(points, normals, light)
    return colours * (light[:, None, AMBIENT] + ray.facing * light[:, None, LAMP])


def shade_backward(
    grad_output: FloatArray, colours: FloatArray, points: FloatArray, normals: FloatArray, light: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    r"""Send the gradient of the lit colours back to colours, points, normals and the light.

    With :math:`s = \max(0, n \cdot u)` and its gradient :math:`g_s = \sum_\text{rgb} g \, c \, d` where
    the surface faces the lamp, else 0,

    .. math::
        \frac{\partial L}{\partial c} = g (a + s d), \quad
        \frac{\partial L}{\partial n} = g_s u, \quad
        \frac{\partial L}{\partial l} = -\frac{\partial L}{\partial p}
            = g_s \frac{n - u (u \cdot n)}{\lVert l - p \rVert}, \quad
        \frac{\partial L}{\partial d} = \sum_v g \, c \, s, \quad
        \frac{\partial L}{\partial a} = \sum_v g \, c

    Parameters
    ----------
    grad_output, colours, points, normals : (N, V, 3) arrays, float32 or float64
    light : (N, 9) array of the same type

    Returns
    -------
    grad_colours, grad_points, grad_normals : (N, V, 3) arrays
    grad_light : (N, 9) array

    Raises
    ------
    InputError
        If types or shapes disagree.

    Examples
    --------
    >>> light = np.array([[0.0, 0.0, -2.0, 1.0, 1.0, 1.0, 0.25, 0.25, 0.25]])
    >>> point, normal = np.zeros((1, 1, 3)), np.array([[[0.0, 0.0, -1.0]]])
    >>> red = np.array([[[1.0, 0.0, 0.0]]])
    >>> grad_colours, _, _, grad_light = shade_backward(red, np.full((1, 1, 3), 0.8), point, normal, light)
    >>> grad_colours[0, 0].tolist(), grad_light[0, 3:].tolist()
    ([1.25, 0.0, 0.0], [0.8, 0.0, 0.0, 0.8, 0.0, 0.0])
    """
    _check(colours, points, normals, light)
    check_vertices("shade", colours=colours, grad_output=grad_output)
    ray = _ray(points, normals, light)
    lamp, ambient = light[:, None, LAMP], light[:, None, AMBIENT]

    grad_brightness = grad_output * colours  # (N, V, 3)
    grad_facing = (grad_brightness * lamp).sum(axis=2, keepdims=True) * (ray.facing > 0)  # (N, V, 1)
    grad_normals = grad_facing * ray.direction
    # Of a change of the place, only what is across the ray turns it.
    across = normals - ray.direction * (ray.direction * normals).sum(axis=2, keepdims=True)
    grad_place = grad_facing * across / ray.length
    grad_light = np.concatenate(
        [
            grad_place.sum(axis=1),
            (grad_brightness * ray.facing).sum(axis=1),
            grad_brightness.sum(axis=1),
        ],
        axis=1,
    )
    return grad_output * (ambient + ray.facing * lamp), -grad_place, grad_normals, grad_light


class _Ray(NamedTuple):
    direction: FloatArray  # (N, V, 3), from the surface to the lamp, of length 1
    length: FloatArray  # (N, V, 1)
    facing: FloatArray  # (N, V, 1), the cosine, or 0 where the surface looks away


def _ray(points: FloatArray, normals: FloatArray, light: FloatArray) -> _Ray:
    way = light[:, None, PLACE] - points
    length = np.sqrt((way**2).sum(axis=2, keepdims=True))
    length = np.maximum(length, np.finfo(points.dtype).tiny)  # a lamp on the surface shines along it
    direction = way / length
    return _Ray(direction, length, np.maximum((normals * direction).sum(axis=2, keepdims=True), 0))


def _check(colours: FloatArray, points: FloatArray, normals: FloatArray, light: FloatArray) -> None:
    N, _ = check_vertices("shade", colours=colours, points=points, normals=normals)
    check_float("shade", colours=colours, light=light)
    check_shape("shade", "light", light, (N, 9), "place, lamp and ambient colour for each mesh")
