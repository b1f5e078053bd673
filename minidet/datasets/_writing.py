"""What the writers of data sets share: which photographs go where, and numbers as text."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from minidet.datasets._files import image_size, relative_name, without_suffix
from minidet.datasets.sample import Annotation
from minidet.errors import InputError, one_line


def check_writable(writer: str, annotations: Sequence[Annotation], *, file_each: bool) -> None:
    """Require that annotations can be written and read back.

    Parameters
    ----------
    writer : str
        For messages, such as "write_voc".
    annotations : sequence of Annotation
    file_each : bool
        Whether each photograph gets a file of its own, called as it is but for the ending.

    Raises
    ------
    InputError
        If a name leads out of the folder, if two would have one place, or if a box is not finite.
    """
    names: dict[str, str] = {}
    for annotation in annotations:
        name = annotation.name
        if not name or relative_name(name) != name:
            raise InputError(
                f"{writer}: the name {name!r} is no path below a folder; expected one like 'train/a.jpg'"
            )
        key = without_suffix(name) if file_each else name
        if key in names:
            raise InputError(f"{writer}: {name!r} and {names[key]!r} would have the same file; rename one")
        names[key] = name
        wrong = ~np.isfinite(annotation.boxes).all(axis=1)
        if wrong.any():
            face = int(np.argmax(wrong))
            raise InputError(
                f"{writer}: face {face} of {name!r} has the box {annotation.boxes[face].tolist()}; "
                "expected finite numbers"
            )


def copy_photographs(annotations: Sequence[Annotation], folder: Path) -> None:
    """Copy each photograph to its name below ``folder``; one that is there already is left alone.

    A picture that is on no disk is drawn and saved there.

    Raises
    ------
    InputError
        If one cannot be copied.
    """
    for annotation in annotations:
        target = folder / annotation.name
        try:
            if not annotation.on_disk:
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(annotation.read()).save(target)
                continue
            if target.exists() and annotation.path.samefile(target):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(annotation.path, target)
        except OSError as error:
            raise InputError(f"cannot copy {annotation.path} to {target}: {one_line(error)}") from None


def measured_size(annotation: Annotation) -> tuple[int, int] | None:
    """Tell the (width, height) of the photograph, or None if it is not there.

    Raises
    ------
    InputError
        If it is there and not a picture.
    """
    if not annotation.on_disk:
        return annotation.size
    return image_size(annotation.path) if os.path.isfile(annotation.path) else None


def decimal(value: float, digits: int) -> str:
    """Write a number with at most so many digits behind the point.

    Examples
    --------
    >>> decimal(12.5, 6), decimal(3.0, 6), decimal(1 / 3, 6), decimal(-1e-9, 6)
    ('12.5', '3', '0.333333', '0')
    """
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
