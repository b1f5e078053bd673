"""The brush: ellipses against their equation, sample by sample."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidet.datasets.synthetic.brush import blob


def painted(height=40, width=60, **options):
    canvas = np.zeros((height, width, 3), np.float32)
    blob(canvas, (30.3, 19.6), (17, 9), (1, 0.5, 0.25), **options)
    return canvas


def twin(height, width, inside):
    """Return the share of each pixel for which ``inside(x, y)`` holds, by 400 samples."""
    share = np.zeros((height, width))
    steps = (np.arange(20) + 0.5) / 20
    for i in range(height):
        for j in range(width):
            share[i, j] = np.mean([inside(j + x - 30.3, i + y - 19.6) for x in steps for y in steps])
    return share


def turned(x, y, degrees):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (x * c + y * s) / 17, (y * c - x * s) / 9


SHAPES = {
    "plain": ({}, lambda x, y: (x / 17) ** 2 + (y / 9) ** 2 < 1),
    "turned": ({"angle": 30}, lambda x, y: math.hypot(*turned(x, y, 30)) < 1),
    "hollow": ({"hollow": 0.6}, lambda x, y: 0.6 < math.hypot(x / 17, y / 9) < 1),
    "square": ({"square": True}, lambda x, y: (x / 17) ** 4 + (y / 9) ** 4 < 1),
    "turned square": (
        {"square": True, "angle": -40},
        lambda x, y: sum(q**4 for q in turned(x, y, -40)) < 1,
    ),
    "deep smile": ({"bend": 1.8}, lambda x, y: math.hypot(x / 17, y / 9 + 1.8 * (x / 17) ** 2) < 1),
    "smile": ({"bend": 0.5}, lambda x, y: math.hypot(x / 17, y / 9 + 0.5 * (x / 17) ** 2) < 1),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shape(name):
    options, inside = SHAPES[name]
    canvas, share = painted(**options), twin(40, 60, inside)
    # At the edge the distance is a first-order guess; elsewhere nothing is left to guess.
    assert abs(canvas[..., 0] - share).max() < (0.35 if "bend" in options else 0.15)
    assert canvas[..., 0].sum() == pytest.approx(share.sum(), rel=0.01)
    np.testing.assert_allclose(canvas[..., 1], canvas[..., 0] / 2)
    np.testing.assert_allclose(canvas[..., 2], canvas[..., 0] / 4)


def test_smile_goes_up_at_its_ends():
    rows = np.argwhere(painted(bend=1.0)[..., 0] > 0.5)
    ends = rows[abs(rows[:, 1] - 30) > 12]
    assert ends[:, 0].mean() < rows[:, 0].mean() - 3


def test_soft_edge():
    """Half a pixel's cover at the edge, falling evenly over twice the softness."""
    canvas = painted(soft=4.0)
    row = canvas[19, :, 0]  # its middle is at y = 19.5, all but the centre's
    edge = 30.3 + 17
    x = np.arange(60) + 0.5
    expected = np.clip(0.5 + (edge - x) / 8, 0, 1)
    np.testing.assert_allclose(row[31:], expected[31:], atol=0.01)


def test_opacity_mixes():
    canvas = np.full((9, 9, 3), 0.5, np.float32)
    blob(canvas, (4.5, 4.5), (3, 3), (1, 0, 0.5), opacity=0.25)
    np.testing.assert_allclose(canvas[4, 4], [0.625, 0.375, 0.5])
    np.testing.assert_allclose(canvas[0, 0], 0.5)


@pytest.mark.parametrize("center", [(-3, 5), (5, -3), (14, 5), (5, 14), (-50, -50), (80, 5)])
def test_beyond_the_border(center):
    """The same as on a larger canvas, cut."""
    canvas, large = np.zeros((12, 12, 3), np.float32), np.zeros((52, 52, 3), np.float32)
    blob(canvas, center, (6, 4), (1, 1, 1), angle=20)
    blob(large, (center[0] + 20, center[1] + 20), (6, 4), (1, 1, 1), angle=20)
    np.testing.assert_array_equal(canvas, large[20:32, 20:32])
