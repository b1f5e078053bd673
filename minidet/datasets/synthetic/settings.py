"""What may be chosen about a synthetic data set."""

from __future__ import annotations

import math
from dataclasses import dataclass

from minidet.errors import InputError, is_number, is_share


@dataclass(frozen=True)
class SyntheticSettings:
    """What the pictures of a synthetic data set are like.

    Attributes
    ----------
    size : (width, height)
        Of every picture, pixels. The default trains a RetinaFace quickly: all three of its levels see faces.
    faces : (fewest, most)
        Faces per picture, each number equally often. The default has one picture in seven without a face, so
        that backgrounds teach too. A picture without room for all of them has fewer.
    face_heights : (smallest, largest)
        Of the boxes, pixels; every doubling equally often. The default spans the anchors of RetinaFace that
        fit the picture. Faces higher than ``LARGEST_SHARE`` of the picture are not drawn.
    max_yaw, max_pitch, max_roll : float
        Degrees in both directions. At a yaw of 50 the far eye is just still seen; with more, the box of the
        mesh is no longer what an annotator would draw. Pitch and roll are those of people who look around.
    max_overlap : float
        How much of a head, its hair included, the heads of others may cover, as a share of the smaller one's
        bounds. Five points of a face should be seen.
    negatives : float
        How many things that are like a face, but none, there are in a picture on average: heads from behind,
        balls in the colour of skin, discs with dots.

    Raises
    ------
    InputError
        If a value is out of its range, or no face fits the picture.

    Examples
    --------
    >>> SyntheticSettings(size=(64, 64), face_heights=(80, 160))
    Traceback (most recent call last):
        ...
    minidet.errors.InputError: SyntheticSettings: face_heights=(80, 160) and size=(64, 64): the highest face
    that fits the picture has 54 pixels
    """

    size: tuple[int, int] = (320, 320)
    faces: tuple[int, int] = (0, 6)
    face_heights: tuple[float, float] = (24.0, 160.0)
    max_yaw: float = 50.0
    max_pitch: float = 25.0
    max_roll: float = 25.0
    max_overlap: float = 0.1
    negatives: float = 1.5

    def __post_init__(self) -> None:
        self._check_pair("size", least=16, most=4096, whole=True)
        self._check_pair("faces", least=0, most=100, whole=True)
        self._check_pair("face_heights", least=8, most=math.inf, whole=False)
        for name in ("faces", "face_heights"):
            low, high = getattr(self, name)
            if low > high:
                raise InputError(f"SyntheticSettings: {name}={low, high}; expected the smaller number first")
        for name, most in (("max_yaw", 60), ("max_pitch", 40), ("max_roll", 45)):
            value = getattr(self, name)
            if not (is_number(value) and 0 <= value <= most):
                raise InputError(f"SyntheticSettings: {name}={value!r}; expected degrees from 0 to {most}")
        if not is_share(self.max_overlap):
            raise InputError(
                f"SyntheticSettings: max_overlap={self.max_overlap!r}; expected a number from 0 to 1"
            )
        if not (is_number(self.negatives) and 0 <= self.negatives <= 100):
            raise InputError(
                f"SyntheticSettings: negatives={self.negatives!r}; expected a number from 0 to 100"
            )
        if self.face_heights[0] > self.highest_face():
            raise InputError(
                f"SyntheticSettings: face_heights={self.face_heights} and size={self.size}: "
                f"the highest face that fits the picture has {self.highest_face():.0f} pixels"
            )

    def highest_face(self) -> float:
        """Return the height of the highest box that a picture of this size can have, pixels."""
        return min(self.face_heights[1], LARGEST_SHARE * min(self.size))

    def _check_pair(self, name: str, *, least: float, most: float, whole: bool) -> None:
        pair = getattr(self, name)
        kind = int if whole else (int, float)
        if not (
            isinstance(pair, tuple)
            and len(pair) == 2
            and all(isinstance(one, kind) and least <= one <= most and one < math.inf for one in pair)
        ):
            what = "whole numbers" if whole else "numbers"
            limits = f"from {least:g} up" if most == math.inf else f"from {least:g} to {most:g}"
            raise InputError(f"SyntheticSettings: {name}={pair!r}; expected two {what} {limits}")


LARGEST_SHARE = 0.85
"""Of the smaller side of the picture: the height of the highest face. Few faces are wider than high."""
