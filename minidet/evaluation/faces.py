"""What every measure needs to know of a photograph: where its faces are."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float32Array


class AnnotatedFaces(Protocol):
    """The faces of one photograph; :class:`minidet.datasets.Annotation` and ``Sample`` have these."""

    @property
    def boxes(self) -> Float32Array:
        """(G, 4) x1 y1 x2 y2, pixels."""

    @property
    def landmarks(self) -> Float32Array:
        """(G, 5, 2), NaN where a face has none."""

    @property
    def landmark_mask(self) -> NDArray[np.bool_]:
        """(G,), which faces have landmarks."""

    @property
    def ignore(self) -> NDArray[np.bool_]:
        """(G,), which faces do not count."""


def too_small(faces: AnnotatedFaces, min_face_size: float) -> NDArray[np.bool_]:
    """Tell which faces (G,) are less than ``min_face_size`` pixels high.

    The height is what WIDER FACE sorts faces by; a face seen from the side is narrow, but no shorter.
    """
    heights = faces.boxes[:, 3] - faces.boxes[:, 1]  # (G,)
    return heights < min_face_size
