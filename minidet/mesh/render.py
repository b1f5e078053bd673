r"""A picture of a coloured mesh, and the way back from its pixels to all that it was made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._typing import FloatArray, IntArray
from minidet.mesh.camera import FOCAL, place_backward, place_forward, project_backward, project_forward
from minidet.mesh.interpolate import interpolate_backward, interpolate_forward
from minidet.mesh.light import shade_backward, shade_forward
from minidet.mesh.normals import normals_backward, normals_forward
from minidet.mesh.rasterize import rasterize_backward, rasterize_forward


class RenderCache(NamedTuple):
    """What the way back needs of the way there: the arguments, and the results of the steps.

    Attributes
    ----------
    vertices, colours, camera, light, triangles, side
        The arguments.
    points, normals : (N, V, 3) arrays
        Before the camera.
    image_points : (N, V, 3) array
    lit : (N, V, 3) array
        Colours in the light.
    shown : (N, side, side) intp array
        The triangle of each pixel, -1 for none.
    weights : (N, side, side, 3) array
    """

    vertices: FloatArray
    colours: FloatArray
    camera: FloatArray
    light: FloatArray
    triangles: NDArray[np.integer[Any]]
    side: int
    points: FloatArray
    normals: FloatArray
    image_points: FloatArray
    lit: FloatArray
    shown: IntArray
    weights: FloatArray


def render_forward(
    vertices: FloatArray,
    colours: FloatArray,
    camera: FloatArray,
    light: FloatArray,
    triangles: NDArray[np.integer[Any]],
    side: int,
) -> tuple[FloatArray, RenderCache]:
    """Draw N meshes, one picture each.

    Parameters
    ----------
    vertices : (N, V, 3) array, float32 or float64
        Head coordinates.
    colours : (N, V, 3) array of the same type
        Under white light; 0 to 1, if the pictures shall be.
    camera : (N, 7) array of the same type
        See ``minidet.mesh.camera``.
    light : (N, 9) array of the same type
        See ``minidet.mesh.light``.
    triangles : (T, 3) integer array
    side : int
        Of the square pictures, pixels.

    Returns
    -------
    pictures : (N, side, side, 3) array
        Red, green, blue; 0 where there is no mesh.
    cache : RenderCache
        ``cache.shown >= 0`` is where there is one.

    Raises
    ------
    InputError
        If types or shapes disagree, or a vertex is not before the camera.

    Examples
    --------
    A white triangle, parallel to the picture, in grey light from everywhere:

    >>> vertices = np.array([[[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]]])
    >>> camera = np.array([[0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0]])
    >>> light = np.array([[0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5]])
    >>> picture, _ = render_forward(vertices, np.ones((1, 3, 3)), camera, light, np.array([[0, 1, 2]]), 3)
    >>> picture[0, :, :, 0]
    array([[0.5, 0.5, 0.5],
           [0.5, 0.5, 0. ],
           [0.5, 0. , 0. ]])
    """
    points = place_forward(vertices, camera)
    normals = normals_forward(points, triangles)
    lit = shade_forward(colours, points, normals, light)
    image_points = project_forward(points, camera[:, FOCAL], side)
    shown, weights = rasterize_forward(image_points, triangles, side, side)
    pictures = interpolate_forward(lit, triangles, shown, weights)
    arguments = (vertices, colours, camera, light, triangles, side)
    return pictures, RenderCache(*arguments, points, normals, image_points, lit, shown, weights)


def render_backward(
    grad_pictures: FloatArray, cache: RenderCache, grad_image_points: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Go back through :func:`render_forward`, line by line.

    What moves the outline of the mesh, or makes one part cover another, has no gradient; see
    ``minidet.mesh.rasterize``.

    Parameters
    ----------
    grad_pictures : (N, side, side, 3) array
    cache : RenderCache
    grad_image_points : (N, V, 3) array, optional
        Of what is asked of ``cache.image_points`` besides. An outline has no gradient, but where a vertex
        lies has one: this way the whole face can be called back to its place.

    Returns
    -------
    grad_vertices, grad_colours : (N, V, 3) arrays
    grad_camera : (N, 7) array
    grad_light : (N, 9) array
    """
    vertices, colours, camera, light, triangles, side, points, normals, image_points, lit, shown, weights = (
        cache
    )
    grad_lit, grad_weights = interpolate_backward(grad_pictures, lit, triangles, shown, weights)
    grad_drawn = rasterize_backward(grad_weights, image_points, triangles, shown)
    grad_image_points = grad_drawn if grad_image_points is None else grad_drawn + grad_image_points
    grad_points, grad_focal = project_backward(grad_image_points, points, camera[:, FOCAL], side)
    grad_colours, grad_points_lit, grad_normals, grad_light = shade_backward(
        grad_lit, colours, points, normals, light
    )
    # The points are used three times: seen, lit, and to find the normals. The gradients add.
    grad_points = grad_points + grad_points_lit + normals_backward(grad_normals, points, triangles)
    grad_vertices, grad_camera = place_backward(grad_points, vertices, camera)
    grad_camera[:, FOCAL] += grad_focal
    return grad_vertices, grad_colours, grad_camera, grad_light
