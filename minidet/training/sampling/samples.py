"""Training crops of MTCNN, with what each network should say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float32Array, FloatArray
from minidet.training.objectives.mtcnn import SampleType

NetworkName: TypeAlias = Literal["pnet", "rnet", "onet"]

INPUT_SIDES: dict[NetworkName, int] = {"pnet": 12, "rnet": 24, "onet": 48}
"""Side in pixels of what each network looks at."""


@dataclass(frozen=True, eq=False)
class Samples:
    """M crops of one or more photographs.

    Attributes
    ----------
    crops : (M, side, side, 3) uint8 array
        RGB, already resized to the side the network looks at: 12, 24 or 48.
    sample_types : (M,) uint8 array of :class:`minidet.training.objectives.SampleType`
    box_deltas : (M, 4) float32 array
        What the network should answer, in the units of its detector; zero where there is no box to learn.
    landmark_deltas : (M, 10) float32 array
        x1..x5, y1..y5, likewise; zero where there are no points to learn.
    windows : (M, 4) float32 array
        Where the crop was cut: x1 y1 x2 y2, pixels of the photograph, continuous; a square. A turned crop
        was cut there from the turned photograph; a mirrored one was cut there before it was mirrored.
    photographs : (M,) int32 array
        Of which photograph each crop is, as an index into its data set.
    """

    crops: NDArray[np.uint8]
    sample_types: NDArray[np.uint8]
    box_deltas: Float32Array
    landmark_deltas: Float32Array
    windows: Float32Array
    photographs: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, rows: Any) -> Samples:
        """``samples[rows]``: a slice, a mask or an array of indices."""
        return Samples(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def of_type(
        cls,
        sample_type: SampleType,
        crops: NDArray[np.uint8],
        windows: FloatArray,
        photograph: int,
        *,
        box_deltas: Float32Array | None = None,
        landmark_deltas: Float32Array | None = None,
    ) -> Samples:
        """M samples of one type and one photograph; labels that are not given are zero.

        Parameters
        ----------
        sample_type : SampleType
        crops : (M, side, side, 3) uint8 array, RGB
        windows : (M, 4) array
            Where the crops lie in the photograph: x1 y1 x2 y2, pixels.
        photograph : int
            Number of the photograph in its data set.
        box_deltas : (M, 4) float32 array, optional
        landmark_deltas : (M, 10) float32 array, optional

        Returns
        -------
        Samples
        """
        M = len(crops)
        return cls(
            crops,
            np.full(M, sample_type, np.uint8),
            np.zeros((M, 4), np.float32) if box_deltas is None else box_deltas,
            np.zeros((M, 10), np.float32) if landmark_deltas is None else landmark_deltas,
            windows.astype(np.float32),
            np.full(M, photograph, np.int32),
        )

    @classmethod
    def empty(cls, side: int) -> Samples:
        """No crops of ``side`` pixels.

        Parameters
        ----------
        side : int
            Pixels.

        Returns
        -------
        Samples
        """
        return cls(
            np.empty((0, side, side, 3), np.uint8),
            np.empty(0, np.uint8),
            np.empty((0, 4), np.float32),
            np.empty((0, 10), np.float32),
            np.empty((0, 4), np.float32),
            np.empty(0, np.int32),
        )

    @classmethod
    def join(cls, parts: Sequence[Samples]) -> Samples:
        """Put samples of one side, from at least one part, behind each other.

        Parameters
        ----------
        parts : sequence of Samples

        Returns
        -------
        Samples
        """
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))
