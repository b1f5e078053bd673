"""Results on disk, photograph by photograph, so that a long evaluation can be broken off and resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from minidet.datasets._files import read_bytes, write_text
from minidet.detections import Detections
from minidet.errors import InputError
from minidet.evaluation.recipe import first_difference


class Journal:
    """A file of JSON lines: first the recipe, then one line per photograph, each written when it is done.

    Parameters
    ----------
    path : Path
        Made if it is not there. A last line that was cut short is dropped.
    recipe : dict
        Plain values. What is in the file goes on only under the same recipe.

    Raises
    ------
    InputError
        If the file belongs to another recipe, or is no journal.
    """

    def __init__(self, path: Path, recipe: dict[str, Any]) -> None:
        self.path = path
        self.done: dict[str, Detections] = {}
        """By name of the photograph."""
        header = json.dumps({"recipe": recipe})
        # Bytes: a line may have been cut in the middle of a letter.
        whole, end, cut = read_bytes(path).rpartition(b"\n") if os.path.lexists(path) else (b"", b"", b"")
        lines = whole.split(b"\n") if whole else []
        if not lines and not header.encode().startswith(end + cut):
            raise InputError(f"{path} is no file of results; give another folder, or delete that file")
        if not lines:
            write_text(path, header + "\n")
            return
        if lines[0] != header.encode():
            raise InputError(
                f"{path} holds results of another recipe ({_first_difference(lines[0], recipe)}); "
                "give another folder, or delete that file"
            )
        for number, line in enumerate(lines[1:], start=2):
            try:
                record = json.loads(line)
                self.done[record["image"]] = _from_dicts(record["faces"])
            except (ValueError, KeyError, TypeError, RecursionError, FloatingPointError) as error:
                raise InputError(
                    f"{path} line {number} is no result of a photograph; delete the file"
                ) from error
        with path.open("r+b") as file:
            file.truncate(len(whole) + 1)

    def add(self, name: str, faces: Detections) -> None:
        """Append the result of one photograph; it is on disk when this returns."""
        line = json.dumps({"image": name, "faces": faces.to_dicts()})
        with self.path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(line + "\n")


def _from_dicts(faces: list[dict[str, Any]]) -> Detections:
    if not faces:
        return Detections.empty()
    with np.errstate(over="raise"):  # a number that is none in float32
        return Detections(
            [face["box"] for face in faces],
            [face["score"] for face in faces],
            [face["landmarks"] for face in faces],
        )


def _first_difference(header: bytes, recipe: dict[str, Any]) -> str:
    """Name the first entry that differs, as far as the old header can be read."""
    try:
        old = json.loads(header)["recipe"]
        difference = first_difference(old, json.loads(json.dumps(recipe)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "its first line is no recipe"
    return difference or "the entries are in another order"
