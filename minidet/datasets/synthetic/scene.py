"""Who is in a picture, and where: everything that annotations tell, without a single pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minidet._typing import Float64Array
from minidet.datasets.synthetic.head import LANDMARK_VERTICES, SHAPE_NAMES, head_shape
from minidet.datasets.synthetic.pose import Pose
from minidet.datasets.synthetic.settings import SyntheticSettings

TRIES = 40
"""Places that are tried for a face before it is made smaller."""
SHRINK = 0.7
"""By how much it is then."""
HAIR_ABOVE, HAIR_BESIDE = 0.35, 0.25
"""How far hair reaches beyond the box of the face, as shares of its height and width."""


@dataclass(frozen=True, eq=False)
class Person:
    """One head in a picture.

    Attributes
    ----------
    pose : Pose
    vertices : (V, 3) float64 array
        Of the face, pixels of the picture; z away from the viewer, 0 at the head's centre.
    """

    pose: Pose
    vertices: Float64Array

    @property
    def box(self) -> Float64Array:
        """x1 y1 x2 y2: the bounds of the vertices."""
        flat = self.vertices[:, :2]
        return np.concatenate([flat.min(axis=0), flat.max(axis=0)])

    @property
    def landmarks(self) -> Float64Array:
        """The five points, (5, 2)."""
        return self.vertices[list(LANDMARK_VERTICES), :2]


def draw_scene(rng: np.random.Generator, settings: SyntheticSettings) -> list[Person]:
    """Draw heads and find places for them, the largest first.

    Parameters
    ----------
    rng : Generator
    settings : SyntheticSettings

    Returns
    -------
    people : list of Person
        Fewer than drawn if there is no room for all.
    """
    count = int(rng.integers(settings.faces[0], settings.faces[1], endpoint=True))
    low, high = settings.face_heights[0], settings.highest_face()
    heights = np.sort(np.exp(rng.uniform(np.log(low), np.log(high), count)))[::-1]
    people: list[Person] = []
    for height in heights.tolist():
        person = _head(rng, settings)
        while (placed := _place(person, height, people, rng, settings)) is None and height > low:
            height = max(low, SHRINK * height)
        if placed is not None:
            people.append(placed)
    return people


def _head(rng: np.random.Generator, settings: SyntheticSettings) -> Person:
    """Draw a shape and three angles; the scale is 1, the place the origin."""
    shape = np.clip(rng.normal(0, 0.5, len(SHAPE_NAMES)), -1, 1)
    yaw, pitch, roll = rng.uniform(-1, 1, 3) * [settings.max_yaw, settings.max_pitch, settings.max_roll]
    pose = Pose(float(yaw), float(pitch), float(roll), 1.0, 0.0, 0.0)
    return Person(pose, pose.place(head_shape(shape)))


def _place(
    person: Person, height: float, others: list[Person], rng: np.random.Generator, settings: SyntheticSettings
) -> Person | None:
    """Bring a head to a height and to a place where it covers no other; None if none is found."""
    x1, y1, x2, y2 = person.box
    scale = height / (y2 - y1)
    room = np.array(settings.size) - scale * np.array([x2 - x1, y2 - y1])  # (2,)
    if (room < 0).any():
        return None
    corners = rng.random((TRIES, 2)) * room  # upper left
    size = scale * np.array([x2 - x1, y2 - y1])
    boxes = np.concatenate([corners, corners + size], axis=1)  # (TRIES, 4)
    free = np.ones(TRIES, np.bool_)
    for other in others:
        free &= _overlap(_with_hair(boxes), _with_hair(other.box[None])) <= settings.max_overlap
    if not free.any():
        return None
    shift = corners[int(np.argmax(free))] - scale * np.array([x1, y1])
    pose = Pose(person.pose.yaw, person.pose.pitch, person.pose.roll, scale, float(shift[0]), float(shift[1]))
    return Person(pose, scale * person.vertices + [*shift, 0.0])


def _with_hair(boxes: Float64Array) -> Float64Array:
    """Grow (P, 4) boxes by what hair may add to them."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    none = np.zeros_like(width)
    margin = np.stack([-HAIR_BESIDE * width, -HAIR_ABOVE * height, HAIR_BESIDE * width, none], axis=1)
    return boxes + margin


def _overlap(boxes: Float64Array, other: Float64Array) -> Float64Array:
    """Return each of (P, 4) boxes' common area with ``other`` (1, 4), as a share of the smaller one's."""
    sides = np.minimum(boxes[:, 2:], other[:, 2:]) - np.maximum(boxes[:, :2], other[:, :2])
    common = np.clip(sides, 0, None).prod(axis=1)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, other)]
    return common / np.minimum(*areas)
