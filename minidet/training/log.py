"""The log of a run: JSON lines, one for each thing that happened, in the order of the steps."""

from __future__ import annotations

import contextlib
import json
import math
import os
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from minidet._check import check_whole
from minidet.datasets._files import read_bytes
from minidet.errors import InputError, one_line


class RunLog:
    """A file to which every step adds a line or more.

    On resuming it is cut back to the step of the checkpoint, so that in the end it is the log of a run that
    was never interrupted. Two runs that write to one file notice each other at the next line.

    Parameters
    ----------
    path : Path
        Made if it is not there, with its folder.
    after_step : int
        The step the run goes on from. Lines of later steps, and a last line that was cut short, are dropped.
        At 0 the run begins anew, and so does the file.

    Raises
    ------
    InputError
        If the file is not such a log, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> place = tempfile.TemporaryDirectory()
    >>> path = Path(place.name) / "log.jsonl"
    >>> log = RunLog(path, after_step=0)
    >>> log.add({"kind": "train", "step": 1, "loss": 0.75})
    >>> log.add({"kind": "train", "step": 2, "loss": math.inf})
    >>> print(path.read_text(), end="")
    {"kind": "train", "step": 1, "loss": 0.75}
    {"kind": "train", "step": 2, "loss": null}
    >>> log = RunLog(path, after_step=1)
    >>> RunLog.read(path)
    [{'kind': 'train', 'step': 1, 'loss': 0.75}]
    >>> place.cleanup()
    """

    def __init__(self, path: Path, *, after_step: int) -> None:
        self.path = path
        lines = _whole_lines(path) if os.path.lexists(path) else []
        kept = list(takewhile(lambda line: 0 < line[1]["step"] <= after_step, lines))
        self._size = sum(len(line) for line, _ in kept)
        self._step = kept[-1][1]["step"] if kept else 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.truncate(self._size)
        except OSError as error:
            raise InputError(f"cannot write {path}: {one_line(error)}") from None

    def add(self, record: dict[str, Any]) -> None:
        """Append a record; a killed process loses none.

        Parameters
        ----------
        record : dict
            Plain values, with the number of the step under "step". Numbers that are not finite become null,
            since JSON has no word for them.

        Raises
        ------
        InputError
            If the step is none, or is below 1 or that of the line before; if the line cannot be written; if
            another run has written to the file.
        """
        check_whole("RunLog.add", "step", record.get("step"), least=max(self._step, 1))
        line = (json.dumps(_plain(record), allow_nan=False) + "\n").encode()
        try:
            with self.path.open("ab") as file:
                if file.tell() != self._size:
                    raise InputError(
                        f"{self.path} was changed by something else; is another training running there? "
                        "Give each a folder of its own"
                    )
                file.write(line)
        except OSError as error:
            with contextlib.suppress(OSError):  # half a line may be there: the disk is full
                os.truncate(self.path, self._size)
            raise InputError(f"cannot write {self.path}: {one_line(error)}") from None
        self._size += len(line)
        self._step = record["step"]

    @staticmethod
    def read(path: Path) -> list[dict[str, Any]]:
        """Return the records of a log, also while it is being written: a last line without end is left out.

        Parameters
        ----------
        path : path

        Returns
        -------
        list of dict

        Raises
        ------
        InputError
            If the file is missing or is not such a log.
        """
        return [record for _, record in _whole_lines(path)]


def _whole_lines(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """Return the lines that are complete, with their ends, and what they hold."""
    *lines, rest = read_bytes(path).split(b"\n")
    if not lines and rest and not rest.startswith(b"{"):  # the beginning of a first line is ours
        raise InputError(f"{path} is no log of a training; give another folder, or delete that file")
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            is_record = isinstance(record["step"], int)
        except (ValueError, KeyError, TypeError, RecursionError):
            is_record = False
        if not is_record:
            raise InputError(f"{path} line {number} is no record of a training; delete the file")
        records.append((line + b"\n", record))
    return records


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers into Python's, and those that are not finite into None."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
