"""From a scene to pixels: background, bodies, heads, and a camera."""

from __future__ import annotations

import numpy as np

from minidet._jit import jit
from minidet._typing import Float32Array, RGBImage
from minidet.datasets.synthetic.background import draw_background
from minidet.datasets.synthetic.brush import blob
from minidet.datasets.synthetic.head import head_triangles
from minidet.datasets.synthetic.light import Light, draw_light
from minidet.datasets.synthetic.look import Look, draw_look, head_solids
from minidet.datasets.synthetic.render import Layer, solid_box
from minidet.datasets.synthetic.scene import Person
from minidet.datasets.synthetic.settings import SyntheticSettings
from minidet.datasets.synthetic.texture import face_texture, texture_points


def draw_picture(people: list[Person], settings: SyntheticSettings, rng: np.random.Generator) -> RGBImage:
    """Paint a picture of people.

    Parameters
    ----------
    people : list of Person
        Those lower in the picture stand before those higher up, so that no neck hides the face below it.
    settings : SyntheticSettings
    rng : Generator
        Draws everything that annotations do not tell: light, colours, background, noise.

    Returns
    -------
    image : (H, W, 3) uint8 array
        RGB.
    """
    width, height = settings.size
    light = draw_light(rng)
    negatives = int(rng.poisson(settings.negatives))
    canvas = draw_background(width, height, light, negatives, rng)
    looks = [draw_look(rng) for _ in people]
    far_first = sorted(zip(people, looks, strict=True), key=lambda one: float(one[0].box[3]))
    for person, look in far_first:  # all bodies before all heads: no body may hide a face
        _body(canvas, person, look, light)
    for person, look in far_first:
        _head(canvas, person, look, light)
    return _photograph(canvas, rng)


def _body(canvas: Float32Array, person: Person, look: Look, light: Light) -> None:
    pose = person.pose
    shade = light.ambient + 0.5 * light.diffuse
    center = (pose.x, pose.y + 2.15 * pose.scale)
    blob(canvas, center, (1.6 * pose.scale, 0.9 * pose.scale), np.array(look.clothes) * shade, square=True)


def _head(canvas: Float32Array, person: Person, look: Look, light: Light) -> None:
    pose = person.pose
    height, width, _ = canvas.shape
    solids = head_solids(look)
    layer = Layer.covering([person.box, *(solid_box(solid, pose) for solid in solids)], width, height)
    resolution = min(100.0, max(24.0, 1.5 * pose.scale))  # finer than pixels, or the drawing would blur them
    layer.add_mesh(
        person.vertices, head_triangles(), face_texture(look, resolution), texture_points(resolution)
    )
    for solid in solids:
        layer.add_ellipsoid(solid, pose)
    layer.onto(canvas, light)


def _photograph(canvas: Float32Array, rng: np.random.Generator) -> RGBImage:
    """Take the picture with a camera that is not perfect: exposure, colour cast, blur, noise."""
    height, width, _ = canvas.shape
    gain = np.exp(rng.normal(-0.05, 0.15)) * np.exp(rng.normal(0, 0.04, 3))  # (3,)
    gamma = np.exp(rng.normal(0, 0.15))
    # With weights 1/4 1/2 1/4, mixed with the sharp picture; twice in one picture of three.
    softness = float(rng.uniform(0, 1))
    for _ in range(1 + int(rng.random() < 0.33)):
        canvas = _blurred(canvas, softness)
    noise = rng.integers(0, 256, (2, height, width, 3), np.uint8)
    strength = float(rng.uniform(0, 0.05)) / 147.0  # 147 / 256 is the spread of the two bytes' difference
    image = np.empty((height, width, 3), np.uint8)
    _develop_kernel(canvas, gain, float(gamma), noise, strength, image)
    return image


def _blurred(canvas: Float32Array, softness: float) -> Float32Array:
    out = np.empty_like(canvas)
    _blur_kernel(canvas, softness, out)
    return out


@jit
def _blur_kernel(canvas: Float32Array, softness: float, out: Float32Array) -> None:
    H, W, _ = canvas.shape
    side = np.float32(softness / 4)
    middle = np.float32(1 - softness / 2)
    for i in range(H):
        up, down = max(i - 1, 0), min(i + 1, H - 1)
        for j in range(W):
            left, right = max(j - 1, 0), min(j + 1, W - 1)
            for c in range(3):
                above = side * (canvas[up, left, c] + canvas[up, right, c]) + middle * canvas[up, j, c]
                here = side * (canvas[i, left, c] + canvas[i, right, c]) + middle * canvas[i, j, c]
                below = side * (canvas[down, left, c] + canvas[down, right, c]) + middle * canvas[down, j, c]
                out[i, j, c] = side * (above + below) + middle * here


@jit
def _develop_kernel(
    canvas: Float32Array,
    gain: Float32Array,
    gamma: float,
    noise: RGBImage,
    strength: float,
    image: RGBImage,
) -> None:
    H, W, _ = canvas.shape
    # The curve is looked up: a power for every value would take longer than all the rest.
    curve = np.empty(1025, np.float32)
    for k in range(1025):
        curve[k] = (k / 1024) ** gamma
    for i in range(H):
        for j in range(W):
            for c in range(3):
                value = min(1.0, max(0.0, canvas[i, j, c] * gain[c]))
                value = curve[int(value * 1024)]
                value += strength * (float(noise[0, i, j, c]) - float(noise[1, i, j, c]))
                image[i, j, c] = np.uint8(min(255.0, max(0.0, value * 255 + 0.5)))
