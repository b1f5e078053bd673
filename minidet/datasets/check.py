"""What is wrong with a data set: missing photographs, boxes without area, points outside, copies."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
from tqdm import tqdm

from minidet._typing import Float64Array
from minidet.datasets._files import image_size
from minidet.datasets.dataset import Dataset
from minidet.datasets.mean_face import box_from_landmarks
from minidet.datasets.sample import Annotation
from minidet.detections import LANDMARK_NAMES
from minidet.errors import InputError, is_number
from minidet.image import read_image

ProblemKind: TypeAlias = Literal[
    "missing photograph",
    "unreadable photograph",
    "photograph listed twice",
    "copy of another photograph",
    "size not as stated",
    "box not finite",
    "box without area",
    "box entirely outside",
    "box outside",
    "same box twice",
    "landmarks incomplete",
    "landmark outside",
    "landmark far from box",
    "eyes exchanged",
    "mouth corners exchanged",
]

PROBLEM_KINDS: tuple[ProblemKind, ...] = get_args(ProblemKind)

TOLERANCE = 0.01
"""Pixels that a box may reach outside by rounding alone."""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a photograph or with one of its faces.

    Attributes
    ----------
    photograph : str
        The name of its annotation.
    face : int or None
        Which of the annotation's boxes, counted from 0; None if it concerns the photograph as a whole.
    kind : str
        One of ``PROBLEM_KINDS``.
    message : str
        What exactly, with the numbers, in one line.
    """

    photograph: str
    face: int | None
    kind: ProblemKind
    message: str


Finding: TypeAlias = tuple[ProblemKind, str]
"""The kind and the message of a problem."""
Box: TypeAlias = tuple[float, ...]
"""x1 y1 x2 y2, pixels."""


def check_dataset(
    dataset: Dataset, *, decode: bool = True, tolerance: float = TOLERANCE, progress: bool = True
) -> list[Problem]:
    """Look at every photograph and every annotation of a data set, and list all that is wrong.

    ==========================  ==========================================================================
    missing photograph          There is no such file.
    unreadable photograph       It cannot be read to the end: no picture, damaged or cut off.
    photograph listed twice     An earlier annotation is of the same file.
    copy of another photograph  An earlier annotation is of a file with the same bytes.
    size not as stated          The annotation tells another width and height than the upright photograph has.
    box not finite              It has a coordinate that is NaN or infinite.
    box without area            It is not wider than 0 or not higher than 0.
    box entirely outside        It has no area in common with the photograph.
    box outside                 Part of it lies outside the photograph.
    same box twice              An earlier box of the photograph has the same four coordinates.
    landmarks incomplete        Some of the five points are finite, but not all; the face counts as without.
    landmark outside            A point lies outside the photograph.
    landmark far from box       A point lies outside a box with the same centre and twice the sides.
    eyes exchanged              The left eye is to the right of the right eye, on the face turned upright.
    mouth corners exchanged     The same of the mouth corners.
    ==========================  ==========================================================================

    On a face turned upright the eyes are above the mouth. So a face that lies on its side or stands on its
    head is no problem. If a photograph cannot be read, its faces are compared with the size that the
    annotation states, if it states one. A photograph without faces is no problem, nor is a box outside
    that a reader has made with :func:`box_from_landmarks`: the file says nothing of it.

    Parameters
    ----------
    dataset : Dataset
        Ignored faces are checked as the others are.
    decode : bool
        Decode every photograph to its last pixel. If False, only its header is, and damage after it goes
        unnoticed.
    tolerance : float
        How many pixels a box or a landmark may reach outside the photograph. The default lets pass what only
        rounding has put there, as in files that give coordinates as shares of width and height (YOLO).
    progress : bool
        Show a progress bar on standard error if that is a terminal.

    Returns
    -------
    problems : list of Problem
        In the order of the photographs.

    Raises
    ------
    InputError
        If the tolerance is no number from 0 up.

    Examples
    --------
    >>> annotation = Annotation("no/such.jpg", "such.jpg", [[10, 20, 10, 60]])
    >>> for problem in check_dataset(Dataset([annotation], "one")):
    ...     print(f"{problem.kind}, face {problem.face}: {problem.message}")
    missing photograph, face None: no such file: 'no/such.jpg'
    box without area, face 0: box 10 20 10 60 is 0 wide and 40 high
    """
    if not (is_number(tolerance) and 0 <= tolerance < math.inf):
        raise InputError(f"check_dataset: tolerance={tolerance!r}; expected a number of pixels from 0 up")
    problems = []
    seen: dict[str, str] = {}
    photographs = _inspect_all(dataset.annotations, decode=decode, progress=progress)
    for annotation, photograph in zip(dataset.annotations, photographs, strict=True):
        name = annotation.name
        for kind, message in _photograph_findings(annotation, photograph, seen):
            problems.append(Problem(name, None, kind, message))
        size = photograph.size or annotation.size
        for face, kind, message in _face_findings(annotation, size, tolerance):
            problems.append(Problem(name, face, kind, message))
    return problems


@dataclass(frozen=True)
class DatasetSummary:
    """What a data set holds, as :func:`summarize_dataset` counts it.

    Attributes
    ----------
    photographs, without_faces : int
        Photographs, and those among them without a single box.
    faces, with_landmarks, ignored : int
        Faces, and those among them that have all five points, and that do not count.
    box_heights : (float, float, float) or None
        Smallest, median and largest height of the boxes that have an area, in pixels; None if there is none.
    """

    photographs: int
    without_faces: int
    faces: int
    with_landmarks: int
    ignored: int
    box_heights: tuple[float, float, float] | None


def summarize_dataset(dataset: Dataset) -> DatasetSummary:
    """Count photographs and faces, from the annotations alone.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    DatasetSummary

    Examples
    --------
    >>> a, b = Annotation("a.jpg", "a.jpg", [[0, 0, 9, 9], [0, 0, 9, 30]]), Annotation("b.jpg", "b.jpg", [])
    >>> summarize_dataset(Dataset([a, b], "two"))
    DatasetSummary(photographs=2, without_faces=1, faces=2, with_landmarks=0, ignored=0,
                   box_heights=(9.0, 19.5, 30.0))
    """
    annotations = dataset.annotations
    usable = [np.empty((0, 4), np.float32), *(annotation.usable().boxes for annotation in annotations)]
    heights = np.concatenate([boxes[:, 3] - boxes[:, 1] for boxes in usable])
    return DatasetSummary(
        photographs=len(annotations),
        without_faces=sum(len(annotation.boxes) == 0 for annotation in annotations),
        faces=sum(len(annotation.boxes) for annotation in annotations),
        with_landmarks=sum(int(annotation.landmark_mask.sum()) for annotation in annotations),
        ignored=sum(int(annotation.ignore.sum()) for annotation in annotations),
        box_heights=(float(heights.min()), float(np.median(heights)), float(heights.max()))
        if len(heights)
        else None,
    )


# ---- the photograph ----


@dataclass(frozen=True)
class _Photograph:
    """What there is at the path of an annotation.

    Where it cannot be read, ``size`` (width, height) is None and ``failure`` says why. Where it cannot even
    be opened, ``digest`` of its bytes is None too.
    """

    path: str
    size: tuple[int, int] | None = None
    digest: str | None = None
    failure: Finding | None = None


def _inspect_all(annotations: Sequence[Annotation], *, decode: bool, progress: bool) -> list[_Photograph]:
    from joblib import Parallel, delayed  # only here, because `import minidet` should not wait for it

    def inspect(annotation: Annotation) -> _Photograph:
        if annotation.on_disk:
            photograph = _inspect(annotation.path, decode)
        else:
            photograph = _inspect_drawn(annotation, decode)
        with bar.get_lock():  # two threads at once would be counted as one
            bar.update()
        return photograph

    # tqdm's disable=None hides the bar unless it would go to a terminal.
    hidden = None if progress else True
    with tqdm(desc="check", total=len(annotations), unit="photograph", disable=hidden) as bar:
        # Threads will do: Pillow decodes, and hashlib adds up, while other threads run.
        workers = Parallel(n_jobs=-1, backend="threading")
        photographs: list[_Photograph] = workers(delayed(inspect)(each) for each in annotations)
    return photographs


def _inspect(path: Path, decode: bool) -> _Photograph:
    name, real_path = repr(os.fspath(path)), os.path.normcase(os.path.realpath(path))
    if not os.path.exists(path):
        return _Photograph(real_path, failure=("missing photograph", f"no such file: {name}"))
    if not os.path.isfile(path):
        return _Photograph(real_path, failure=("unreadable photograph", f"{name} is not a file"))
    digest = None
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if decode:
            height, width = read_image(path).shape[:2]
        else:
            width, height = image_size(path)
    except OSError as error:
        failure = f"cannot read {name}: {error.strerror}"
    except InputError as error:
        failure = str(error).removeprefix("read_image: ")
    else:
        return _Photograph(real_path, (width, height), digest)
    return _Photograph(real_path, None, digest, ("unreadable photograph", failure))


def _inspect_drawn(annotation: Annotation, decode: bool) -> _Photograph:
    if not decode:
        return _Photograph(annotation.name, annotation.size)
    pixels = annotation.read()
    height, width = pixels.shape[:2]
    return _Photograph(annotation.name, (width, height), hashlib.sha256(pixels.tobytes()).hexdigest())


def _photograph_findings(
    annotation: Annotation, photograph: _Photograph, seen: dict[str, str]
) -> Iterator[Finding]:
    """``seen`` holds the names of earlier photographs by path and by digest, and this one is added."""
    if photograph.failure is not None:
        yield photograph.failure
    path, digest = photograph.path, photograph.digest
    if path in seen:
        yield "photograph listed twice", f"the same file as {seen[path]!r} before it"
    elif digest in seen:
        yield "copy of another photograph", f"the same bytes as {seen[digest]!r} before it"
    seen.setdefault(path, annotation.name)
    if digest is not None:
        seen.setdefault(digest, annotation.name)

    stated, size = annotation.size, photograph.size
    if stated is not None and size is not None and stated != size:
        hint = "; annotated before it was turned upright?" if stated == size[::-1] else ""
        message = f"stated as {stated[0]} x {stated[1]}, is {size[0]} x {size[1]}{hint}"
        yield "size not as stated", message


# ---- its faces ----


def _face_findings(
    annotation: Annotation, size: tuple[int, int] | None, tolerance: float
) -> Iterator[tuple[int, ProblemKind, str]]:
    faces: dict[Box, int] = {}
    made = _made_of_landmarks(annotation)
    for face, (corners, points) in enumerate(zip(annotation.boxes, annotation.landmarks, strict=True)):
        box: Box = tuple(corners.tolist())
        findings = list(_box_defects(box))
        has_area = not findings
        if has_area:
            if size is not None and not made[face]:
                findings += _box_outside(box, size, tolerance)
            if box in faces:
                findings.append(("same box twice", f"box {_format(box)} is that of face {faces[box]} too"))
            faces.setdefault(box, face)
        findings += _landmark_findings(points.astype(np.float64), box if has_area else None, size, tolerance)
        for kind, message in findings:
            yield face, kind, message


def _made_of_landmarks(annotation: Annotation) -> list[bool]:
    """Tell for each box whether a reader has made it, in place of one that the file does not have."""
    made = np.zeros(len(annotation.boxes), np.bool_)
    known = annotation.landmark_mask
    boxes = box_from_landmarks(annotation.landmarks[known])
    # Not exactly the same: the reader had landmarks in float64.
    made[known] = abs(annotation.boxes[known] - boxes).max(axis=1) <= 0.01
    return made.tolist()


def _box_defects(box: Box) -> Iterator[Finding]:
    x1, y1, x2, y2 = box
    if not all(map(math.isfinite, box)):
        yield "box not finite", f"box {_format(box)}"
    elif x2 <= x1 or y2 <= y1:
        yield "box without area", f"box {_format(box)} is {x2 - x1:g} wide and {y2 - y1:g} high"


def _box_outside(box: Box, size: tuple[int, int], tolerance: float) -> Iterator[Finding]:
    x1, y1, x2, y2 = box
    width, height = size
    where = f"box {_format(box)}, photograph {width} x {height}"
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        yield "box entirely outside", where
        return
    beyond = {"left": -x1, "upper": -y1, "right": x2 - width, "lower": y2 - height}
    parts = [
        f"{pixels:.4g} px beyond the {edge} edge" for edge, pixels in beyond.items() if pixels > tolerance
    ]
    if parts:
        yield "box outside", f"reaches {' and '.join(parts)} ({where})"


def _landmark_findings(
    points: Float64Array, box: Box | None, size: tuple[int, int] | None, tolerance: float
) -> Iterator[Finding]:
    finite = np.isfinite(points)  # (5, 2)
    if not finite.any():
        return
    if not finite.all():
        missing = [name for name, row in zip(LANDMARK_NAMES, finite, strict=True) if not row.all()]
        yield "landmarks incomplete", f"without {', '.join(missing)}"
        return

    if size is not None:
        outside = _points_outside(points, (0, 0, *size), tolerance)
        if outside:
            yield "landmark outside", f"{outside} outside the photograph of {size[0]} x {size[1]}"
    if box is not None:
        x1, y1, x2, y2 = box
        margin_x, margin_y = (x2 - x1) / 2, (y2 - y1) / 2
        outside = _points_outside(points, (x1 - margin_x, y1 - margin_y, x2 + margin_x, y2 + margin_y))
        if outside:
            yield "landmark far from box", f"{outside} outside twice the box {_format(box)}"
    yield from _exchanged(points)


def _points_outside(points: Float64Array, box: Box, tolerance: float = 0.0) -> str:
    x1, y1, x2, y2 = box
    x, y = points.T  # (5,) each
    distances = np.max([x1 - x, x - x2, y1 - y, y - y2], axis=0)  # (5,), negative within
    return ", ".join(
        f"{name} ({_format(point)}) {distance:.4g} px"
        for name, point, distance in zip(LANDMARK_NAMES, points, distances, strict=True)
        if distance > tolerance
    )


def _exchanged(points: Float64Array) -> Iterator[Finding]:
    """Look for pairs in the wrong order, however the face is turned.

    ::

        left eye  o--- across --->o  right eye
                         |
                       down
                         v
              left  o---------o  right mouth corner

    With y down, the cross product of ``across`` and ``down`` is positive, and turning the face does not
    change it. Exchanging the points of a pair turns ``across`` round, and so changes the product's sign.
    """
    left_eye, right_eye, _, left_corner, right_corner = points
    down = (left_corner + right_corner) / 2 - (left_eye + right_eye) / 2  # (2,)
    pairs: list[tuple[ProblemKind, str, Float64Array, Float64Array]] = [
        ("eyes exchanged", "eye", left_eye, right_eye),
        ("mouth corners exchanged", "mouth corner", left_corner, right_corner),
    ]
    for kind, name, left, right in pairs:
        across = right - left  # (2,)
        if across[0] * down[1] - across[1] * down[0] < 0:
            yield kind, f"left {name} at ({_format(left)}), right {name} at ({_format(right)})"


def _format(numbers: Iterable[float]) -> str:
    return " ".join(f"{number:g}" for number in numbers)
