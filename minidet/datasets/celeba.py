"""CelebA: one annotated face per photograph, in lists with a line each."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from minidet._typing import Float64Array
from minidet.boxes import xywh_to_xyxy
from minidet.datasets._files import check_folder, parse_number, parse_whole, read_lines
from minidet.datasets.dataset import Dataset
from minidet.datasets.mean_face import box_from_landmarks
from minidet.datasets.sample import Annotation
from minidet.errors import InputError

BOX_COLUMNS = ("x_1", "y_1", "width", "height")
LANDMARK_COLUMNS = tuple(
    f"{point}_{axis}"
    for point in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
    for axis in ("x", "y")
)


def read_celeba(path: str | os.PathLike[str]) -> Dataset:
    """Read CelebA, the original photographs or the aligned ones.

    ::

        celeba/                                  202599
        |- Img/                                  image_id x_1 y_1 width height
        |  `- img_celeba/                        000001.jpg    95  71 226 313
        |     `- 000001.jpg
        `- Anno/                                 202599
           |- list_bbox_celeba.txt               lefteye_x lefteye_y righteye_x ... rightmouth_y
           `- list_landmarks_celeba.txt          000001.jpg 165  184  244  176  196  249  194  271  266  260

    The aligned photographs are in ``img_align_celeba/``, their landmarks in
    ``list_landmarks_align_celeba.txt``, and they have no boxes: :func:`box_from_landmarks` derives them.
    Folders and lists may also lie side by side. With both kinds of photographs, the original ones are read.

    Parameters
    ----------
    path : path
        The folder.

    Returns
    -------
    dataset : Dataset
        In the order of the lists. It is not exhaustive: of several people, one is annotated.

    Raises
    ------
    InputError
        If folders or lists are missing, if a list has another number of lines than it announces, if a line
        has the wrong number of columns or something that is no number, or if the two lists are not of the
        same photographs in the same order.
    """
    folder = Path(path)
    check_folder(folder)
    if images := _find(folder, "img_celeba"):
        names, xywh = _read_list(_find_list(folder, "list_bbox_celeba.txt"), BOX_COLUMNS)
        boxes = xywh_to_xyxy(xywh)  # (G, 4)
        points_list = _find_list(folder, "list_landmarks_celeba.txt")
        named_again, points = _read_list(points_list, LANDMARK_COLUMNS)
        _check_same_names(names, named_again, points_list)
        landmarks = points.reshape(-1, 5, 2)
    elif images := _find(folder, "img_align_celeba"):
        names, points = _read_list(_find_list(folder, "list_landmarks_align_celeba.txt"), LANDMARK_COLUMNS)
        landmarks = points.reshape(-1, 5, 2)
        boxes = box_from_landmarks(landmarks)
    else:
        raise InputError(
            f"{folder} has neither img_celeba nor img_align_celeba; expected one of these folders"
        )
    annotations = [
        Annotation(images / name, name, [box], [five])
        for name, box, five in zip(names, boxes, landmarks, strict=True)
    ]
    return Dataset(annotations, f"celeba:{os.fspath(path)}", exhaustive=False)


def _find(folder: Path, name: str) -> Path | None:
    places = (folder / name, folder / "Anno" / name, folder / "Img" / name)
    return next((place for place in places if place.exists()), None)


def _find_list(folder: Path, name: str) -> Path:
    found = _find(folder, name)
    if found is None:
        raise InputError(f"{folder} has no {name}; expected it there or in its subfolder Anno")
    return found


def _read_list(path: Path, columns: tuple[str, ...]) -> tuple[list[str], Float64Array]:
    """Read the names of the photographs and a table (G, number of columns)."""
    lines = read_lines(path)
    if len(lines) < 2:
        raise InputError(f"{path} has no header; expected a number of photographs, then the names of columns")
    (first, count_text), (second, header), *rows = lines
    count = parse_whole(count_text, first, "the number of photographs")
    stated = tuple(header.split())
    if stated[-len(columns) :] != columns:
        raise InputError(f"{second}: the columns are {header!r}; expected {' '.join(columns)}")
    if len(rows) != count:
        raise InputError(
            f"{first}: {count} photographs are announced, but {len(rows)} lines follow the header"
        )
    names, table = [], []
    for where, line in rows:
        name, *fields = line.split()
        if len(fields) != len(columns):
            raise InputError(
                f"{where}: {len(fields)} columns behind the name; "
                f"expected {len(columns)}, {' '.join(columns)}"
            )
        names.append(name)
        table.append([parse_number(field, where, what) for field, what in zip(fields, columns, strict=True)])
    return names, np.array(table, np.float64).reshape(-1, len(columns))


def _check_same_names(boxed: list[str], pointed: list[str], points_list: Path) -> None:
    for position, (ours, theirs) in enumerate(zip(boxed, pointed, strict=False)):
        if ours != theirs:
            raise InputError(
                f"{points_list}: photograph {position + 1} is {theirs}, but {ours} in list_bbox_celeba.txt; "
                "expected the same photographs in the same order"
            )
    if len(boxed) != len(pointed):
        raise InputError(
            f"{points_list} has {len(pointed)} photographs, but list_bbox_celeba.txt has {len(boxed)}"
        )
