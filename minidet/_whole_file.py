"""Files that are there whole or not at all, whenever the process is killed or the power fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

DRAFT = ".{}.draft"
"""Name of a file that is being written; one left by a process that was killed is overwritten by the next."""


def write_whole(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file such that under its name there is only ever a whole one; it is on the disk on return.

    Parameters
    ----------
    path : Path
    write : callable
        Is given the open file, and writes into it.

    Raises
    ------
    OSError
        If it cannot be written; what was under the name before is still there.
    """
    draft = path.with_name(DRAFT.format(path.name))  # beside it: a rename cannot cross disks
    try:
        with draft.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # or else the name could reach the disk before the bytes
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):  # Windows has no such thing
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
