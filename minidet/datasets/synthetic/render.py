"""Drawing solids: which surface each sample of the picture shows, and the light on it.

A picture element is made of 2 x 2 samples, so that edges come out smooth. Both kinds of solids, meshes and
ellipsoids, leave at each sample the colour and the direction of the surface nearest to the viewer; light is
added at the end, once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit
from minidet._typing import Float32Array, Float64Array
from minidet.datasets.synthetic.light import Light
from minidet.datasets.synthetic.pose import Pose

SAMPLES = 2
"""Per pixel and direction."""

# What a sample holds.
COLOR, NORMAL, DEPTH = slice(0, 3), slice(3, 6), 6
CHANNELS = 7


@dataclass(frozen=True)
class Ellipsoid:
    """A solid in head coordinates.

    Attributes
    ----------
    center, radii : three numbers each
        x y z; its axes are those of the head.
    color : three numbers
        0 to 1, under white light.
    strands : float
        How strongly its brightness varies across, as hair does; 0 is smooth.
    """

    center: tuple[float, float, float]
    radii: tuple[float, float, float]
    color: tuple[float, float, float]
    strands: float = 0.0


class Layer:
    """A window of a picture into which solids are drawn.

    Parameters
    ----------
    left, top, right, bottom : int
        The window, pixels of the picture.
    """

    def __init__(self, left: int, top: int, right: int, bottom: int) -> None:
        self.left, self.top = left, top
        height, width = max(bottom - top, 0) * SAMPLES, max(right - left, 0) * SAMPLES
        self.samples = np.zeros((height, width, CHANNELS), np.float32)
        self.samples[..., DEPTH] = np.inf

    @classmethod
    def covering(cls, boxes: list[Float64Array], width: int, height: int) -> Layer:
        """Return a window that covers boxes x1 y1 x2 y2, as far as they are in a picture of that size."""
        x1, y1, x2, y2 = np.array(boxes).T  # (boxes,) each
        left, top = max(0, math.floor(x1.min())), max(0, math.floor(y1.min()))
        return cls(left, top, min(width, math.ceil(x2.max())), min(height, math.ceil(y2.max())))

    def add_mesh(
        self,
        vertices: Float64Array,
        triangles: NDArray[np.int32],
        texture: Float32Array,
        texture_points: Float64Array,
    ) -> None:
        """Draw a mesh.

        Parameters
        ----------
        vertices : (V, 3) array
            Pixels of the picture.
        triangles : (T, 3) int32 array
        texture : (TH, TW, 3) float32 array
            Colours, 0 to 1.
        texture_points : (V, 2) array
            x, y of each vertex in the texture, pixels.
        """
        _mesh_kernel(
            self.samples,
            self._scaled(vertices),
            np.asarray(triangles),
            vertex_normals(vertices, triangles).astype(np.float32),
            texture,
            np.ascontiguousarray(texture_points, np.float32),
        )

    def add_ellipsoid(self, solid: Ellipsoid, pose: Pose) -> None:
        """Draw an ellipsoid that moves with a head in ``pose``."""
        center = self._scaled(pose.place(np.array([solid.center])))[0]
        # From an offset in samples to a point of the unit sphere.
        to_sphere = (pose.rotation() / solid.radii).T / (pose.scale * SAMPLES)  # (3, 3)
        x1, y1, x2, y2 = solid_box(solid, pose)
        corners = self._scaled(np.array([[x1, y1, 0.0], [x2, y2, 0.0]]))
        _ellipsoid_kernel(
            self.samples, center, corners, to_sphere, np.array(solid.color, np.float32), solid.strands
        )

    def onto(self, canvas: Float32Array, light: Light) -> None:
        """Light what has been drawn and lay it onto the (H, W, 3) canvas, whose values are 0 to 1."""
        _light_kernel(
            self.samples, canvas, self.left, self.top, light.direction, light.ambient, light.diffuse
        )

    def _scaled(self, points: Float64Array) -> Float64Array:
        return (points - [self.left, self.top, 0.0]) * SAMPLES


def solid_box(solid: Ellipsoid, pose: Pose) -> Float64Array:
    """Return the bounds of an ellipsoid in the picture: x1 y1 x2 y2, pixels.

    Examples
    --------
    >>> solid_box(Ellipsoid((0, 1, 0), (2, 3, 4), (1, 1, 1)), Pose(90, 0, 0, scale=10, x=50, y=60))
    array([ 10.,  40.,  90., 100.])
    """
    center = pose.place(np.array([solid.center]))[0, :2]
    # The furthest that an axis' share of the unit sphere can reach is the length of its row.
    reach = pose.scale * np.linalg.norm(pose.rotation()[:2] * solid.radii, axis=1)  # (2,)
    return np.concatenate([center - reach, center + reach])


def vertex_normals(vertices: Float64Array, triangles: NDArray[np.int32]) -> Float64Array:
    """Return the direction in which the surface faces at each vertex: its triangles' mean, weighted by area.

    Examples
    --------
    >>> vertex_normals(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2]], np.int32))[0]
    array([ 0.,  0., -1.])
    """
    normals = np.zeros((len(vertices), 3))
    _normals_kernel(np.ascontiguousarray(vertices, np.float64), np.asarray(triangles), normals)
    return normals


@jit
def _normals_kernel(vertices: Float64Array, triangles: NDArray[np.int32], normals: Float64Array) -> None:
    for t in range(len(triangles)):
        i, j, k = triangles[t]
        ax, ay, az = vertices[j] - vertices[i]
        bx, by, bz = vertices[k] - vertices[i]
        # The cross product's length is twice the area. Clockwise with y down faces the viewer, -z.
        cross = np.array([az * by - ay * bz, ax * bz - az * bx, ay * bx - ax * by])
        for v in (i, j, k):
            normals[v] += cross
    for v in range(len(normals)):
        length = math.sqrt((normals[v] ** 2).sum())
        if length > 0:
            normals[v] /= length


@jit
def _mesh_kernel(
    samples: Float32Array,
    vertices: Float64Array,
    triangles: NDArray[np.int32],
    normals: Float32Array,
    texture: Float32Array,
    texture_points: Float32Array,
) -> None:
    H, W, _ = samples.shape
    TH, TW, _ = texture.shape
    for t in range(len(triangles)):
        i, j, k = triangles[t]
        xi, yi, zi = vertices[i]
        xj, yj, zj = vertices[j]
        xk, yk, zk = vertices[k]
        area = (xj - xi) * (yk - yi) - (xk - xi) * (yj - yi)
        if area == 0:
            continue
        share = 1 / area
        # Samples have their centres at half numbers.
        top = max(0, math.ceil(min(yi, yj, yk) - 0.5))
        bottom = min(H - 1, math.floor(max(yi, yj, yk) - 0.5))
        left = max(0, math.ceil(min(xi, xj, xk) - 0.5))
        right = min(W - 1, math.floor(max(xi, xj, xk) - 0.5))
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                x, y = column + 0.5, row + 0.5
                # Barycentric coordinates: the areas of the triangles opposite, as shares.
                wj = ((x - xi) * (yk - yi) - (xk - xi) * (y - yi)) * share
                wk = ((xj - xi) * (y - yi) - (x - xi) * (yj - yi)) * share
                wi = 1 - wj - wk
                if wi < 0 or wj < 0 or wk < 0:
                    continue
                z = wi * zi + wj * zj + wk * zk
                if z >= samples[row, column, 6]:
                    continue
                samples[row, column, 6] = z
                for c in range(3):
                    samples[row, column, 3 + c] = wi * normals[i, c] + wj * normals[j, c] + wk * normals[k, c]
                u = wi * texture_points[i, 0] + wj * texture_points[j, 0] + wk * texture_points[k, 0] - 0.5
                v = wi * texture_points[i, 1] + wj * texture_points[j, 1] + wk * texture_points[k, 1] - 0.5
                u, v = min(max(u, 0.0), TW - 1.001), min(max(v, 0.0), TH - 1.001)
                m, n = int(v), int(u)
                fv, fu = v - m, u - n
                for c in range(3):
                    upper = (1 - fu) * texture[m, n, c] + fu * texture[m, n + 1, c]
                    lower = (1 - fu) * texture[m + 1, n, c] + fu * texture[m + 1, n + 1, c]
                    samples[row, column, c] = (1 - fv) * upper + fv * lower


@jit
def _ellipsoid_kernel(
    samples: Float32Array,
    center: Float64Array,
    corners: Float64Array,
    to_sphere: Float64Array,
    color: Float32Array,
    strands: float,
) -> None:
    H, W, _ = samples.shape
    left, top = max(0, int(corners[0, 0])), max(0, int(corners[0, 1]))
    right, bottom = min(W, int(corners[1, 0]) + 1), min(H, int(corners[1, 1]) + 1)
    bx, by, bz = to_sphere[0, 2], to_sphere[1, 2], to_sphere[2, 2]
    bb = bx * bx + by * by + bz * bz
    for row in range(top, bottom):
        for column in range(left, right):
            x, y = column + 0.5 - center[0], row + 0.5 - center[1]
            ax = to_sphere[0, 0] * x + to_sphere[0, 1] * y
            ay = to_sphere[1, 0] * x + to_sphere[1, 1] * y
            az = to_sphere[2, 0] * x + to_sphere[2, 1] * y
            # The line of sight is a + z b; |a + z b| = 1 where it meets the sphere. The smaller z is nearer.
            ab = ax * bx + ay * by + az * bz
            root = ab * ab - bb * (ax * ax + ay * ay + az * az - 1)
            if root < 0:
                continue
            z = (-ab - math.sqrt(root)) / bb
            if center[2] + z >= samples[row, column, 6]:
                continue
            samples[row, column, 6] = center[2] + z
            px, py, pz = ax + z * bx, ay + z * by, az + z * bz
            shade = 1.0
            if strands > 0:
                shade += strands * math.sin(50 * px + 5 * math.sin(4 * py + 3 * pz))
            for c in range(3):
                samples[row, column, c] = shade * color[c]
            # Across the surface: the gradient of |sphere point|^2.
            nx = to_sphere[0, 0] * px + to_sphere[1, 0] * py + to_sphere[2, 0] * pz
            ny = to_sphere[0, 1] * px + to_sphere[1, 1] * py + to_sphere[2, 1] * pz
            nz = to_sphere[0, 2] * px + to_sphere[1, 2] * py + to_sphere[2, 2] * pz
            samples[row, column, 3], samples[row, column, 4], samples[row, column, 5] = nx, ny, nz


@jit
def _light_kernel(
    samples: Float32Array,
    canvas: Float32Array,
    left: int,
    top: int,
    direction: Float64Array,
    ambient: Float64Array,
    diffuse: Float64Array,
) -> None:
    H, W, _ = canvas.shape
    color = np.empty(3)
    for i in range(len(samples) // 2):
        for j in range(samples.shape[1] // 2):
            if not (0 <= top + i < H and 0 <= left + j < W):
                continue
            covered = 0
            color[:] = 0
            for row in (2 * i, 2 * i + 1):
                for column in (2 * j, 2 * j + 1):
                    one = samples[row, column]
                    if one[6] == np.inf:
                        continue
                    covered += 1
                    along = one[3] * direction[0] + one[4] * direction[1] + one[5] * direction[2]
                    length = math.sqrt(one[3] * one[3] + one[4] * one[4] + one[5] * one[5])
                    facing = max(0.0, along / length) if length > 0 else 0.0
                    for c in range(3):
                        color[c] += one[c] * (ambient[c] + facing * diffuse[c])
            if covered > 0:
                share = covered / 4
                for c in range(3):
                    canvas[top + i, left + j, c] = (1 - share) * canvas[top + i, left + j, c] + color[c] / 4
