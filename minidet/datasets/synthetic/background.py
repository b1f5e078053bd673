"""What is behind the faces: textures of many kinds, and things that resemble faces but are none."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minidet._jit import jit
from minidet._typing import Float32Array, IntArray
from minidet.datasets.synthetic.brush import blob
from minidet.datasets.synthetic.light import Light
from minidet.datasets.synthetic.look import SKIN, Color, any_color, draw_look, head_solids, jitter, mix
from minidet.datasets.synthetic.pose import Pose
from minidet.datasets.synthetic.render import Ellipsoid, Layer, solid_box


def draw_background(
    width: int, height: int, light: Light, negatives: int, rng: np.random.Generator
) -> Float32Array:
    """Paint a background.

    Parameters
    ----------
    width, height : int
        Pixels.
    light : Light
        On the things before it.
    negatives : int
        How many things that resemble a face.
    rng : Generator

    Returns
    -------
    canvas : (height, width, 3) float32 array
        0 to 1.
    """
    canvas = np.empty((height, width, 3), np.float32)
    first, second = _some_color(rng), _some_color(rng)
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))]
    _mix_kernel(
        canvas, pattern(height, width, rng), np.array(first, np.float32), np.array(second, np.float32)
    )
    _add_noise(canvas, rng)
    for _ in range(int(rng.integers(0, 10))):
        _thing(canvas, rng)
    for _ in range(negatives):
        negative = NEGATIVES[int(rng.integers(len(NEGATIVES)))]
        size = float(np.exp(rng.uniform(np.log(10), np.log(0.3 * min(width, height) + 10))))
        negative(canvas, rng.uniform(0, width), rng.uniform(0, height), size, light, rng)
    return np.clip(canvas, 0, 1, out=canvas)


def _some_color(rng: np.random.Generator) -> Color:
    """Draw any colour, or one time in three that of a skin: a face must not be known by its colour."""
    if rng.random() < 0.33:
        return jitter(rng, SKIN[int(rng.integers(len(SKIN)))], 0.05)
    return any_color(rng)


# ---- patterns: which share of the second colour each pixel has ----


def _gradient(height: int, width: int, rng: np.random.Generator) -> Float32Array:
    along, _ = _waves(height, width, _periods(rng, 0.2, 1), rng)
    return 0.5 + 0.5 * along


def _stripes(height: int, width: int, rng: np.random.Generator) -> Float32Array:
    along, _ = _waves(height, width, _periods(rng, 2, 30), rng)
    return 0.5 + 2 * along


def _checks(height: int, width: int, rng: np.random.Generator) -> Float32Array:
    along, across = _waves(height, width, _periods(rng, 2, 20), rng)
    return 0.5 + 4 * along * across


def _dots(height: int, width: int, rng: np.random.Generator) -> Float32Array:
    along, across = _waves(height, width, _periods(rng, 2, 20), rng)
    return 0.5 + 3 * (along + across - 0.8)


def _clouds(height: int, width: int, rng: np.random.Generator) -> Float32Array:
    cells, contrast = float(rng.uniform(2, 12)), np.float32(rng.uniform(1, 4))
    return 0.5 + contrast * _fractal(height, width, cells, rng)


PATTERNS: tuple[Callable[[int, int, np.random.Generator], Float32Array], ...] = (
    _gradient,
    _stripes,
    _checks,
    _dots,
    _clouds,
    _clouds,  # the most varied of them is drawn twice as often
)


def _periods(rng: np.random.Generator, fewest: float, most: float) -> float:
    return math.exp(rng.uniform(math.log(fewest), math.log(most)))


def _waves(
    height: int, width: int, periods: float, rng: np.random.Generator
) -> tuple[Float32Array, Float32Array]:
    """Return two sine waves of one length at right angles, (height, width) each."""
    turn, phase = rng.uniform(0, 2 * math.pi, 2)
    frequency = 2 * math.pi * periods / max(height, width)  # radians per pixel
    kx, ky = frequency * math.cos(turn), frequency * math.sin(turn)
    row, column = np.arange(height), np.arange(width)
    # sin(p + q) is the imaginary part of a product, so that rows and columns need few sines, not pixels.
    along = np.exp(1j * (ky * row + phase))[:, None] * np.exp(1j * kx * column)
    across = np.exp(1j * (kx * row + phase))[:, None] * np.exp(-1j * ky * column)
    return along.imag.astype(np.float32), across.imag.astype(np.float32)


@jit
def _mix_kernel(canvas: Float32Array, share: Float32Array, first: Float32Array, second: Float32Array) -> None:
    H, W, _ = canvas.shape
    for i in range(H):
        for j in range(W):
            part = min(np.float32(1), max(np.float32(0), share[i, j]))
            for c in range(3):
                canvas[i, j, c] = first[c] + part * (second[c] - first[c])


# ---- noise ----


def _fractal(height: int, width: int, cells: float, rng: np.random.Generator) -> Float32Array:
    """Add up random grids, each twice as fine and half as strong as the one before; (height, width)."""
    noise = np.zeros((height, width), np.float32)
    cell, strength = max(height, width) / cells, 0.5
    while cell >= 2 and strength > 0.02:
        rows, columns = int(height / cell) + 2, int(width / cell) + 2
        grid = rng.random((rows, columns), np.float32) - np.float32(0.5)
        _octave_kernel(noise, grid * np.float32(strength), *_between(height, cell), *_between(width, cell))
        cell, strength = cell / 2, strength / 2
    return noise


def _between(size: int, cell: float) -> tuple[IntArray, Float32Array]:
    """Return each pixel's grid line before it, and how far it is on the way to the next; (size,) each."""
    place = np.arange(size) / cell
    line = place.astype(np.intp)
    way = place - line
    return line, (way * way * (3 - 2 * way)).astype(np.float32)  # level at the lines, so that none is seen


@jit
def _octave_kernel(
    noise: Float32Array,
    grid: Float32Array,
    row_line: IntArray,
    row_way: Float32Array,
    column_line: IntArray,
    column_way: Float32Array,
) -> None:
    H, W = noise.shape
    for i in range(H):
        m, way = row_line[i], row_way[i]
        values = grid[m] + way * (grid[m + 1] - grid[m])
        for j in range(W):
            n = column_line[j]
            noise[i, j] += values[n] + column_way[j] * (values[n + 1] - values[n])


def _add_noise(canvas: Float32Array, rng: np.random.Generator) -> None:
    """Make a pattern uneven, as walls and cloth are."""
    height, width, _ = canvas.shape
    strength, cells = np.float32(rng.uniform(0.05, 0.4)), float(rng.uniform(4, 40))
    canvas += (strength * _fractal(height, width, cells, rng))[..., None]


# ---- things ----


def _thing(canvas: Float32Array, rng: np.random.Generator) -> None:
    """Paint something round or square."""
    height, width, _ = canvas.shape
    blob(
        canvas,
        (rng.uniform(0, width), rng.uniform(0, height)),
        tuple(np.exp(rng.uniform(np.log(2), np.log(0.3 * max(height, width)), 2)).tolist()),
        _some_color(rng),
        angle=rng.uniform(0, 180),
        square=bool(rng.random() < 0.33),
        hollow=float(rng.choice([0.0, 0.0, 0.7])),
        bend=float(rng.choice([0.0, 0.0, 0.8])),
        soft=rng.uniform(0.5, 3),
        opacity=rng.uniform(0.5, 1),
    )


def _ball(
    canvas: Float32Array, x: float, y: float, size: float, light: Light, rng: np.random.Generator
) -> None:
    """Paint a ball or an egg: shape, colour and light of a head without a face."""
    radii = tuple(rng.uniform(0.6, 1.1, 3).tolist())
    _solids(canvas, [Ellipsoid((0, 0, 0), radii, _some_color(rng))], x, y, size, 0, light, rng)


def _back_of_head(
    canvas: Float32Array, x: float, y: float, size: float, light: Light, rng: np.random.Generator
) -> None:
    """Paint somebody who looks away."""
    look = draw_look(rng)
    blob(canvas, (x, y + 2.1 * size), (1.5 * size, size), look.clothes, square=True)
    _solids(canvas, head_solids(look), x, y, size, 180, light, rng)


def _solids(
    canvas: Float32Array,
    solids: list[Ellipsoid],
    x: float,
    y: float,
    size: float,
    yaw: float,
    light: Light,
    rng: np.random.Generator,
) -> None:
    turn_y, turn_x, turn_z = rng.uniform(-25, 25, 3)
    pose = Pose(yaw + turn_y, turn_x, turn_z, size, x, y)
    height, width, _ = canvas.shape
    layer = Layer.covering([solid_box(solid, pose) for solid in solids], width, height)
    for solid in solids:
        layer.add_ellipsoid(solid, pose)
    layer.onto(canvas, light)


def _dotted(
    canvas: Float32Array, x: float, y: float, size: float, light: Light, rng: np.random.Generator
) -> None:
    """Paint a disc in the colour of skin with dark dots where no face has them."""
    skin = jitter(rng, SKIN[int(rng.integers(len(SKIN)))], 0.03)
    blob(canvas, (x, y), (0.75 * size, size), skin, soft=1)
    arrangements = (
        [(0.0, -0.5), (0.0, 0.0), (0.0, 0.5)],
        [(-0.3, 0.3), (0.3, 0.3), (0.0, -0.1)],
        [(0.0, 0.0)],
        [(-0.4, -0.4), (0.4, 0.4)],
        rng.uniform(-0.5, 0.5, (int(rng.integers(2, 7)), 2)).tolist(),
    )
    for dx, dy in arrangements[int(rng.integers(len(arrangements)))]:
        color = mix(skin, (0.05, 0.05, 0.05), rng.uniform(0.4, 1))
        blob(canvas, (x + dx * size, y + dy * size), (0.13 * size, 0.09 * size), color, soft=0.02 * size)


NEGATIVES: tuple[
    Callable[[Float32Array, float, float, float, Light, np.random.Generator], None], ...
] = (_ball, _back_of_head, _dotted)  # fmt: skip
