"""How a photograph may be changed before RetinaFace learns from it."""

from __future__ import annotations

from dataclasses import dataclass, field

from minidet._check import check_whole
from minidet.errors import InputError, is_number, is_share
from minidet.training.photometric import PhotometricSettings


@dataclass(frozen=True)
class AugmentSettings:
    """What may be tuned.

    Attributes
    ----------
    size : int
        Side in pixels of the squares the network learns from: 640 in the paper, 320 to be quick on a CPU.
    crop_scales : tuple of float
        Sides of the squares that are cut out, as shares of the photograph's shorter side; those of the
        reference code. The paper draws from 0.3 to 1. Above 1, up to 2, the square reaches beyond the
        photograph, and faces become smaller: for photographs that have none but large faces.
    min_face_size : float
        Faces whose shorter side is below so many pixels after resizing are ignored: neither face nor
        background. Half of the smallest anchor.
    mirror : float
        Share of the images that are mirrored.
    empty : float
        Share of the crops that may be without a face although the photograph has some: background to learn
        from. The reference looks for a crop with a face always.
    photometric : PhotometricSettings or None
        How colours are changed; None leaves them.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> AugmentSettings(mirror=2)
    Traceback (most recent call last):
    minidet.errors.InputError: AugmentSettings: mirror=2; expected 0 to 1
    """

    size: int = 320
    crop_scales: tuple[float, ...] = (0.3, 0.45, 0.6, 0.8, 1.0)
    min_face_size: float = 8
    mirror: float = 0.5
    empty: float = 0.1
    photometric: PhotometricSettings | None = field(default_factory=PhotometricSettings)

    def __post_init__(self) -> None:
        check_whole("AugmentSettings", "size", self.size, least=32)
        for name in ("mirror", "empty"):
            if not is_share(getattr(self, name)):
                raise InputError(f"AugmentSettings: {name}={getattr(self, name)!r}; expected 0 to 1")
        if not (is_number(self.min_face_size) and self.min_face_size >= 0):
            raise InputError(
                f"AugmentSettings: min_face_size={self.min_face_size!r}; expected 0 or more pixels"
            )
        scales = self.crop_scales
        if not scales or not all(is_number(scale) and 0 < scale <= 2 for scale in scales):
            raise InputError(f"AugmentSettings: crop_scales={scales!r}; expected shares above 0 and up to 2")
