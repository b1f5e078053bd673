"""Lists of faces by their five points: a plain text list, and a json."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidet._typing import Float64Array
from minidet.datasets._files import (
    can_be_path,
    check_number,
    is_numeral,
    parse_number,
    read_json,
    read_lines,
    stated_size,
    write_text,
)
from minidet.datasets._writing import decimal, measured_size
from minidet.datasets.dataset import Dataset
from minidet.datasets.mean_face import box_from_landmarks, face_misfit
from minidet.datasets.sample import Annotation
from minidet.errors import InputError


def read_points(path: str | os.PathLike[str]) -> Dataset:
    """Read faces given by left eye, right eye, nose, left and right mouth corner, as seen in the image.

    A text list has a line per face: the path of the photograph, relative to the list, and ten numbers, x and
    y of each point; or five x and then five y, as in the lists of MTFL. The list does not tell which of the
    two it means. The one in which its points look more like faces is taken, for the list as a whole. Several
    lines may be of one photograph, and a path may contain spaces. ::

        photos/a.jpg 34.3 34.8 47.3 36.2 40.4 46.0 34.0 50.8 45.0 52.1

    A file that ends in ".json" holds a list of photographs. "width", "height", "box" (x1 y1 x2 y2) and
    "ignore" may be left out, and in a face with a box the points too. Other entries are not looked at. ::

        [{"image": "photos/a.jpg", "width": 80, "height": 80,
          "faces": [{"landmarks5": [[34.3, 34.8], [47.3, 36.2], [40.4, 46.0], [34.0, 50.8], [45.0, 52.1]],
                     "box": [26, 22, 54, 59], "ignore": false}]}]

    Faces without a box get one from :func:`box_from_landmarks`.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dataset : Dataset
        In the order of the file. It is not exhaustive: such lists seldom have every face of a photograph.

    Raises
    ------
    InputError
        If the file is missing, empty, or no such list; the message names the line or the entry.
    """
    file = Path(path)
    read = _read_json if file.suffix.lower() == ".json" else _read_list
    return Dataset(read(file), f"points:{os.fspath(path)}", exhaustive=False)


# ---- the text list ----


def _read_list(path: Path) -> list[Annotation]:
    lines = read_lines(path)
    if not lines:
        raise InputError(f"{path} is empty; expected lines of a path and ten numbers")
    names, numbers = [], []
    for where, line in lines:
        name, *fields = line.rsplit(maxsplit=10)
        if len(fields) != 10 or is_numeral(name.split()[-1]):
            count = sum(1 for field in line.split() if is_numeral(field))
            raise InputError(f"{where}: {count} numbers; expected a path and ten numbers")
        names.append(name.replace("\\", "/"))
        numbers.append([parse_number(text, where, f"number {k}") for k, text in enumerate(fields, 1)])
    landmarks = _as_points(np.array(numbers))
    boxes = box_from_landmarks(landmarks)
    faces_of: dict[str, list[int]] = {}
    for face, name in enumerate(names):
        faces_of.setdefault(name, []).append(face)
    return [
        Annotation(path.parent / name, name, boxes[faces], landmarks[faces])
        for name, faces in faces_of.items()
    ]


def _as_points(numbers: Float64Array) -> Float64Array:
    """(G, 10) to (G, 5, 2), from x1 y1 x2 y2 ... or from x1 x2 ... y1 y2 ..., whichever looks like faces."""
    pairs = numbers.reshape(-1, 5, 2)
    rows = numbers.reshape(-1, 2, 5).swapaxes(1, 2)
    return rows if np.median(face_misfit(rows)) < np.median(face_misfit(pairs)) else pairs


# ---- the json ----


def _read_json(path: Path) -> list[Annotation]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(f"{path}: a {type(entries).__name__}; expected a list of photographs")
    return [_annotation(entry, f"{path} entry {k}", path.parent) for k, entry in enumerate(entries, 1)]


def _annotation(entry: Any, where: str, folder: Path) -> Annotation:
    if not isinstance(entry, dict) or not isinstance(entry.get("image"), str) or not entry["image"]:
        raise InputError(f'{where}: no "image"; expected the path of a photograph')
    if not can_be_path(entry["image"]):
        raise InputError(f'{where}: "image" is {entry["image"]!r}; expected the path of a photograph')
    name = entry["image"].replace("\\", "/")
    faces = entry.get("faces")
    if not isinstance(faces, list):
        raise InputError(f'{where} ({name}): no list of "faces"')
    boxes, landmarks, ignore = [], [], []
    for k, face in enumerate(faces, 1):
        at = f"{where} ({name}) face {k}"
        if not isinstance(face, dict):
            raise InputError(f'{at}: {face!r}; expected {{"landmarks5": [[x, y], ...]}}')
        five, box = face.get("landmarks5"), face.get("box")
        if five is None and box is None:
            raise InputError(f'{at}: neither "landmarks5" nor "box"; expected one of them')
        points = np.full((5, 2), np.nan) if five is None else _numbers(five, (5, 2), at, "landmarks5")
        landmarks.append(points)
        boxes.append(box_from_landmarks(points[None])[0] if box is None else _numbers(box, (4,), at, "box"))
        ignore.append(_flag(face.get("ignore", False), at))
    return Annotation(folder / name, name, boxes, landmarks, ignore, stated_size(entry, f"{where} ({name})"))


def _numbers(values: Any, shape: tuple[int, ...], where: str, what: str) -> Float64Array:
    """Check lists of numbers, which in a json may be anything."""
    pairs = len(shape) == 2
    rows = values if pairs else [values]
    if not (
        isinstance(rows, list)
        and len(rows) == (shape[0] if pairs else 1)
        and all(isinstance(row, list) and len(row) == shape[-1] for row in rows)
    ):
        expected = "[x, y] of five points" if pairs else "[x1, y1, x2, y2]"
        raise InputError(f"{where}: {what} is {_short(values)}; expected {expected}")
    return np.array([[check_number(value, where, what) for value in row] for row in rows]).reshape(shape)


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{where}: ignore is {_short(value)}; expected true or false")
    return value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


# ---- out ----


def write_points_list(annotations: Sequence[Annotation], path: str | os.PathLike[str]) -> None:
    """Write a text list of landmarks that :func:`read_points` reads.

    The list has no place for boxes and sizes, nor for a photograph without a face.

    Parameters
    ----------
    annotations : sequence of Annotation
        Points are written to a millionth of a pixel. Photographs stay where they are: the list takes their
        paths relative to its own folder.
    path : path
        Of the list. The folders it needs are made, and a file of the same name is replaced.

    Raises
    ------
    InputError
        If a face has no landmarks or is ignored, which this list cannot say; if the points look so little
        like faces that they would be read in another order; or if the file cannot be written.
    """
    lines, points = [], []
    for annotation in annotations:
        if annotation.ignore.any() or not annotation.landmark_mask.all():
            raise InputError(
                f"write_points_list: {annotation.name!r} has faces that are ignored or without landmarks, "
                "which this list cannot say; leave them out, or use write_points_json"
            )
        for face in annotation.landmarks.astype(np.float64):
            numbers = " ".join(decimal(value, 6) for value in face.ravel().tolist())
            lines.append(f"{_relative_path(annotation, path)} {numbers}\n")
            points.append(face)
    if points and not np.array_equal(_as_points(np.reshape(points, (-1, 10))), points):
        raise InputError(
            "write_points_list: these points look so little like faces that the list would be read as "
            "x1 ... x5 y1 ... y5; use write_points_json"
        )
    write_text(Path(path), "".join(lines))


def write_points_json(annotations: Sequence[Annotation], path: str | os.PathLike[str]) -> None:
    """Write a json of boxes and landmarks that :func:`read_points` reads.

    Parameters
    ----------
    annotations : sequence of Annotation
        Numbers are written to a millionth of a pixel, and the size as stated or else as measured. Photographs
        stay where they are: the json takes their paths relative to its own folder.
    path : path
        Of the file, which ends in ".json". The folders it needs are made, and a file of the same name is
        replaced.

    Raises
    ------
    InputError
        If a box is not finite, or the file cannot be written.
    """
    if Path(path).suffix.lower() != ".json":
        raise InputError(f"write_points_json: {os.fspath(path)!r}; expected a name that ends in .json")
    entries = []
    for annotation in annotations:
        entry: dict[str, Any] = {"image": _relative_path(annotation, path)}
        size = annotation.size or measured_size(annotation)
        if size is not None:
            entry["width"], entry["height"] = size
        entry["faces"] = [_face_record(annotation, face) for face in range(len(annotation.boxes))]
        entries.append(json.dumps(entry, ensure_ascii=False))
    write_text(Path(path), "[" + ",\n ".join(entries) + "]\n")


def _face_record(annotation: Annotation, face: int) -> dict[str, Any]:
    box = annotation.boxes[face].tolist()
    if not np.isfinite(box).all():
        raise InputError(
            f"write_points_json: face {face} of {annotation.name!r} has the box {box}; "
            "expected finite numbers"
        )
    record: dict[str, Any] = {"box": [round(value, 6) for value in box]}
    if annotation.landmark_mask[face]:
        points = annotation.landmarks[face].tolist()
        record["landmarks5"] = [[round(x, 6), round(y, 6)] for x, y in points]
    if annotation.ignore[face]:
        record["ignore"] = True
    return record


def _relative_path(annotation: Annotation, path: str | os.PathLike[str]) -> str:
    folder = Path(path).absolute().parent
    if not annotation.on_disk:
        raise InputError(
            f"{annotation.name!r} is drawn, not a file, and this writer copies none; "
            "use write_coco with copy_images=True"
        )
    try:
        return Path(os.path.relpath(annotation.path.absolute(), folder)).as_posix()
    except ValueError:  # on Windows: another drive
        return annotation.path.absolute().as_posix()
