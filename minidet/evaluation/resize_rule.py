"""The size at which a detector sees a photograph: the setting that moves an AP most, so it has a name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from minidet._typing import Float32Array, RGBImage
from minidet.errors import InputError
from minidet.fast import is_available
from minidet.fast import resize as fast
from minidet.image import resize_area, resize_bilinear

Resize: TypeAlias = Callable[[RGBImage, int, int], Float32Array]

LARGEST_VIEW = 100_000_000
"""Pixels that a photograph may be enlarged to. One as narrow as a thread would soon need more memory."""

GRAMMAR = "native, short=SIDE, short=SIDE:LONGEST, long=SIDE or WIDTHxHEIGHT"


@dataclass(frozen=True)
class ResizeRule:
    """How large a photograph is made, its proportions kept.

    Attributes
    ----------
    kind : "native", "short", "long" or "fixed"
        As it is; the shorter or the longer side brought to ``side``; fitted into ``width`` x ``side`` and
        filled up with black on the right and below, so that all are of one size.
    side : int
        Pixels; the height for "fixed".
    width : int
        Of "fixed".
    longest : int or None
        For "short": the longer side at most; the shorter one is then less than ``side``.

    Examples
    --------
    >>> ResizeRule.parse("short=1600:2150")
    ResizeRule(kind='short', side=1600, width=0, longest=2150)
    >>> str(ResizeRule.parse("640x480"))
    '640x480'
    """

    kind: Literal["native", "short", "long", "fixed"] = "native"
    side: int = 0
    width: int = 0
    longest: int | None = None

    @classmethod
    def parse(cls, text: str) -> ResizeRule:
        """Read a rule as the command line writes it.

        Parameters
        ----------
        text : str

        Returns
        -------
        ResizeRule

        Raises
        ------
        InputError
            If ``text`` is none of: native, short=SIDE, short=SIDE:LONGEST, long=SIDE, WIDTHxHEIGHT.
        """
        if text == "native":
            return cls()
        if match := re.fullmatch(r"(short|long)=(\d+)", text):
            rule = cls("short" if match[1] == "short" else "long", int(match[2]))
        elif match := re.fullmatch(r"short=(\d+):(\d+)", text):
            rule = cls("short", int(match[1]), longest=int(match[2]))
        elif match := re.fullmatch(r"(\d+)x(\d+)", text):
            rule = cls("fixed", int(match[2]), width=int(match[1]))
        else:
            raise InputError(f"scale {text!r}; expected {GRAMMAR}")
        sides = [rule.side] if rule.longest is None else [rule.side, rule.longest]
        if min(sides) < 1 or (rule.kind == "fixed" and rule.width < 1):
            raise InputError(f"scale {text!r}; expected sides of at least 1 pixel")
        return rule

    def __str__(self) -> str:
        """Write the rule as the command line reads it."""
        if self.kind == "native":
            return "native"
        if self.kind == "fixed":
            return f"{self.width}x{self.side}"
        return f"{self.kind}={self.side}" + (f":{self.longest}" if self.longest else "")

    def factor(self, width: int, height: int) -> float:
        """Return by how much a ``width`` x ``height`` photograph grows.

        Parameters
        ----------
        width, height : int
            Of the photograph, pixels.

        Returns
        -------
        float
            Above 1 where it is enlarged.

        Examples
        --------
        >>> ResizeRule.parse("short=1600:2150").factor(1024, 768)  # 1600 / 768 would make it 2133 long
        2.0833333333333335
        >>> ResizeRule.parse("short=1600:2150").factor(1024, 512)  # 1600 / 512 would make it 3200 long
        2.099609375
        """
        shorter, longer = min(width, height), max(width, height)
        if self.kind == "native":
            return 1.0
        if self.kind == "fixed":
            return min(self.width / width, self.side / height)
        if self.kind == "long":
            return self.side / longer
        return min(self.side / shorter, (self.longest or np.inf) / longer)


NATIVE = ResizeRule()
"""The photograph as it is."""


def resized(image: RGBImage, rule: ResizeRule) -> tuple[RGBImage, Float32Array]:
    """Bring an image to the size a rule asks for: by averaging areas to shrink, bilinearly to enlarge.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    rule : ResizeRule

    Returns
    -------
    image : (H', W', 3) uint8 array
    scale : (2,) float32 array
        What one of its pixels is worth, in x and in y, in pixels of the image given.

    Raises
    ------
    InputError
        If it would grow to more than ``LARGEST_VIEW`` pixels.

    Examples
    --------
    >>> image, scale = resized(np.zeros((100, 200, 3), np.uint8), ResizeRule.parse("64x64"))
    >>> image.shape, scale  # 64 x 32 pixels of photograph above 64 x 32 of black
    ((64, 64, 3), array([3.125, 3.125], dtype=float32))
    """
    height, width = image.shape[:2]
    factor = rule.factor(width, height)
    new_height, new_width = (max(1, round(side * factor)) for side in (height, width))
    view_width, view_height = (rule.width, rule.side) if rule.kind == "fixed" else (new_width, new_height)
    if view_width * view_height > max(LARGEST_VIEW, width * height):
        raise InputError(
            f"scale {str(rule)!r} makes {view_width} x {view_height} pixels of {width} x {height}; "
            f"expected at most {LARGEST_VIEW // 10**6} million"
        )
    scale: Float32Array = np.array([width / new_width, height / new_height], np.float32)
    if (new_height, new_width) != (height, width):
        shrink, enlarge = _resize_functions()
        resize = shrink if factor < 1 else enlarge
        image = np.rint(resize(image, new_height, new_width)).astype(np.uint8, order="C")
    if rule.kind == "fixed":
        image = np.pad(image, ((0, rule.side - new_height), (0, rule.width - new_width), (0, 0)))
    return image, scale


def _resize_functions() -> tuple[Resize, Resize]:
    """Return what shrinks and what enlarges: the fast twins, unless Numba is switched off."""
    if is_available():
        return fast.resize_area, fast.resize_bilinear
    return resize_area, resize_bilinear
