r"""The pixel branch (Deng et al. 2019, section 3.2): from an anchor's numbers to a picture of its face.

::

    parameters ●── code ──▶ decoder ──▶ vertices, colours ──┐
               ├── camera ──────────────────────────────────┼──▶ render ──▶ picture of the anchor
               └── light ───────────────────────────────────┘       └─▶ where its landmarks are

Nobody annotates codes, cameras or lights. The picture is compared with what the anchor covers in the
photograph, and in the paper the difference is all that this branch learns from. The five landmarks of the
mesh are known besides: annotated landmarks can tell it where the face is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_ndim, check_shape, check_whole
from minidet._typing import FloatArray
from minidet.mesh import Topology, render_backward, render_forward
from minidet.models.retinaface.mesh_decoder import MeshDecoder
from minidet.nn import Module

CAMERA_SIZE, LIGHT_SIZE = 7, 9
DEPTH = 2
"""Which of the camera's numbers is the distance."""

CAMERA = np.array([0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 6.4])
"""For zeros of the network: a head that looks straight ahead and is 6.4 / 8 of the anchor high."""
CAMERA_SCALE = np.array([0.2, 0.2, 0.1, 0.3, 0.2, 0.2, 1.0])
"""By how much a 1 of the network changes it."""

LIGHT = np.array([0.0, -2.0, 4.0, 0.5, 0.5, 0.5, 0.55, 0.55, 0.55])
"""For zeros of the network: a lamp half-way between camera and head, above both, and as much light from
everywhere."""
LIGHT_SCALE = np.array([2.0, 2.0, 2.0, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2])


class DrawnFaces(NamedTuple):
    """What is drawn of P anchors.

    Attributes
    ----------
    pictures : (P, side, side, 3) array
        Red, green, blue, about 0 to 1.
    covered : (P, side, side) bool array
        Where the mesh is; elsewhere the pictures are 0 and say nothing.
    landmarks : (P, 5, 2) array
        Of the mesh: x, y in pixels of the picture.
    """

    pictures: FloatArray
    covered: NDArray[np.bool_]
    landmarks: FloatArray


class PixelBranch(Module):
    """Decode, place, light and draw the faces of P anchors.

    Parameters
    ----------
    decoder : MeshDecoder
        Trained before on meshes, as in the paper; whether it goes on learning is up to the optimiser.
    topology : Topology
    side : int
        Of the pictures, pixels, whatever the size of the anchor.

    Attributes
    ----------
    parameter_count_per_anchor : int
        What the heads have to predict: the code, 7 numbers of the camera and 9 of the light.
    """

    def __init__(self, decoder: MeshDecoder, topology: Topology, *, side: int = 32) -> None:
        check_whole("PixelBranch", "side", side, least=1)
        self.decoder = decoder
        self.triangles = topology.triangles
        self.landmarks = list(topology.landmarks)
        self.side = int(side)

    @property
    def parameter_count_per_anchor(self) -> int:
        """The size of a code and 16."""
        return self.decoder.code_size + CAMERA_SIZE + LIGHT_SIZE

    def forward(self, parameters: FloatArray) -> DrawnFaces:
        """Draw the faces.

        Parameters
        ----------
        parameters : (P, parameters per anchor) array
            Code, camera and light of each.

        Returns
        -------
        DrawnFaces

        Raises
        ------
        InputError
            If the parameters have another shape, or are not finite.
        """
        check_ndim("PixelBranch", "parameters", parameters, 2, "P, parameters per anchor")
        shape = (len(parameters), self.parameter_count_per_anchor)
        check_shape("PixelBranch", "parameters", parameters, shape, "a code, 7 and 9 numbers")
        check_finite("PixelBranch", "parameters", parameters, "anchor")
        code, to_camera, to_light = np.split(parameters, self._cuts, axis=1)
        camera, squashed = _camera(to_camera)
        light = (LIGHT + LIGHT_SCALE * to_light).astype(parameters.dtype)
        vertices, colours = self.decoder.forward(code)
        pictures, cache = render_forward(vertices, colours, camera, light, self.triangles, self.side)
        landmarks = cache.image_points[:, self.landmarks, :2]
        self.keep_for_backward((cache, squashed))
        return DrawnFaces(pictures, cache.shown >= 0, landmarks)

    def backward(self, grad_pictures: FloatArray, grad_landmarks: FloatArray | None = None) -> FloatArray:
        """Go back through :meth:`forward`, line by line.

        Parameters
        ----------
        grad_pictures : (P, side, side, 3) array
        grad_landmarks : (P, 5, 2) array, optional
            None is as good as zeros.

        Returns
        -------
        grad_parameters : (P, parameters per anchor) array
        """
        cache, squashed = self.kept()
        grad_image_points = self._at_vertices(grad_landmarks, cache.image_points)
        grad_vertices, grad_colours, grad_camera, grad_light = render_backward(
            grad_pictures, cache, grad_image_points
        )
        grad_code = self.decoder.backward(grad_vertices, grad_colours)
        grad_to_light = grad_light * LIGHT_SCALE
        grad_to_camera = grad_camera * CAMERA_SCALE
        grad_to_camera[:, DEPTH] *= CAMERA[DEPTH] * (1 - squashed**2)
        grads = [grad_code, grad_to_camera, grad_to_light]
        return np.hstack(grads).astype(grad_pictures.dtype)

    def _at_vertices(self, grad_landmarks: FloatArray | None, image_points: FloatArray) -> FloatArray:
        """Return the gradient of all points of the picture (P, V, 3): only landmarks have one."""
        grad_image_points = np.zeros_like(image_points)
        if grad_landmarks is not None:
            for number, vertex in enumerate(self.landmarks):  # a vertex may be two landmarks at once
                grad_image_points[:, vertex, :2] += grad_landmarks[:, number]
        return grad_image_points

    @property
    def _cuts(self) -> list[int]:
        return [self.decoder.code_size, self.decoder.code_size + CAMERA_SIZE]


def _camera(to_camera: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the camera, and the hyperbolic tangent that bounds its distance, to 0.9 to 1.1 of the usual.

    A network at the beginning of its training says anything, and a head behind the camera has no picture.
    """
    camera = CAMERA + CAMERA_SCALE * to_camera
    squashed = np.tanh(to_camera[:, DEPTH])
    camera[:, DEPTH] = CAMERA[DEPTH] * (1 + CAMERA_SCALE[DEPTH] * squashed)
    return camera.astype(to_camera.dtype), squashed
