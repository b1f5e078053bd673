"""Prediction files of the WIDER FACE evaluation: one folder per event, one text file per photograph."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from minidet._typing import Float64Array
from minidet.datasets._files import can_be_path, read_bytes, write_text
from minidet.errors import InputError

Predictions: TypeAlias = Mapping[tuple[str, str], ArrayLike]
"""(event, name of the photograph without ".jpg") to (K, 5) x y w h score, best score first."""

EXPECTED_LAYOUT = "expected FOLDER/EVENT/PHOTOGRAPH.txt, such as 0--Parade/0_Parade_Parade_0_628.txt"


def read_predictions(folder: str | os.PathLike[str]) -> dict[tuple[str, str], Float64Array]:
    """Read a folder of prediction files.

    ``0--Parade/0_Parade_Parade_0_628.txt`` holds the name of the photograph, the number of boxes, and a line
    with x y w h score for each, best score first::

        0_Parade_Parade_0_628.jpg
        2
        118.2 201.7 40.5 52.0 0.991
        390.0 77.3 21.4 28.9 0.874

    The name may also be written without ".jpg" or after its event ("0--Parade/0_Parade_Parade_0_628.jpg").
    Files that do not end in ".txt" are left alone.

    Parameters
    ----------
    folder : path

    Returns
    -------
    predictions : dict of (event, name) to (K, 5) float64 array
        x y w h score, as written. The key is the name of the folder and of the file without ".txt".

    Raises
    ------
    InputError
        If there is no such folder or no prediction file in it; if files lie in it without folders of events;
        if a file names another photograph, announces another number of boxes, or holds a line that is not
        five numbers, a width or height below zero, or a score above the one before. The message tells file
        and line.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of predictions; {EXPECTED_LAYOUT}")
    flat = sorted(folder.glob("*.txt"))
    if flat:
        raise InputError(
            f"{flat[0]}: lies outside the folders of events, like {len(flat)} files in all; {EXPECTED_LAYOUT}"
        )
    paths = sorted(folder.glob("*/*.txt"))
    if not paths:
        raise InputError(f"{folder}: holds no predictions; {EXPECTED_LAYOUT}")
    return {(path.parent.name, path.name.removesuffix(".txt")): _read_file(path) for path in paths}


def write_predictions(folder: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write prediction files that ``read_predictions`` and the official tools read.

    Numbers are written with as many digits as it takes to read the same float64 back.

    Parameters
    ----------
    folder : path
        Made if need be. Files of the same names are overwritten, others stay.
    predictions : dict of (event, name) to (K, 5) array
        x y w h score, best score first. A photograph without boxes has no rows, and gets a file too.

    Raises
    ------
    InputError
        If an array is not (K, 5) finite numbers with the best score first, or a name is no file name; nothing
        is written then. If a file cannot be written.
    """
    arrays = {key: as_boxes(key, boxes) for key, boxes in predictions.items()}
    for key in arrays:
        if not _is_pair_of_file_names(key):
            raise InputError(
                f"predictions of {label(key)}: expected a pair of file names, event and photograph"
            )
    for (event, name), boxes in arrays.items():
        lines = [f"{name}.jpg", str(len(boxes))]
        lines += [" ".join(map(repr, row)) for row in boxes.tolist()]
        write_text(Path(folder) / event / f"{name}.txt", "\n".join(lines) + "\n")


def label(key: object) -> str:
    """Name a photograph in a message: EVENT/PHOTOGRAPH, or whatever stands in the place of such a pair."""
    return "/".join(map(str, key)) if isinstance(key, tuple) else repr(key)


def as_boxes(key: tuple[str, str], values: ArrayLike) -> Float64Array:
    """Turn what a caller gives for one photograph into a checked (K, 5) float64 array.

    Raises
    ------
    InputError
        If it is not (K, 5) finite numbers with sides from zero up and the best score first.
    """
    where = f"predictions of {label(key)}"
    try:
        boxes = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{where}: not numbers; expected (K, 5) x y w h score") from None
    if boxes.shape == (0,):
        boxes = boxes.reshape(0, 5)  # an empty list has no columns
    if boxes.ndim != 2 or boxes.shape[1] != 5:
        raise InputError(f"{where}: shape {boxes.shape}; expected (K, 5), x y w h score")
    _check_boxes(boxes, lambda row: f"{where}, row {row}")
    return boxes


def _is_pair_of_file_names(key: object) -> bool:
    if not isinstance(key, tuple) or len(key) != 2:
        return False
    return all(
        isinstance(name, str)
        and name not in ("", "..")
        and name == Path(name).name  # no slash, and not "."
        and "\\" not in name
        and can_be_path(name)
        for name in key
    )


def _read_file(path: Path) -> Float64Array:
    lines = read_bytes(path).decode("utf-8", errors="replace").splitlines()
    while lines and not lines[-1].strip():  # blank lines at the end
        lines.pop()
    if len(lines) < 2:
        raise InputError(f"{path}: has {len(lines)} lines; expected a name, a count, and a line per box")
    if not _names(lines[0].strip(), path):
        raise InputError(
            f"{path}, line 1: names {lines[0].strip()!r}; expected {path.name.removesuffix('.txt')}.jpg, "
            "as the file is called"
        )
    announced, K = lines[1].strip(), len(lines) - 2
    if announced != str(K):
        raise InputError(f"{path}, line 2: announces {announced!r} boxes, {K} lines follow")
    boxes = np.empty((K, 5))
    for row, line in enumerate(lines[2:]):
        fields = line.split()
        try:
            numbers = [float(field) for field in fields]
        except ValueError:
            numbers = []
        if len(numbers) != 5:
            raise InputError(f"{path}, line {row + 3}: {line!r}; expected five numbers, x y w h score")
        boxes[row] = numbers
    _check_boxes(boxes, lambda row: f"{path}, line {row + 3}")
    return boxes


def _names(line: str, path: Path) -> bool:
    """Tell whether the first line of a file names the photograph that the file is called after."""
    *folders, name = line.replace("\\", "/").split("/")
    photograph = path.name.removesuffix(".txt")
    # Cut at the last dot. Stripping the letters of ".jpg" would eat a name that ends in j, p or g as well.
    return photograph in (name, name.rpartition(".")[0]) and folders[-1:] in ([], [path.parent.name])


def _check_boxes(boxes: Float64Array, place: Callable[[int], str]) -> None:
    """Require (K, 5) finite numbers, no side below zero, best score first; ``place`` words where row i is."""
    wrong = np.flatnonzero(~np.isfinite(boxes).all(axis=1))
    if wrong.size:
        raise InputError(f"{place(int(wrong[0]))}: {_row(boxes, wrong[0])}; expected finite numbers")
    wrong = np.flatnonzero((boxes[:, 2:4] < 0).any(axis=1))
    if wrong.size:
        raise InputError(
            f"{place(int(wrong[0]))}: {_row(boxes, wrong[0])}; expected x y w h score, no side below zero"
        )
    scores = boxes[:, 4]
    wrong = 1 + np.flatnonzero(scores[1:] > scores[:-1])
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"{place(i)}: score {scores[i]:g} after {scores[i - 1]:g}; sort boxes, best score first"
        )


def _row(boxes: Float64Array, row: int) -> str:
    return " ".join(f"{number:g}" for number in boxes[row])
