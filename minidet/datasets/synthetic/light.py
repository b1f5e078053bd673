"""The light on a scene: one lamp far away, and what comes from everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minidet._typing import Float64Array


@dataclass(frozen=True, eq=False)
class Light:
    r"""A lamp far away and an even light from all around.

    A surface of colour c whose normal is n shows, per channel,

    .. math:: c \, (a + d \max(0, n \cdot l))

    Attributes
    ----------
    direction : (3,) float64 array
        l, of length 1, from the scene to the lamp: x right, y down, z away from the viewer.
    ambient, diffuse : (3,) float64 arrays
        a and d, for red, green and blue.
    """

    direction: Float64Array
    ambient: Float64Array
    diffuse: Float64Array


def draw_light(rng: np.random.Generator) -> Light:
    """Draw a lamp somewhere before the scene, mostly above, with a warm or cold tint."""
    azimuth, height = np.deg2rad([rng.uniform(-70, 70), rng.uniform(-15, 65)])
    level = np.cos(height)
    direction = np.array([np.sin(azimuth) * level, -np.sin(height), -np.cos(azimuth) * level])
    # In dim rooms light comes from everywhere; what the lamp gives is what is missing to full brightness.
    ambient = rng.uniform(0.25, 0.75)
    warmth = rng.normal(0, 0.06)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    return Light(direction, np.full(3, ambient), (1.15 - ambient) * tint)
