"""The ground truth of WIDER FACE's official evaluation: four MATLAB files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float64Array
from minidet.datasets._files import LARGEST
from minidet.errors import InputError

SUBSETS = ("easy", "medium", "hard")


@dataclass(frozen=True, eq=False)
class WiderImage:
    """One photograph in the ground truth of the official evaluation.

    Attributes
    ----------
    event : str
        The folder of the photograph, such as "0--Parade".
    name : str
        Its file name without ".jpg", such as "0_Parade_marchingband_1_465".
    xywh : (G, 4) float64 array
        Every annotated face as the file gives it: x y of the top left corner, width and height. The official
        IoU works on these numbers, with one pixel added to each side.
    counted : dict of str to (G,) bool array
        For "easy", "medium" and "hard": which faces have to be found. The others are ignored.
    """

    event: str
    name: str
    xywh: Float64Array
    counted: Mapping[str, NDArray[np.bool_]]


def read_widerface_ground_truth(folder: str | os.PathLike[str]) -> list[WiderImage]:
    """Read the four ``.mat`` files of the official evaluation, as they lie in ``eval_tools/ground_truth``.

    ``wider_face_val.mat`` holds, as MATLAB cells within cells, one entry per event and in it one per image::

        event_list     "0--Parade"
        file_list      "0_Parade_marchingband_1_465", ...
        face_bbx_list  (G, 4) x y w h, ...

    ``wider_easy_val.mat``, ``wider_medium_val.mat`` and ``wider_hard_val.mat`` hold the same lists of events
    and files, and in ``gt_list`` the faces that count, numbered from 1.

    Parameters
    ----------
    folder : path
        Where the four files are.

    Returns
    -------
    images : list of WiderImage
        In the order of the files: 3,226 images with 39,708 faces, of which 7,211, 13,319 and 31,958 count.

    Raises
    ------
    InputError
        If a file is missing or not such a file, or if the files contradict one another.
    """
    main = Path(folder) / "wider_face_val.mat"
    cells = _load_mat(main, ("event_list", "file_list", "face_bbx_list"))
    events, names = _names(main, cells)
    boxes = _per_image(main, cells, "face_bbx_list", events, names)
    counted = {}
    for subset in SUBSETS:
        path = Path(folder) / f"wider_{subset}_val.mat"
        cells = _load_mat(path, ("event_list", "file_list", "gt_list"))
        their_events, their_names = _names(path, cells)
        if their_events != events:
            raise InputError(
                f"{path}: its event_list is not that of {main.name}; take both from one download"
            )
        for event, theirs, ours in zip(events, their_names, names, strict=False):
            if theirs != ours:
                raise InputError(
                    f"{path}: file_list of event {event} is not that of {main.name}; "
                    "take both from one download"
                )
        counted[subset] = path, _per_image(path, cells, "gt_list", events, names)

    images = []
    for e, event in enumerate(events):
        for i, name in enumerate(names[e]):
            where = f"{event}/{name}"
            xywh = _boxes(boxes[e][i], f"{main}: {where}")
            images.append(
                WiderImage(
                    event=event,
                    name=name,
                    xywh=xywh,
                    counted={
                        subset: _chosen(per_event[e][i], len(xywh), f"{path}: {where}")
                        for subset, (path, per_event) in counted.items()
                    },
                )
            )
    return images


def _load_mat(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    from scipy.io import loadmat  # only here, because importing SciPy takes long

    if not path.is_file():
        raise InputError(
            f"{path}: no such file; the ground truth is wider_face_val.mat and one file per subset"
        )
    try:
        cells = loadmat(os.fspath(path), variable_names=keys)
    except Exception as error:  # on a broken file SciPy raises whatever it runs into
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"{path}: not a readable MATLAB file ({reason})") from error
    for key in keys:
        if key not in cells:
            raise InputError(f"{path}: has no {key}; expected a file of the WIDER FACE evaluation tools")
    return cells


def _names(path: Path, cells: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the events and, for each, the names of its photographs."""
    files = _items(cells["file_list"], f"{path}: file_list")
    return (
        _texts(cells["event_list"], f"{path}: event_list"),
        [_texts(names, f"{path}: file_list") for names in files],
    )


def _items(cell: object, where: str) -> list[Any]:
    """Contents of a MATLAB cell array of one column."""
    if not isinstance(cell, np.ndarray) or (cell.size and cell.dtype != object):
        raise InputError(f"{where} is no cell array; expected a file of the WIDER FACE evaluation tools")
    return list(cell.ravel())


def _texts(cell: object, where: str) -> list[str]:
    texts = _items(cell, where)  # each an array of one text
    for text in texts:
        if not (isinstance(text, np.ndarray) and text.shape == (1,) and text.dtype.kind == "U"):
            raise InputError(f"{where} holds {text!r}; expected names of events or photographs")
    return [str(text[0]) for text in texts]


def _per_image(
    path: Path, cells: dict[str, Any], key: str, events: list[str], names: list[list[str]]
) -> list[list[NDArray[Any]]]:
    """Unpack a list of lists, checked to be as long as the lists of events and files."""
    outer = _items(cells[key], f"{path}: {key}")
    if not len(outer) == len(names) == len(events):
        raise InputError(
            f"{path}: {key} has {len(outer)} events, where event_list has {len(events)} "
            f"and file_list {len(names)}"
        )
    lists = [_items(inner, f"{path}: {key}") for inner in outer]
    for event, inner, files in zip(events, lists, names, strict=True):
        if len(inner) != len(files):
            raise InputError(
                f"{path}: {key} has {len(inner)} images in event {event}, file_list has {len(files)}"
            )
    return lists


def _boxes(values: NDArray[Any], where: str) -> Float64Array:
    array = np.asarray(values)
    if array.size == 0:
        return np.empty((0, 4))
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "uif":
        raise InputError(
            f"{where}: face_bbx_list is {array.dtype} of shape {array.shape}; expected (G, 4) numbers"
        )
    boxes = array.astype(np.float64)
    if not (abs(boxes) <= LARGEST).all():
        raise InputError(f"{where}: face_bbx_list holds a number that is not finite, or too large for pixels")
    return boxes


def _chosen(values: NDArray[Any], G: int, where: str) -> NDArray[np.bool_]:
    """(G,), true for the faces with these numbers, which start at 1. No number comes in many empty shapes."""
    numbers = np.ravel(values)
    if numbers.size and numbers.dtype.kind not in "buif":
        raise InputError(f"{where}: gt_list is {numbers.dtype}; expected whole numbers from 1 to {G}")
    wrong = ~np.isin(numbers, np.arange(1, G + 1))
    if wrong.any():
        raise InputError(
            f"{where}: gt_list has face {numbers[wrong][0]}; expected whole numbers from 1 to {G}"
        )
    chosen = np.zeros(G, np.bool_)
    chosen[numbers.astype(np.intp) - 1] = True
    return chosen
