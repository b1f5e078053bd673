"""COCO: one json file for all photographs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from minidet.datasets._files import (
    can_be_path,
    check_number,
    list_files,
    read_json,
    relative_name,
    stated_size,
    write_text,
)
from minidet.datasets._writing import check_writable, copy_photographs, measured_size
from minidet.datasets.dataset import Dataset
from minidet.datasets.sample import Annotation
from minidet.detections import LANDMARK_NAMES
from minidet.errors import InputError

Record: TypeAlias = Mapping[str, Any]

NO_LANDMARKS = [[np.nan, np.nan]] * 5


def read_coco(path: str | os.PathLike[str]) -> Dataset:
    """Read a COCO json file. Every annotation is a face, whatever its category.

    ::

        {"images": [{"id": 1, "file_name": "train/a.jpg", "width": 400, "height": 300}],
         "annotations": [{"id": 1, "image_id": 1, "bbox": [10, 20, 30, 40], "iscrowd": 0,
                          "keypoints": [18, 35, 2, 31, 35, 2, 25, 42, 2, 19, 50, 2, 30, 50, 2]}]}

    ``bbox`` is left, top, width, height in pixels, continuous: the box above is x1 = 10, y1 = 20, x2 = 40,
    y2 = 60. ``keypoints`` are x, y and visibility. Five of them are left eye, right eye, nose, left and right
    mouth corner as seen in the image. Where one of them has the visibility 0, or where there are more or
    fewer than five, the face has no landmarks.

    The photographs are below the first of these folders that holds any of them::

        faces/train.json                   faces/annotations/instances_train.json
        |- faces/                          |- faces/annotations/
        `- faces/images/                   |- faces/annotations/images/
                                           |- faces/images/
                                           |- faces/images/train/
                                           `- faces/train/

    Parameters
    ----------
    path : path
        The json file, or a folder with one json file, directly or in ``annotations``.

    Returns
    -------
    dataset : Dataset
        In the order of ``images``; a photograph without annotations has no faces. A face with ``iscrowd`` or
        ``ignore`` is ignored. ``size`` is as stated. A missing photograph is no error here; ``path`` is where
        it should be.

    Raises
    ------
    InputError
        If the file is missing or cut short; if a list, a key or a number is not as above; if an id comes
        twice; if an annotation is of an unknown photograph.
    """
    file = _find_json(Path(path))
    content = _parse(file)
    images = _by_id(content, "images", file)
    faces: dict[object, list[tuple[str, Record]]] = {image_id: [] for image_id in images}
    for annotation_id, record in _by_id(content, "annotations", file).items():
        where = f"{file}: annotation {annotation_id!r}"
        image_id = _get(record, "image_id", where)
        if isinstance(image_id, (list, dict)) or image_id not in faces:
            raise InputError(f'{where}: image_id {image_id!r} is not among the "images"')
        faces[image_id].append((where, record))

    file_names = {
        image_id: _file_name(image, f"{file}: image {image_id!r}") for image_id, image in images.items()
    }
    folder = _image_folder(file, list(file_names.values()))
    return Dataset(
        [
            Annotation(
                folder / file_names[image_id],
                relative_name(file_names[image_id]),
                [_box(face, where) for where, face in faces[image_id]],
                [_landmarks(face, where) for where, face in faces[image_id]],
                [bool(face.get("iscrowd") or face.get("ignore")) for _, face in faces[image_id]],
                stated_size(image, f"{file}: image {image_id!r}"),
            )
            for image_id, image in images.items()
        ],
        f"coco:{os.fspath(path)}",
    )


def write_coco(
    annotations: Sequence[Annotation],
    path: str | os.PathLike[str],
    *,
    copy_images: bool = False,
    info: Record | None = None,
) -> None:
    """Write annotations as a COCO json file with the one category "face".

    A photograph is expected in ``images`` beside the file, under the annotation's name. ``copy_images=True``
    copies it there.

    Parameters
    ----------
    annotations : sequence of Annotation
        Coordinates are written to a millionth of a pixel, ignored faces as ``iscrowd``, and the size as
        stated or else as measured. If any face has landmarks, all get ``keypoints``: zeros without them.
    path : path
        The json file, replaced if it exists.
    copy_images : bool
    info : mapping, optional
        Plain values for the entry "info", such as who made the annotations. Readers do not look at it.

    Raises
    ------
    InputError
        If a name comes twice or leads out of the folder, a box is not finite, or a file cannot be written.
    """
    check_writable("write_coco", annotations, file_each=False)
    with_landmarks = any(annotation.landmark_mask.any() for annotation in annotations)
    images: list[Record] = []
    faces: list[Record] = []
    for image_id, annotation in enumerate(annotations, 1):
        images.append(_image_record(annotation, image_id))
        for face in range(len(annotation.boxes)):
            keypoints = _keypoints(annotation, face) if with_landmarks else {}
            ids = {"id": len(faces) + 1, "image_id": image_id, "category_id": 1}
            faces.append({**ids, **_box_record(annotation, face), **keypoints})
    names = {"keypoints": [name.replace(" ", "_") for name in LANDMARK_NAMES]} if with_landmarks else {}
    lists = {
        "images": _lines(images),
        "annotations": _lines(faces),
        "categories": _lines([{"id": 1, "name": "face", **names}]),
    }
    entries = lists if info is None else {"info": json.dumps(info), **lists}
    write_text(Path(path), "{" + ",\n".join(f'"{key}": {text}' for key, text in entries.items()) + "}\n")
    if copy_images:
        copy_photographs(annotations, Path(path).parent / "images")


# ---- in ----


def _find_json(path: Path) -> Path:
    if not path.is_dir():
        return path
    for folder in (path, path / "annotations"):
        found = [name for name in list_files(folder, {".json"}) if "/" not in name] if folder.is_dir() else []
        if len(found) == 1:
            return folder / found[0]
        if found:
            raise InputError(f"{folder} holds {len(found)} json files ({', '.join(found)}); name one of them")
    raise InputError(f"{path} holds no json file; expected one, in it or in its folder annotations")


def _parse(file: Path) -> Record:
    content = read_json(file)
    if not isinstance(content, dict):
        raise InputError(
            f'{file} holds a {type(content).__name__}; expected an object with "images" and "annotations"'
        )
    return content


def _by_id(content: Record, key: str, file: Path) -> dict[object, Record]:
    """Return the records of a list of the file by their ids, in the file's order."""
    records = _get(content, key, str(file))
    if not isinstance(records, list):
        raise InputError(f'{file}: "{key}" is a {type(records).__name__}; expected a list')
    by_id: dict[object, Record] = {}
    for number, record in enumerate(records):
        where = f'{file}: "{key}"[{number}]'
        if not isinstance(record, dict):
            raise InputError(f"{where} is a {type(record).__name__}; expected an object")
        record_id = _get(record, "id", where)
        if isinstance(record_id, bool) or not isinstance(record_id, (int, str)):
            raise InputError(f'{where}: "id" is {record_id!r}; expected a whole number')
        if record_id in by_id:
            raise InputError(f"{where}: id {record_id!r} comes twice; expected each once")
        by_id[record_id] = record
    return by_id


def _get(record: Record, key: str, where: str) -> Any:
    if key not in record:
        raise InputError(f'{where}: there is no "{key}"')
    return record[key]


def _file_name(image: Record, where: str) -> str:
    name = _get(image, "file_name", where)
    if not isinstance(name, str) or not relative_name(name) or not can_be_path(name):
        raise InputError(f"{where}: file_name is {name!r}; expected the path of a photograph")
    return name.replace("\\", "/")


def _image_folder(file: Path, file_names: list[str]) -> Path:
    """Return the folder that holds any of the photographs; if none does, where they should be."""
    beside, above = file.parent, file.parent.parent
    candidates = [beside, beside / "images"]
    if beside.name.casefold() == "annotations":
        subset = re.sub("^(instances|person_keypoints)_", "", file.stem)
        candidates += [above / "images", above / "images" / subset, above / subset]
    for folder in candidates:
        if any(os.path.isfile(folder / name) for name in file_names):  # Path.is_file raises of long names
            return folder
    return beside / "images"


def _box(face: Record, where: str) -> tuple[float, float, float, float]:
    bbox = _get(face, "bbox", where)
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise InputError(f"{where}: bbox is {bbox!r}; expected [left, top, width, height]")
    left, top, width, height = (check_number(value, where, "a number of bbox") for value in bbox)
    return left, top, left + width, top + height


def _landmarks(face: Record, where: str) -> list[list[float]]:
    keypoints = face.get("keypoints") or []
    if not isinstance(keypoints, list):
        raise InputError(f"{where}: keypoints is {keypoints!r}; expected a list of numbers")
    if len(keypoints) != 15:
        return NO_LANDMARKS
    numbers = [check_number(value, where, "a number of keypoints") for value in keypoints]
    points = [numbers[start : start + 3] for start in range(0, 15, 3)]  # x, y, visibility
    return [[x, y] for x, y, _ in points] if all(v > 0 for _, _, v in points) else NO_LANDMARKS


# ---- out ----


def _image_record(annotation: Annotation, image_id: int) -> Record:
    record = {"id": image_id, "file_name": annotation.name}
    size = annotation.size or measured_size(annotation)
    return record if size is None else {**record, "width": size[0], "height": size[1]}


def _box_record(annotation: Annotation, face: int) -> Record:
    x1, y1, x2, y2 = annotation.boxes[face].tolist()
    return {
        "bbox": _rounded([x1, y1, x2 - x1, y2 - y1]),
        "area": round((x2 - x1) * (y2 - y1), 6),
        "iscrowd": int(annotation.ignore[face]),
    }


def _keypoints(annotation: Annotation, face: int) -> Record:
    if not annotation.landmark_mask[face]:
        return {"keypoints": [0] * 15, "num_keypoints": 0}
    points = [[*_rounded(point), 2] for point in annotation.landmarks[face].tolist()]  # 2: labelled, visible
    return {"keypoints": [number for point in points for number in point], "num_keypoints": 5}


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 6) for value in values]


def _lines(records: list[Record]) -> str:
    """Write a json list with one record on each line."""
    return "[\n" + ",\n".join(json.dumps(record) for record in records) + "\n]"
