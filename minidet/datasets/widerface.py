"""WIDER FACE in the forms in which it is passed around."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minidet._typing import Float32Array
from minidet.boxes import xywh_to_xyxy
from minidet.datasets._files import (
    is_numeral,
    parse_number,
    parse_whole,
    read_lines,
    relative_name,
    write_text,
)
from minidet.datasets._writing import check_writable, copy_photographs, decimal
from minidet.datasets.dataset import Dataset
from minidet.datasets.sample import Annotation
from minidet.datasets.widerface_ground_truth import SUBSETS, WiderImage, read_widerface_ground_truth
from minidet.errors import InputError

__all__ = [
    "SUBSETS",
    "WiderImage",
    "read_widerface",
    "read_widerface_ground_truth",
    "write_bbx_gt",
    "write_label_txt",
]

BBX_COLUMNS = "x y w h blur expression illumination invalid occlusion pose"


def read_widerface(path: str | os.PathLike[str]) -> Dataset:
    """Read WIDER FACE; what ``path`` is decides how.

    ``wider_face_val_bbx_gt.txt`` or ``wider_face_train_bbx_gt.txt``, the lists of the benchmark itself: a
    name, the number of faces, then one line per face with x y w h, blur, expression, illumination, invalid,
    occlusion and pose. Below a number of 0 there is a line of zeros all the same. Invalid faces are
    ignored. ::

        0--Parade/0_Parade_marchingband_1_849.jpg
        1
        449 330 122 149 0 0 0 0 0 0
        0--Parade/0_Parade_Parade_0_452.jpg
        0
        0 0 0 0 0 0 0 0 0 0

    ``label.txt`` of RetinaFace, with landmarks: x y w h, five times x y flag, and a number for the quality;
    or x y w h alone. A flag is 0 for a visible point, 1 for an occluded one, -1 for a missing one. A face has
    landmarks if none of its five is missing. ::

        # 0--Parade/0_Parade_marchingband_1_849.jpg
        449 330 122 149 488.9 373.6 0 542.1 376.4 0 515.0 412.8 0 485.2 425.9 0 538.4 431.5 0 0.82

    A folder with the four ``.mat`` files of :func:`read_widerface_ground_truth`, or one of them: faces that
    do not count in the hard subset are ignored.

    The folder of the data set as downloaded, with ``wider_face_split/`` and ``WIDER_val/`` or
    ``WIDER_train/``: the validation photographs if they are there, else those for training. A folder with
    ``label.txt`` is read as that file.

    Photographs are looked for in ``images/`` beside the file. Those of a list with "val" or "train" in its
    name may also be in ``WIDER_val/images/`` or ``WIDER_train/images/``, in the folder above the file or in
    its own. They need not be there to read the annotations, except with the folder of the data set as
    downloaded.

    Parameters
    ----------
    path : path
        A list or a folder.

    Returns
    -------
    dataset : Dataset

    Raises
    ------
    InputError
        If there is nothing of this kind; or names file and line of what cannot be read.
    """
    path = Path(path)
    return Dataset(_read(path), f"widerface:{path}")


def _read(path: Path) -> list[Annotation]:
    if path.is_dir():
        if any((path / f"wider_{subset}_val.mat").exists() for subset in SUBSETS):
            return _read_mat(path)
        path = _list_in(path)
    if path.suffix == ".mat":
        return _read_mat(path.parent)
    lines = read_lines(path)
    if not lines:
        raise InputError(f"{path} is empty; expected names of images and their faces")
    if path.name.startswith("label") or lines[0][1].startswith("#"):
        return _read_label_txt(lines, path.parent / "images")
    return _read_bbx_gt(lines, _photographs(path.parent, _split(path)))


def _list_in(folder: Path) -> Path:
    """Find the list to read in a folder."""
    if (folder / "label.txt").exists():
        return folder / "label.txt"
    found = []
    for split in ("val", "train"):
        for place in (folder / "wider_face_split", folder):
            path = place / f"wider_face_{split}_bbx_gt.txt"
            if path.exists():
                found.append(path)
                if _photographs(place, split).is_dir():
                    return path
    if found:
        missing = " or ".join(str(_photographs(path.parent, _split(path))) for path in found)
        raise InputError(f"{folder} has no photographs; expected a folder {missing}")
    raise InputError(
        f"{folder} has no wider_face_split/wider_face_val_bbx_gt.txt, label.txt or wider_easy_val.mat; "
        "expected WIDER FACE as downloaded, or one of these files"
    )


def _split(path: Path) -> str | None:
    """Tell from the name of a list which part of the data set it is of."""
    return next((split for split in ("train", "test", "val") if split in path.stem.split("_")), None)


def _photographs(folder: Path, split: str | None) -> Path:
    """Find the photographs of a list in ``folder``. If there are none: where they should be."""
    beside = folder / "images"
    if split is None:
        return beside
    below = Path(f"WIDER_{split}") / "images"
    above = folder.absolute().parent / below
    return next((place for place in (beside, above, folder / below) if place.is_dir()), above)


def _read_mat(folder: Path) -> list[Annotation]:
    images = _photographs(folder, "val")
    return [
        Annotation(
            images / image.event / f"{image.name}.jpg",
            f"{image.event}/{image.name}.jpg",
            xywh_to_xyxy(image.xywh),
            ignore=~image.counted["hard"],
        )
        for image in read_widerface_ground_truth(folder)
    ]


# ---- the benchmark's own list ----


def _read_bbx_gt(lines: list[tuple[str, str]], images: Path) -> list[Annotation]:
    annotations = []
    columns = BBX_COLUMNS.split()
    position = 0

    def next_line(expected: str) -> tuple[str, str]:
        nonlocal position
        if position == len(lines):
            raise InputError(f"{lines[-1][0]}: the file ends here; expected {expected}")
        position += 1
        return lines[position - 1]

    while position < len(lines):
        where, line = next_line("the name of an image")
        if _all_numbers(line):
            raise InputError(
                f"{where}: {line!r} stands where the name of an image should; "
                "expected a name, the number of its faces, then as many boxes"
            )
        name = relative_name(line)
        where, text = next_line(f"the number of faces of {name}")
        count = parse_whole(text, where, f"the number of faces of {name}")
        if count < 0:
            raise InputError(f"{where}: the number of faces of {name} is {count}; expected 0 or more")
        faces = []
        for k in range(count):
            where, line = next_line(f"face {k + 1} of {count} of {name}")
            fields = line.split()
            if len(fields) != 10:
                raise InputError(
                    f"{where}: {line!r} stands where face {k + 1} of {count} of {name} should; "
                    f"expected ten numbers, {BBX_COLUMNS}"
                )
            faces.append(
                [parse_number(field, where, what) for field, what in zip(fields, columns, strict=True)]
            )
        if count == 0 and position < len(lines) and _all_zero(lines[position][1]):
            position += 1
        table = np.array(faces).reshape(-1, 10)
        annotations.append(
            Annotation(images / name, name, xywh_to_xyxy(table[:, :4]), ignore=table[:, 7] == 1)
        )
    return annotations


def _all_numbers(line: str) -> bool:
    return all(is_numeral(field) for field in line.split())


def _all_zero(line: str) -> bool:
    fields = line.split()
    return len(fields) == 10 and _all_numbers(line) and not any(float(field) for field in fields)


def write_bbx_gt(
    annotations: Sequence[Annotation], path: str | os.PathLike[str], *, copy_images: bool = False
) -> None:
    """Write a list like ``wider_face_val_bbx_gt.txt``.

    It has no landmarks. Ignored faces are called invalid, and the other attributes are 0. The photographs are
    expected in ``images/`` beside the list, under the names of their annotations; ``copy_images=True`` copies
    them.

    Parameters
    ----------
    annotations : sequence of Annotation
        Boxes are written to a millionth of a pixel.
    path : path
        Of the list. The folders it needs are made, and a file of the same name is replaced.
    copy_images : bool

    Raises
    ------
    InputError
        If a name is there twice or leads out of the folder, a box is not finite, or a file cannot be written.
    """
    check_writable("write_bbx_gt", annotations, file_each=False)
    lines = []
    for annotation in annotations:
        lines += [annotation.name, str(len(annotation.boxes))]
        lines += [
            f"{_xywh_text(box)} 0 0 0 {int(ignored)} 0 0"
            for box, ignored in zip(annotation.boxes, annotation.ignore, strict=True)
        ]
        if not len(annotation.boxes):
            lines.append("0 0 0 0 0 0 0 0 0 0")
    write_text(Path(path), "".join(line + "\n" for line in lines))
    if copy_images:
        copy_photographs(annotations, Path(path).parent / "images")


# ---- RetinaFace's list ----


def _read_label_txt(lines: list[tuple[str, str]], images: Path) -> list[Annotation]:
    faces_of: list[tuple[str, list[list[float]]]] = []
    for where, line in lines:
        if line.startswith("#"):
            name = relative_name(line[1:].strip())
            if not name:
                raise InputError(f"{where}: '#' without the name of an image")
            faces_of.append((name, []))
            continue
        if not faces_of:
            raise InputError(f"{where}: {line!r} stands before any image; expected '# event/name.jpg' first")
        fields = line.split()
        if len(fields) not in (4, 20):
            raise InputError(
                f"{where}: {len(fields)} columns; expected 4, x y w h, or 20, with x y flag of five points "
                "and a quality"
            )
        values = [parse_number(field, where, f"column {k}") for k, field in enumerate(fields, 1)]
        faces_of[-1][1].append(values if len(values) == 20 else values + [-1.0] * 16)

    annotations = []
    for name, faces in faces_of:
        table = np.array(faces).reshape(-1, 20)
        points = table[:, 4:19].reshape(-1, 5, 3)  # x y flag
        missing = (points[:, :, 2] < 0) | (points[:, :, :2] == -1).all(axis=2)  # (G, 5)
        landmarks = np.where(missing.any(axis=1)[:, None, None], np.nan, points[:, :, :2])
        annotations.append(Annotation(images / name, name, xywh_to_xyxy(table[:, :4]), landmarks))
    return annotations


def write_label_txt(
    annotations: Sequence[Annotation], path: str | os.PathLike[str], *, copy_images: bool = False
) -> None:
    """Write a list like RetinaFace's ``label.txt``: boxes and landmarks.

    Landmarks are called visible, and the quality of a face is 1. The photographs are expected in ``images/``
    beside the list, under the names of their annotations; ``copy_images=True`` copies them.

    Parameters
    ----------
    annotations : sequence of Annotation
        Boxes are written to a millionth of a pixel.
    path : path
        Of the list. The folders it needs are made, and a file of the same name is replaced.
    copy_images : bool

    Raises
    ------
    InputError
        If a face is ignored, which this list cannot say; if a name is there twice or leads out of the folder,
        a box is not finite, or a file cannot be written.
    """
    check_writable("write_label_txt", annotations, file_each=False)
    lines = []
    for annotation in annotations:
        if annotation.ignore.any():
            raise InputError(
                f"write_label_txt: {annotation.name!r} has ignored faces, which this list cannot say; "
                "leave them out, or use write_bbx_gt"
            )
        lines.append(f"# {annotation.name}")
        for box, landmarks, has in zip(
            annotation.boxes, annotation.landmarks, annotation.landmark_mask, strict=True
        ):
            points = (
                [f"{decimal(x, 6)} {decimal(y, 6)} 0" for x, y in landmarks.tolist()]
                if has
                else ["-1 -1 -1"] * 5
            )
            lines.append(" ".join([_xywh_text(box), *points, "1"]))
    write_text(Path(path), "".join(line + "\n" for line in lines))
    if copy_images:
        copy_photographs(annotations, Path(path).parent / "images")


# ---- numbers ----


def _xywh_text(box: Float32Array) -> str:
    x1, y1, x2, y2 = box.tolist()
    return " ".join(decimal(value, 6) for value in (x1, y1, x2 - x1, y2 - y1))
