"""One brush, for faces and backgrounds alike: an ellipse that can be turned, bent, hollow and soft."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minidet._jit import jit
from minidet._typing import Float32Array, Float64Array


def blob(
    canvas: Float32Array,
    center: tuple[float, float],
    radii: tuple[float, float],
    color: Sequence[float] | Float64Array,
    *,
    angle: float = 0.0,
    bend: float = 0.0,
    hollow: float = 0.0,
    square: bool = False,
    soft: float = 0.5,
    opacity: float = 1.0,
) -> None:
    """Paint an ellipse onto a canvas.

    Parameters
    ----------
    canvas : (H, W, 3) float32 array
        Changed in place.
    center : (x, y)
        Pixels; the upper left corner of the canvas is (0, 0), the centre of its first pixel (0.5, 0.5).
    radii : (a, b)
        Half axes, pixels, above 0.
    color : three numbers
        In the unit of the canvas.
    angle : float
        Degrees, clockwise.
    bend : float
        How far both ends of the first axis are moved along the second, in multiples of ``b``: 1 bends the
        ellipse into a smile, -1 into a brow.
    hollow : float
        From here inwards nothing is painted, as a share of the radii: 0.8 gives a thin ring.
    square : bool
        Instead of an ellipse, where u^2 + v^2 = 1, a rectangle with round corners, where u^4 + v^4 = 1.
    soft : float
        Half the width of the edge, pixels.
    opacity : float
        0 to 1.

    Examples
    --------
    >>> canvas = np.zeros((3, 5, 3), np.float32)
    >>> blob(canvas, (2.5, 1.5), (1.8, 0.9), (9, 9, 9), soft=0.1)
    >>> canvas[:, :, 0]
    array([[0., 0., 0., 0., 0.],
           [0., 9., 9., 9., 0.],
           [0., 0., 0., 0., 0.]], dtype=float32)
    """
    turn = math.radians(angle)
    _blob_kernel(
        canvas,
        float(center[0]),
        float(center[1]),
        max(float(radii[0]), 1e-3),
        max(float(radii[1]), 1e-3),
        math.cos(turn),
        math.sin(turn),
        float(bend),
        float(hollow),
        square,
        max(float(soft), 1e-3),
        float(opacity),
        np.asarray(color, np.float32),
    )


@jit
def _blob_kernel(
    canvas: Float32Array,
    center_x: float,
    center_y: float,
    a: float,
    b: float,
    cos: float,
    sin: float,
    bend: float,
    hollow: float,
    square: bool,
    soft: float,
    opacity: float,
    color: Float32Array,
) -> None:
    H, W, _ = canvas.shape
    tall = b * (1 + abs(bend))  # a bent ellipse is higher
    reach_x = abs(a * cos) + abs(tall * sin) + soft
    reach_y = abs(a * sin) + abs(tall * cos) + soft
    top, bottom = max(0, int(center_y - reach_y)), min(H, int(center_y + reach_y) + 2)
    left, right = max(0, int(center_x - reach_x)), min(W, int(center_x + reach_x) + 2)
    weight = np.float32(opacity)
    cos_a, sin_a, cos_b, sin_b = cos / a, sin / a, cos / b, sin / b
    full = max(0.0, 1 - 2 * soft / min(a, b)) ** 2 if hollow == 0 else 0.0
    for i in range(top, bottom):
        for j in range(left, right):
            x, y = j + 0.5 - center_x, i + 0.5 - center_y
            u = x * cos_a + y * sin_a  # along the first axis, 1 at its end
            v = y * cos_b - x * sin_b + bend * u * u
            squared = u * u + v * v
            if squared < full:  # far from the edge; the same as below, sooner
                for c in range(3):
                    canvas[i, j, c] += weight * (color[c] - canvas[i, j, c])
                continue
            # The radius grows from 0 to 1; how much per pixel tells how many pixels it is to the edge.
            if square:
                radius = math.sqrt(math.sqrt(u**4 + v**4))
                slope = math.sqrt((u**3 / a) ** 2 + (v**3 / b) ** 2) / max(radius, 1e-6) ** 3
            else:
                radius = math.sqrt(squared)
                slope = math.sqrt((u / a) ** 2 + (v / b) ** 2) / max(radius, 1e-6)
            slope = max(slope, 1e-6)
            inside = (1 - radius) / slope
            cover = min(1.0, max(0.0, 0.5 + inside / (2 * soft)))
            if hollow > 0:
                within = (radius - hollow) / slope
                cover = min(cover, min(1.0, max(0.0, 0.5 + within / (2 * soft))))
            if cover > 0:
                part = weight * np.float32(cover)
                for c in range(3):
                    canvas[i, j, c] += part * (color[c] - canvas[i, j, c])
