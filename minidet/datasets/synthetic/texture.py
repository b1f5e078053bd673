"""The drawing of a face, flat and seen from the front, that is laid onto the mesh."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._typing import Float32Array, Float64Array
from minidet.datasets.synthetic.brush import blob
from minidet.datasets.synthetic.head import flat_coordinates
from minidet.datasets.synthetic.look import Color, Look, mix

HALF_WIDTH, HALF_HEIGHT = 0.8, 1.05
"""What the drawing covers, in units of the head: all of the mean face and a margin."""

LEFT, RIGHT = -1, 1


def face_texture(look: Look, resolution: float) -> Float32Array:
    """Draw a face.

    Parameters
    ----------
    look : Look
    resolution : float
        Pixels per unit of the head.

    Returns
    -------
    texture : (TH, TW, 3) float32 array
        Colours, 0 to 1.
    """
    rng = np.random.default_rng(look.seed)
    easel = _Easel(look.skin, resolution)
    _skin(easel, look, rng)
    _nose(easel, look)
    _mouth(easel, look)
    _beard(easel, look)
    for side in (LEFT, RIGHT):
        _eye(easel, look, side)
        _brow(easel, look, side)
    _fringe(easel, look, rng)
    _covering(easel, look)
    return easel.canvas


def texture_points(resolution: float) -> Float64Array:
    """Return where in the drawing each vertex of the mesh has its colour; (V, 2), pixels."""
    return (flat_coordinates() + np.array([HALF_WIDTH, HALF_HEIGHT])) * resolution


class _Easel:
    """A canvas on which places and sizes are those of the head."""

    def __init__(self, ground: Color, resolution: float) -> None:
        self.resolution = resolution
        height, width = (max(2, round(2 * half * resolution)) for half in (HALF_HEIGHT, HALF_WIDTH))
        self.canvas = np.empty((height, width, 3), np.float32)
        self.canvas[:] = ground

    def paint(
        self, x: float, y: float, a: float, b: float, color: Color, *, soft: float = 0.012, **how: Any
    ) -> None:
        """Paint an ellipse with its centre at x, y and half axes a, b."""
        k = self.resolution
        center = ((x + HALF_WIDTH) * k, (y + HALF_HEIGHT) * k)
        blob(self.canvas, center, (a * k, b * k), color, soft=max(soft * k, 0.5), **how)


def _skin(easel: _Easel, look: Look, rng: np.random.Generator) -> None:
    height, width, _ = easel.canvas.shape
    pores = rng.standard_normal((height, width), np.float32)
    easel.canvas += (0.012 * pores)[..., None]
    rose = mix(look.skin, (0.85, 0.3, 0.28), 0.35)
    for side in (LEFT, RIGHT):
        easel.paint(0.42 * side, 0.2, 0.22, 0.18, rose, soft=0.12, opacity=look.blush)
        easel.paint(0.3 * side, -0.2, 0.2, 0.13, mix(look.skin, (0, 0, 0), 0.3), soft=0.08, opacity=0.5)
    for x, y in rng.uniform([-0.5, -0.1], [0.5, 0.35], (round(40 * look.freckles), 2)).tolist():
        easel.paint(x, y, 0.012, 0.012, mix(look.skin, (0.35, 0.15, 0.05), 0.5))


def _nose(easel: _Easel, look: Look) -> None:
    shadow, light = mix(look.skin, (0, 0, 0), 0.3), mix(look.skin, (1, 1, 1), 0.25)
    nostril = mix(look.skin, (0.05, 0.02, 0.02), 0.8)
    easel.paint(0, 0.0, 0.035, 0.2, light, soft=0.04, opacity=0.5)
    easel.paint(0, 0.29, 0.13, 0.03, shadow, soft=0.03, opacity=0.6)
    for side in (LEFT, RIGHT):
        easel.paint(0.15 * side, 0.2, 0.025, 0.07, shadow, soft=0.03, opacity=0.5)
        easel.paint(0.065 * side, 0.265, 0.035, 0.02, nostril, angle=-15 * side)


def _mouth(easel: _Easel, look: Look) -> None:
    opened = 0.09 * look.mouth_open
    dark = (0.22, 0.06, 0.06)
    easel.paint(0, 0.62 + opened, 0.16, 0.03, mix(look.skin, (0, 0, 0), 0.25), soft=0.04, opacity=0.6)
    curve = 0.5 * look.smile
    easel.paint(0, 0.47 - opened / 3, 0.2, 0.05, look.lips, bend=curve - 0.7)  # upper lip
    easel.paint(0, 0.53 + opened, 0.19, 0.06, look.lips, bend=curve + 0.4 + 8 * opened)  # lower lip
    easel.paint(0, 0.5 + opened / 3, 0.19, 0.012 + opened * 0.7, dark, bend=3 * curve / (1 + 50 * opened))
    if look.mouth_open > 0.35:
        easel.paint(0, 0.48 + opened / 6, 0.14, 0.3 * opened, (0.93, 0.91, 0.86), bend=0.3)


def _beard(easel: _Easel, look: Look) -> None:
    hair = look.hair_color
    for side in (LEFT, RIGHT):
        easel.paint(0.5 * side, 0.5, 0.16, 0.45, hair, soft=0.08, angle=18 * side, opacity=look.beard)
        easel.paint(0.1 * side, 0.375, 0.12, 0.035, hair, angle=14 * side, opacity=look.moustache)
    easel.paint(0, 0.85, 0.42, 0.19, hair, soft=0.06, opacity=look.beard)


def _eye(easel: _Easel, look: Look, side: int) -> None:
    x, y = 0.3 * side, -0.2
    opened = 0.065 * look.lids
    easel.paint(x, y, 0.135, opened + 0.02, mix(look.skin, (0.1, 0.05, 0.05), 0.6), bend=-0.1)  # lashes
    easel.paint(x, y + 0.006, 0.115, opened, (0.93, 0.92, 0.9))
    iris_x = x + 0.03 * look.gaze
    easel.paint(iris_x, y, 0.062, min(0.062, opened + 0.01), look.iris)
    easel.paint(iris_x, y, 0.03, 0.03, (0.03, 0.03, 0.03))
    easel.paint(iris_x - 0.02, y - 0.02, 0.012, 0.012, (1, 1, 1))
    # The upper lid: a dark line that sits on the white.
    easel.paint(x, y - opened + 0.012, 0.125, 0.016, mix(look.skin, (0.05, 0.03, 0.03), 0.8), bend=-1.6)


def _brow(easel: _Easel, look: Look, side: int) -> None:
    angle = look.brow_angle * side
    easel.paint(0.31 * side, -0.4, 0.17, 0.032, look.brow, angle=angle, bend=-0.9, soft=0.02, opacity=0.85)


def _fringe(easel: _Easel, look: Look, rng: np.random.Generator) -> None:
    if look.fringe == 0:
        return
    dark = mix(look.hair_color, (0, 0, 0), 0.3)
    for x in np.linspace(-0.6, 0.6, 9).tolist():
        length = look.fringe * rng.uniform(0.7, 1.1) - 0.25 * x * x
        color = mix(look.hair_color, dark, rng.random())
        easel.paint(x, -1.05, 0.11, max(0.05, 0.05 + length), color, angle=rng.uniform(-8, 8), square=True)


def _covering(easel: _Easel, look: Look) -> None:
    if look.covering in ("glasses", "sunglasses"):
        frame = mix(look.cloth, (0.05, 0.05, 0.05), 0.7)
        for side in (LEFT, RIGHT):
            x, y, a, b = 0.3 * side, -0.18, 0.22, 0.17
            if look.covering == "sunglasses":
                easel.paint(x, y, a, b, (0.06, 0.06, 0.08), square=True)
                easel.paint(x - 0.08, y - 0.06, 0.05, 0.03, (0.4, 0.42, 0.46), soft=0.03, angle=-30)
            easel.paint(x, y, a, b, frame, hollow=0.83, square=True)
            easel.paint(0.63 * side, y - 0.03, 0.14, 0.02, frame)
        easel.paint(0, -0.22, 0.1, 0.022, frame, bend=-0.5)
    elif look.covering == "mask":
        cloth = mix(look.cloth, (0.8, 0.88, 0.92), 0.6)
        easel.paint(0, 0.62, 0.62, 0.5, cloth, square=True)
        for y in (0.45, 0.62, 0.79):
            easel.paint(0, y, 0.5, 0.012, mix(cloth, (0, 0, 0), 0.2))
        for side in (LEFT, RIGHT):
            easel.paint(0.66 * side, 0.12, 0.2, 0.012, cloth, angle=-25 * side)
