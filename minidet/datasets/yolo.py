"""YOLO: one text file for each photograph, with coordinates as shares of its width and height."""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from pathlib import Path, PurePosixPath

import numpy as np

from minidet._typing import Float64Array
from minidet.boxes import centre_to_corners, corners_to_centre
from minidet.datasets._files import (
    FileIndex,
    check_folder,
    image_size,
    parse_number,
    parse_whole,
    read_lines,
    subfolder,
    without_suffix,
    write_text,
)
from minidet.datasets._writing import check_writable, copy_photographs, decimal, measured_size
from minidet.datasets.dataset import Dataset
from minidet.datasets.sample import Annotation
from minidet.errors import InputError

COLUMNS = ("cx", "cy", "width", "height")

LEAST, LARGEST = -1.0, 2.0
"""A face may reach outside, so shares below 0 and above 1 exist. Numbers beyond these are pixels."""

NOT_LABELS = frozenset({
    "classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt",
    "readme.txt", "readme.dataset.txt", "readme.roboflow.txt",
})  # fmt: skip
"""Lists that tools leave among the labels. They are labels where a photograph has that name."""


def read_yolo(path: str | os.PathLike[str]) -> Dataset:
    """Read a folder of YOLO text files. Every line is a face, whatever its class.

    ::

        faces/                     labels/a.txt, one line for each face:
        |- images/
        |  |- a.jpg                  class cx cy width height
        |  `- train/b.jpg            class cx cy width height  x1 y1 .. x5 y5
        `- labels/                   class cx cy width height  x1 y1 v1 .. x5 y5 v5
           |- a.txt
           `- train/b.txt            0 0.0625 0.1333 0.075 0.1333

    Without these two folders, text files and photographs lie side by side, or each subfolder has an
    ``images`` and a ``labels`` (train/images, train/labels). A photograph without a text file has no faces.

    cx and cy are the middle of the box. All are shares of the width or height of the upright photograph. In
    400 x 300 pixels the box above is x1 = 10, y1 = 20, x2 = 40, y2 = 60, but for rounding.

    The five points are left eye, right eye, nose, left and right mouth corner as seen in the image. With
    visibilities v, a face has landmarks if all five are above 0. Without, it has none if a number is negative
    or all are 0.

    Parameters
    ----------
    path : path
        The folder.

    Returns
    -------
    dataset : Dataset
        In plain sorted order of the photographs. No face is ignored; ``size`` is as measured.

    Raises
    ------
    InputError
        If the folder or every text file is missing; if the photograph of a text file is missing, or any is
        no picture; if a line has another number of columns; if a number is none, or is in pixels.
    """
    folder = Path(path)
    check_folder(folder)
    image_folder, label_folder = subfolder(folder, "images"), subfolder(folder, "labels")
    if image_folder is None or label_folder is None:
        image_folder = label_folder = folder
    photographs, labels = FileIndex(image_folder), FileIndex(label_folder, {".txt"})
    if not labels.names:
        raise InputError(f"{label_folder} holds no text files; expected one for each photograph with faces")
    label_of = {name: _label(name, labels) for name in photographs.names}
    _check_all_used(labels, set(label_of.values()), image_folder)
    return Dataset(
        [_read_annotation(image_folder / name, name, label) for name, label in label_of.items()],
        f"yolo:{os.fspath(path)}",
    )


def write_yolo(
    annotations: Sequence[Annotation], folder: str | os.PathLike[str], *, copy_images: bool = False
) -> None:
    """Write annotations as YOLO text files of the one class 0.

    ``labels/train/a.txt`` in the folder describes ``images/train/a.jpg``, where "train/a.jpg" is the
    annotation's name. The photographs are expected there; ``copy_images=True`` copies them.

    Parameters
    ----------
    annotations : sequence of Annotation
        Shares are written to nine digits. They are of the size that the photograph has, or, if it is not
        there, that the annotation states. If any face has landmarks, all lines have columns for them with
        visibilities: 2, or zeros for a face without. The format has no place for ``ignore``: an ignored face
        becomes one like the others.
    folder : path
        Made if it does not exist. Files of the same names are replaced.
    copy_images : bool

    Raises
    ------
    InputError
        If names would clash or lead out of the folder, a size is unknown, a box is not finite or lies more
        than the size of the photograph outside, or a file cannot be written.
    """
    check_writable("write_yolo", annotations, file_each=True)
    with_landmarks = any(annotation.landmark_mask.any() for annotation in annotations)
    texts = [_annotation_text(annotation, with_landmarks=with_landmarks) for annotation in annotations]
    for annotation, text in zip(annotations, texts, strict=True):
        write_text(Path(folder, "labels", without_suffix(annotation.name) + ".txt"), text)
    if copy_images:
        copy_photographs(annotations, Path(folder, "images"))


# ---- in ----


def _label(name: str, labels: FileIndex) -> Path | None:
    """Return the text file of a photograph: in ``labels`` instead of ``images``, or in the same folder."""
    stem = without_suffix(name)
    before, images, after = f"/{stem}".rpartition("/images/")
    mirrored = f"{before}/labels/{after}"[1:] if images else stem
    found = labels.find_stem(mirrored) or labels.find_stem(stem)
    return None if found is None else labels.folder / found


def _check_all_used(labels: FileIndex, used: Set[Path | None], image_folder: Path) -> None:
    for name in labels.names:
        if labels.folder / name not in used and PurePosixPath(name).name.casefold() not in NOT_LABELS:
            stem = f"/{without_suffix(name)}".replace("/labels/", "/images/")[1:]
            raise InputError(
                f"{labels.folder / name}: there is no photograph {image_folder / stem}.jpg (or .png, ...); "
                "without its size, shares of it mean nothing"
            )


def _read_annotation(path: Path, name: str, label: Path | None) -> Annotation:
    try:
        size = image_size(path)
    except InputError as error:
        raise (error if label is None else InputError(f"{label}: its photograph {error}")) from None
    lines = [] if label is None else read_lines(label)
    faces = [_parse_face(line.split(), where) for where, line in lines]
    shares = np.array([box for box, _ in faces]).reshape(-1, 4)  # cx cy width height
    scale = np.array(size, np.float64)  # shares to pixels
    return Annotation(
        path,
        name,
        centre_to_corners(shares) * np.tile(scale, 2),
        [points * scale for _, points in faces],
        size=size,
    )


def _parse_face(fields: list[str], where: str) -> tuple[Float64Array, Float64Array]:
    """Return cx cy width height (4,) and the landmarks (5, 2), all NaN if there are none."""
    if len(fields) not in (5, 15, 20):
        raise InputError(
            f"{where}: {len(fields)} columns; expected 5 (class cx cy width height), with landmarks 15 or 20"
        )
    parse_whole(fields[0], where, "the class")
    box = np.array(
        [parse_number(field, where, what) for field, what in zip(fields[1:5], COLUMNS, strict=True)]
    )
    numbers = np.array([parse_number(field, where, "a landmark") for field in fields[5:]])
    points = _landmarks(numbers)
    _check_shares(where, box, points)
    return box, points


def _landmarks(numbers: Float64Array) -> Float64Array:
    """Turn no, 10 or 15 numbers into (5, 2)."""
    if numbers.size == 15:
        points = numbers.reshape(5, 3)  # x, y, visibility
        there = bool((points[:, 2] > 0).all())
    else:
        points = numbers.reshape(-1, 2)
        there = bool((points >= 0).all() and points.any())
    return points[:, :2] if there else np.full((5, 2), np.nan)


def _check_shares(where: str, box: Float64Array, points: Float64Array) -> None:
    for value in (*box, *points[np.isfinite(points)]):
        if not LEAST <= value <= LARGEST:
            raise InputError(
                f"{where}: {value:g} is no share of the photograph, from 0 to 1; is the line in pixels?"
            )


# ---- out ----


def _annotation_text(annotation: Annotation, *, with_landmarks: bool) -> str:
    size = measured_size(annotation) or annotation.size
    if size is None or min(size) < 1:
        raise InputError(
            f"write_yolo: the size of {annotation.name!r} is unknown, as {annotation.path} does not exist"
        )
    lines = []
    boxes = corners_to_centre(annotation.boxes / np.tile(np.array(size, np.float64), 2))  # pixels to shares
    for face, box in enumerate(boxes):
        there = bool(annotation.landmark_mask[face])
        points = annotation.landmarks[face].astype(np.float64) / size if there else np.zeros((5, 2))
        _check_shares(f"write_yolo: face {face} of {annotation.name!r}", box, points)
        columns = np.column_stack([points, np.full(5, 2.0 * there)]).ravel()  # x1 y1 v1 .. x5 y5 v5
        numbers = [*box, *columns] if with_landmarks else [*box]
        lines.append(" ".join(["0", *(decimal(number, 9) for number in numbers)]) + "\n")
    return "".join(lines)
