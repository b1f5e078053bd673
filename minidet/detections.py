"""The result of a detector, and the legend of every shape and coordinate in this package.

Shape letters
    N images, C channels, H rows, W columns, KH KW filter, A anchors, G true faces, P proposals, K detections.
    Inside the networks tensors are (N, C, H, W); images outside are (H, W, 3) uint8 RGB.

Coordinates
    x to the right, y down, in pixels of the upright image, continuous: (0, 0) is the top left *corner* of the
    first pixel, whose centre is (0.5, 0.5). A box is ``x1 y1 x2 y2`` and is x2 - x1 wide. Boxes may reach
    outside the image; ``Detections.clip`` cuts them. MTCNN's boxes come out as its reference makes them, with
    x1 and y1 one pixel more than this says; see ``docs/compat.md``.

Landmarks
    Five points, named by the side of the *image*: left eye, right eye, nose, left mouth corner, right mouth
    corner. The left eye in the image is the person's right eye, unless the photograph is mirrored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidet._typing import Float32Array
from minidet.errors import InputError

LANDMARK_NAMES = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")


@dataclass(frozen=True, eq=False)
class Face:
    """One face.

    Attributes
    ----------
    box : (4,) float32 array
        x1 y1 x2 y2, pixels.
    score : float
        The detector's confidence, 0 to 1.
    landmarks : (5, 2) float32 array
        x, y of the points named in ``LANDMARK_NAMES``, pixels.
    """

    box: Float32Array
    score: float
    landmarks: Float32Array


class Detections:
    """The faces of one image, best score first. No face is an empty ``Detections``.

    Parameters
    ----------
    boxes : (K, 4) array-like
        x1 y1 x2 y2, pixels of the upright image.
    scores : (K,) array-like
    landmarks : (K, 5, 2) array-like
        x, y of left eye, right eye, nose, left and right mouth corner, as seen in the image.

    Raises
    ------
    InputError
        If the shapes disagree.

    Examples
    --------
    >>> faces = Detections([[10, 20, 40, 60]], [0.9], np.full((1, 5, 2), 30))
    >>> len(faces), faces.boxes, faces[0].score
    (1, array([[10., 20., 40., 60.]], dtype=float32), 0.8999999761581421)
    """

    boxes: Float32Array
    """(K, 4) x1 y1 x2 y2, pixels."""
    scores: Float32Array
    """(K,), descending."""
    landmarks: Float32Array
    """(K, 5, 2) x, y, pixels."""

    def __init__(self, boxes: ArrayLike, scores: ArrayLike, landmarks: ArrayLike) -> None:
        all_boxes = np.asarray(boxes, np.float32)
        all_scores = np.asarray(scores, np.float32)
        all_landmarks = np.asarray(landmarks, np.float32)
        K = len(all_scores)
        if (all_boxes.shape, all_scores.shape, all_landmarks.shape) != ((K, 4), (K,), (K, 5, 2)):
            raise InputError(
                f"Detections: shapes {all_boxes.shape}, {all_scores.shape}, {all_landmarks.shape}; "
                "expected (K, 4) boxes, (K,) scores, (K, 5, 2) landmarks"
            )
        order = np.argsort(-all_scores, kind="stable")
        self.boxes, self.scores, self.landmarks = all_boxes[order], all_scores[order], all_landmarks[order]

    @classmethod
    def empty(cls) -> Detections:
        """Return the result for an image without faces."""
        return cls(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Face]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Face: ...

    @overload
    def __getitem__(self, index: slice | NDArray[Any]) -> Detections: ...

    def __getitem__(self, index: int | slice | NDArray[Any]) -> Face | Detections:
        """``faces[0]`` is a Face; ``faces[:3]`` and ``faces[faces.scores > 0.9]`` are Detections."""
        if isinstance(index, int | np.integer):
            return Face(self.boxes[index], float(self.scores[index]), self.landmarks[index])
        return Detections(self.boxes[index], self.scores[index], self.landmarks[index])

    def __repr__(self) -> str:
        noun = "face" if len(self) == 1 else "faces"
        lines = [f"Detections: {len(self)} {noun}"]
        for face in self:
            x1, y1, x2, y2 = face.box
            lines.append(f"  score {face.score:.4f}  box {x1:.1f} {y1:.1f} {x2:.1f} {y2:.1f}")
        return "\n".join(lines)

    def clip(self, width: float, height: float) -> Detections:
        """Return the faces with their boxes cut at the edges of a ``width`` x ``height`` image.

        Landmarks stay as they are: a point outside the picture is still where the detector sees it.

        Parameters
        ----------
        width, height : float
            Sides of the image, pixels.

        Returns
        -------
        Detections

        Examples
        --------
        >>> Detections([[-5, 0, 50, 90]], [1], np.zeros((1, 5, 2))).clip(40, 60).boxes
        array([[ 0.,  0., 40., 60.]], dtype=float32)
        """
        boxes = np.clip(self.boxes, 0, [width, height, width, height])
        return Detections(boxes, self.scores, self.landmarks)

    def to_xywh(self) -> Float32Array:
        """Return the boxes as (K, 4) x1 y1 width height.

        Returns
        -------
        boxes : (K, 4) float32 array

        Examples
        --------
        >>> Detections([[10, 20, 40, 60]], [1], np.zeros((1, 5, 2))).to_xywh()
        array([[10., 20., 30., 40.]], dtype=float32)
        """
        return np.concatenate([self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]], axis=1)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return plain numbers: ``{"box": [x1, y1, x2, y2], "score": s, "landmarks": [[x, y] x 5]}``."""
        return [
            {"box": _plain(box), "score": _plain(score), "landmarks": _plain(points)}
            for box, score, points in zip(self.boxes, self.scores, self.landmarks, strict=True)
        ]

    def to_json(self, *, indent: int | None = None) -> str:
        """Return ``to_dicts()`` as a JSON text.

        Parameters
        ----------
        indent : int, optional
            Spaces per level; without it everything is one line.

        Returns
        -------
        str
        """
        return json.dumps(self.to_dicts(), indent=indent)


def _plain(values: Any) -> Any:
    # By way of text, whose digits are the fewest that name the number: float32 0.9 is 0.8999999761581421.
    return np.asarray(values, np.float32).astype(str).astype(np.float64).tolist()
