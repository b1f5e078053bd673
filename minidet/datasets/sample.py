"""An annotated photograph: as a file describes it (``Annotation``), and with its pixels (``Sample``)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidet._typing import Float32Array, RGBImage
from minidet.errors import InputError
from minidet.image import read_image


@dataclass(frozen=True, eq=False)
class Sample:
    """A photograph and the faces on it: what training and evaluation are fed.

    Attributes
    ----------
    image : (H, W, 3) uint8 array
        RGB, upright.
    boxes : (G, 4) float32 array
        x1 y1 x2 y2, pixels, continuous. Each has an area; it may reach outside the image.
    landmarks : (G, 5, 2) float32 array
        x, y of left eye, right eye, nose, left and right mouth corner as seen in the image; NaN for a face
        without them.
    landmark_mask : (G,) bool array
        Which faces have all five.
    ignore : (G,) bool array
        Faces that neither have to be found nor are held against a detector that finds them.
    name : str
        What messages and results call the photograph.
    """

    image: RGBImage
    boxes: Float32Array
    landmarks: Float32Array
    landmark_mask: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    name: str


class Annotation:
    """What a file says of one photograph, mistakes included.

    Parameters
    ----------
    path : path
        The photograph. Whether it is there shows when it is read.
    name : str
        What messages and results call it: its path below the folder of the photographs, with forward slashes.
    boxes : (G, 4) array-like
        x1 y1 x2 y2, pixels, continuous. A box may have no area or lie outside the photograph:
        :func:`minidet.datasets.check_dataset` tells.
    landmarks : (G, 5, 2) array-like, optional
        x, y of the five points in the order of ``minidet.detections.LANDMARK_NAMES``; all ten NaN for a face
        without them, and by default for every face.
    ignore : (G,) array-like of bool, optional
        Faces that do not count; by default none.
    size : (width, height), optional
        Of the photograph in pixels, where the file tells it.

    Raises
    ------
    InputError
        If shapes disagree.

    Examples
    --------
    >>> annotation = Annotation("photos/a.jpg", "a.jpg", [[10, 20, 40, 60]])
    >>> annotation.boxes, annotation.landmark_mask
    (array([[10., 20., 40., 60.]], dtype=float32), array([False]))
    """

    on_disk: ClassVar[bool] = True
    """Whether ``path`` is that of a file. A drawn picture has none: only ``read`` gives it."""

    path: Path
    name: str
    boxes: Float32Array
    """(G, 4)."""
    landmarks: Float32Array
    """(G, 5, 2), NaN where there are none."""
    landmark_mask: NDArray[np.bool_]
    """(G,), which faces have all five points."""
    ignore: NDArray[np.bool_]
    """(G,)."""
    size: tuple[int, int] | None

    def __init__(
        self,
        path: str | os.PathLike[str],
        name: str,
        boxes: ArrayLike,
        landmarks: ArrayLike | None = None,
        ignore: ArrayLike | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.path, self.name, self.size = Path(path), name, size
        self.boxes = np.asarray(boxes, np.float32)
        if self.boxes.size == 0:
            self.boxes = self.boxes.reshape(0, 4)
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise InputError(f"Annotation: boxes of shape {self.boxes.shape}; expected (G, 4)")
        G = len(self.boxes)
        self.landmarks = _filled(landmarks, (G, 5, 2), np.nan).astype(np.float32)
        self.landmark_mask = np.asarray(np.isfinite(self.landmarks).all(axis=(1, 2)))
        self.ignore = _filled(ignore, (G,), False).astype(np.bool_)

    def read(self) -> RGBImage:
        """Return the photograph's pixels, upright.

        Returns
        -------
        (H, W, 3) uint8 array, RGB

        Raises
        ------
        InputError
            If it cannot be read.
        """
        return read_image(self.path)

    def usable(self) -> Annotation:
        """Return the same without boxes that have no area: nothing can be learnt from or measured by them.

        Examples
        --------
        >>> Annotation("a.jpg", "a.jpg", [[10, 20, 40, 60], [10, 20, 40, 20]]).usable().boxes
        array([[10., 20., 40., 60.]], dtype=float32)
        """
        proper = (self.boxes[:, 2:] > self.boxes[:, :2]).all(axis=1)  # (G,); NaN is not above anything
        proper &= np.isfinite(self.boxes).all(axis=1)
        return Annotation(
            self.path, self.name, self.boxes[proper], self.landmarks[proper], self.ignore[proper], self.size
        )


def _filled(values: ArrayLike | None, shape: tuple[int, ...], missing: float) -> NDArray[np.generic]:
    array = np.full(shape, missing) if values is None else np.asarray(values)
    if array.size == 0 and 0 in shape:
        array = array.reshape(shape)
    if array.shape != shape:
        raise InputError(
            f"Annotation: an array of shape {array.shape} beside {shape[0]} boxes; expected {shape}"
        )
    return array
