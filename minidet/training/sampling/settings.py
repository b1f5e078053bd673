"""How many training crops a photograph gives, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minidet._check import check_whole
from minidet.errors import InputError, is_number, is_share


@dataclass(frozen=True)
class SampleSettings:
    """What may be tuned about the samples of one photograph.

    The three IoU bounds are those of Zhang et al. 2016, section III-A. The paper says nothing of the numbers
    of windows; where no other reason stands beside a default, it is that of a widely used reimplementation,
    AITTSMD/MTCNN-Tensorflow.

    Attributes
    ----------
    positive : float
        A window is a face if its IoU with one is above this.
    part : float
        It is a part of a face from this IoU up to ``positive``.
    negative : float
        It is background if its IoU with every face is below this. What lies between ``negative`` and ``part``
        is neither, and dropped.
    negatives_per_photograph : int
        Random squares for P-Net that touch no face, or little of one.
    negatives_per_face : int
        More of them that touch this face: its edges, and pieces of it, are what P-Net would mistake for it.
    jitters_per_face : int
        Squares drawn close around each face for P-Net. About a fifth become positives and half of them parts.
    jitters_beside_proposals : int
        The same for R-Net and O-Net. Their proposals alone hold few positives where P-Net is weak, and
        the next stage would starve; fewer than for P-Net, since the proposals are what they will see.
    landmark_jitters_per_face : int
        Squares drawn around each face with landmarks. About a fifth has an IoU above ``positive`` and holds
        all five points; so there are twice as many landmark samples as positives, as the batches want them.
    min_face_size : float
        Longer side of the smallest face to learn from, in pixels: the size the detector looks for by default.
        Smaller faces are treated as ignored ones: nothing is learnt of them, and they are no background.
    min_landmark_face_size : float
        The same for landmarks. An error of one pixel in the annotation of a face of 40 is 2.5 % of its side.
    max_rotation : float
        Every second landmark square is turned by an angle of up to so many degrees, 0 for none: few
        photographs hold tilted heads, and landmarks are most wanted of those.
    most_faces : int
        Squares are drawn around at most so many faces of a photograph, chosen at random.
    most_negatives, most_positives, most_parts, most_landmarks : int
        A photograph gives at most so many samples of each type, chosen at random. Otherwise a crowd of 500
        would outweigh 100 other photographs, and fill the disk.

    Raises
    ------
    InputError
        If a number is out of its range, or the three bounds are not in order.

    Examples
    --------
    >>> SampleSettings(max_rotation=0).positive
    0.65
    >>> SampleSettings(part=0.7)
    Traceback (most recent call last):
    minidet.errors.InputError: SampleSettings: negative=0.3, part=0.7, positive=0.65; expected this order
    """

    positive: float = 0.65
    part: float = 0.4
    negative: float = 0.3
    negatives_per_photograph: int = 50
    negatives_per_face: int = 5
    jitters_per_face: int = 20
    jitters_beside_proposals: int = 10
    landmark_jitters_per_face: int = 40
    min_face_size: float = 20
    min_landmark_face_size: float = 40
    max_rotation: float = 5
    most_faces: int = 50
    most_negatives: int = 100
    most_positives: int = 50
    most_parts: int = 50
    most_landmarks: int = 50

    def __post_init__(self) -> None:
        for name in ("positive", "part", "negative"):
            if not is_share(getattr(self, name)):
                raise InputError(f"SampleSettings: {name}={getattr(self, name)!r}; expected 0 to 1")
        if not self.negative <= self.part <= self.positive:
            raise InputError(
                f"SampleSettings: negative={self.negative}, part={self.part}, positive={self.positive}; "
                "expected this order"
            )
        for name in ("negatives_per_photograph", "negatives_per_face", "jitters_per_face"):
            check_whole("SampleSettings", name, getattr(self, name), least=0)
        for name in ("jitters_beside_proposals", "landmark_jitters_per_face"):
            check_whole("SampleSettings", name, getattr(self, name), least=0)
        for name in ("most_faces", "most_negatives", "most_positives", "most_parts", "most_landmarks"):
            check_whole("SampleSettings", name, getattr(self, name), least=0)
        for name in ("min_face_size", "min_landmark_face_size"):
            size = getattr(self, name)
            if not (is_number(size) and 1 <= size < np.inf):
                raise InputError(f"SampleSettings: {name}={size!r}; expected at least 1 pixel")
        if not (is_number(self.max_rotation) and 0 <= self.max_rotation <= 180):
            raise InputError(f"SampleSettings: max_rotation={self.max_rotation!r}; expected 0 to 180 degrees")
