"""Checkpoints: all that a training has changed so far, on disk, so that it can be killed at any moment.

A file appears under its name only when it is complete and on the disk, and it proves to be whole when it is
read::

    checkpoint-00001200.npz (zip)
      |- header.npy                      a JSON text: format version, step, recipe, extra
      |- state.model.conv1.weight.npy    one array per name
      |- ...
      `- comment of the zip              SHA-256 of every byte before it: the last 64 bytes of the file
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_whole
from minidet._whole_file import write_whole
from minidet.errors import InputError, one_line
from minidet.evaluation.recipe import first_difference

logger = logging.getLogger("minidet")

FORMAT_VERSION = 1
HEADER = "header"
PREFIX = "state."
"""Of the arrays, so that none of them can be taken for the header."""

FILE_NAME = re.compile(r"checkpoint-(\d{8,})\.npz")
DIGEST_LENGTH = 64
"""Hexadecimal digits of a SHA-256."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after some step.

    Attributes
    ----------
    step : int
        How many steps were done.
    state : dict of name to array
    extra : dict
        Plain values.
    """

    step: int
    state: dict[str, NDArray[Any]]
    extra: dict[str, Any]


class Checkpoints:
    """A folder of checkpoints. The newest one that is whole is where a training goes on.

    One training writes to a folder at a time. There is no lock, since a killed process would leave it behind.
    Instead, a training that finds a checkpoint which it neither wrote nor began from stops, and writes none.

    Parameters
    ----------
    folder : Path
        Made if it is not there. What killed processes have left half written in it is removed.
    recipe : dict
        Plain values: all that decides the outcome. Checkpoints of another recipe are refused.
    keep : int
        So many are kept, the newest. Two, so that there is another if one is damaged.

    Raises
    ------
    InputError
        If the folder cannot be made, ``keep`` is below 1, or the recipe is not of plain values.

    Examples
    --------
    >>> import tempfile
    >>> place = tempfile.TemporaryDirectory()
    >>> folder = Path(place.name) / "run"
    >>> checkpoints = Checkpoints(folder, recipe={"seed": 1})
    >>> checkpoints.load() is None
    True
    >>> checkpoints.save(250, {"weight": np.array([0.5])}, {"best": 0.9}).name
    'checkpoint-00000250.npz'
    >>> checkpoint = Checkpoints(folder, recipe={"seed": 1}).load()
    >>> checkpoint.step, checkpoint.state["weight"], checkpoint.extra
    (250, array([0.5]), {'best': 0.9})
    >>> place.cleanup()
    """

    def __init__(self, folder: Path, *, recipe: dict[str, Any], keep: int = 2) -> None:
        check_whole("Checkpoints", "keep", keep, least=1)
        self.folder, self.keep = folder, keep
        self.recipe = json.loads(_to_json("recipe", recipe))
        self._whole: set[Path] = set()
        """What this training began from or wrote."""
        self._refused: set[Path] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for draft in folder.glob(".checkpoint-*.draft"):
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"cannot write to the folder {folder}: {one_line(error)}") from None

    def save(self, step: int, state: Mapping[str, NDArray[Any]], extra: Mapping[str, Any]) -> Path:
        """Write a checkpoint; it is on the disk when this returns. Then older ones are deleted.

        Whatever happens meanwhile, those that were there before stay whole until this one is.

        Parameters
        ----------
        step : int
            How many steps are done.
        state : mapping of name to array
        extra : mapping
            Plain values: text, numbers that are finite, true, false, None, lists, dicts with text as keys.

        Returns
        -------
        Path

        Raises
        ------
        InputError
            If it cannot be written (the disk is full), if another training writes to the folder, or if
            something in ``state`` or ``extra`` would not come back as it is.
        """
        check_whole("Checkpoints.save", "step", step, least=0)
        path = self.folder / f"checkpoint-{step:08d}.npz"
        content = _pack(step, self.recipe, state, extra)
        try:
            self._refuse_strangers()
            write_whole(path, lambda file: file.write(content))
            self._whole.add(path)
            self._delete_old()
        except OSError as error:
            raise InputError(f"cannot write {path}: {one_line(error)}; older checkpoints are kept") from None
        return path

    def load(self) -> Checkpoint | None:
        """Read the newest checkpoint that is whole; None if there are none at all.

        One that is damaged is passed over with a warning that names it.

        Raises
        ------
        InputError
            If none of them is whole, or the newest whole one is of another recipe.
        """
        problems: dict[Path, str] = {}
        listed = self._listed()
        for path in listed:
            try:
                recipe, checkpoint = _unpack(path)
            except _RefusedError as refusal:
                problems[path] = str(refusal)
                continue
            if difference := first_difference(recipe, self.recipe):
                raise InputError(
                    f"{path} is of a training with another recipe ({difference}); "
                    "give another folder, or delete its checkpoints"
                )
            for damaged, reason in problems.items():
                logger.warning("%s is refused (%s); going on from %s", damaged.name, reason, path.name)
            self._refused = set(problems)
            self._whole = set(listed) - self._refused
            return checkpoint
        if problems:
            all_of_them = ", ".join(f"{path.name} ({reason})" for path, reason in problems.items())
            raise InputError(
                f"{self.folder} has no whole checkpoint: {all_of_them}; delete them to begin anew"
            )
        return None

    def _listed(self) -> list[Path]:
        """Return the checkpoints in the folder, the newest first."""
        try:
            found = [(FILE_NAME.fullmatch(path.name), path) for path in self.folder.iterdir()]
        except OSError as error:
            raise InputError(f"cannot read the folder {self.folder}: {one_line(error)}") from None
        return [path for _, path in sorted(((int(m[1]), path) for m, path in found if m), reverse=True)]

    def _refuse_strangers(self) -> None:
        strangers = [path.name for path in self._listed() if path not in self._whole | self._refused]
        if strangers:
            raise InputError(
                f"{self.folder} holds {strangers[0]}, from which this training did not begin; "
                "is another one running there? Give each a folder of its own"
            )

    def _delete_old(self) -> None:
        """Keep the newest whole ones, and delete all that are older than those."""
        listed = self._listed()
        oldest_kept = [path for path in listed if path in self._whole][: self.keep][-1]
        for path in listed[listed.index(oldest_kept) + 1 :]:
            path.unlink(missing_ok=True)


class _RefusedError(Exception):
    """A file that is no whole checkpoint; the message says why."""


def _pack(
    step: int, recipe: dict[str, Any], state: Mapping[str, NDArray[Any]], extra: Mapping[str, Any]
) -> memoryview:
    """Return the bytes of a file."""
    header = {"format": FORMAT_VERSION, "step": int(step), "recipe": recipe, "extra": dict(extra)}
    text = _to_json("extra", header)
    if json.loads(text)["extra"] != header["extra"]:  # a tuple has become a list, a number as a key text
        raise InputError(
            "Checkpoints.save: `extra` has tuples, or keys that are no text; expected lists and text"
        )
    arrays: dict[str, Any] = {HEADER: np.array(text)}
    for name, array in state.items():
        if not isinstance(array, np.ndarray) or array.dtype.hasobject:
            raise InputError(f"Checkpoints.save: {name!r} in `state` is no array of numbers")
        arrays[PREFIX + name] = array
    file = io.BytesIO()
    np.savez(file, **arrays)
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"-" * DIGEST_LENGTH  # the place of the digest
    content = file.getbuffer()
    content[-DIGEST_LENGTH:] = _digest(content[:-DIGEST_LENGTH])
    return content


def _unpack(path: Path) -> tuple[dict[str, Any], Checkpoint]:
    """Return the recipe and what is in a file, or refuse it."""
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise _RefusedError(one_line(error)) from None
    # First of all: a parser that is fed damaged bytes may do anything.
    if _digest(content[:-DIGEST_LENGTH]) != content[-DIGEST_LENGTH:]:
        raise _RefusedError("it is cut short or altered: its checksum is another")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            header = json.loads(str(archive[HEADER]))
            if header["format"] != FORMAT_VERSION:
                raise _RefusedError(
                    f"it has format {header['format']}; this version of minidet reads {FORMAT_VERSION}"
                )
            state = {
                name.removeprefix(PREFIX): archive[name] for name in archive.files if name.startswith(PREFIX)
            }
        step, recipe, extra = int(header["step"]), dict(header["recipe"]), header["extra"]
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile):
        raise _RefusedError("it was not written by minidet") from None
    if path.name != f"checkpoint-{step:08d}.npz":
        raise _RefusedError(f"it is of step {step}")
    return recipe, Checkpoint(step, state, extra)


def _digest(content: memoryview) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _to_json(what: str, values: Mapping[str, Any]) -> str:
    try:
        return json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"Checkpoints: `{what}` is not of plain, finite values: {one_line(error)}") from None
