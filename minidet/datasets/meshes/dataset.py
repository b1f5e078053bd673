"""Pictures of one face each, drawn by ``minidet.mesh`` from a code, a camera and a light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_whole
from minidet._typing import Float32Array, Float64Array, RGBImage
from minidet.datasets.dataset import Dataset
from minidet.datasets.meshes.head import CODE_SIZE, coloured_head, head_topology
from minidet.datasets.sample import Annotation
from minidet.errors import InputError, is_number, is_share
from minidet.image import resize_bilinear
from minidet.mesh import Topology, place_forward, project_forward, render_forward
from minidet.mesh.camera import FOCAL

# Two streams of random numbers for each picture: what annotations tell, and what only pixels tell.
FACE, BACKGROUND = 0, 1

DISTANCE = 8.0
"""From the camera to the head, in half heights of the face: an arm's length, where perspective is seen."""


@dataclass(frozen=True)
class MeshFaceSettings:
    """What the pictures are like.

    Attributes
    ----------
    side : int
        Of the square pictures, pixels. The default is as small as a face can be drawn with eyes and a mouth.
    heights : (smallest, largest)
        Of the faces, as shares of the picture. The default fits the second anchor of a 64-pixel picture.
    max_yaw, max_pitch, max_roll : float
        Degrees in both directions. With more yaw than the default, half of the face is hidden behind the
        nose, and what is hidden has no pixels to learn from.
    spread : float
        Standard deviation of the numbers of the code, which are cut off at -1 and 1.

    Raises
    ------
    InputError
        If a value is out of its range.

    Examples
    --------
    >>> MeshFaceSettings(heights=(0.9, 0.5))
    Traceback (most recent call last):
        ...
    minidet.errors.InputError: MeshFaceSettings: heights=(0.9, 0.5); expected two shares, the smaller
    one first
    """

    side: int = 64
    heights: tuple[float, float] = (0.65, 0.85)
    max_yaw: float = 30.0
    max_pitch: float = 15.0
    max_roll: float = 15.0
    spread: float = 0.5

    def __post_init__(self) -> None:
        check_whole("MeshFaceSettings", "side", self.side, least=8)
        low, high = self.heights
        if not (is_share(low) and is_share(high) and 0 < low <= high):
            raise InputError(
                f"MeshFaceSettings: heights={self.heights}; expected two shares, the smaller one first"
            )
        for name, most in (("max_yaw", 60), ("max_pitch", 40), ("max_roll", 45), ("spread", 1)):
            value = getattr(self, name)
            if not (is_number(value) and 0 <= value <= most):
                raise InputError(f"MeshFaceSettings: {name}={value!r}; expected a number from 0 to {most}")


@dataclass(frozen=True, eq=False)
class MeshFace:
    """All that a face is drawn from.

    Attributes
    ----------
    code : (18,) array
        See :func:`minidet.datasets.meshes.coloured_head`.
    camera : (7,) array
        See ``minidet.mesh.camera``.
    light : (9,) array
        See ``minidet.mesh.light``.
    """

    code: Float64Array
    camera: Float64Array
    light: Float64Array

    def vertices(self, side: int) -> Float64Array:
        """Return where the vertices are in a picture of the face.

        A unit of depth has as many pixels as a unit across has at the nose.

        Parameters
        ----------
        side : int
            Of the picture, pixels.

        Returns
        -------
        (V, 3) array, pixels
            x, y in the picture; z from the tip of the nose.
        """
        vertices, _ = coloured_head(self.code)
        points = place_forward(vertices[None], self.camera[None])
        (seen,) = project_forward(points, self.camera[None, FOCAL], side)
        nose = seen[head_topology().nose, 2]
        seen[:, 2] = (seen[:, 2] - nose) * self.camera[FOCAL] / nose * side / 2
        return seen


class MeshFaceAnnotation(Annotation):
    """A picture that is drawn when it is asked for, and the one face on it.

    Parameters
    ----------
    number : int
        Which picture of the set.
    seed : int
        Of the set.
    settings : MeshFaceSettings
    """

    on_disk = False

    def __init__(self, number: int, seed: int, settings: MeshFaceSettings) -> None:
        self.number, self.seed, self.settings = number, seed, settings
        flat = self.face.vertices(settings.side)[:, :2]
        name = f"mesh/{number:06d}.png"
        super().__init__(
            name,
            name,
            np.concatenate([flat.min(axis=0), flat.max(axis=0)])[None],
            flat[None, list(head_topology().landmarks)],
            size=(settings.side, settings.side),
        )

    @property
    def face(self) -> MeshFace:
        """What the face is drawn from."""
        return _draw_face(np.random.default_rng([self.seed, self.number, FACE]), self.settings)

    @property
    def vertices(self) -> Float32Array:
        """(1, V, 3): as :meth:`MeshFace.vertices` has them."""
        return self.face.vertices(self.settings.side)[None].astype(np.float32)

    def mask(self) -> NDArray[np.bool_]:
        """Return where the picture shows the face.

        Returns
        -------
        (side, side) bool array
        """
        return self._draw()[1]

    def read(self) -> RGBImage:
        """Draw the picture."""
        side = self.settings.side
        picture, covered = self._draw()
        rng = np.random.default_rng([self.seed, self.number, BACKGROUND])
        colour, spots = rng.integers(40, 216, 3), rng.integers(-25, 26, (4, 4, 3))
        patches = (colour + spots).astype(np.float32)
        canvas = resize_bilinear(patches, side, side)
        canvas[covered] = 255 * np.clip(picture[covered], 0, 1)
        return np.rint(canvas).astype(np.uint8)

    def _draw(self) -> tuple[Float64Array, NDArray[np.bool_]]:
        """Return the face on black, and where it is."""
        vertices, colours = coloured_head(self.face.code)
        camera, light = self.face.camera[None], self.face.light[None]
        triangles, side = head_topology().triangles, self.settings.side
        (picture,), cache = render_forward(vertices[None], colours[None], camera, light, triangles, side)
        return picture, cache.shown[0] >= 0

    def usable(self) -> MeshFaceAnnotation:
        """Return the same: every drawn face has an area."""
        return self


class MeshFaceDataset(Dataset):
    """One drawn face per picture, with its mesh; made by :func:`mesh_face_dataset`.

    Parameters
    ----------
    annotations : sequence of MeshFaceAnnotation
    source : str
        What messages call it.
    """

    annotations: list[MeshFaceAnnotation]

    def __init__(self, annotations: Sequence[MeshFaceAnnotation], source: str) -> None:
        super().__init__(annotations, source)

    @property
    def topology(self) -> Topology:
        """The same for every face."""
        return head_topology()


def mesh_face_dataset(
    count: int, *, seed: int = 0, settings: MeshFaceSettings | None = None
) -> MeshFaceDataset:
    """Make a data set of faces drawn from codes. Nothing is written to disk.

    Parameters
    ----------
    count : int
        Pictures.
    seed : int
        From 0 up. Picture number i depends on the seed, on i and on the settings only, so a longer set begins
        with the shorter one.
    settings : MeshFaceSettings, optional

    Returns
    -------
    dataset : MeshFaceDataset
        Pictures are drawn when they are asked for.

    Raises
    ------
    InputError
        If count or seed is no whole number from 0 up.

    Examples
    --------
    >>> dataset = mesh_face_dataset(2, seed=1)
    >>> annotation = dataset.annotations[0]
    >>> annotation.boxes.shape, annotation.landmarks.shape, annotation.vertices.shape
    ((1, 4), (1, 5, 2), (1, 399, 3))
    >>> dataset[0].image.shape, float(annotation.vertices[0, dataset.topology.nose, 2])
    ((64, 64, 3), 0.0)
    """
    check_whole("mesh_face_dataset", "count", count, least=0)
    check_whole("mesh_face_dataset", "seed", seed, least=0)
    chosen = settings or MeshFaceSettings()
    annotations = [MeshFaceAnnotation(number, int(seed), chosen) for number in range(count)]
    return MeshFaceDataset(annotations, f"mesh faces: {count}, seed {seed}, {chosen}")


def _draw_face(rng: np.random.Generator, settings: MeshFaceSettings) -> MeshFace:
    code = np.clip(rng.normal(0, settings.spread, CODE_SIZE), -1, 1)

    # A face is 2 units high, so that its share of the picture is focal length over distance.
    height = rng.uniform(*settings.heights)
    focal = height * DISTANCE
    room = (1 - height) / height  # for the middle of the face to move, in units of the head
    x, y = rng.uniform(-room, room, 2)
    limits = np.deg2rad([settings.max_yaw, settings.max_pitch, settings.max_roll])
    camera = np.array([x, y, DISTANCE, *(rng.uniform(-1, 1, 3) * limits), focal])

    # A lamp before the face, mostly above; what it gives is what is missing to full brightness.
    azimuth, up = np.deg2rad([rng.uniform(-60, 60), rng.uniform(-10, 60)])
    way = np.array([np.sin(azimuth) * np.cos(up), -np.sin(up), -np.cos(azimuth) * np.cos(up)])
    place = camera[:3] + rng.uniform(3, 6) * way
    ambient, warmth = rng.uniform(0.4, 0.7), rng.normal(0, 0.04)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    return MeshFace(code, camera, np.concatenate([place, (1.1 - ambient) * tint, np.full(3, ambient)]))
