"""The file format of minidet's weights: a NumPy ``.npz`` without pickles, with a header and a checksum.

::

    mtcnn.npz (zip)
      |- __header__.npy         a JSON text: format version, architecture, checksum
      |- pnet.conv1.weight.npy  one array per name of the state dict
      `- ...
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._whole_file import write_whole
from minidet.errors import InputError

FORMAT_VERSION = 1
HEADER = "__header__"


def save_npz(path: str | os.PathLike[str], state: Mapping[str, NDArray[Any]], *, architecture: str) -> None:
    """Write a state dict; under the name there is the old file or the new one, never half of one.

    Parameters
    ----------
    path : path
        Ends in ``.npz``.
    state : mapping of name to array
    architecture : str
        Which network the arrays are for, such as "mtcnn"; loading them into another is refused.

    Raises
    ------
    InputError
        If the name has another ending.
    """
    if Path(path).suffix != ".npz":
        raise InputError(f"weights are written as .npz files; {os.fspath(path)!r} ends differently")
    header = {"format": FORMAT_VERSION, "architecture": architecture, "sha256": checksum(state)}
    arrays: dict[str, Any] = {HEADER: np.array(json.dumps(header)), **state}
    write_whole(Path(path), lambda file: np.savez(file, **arrays))


def load_npz(path: str | os.PathLike[str]) -> tuple[str, dict[str, NDArray[Any]]]:
    """Read what :func:`save_npz` has written.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    architecture : str
    state : dict of name to array

    Raises
    ------
    InputError
        If the file is missing, is not such a file, is of a newer format, or does not match its checksum.
    """
    try:
        # Opened here, since NumPy leaves a file open that turns out to be damaged.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(str(arrays.pop(HEADER)))
        version, architecture, expected = header["format"], header["architecture"], header["sha256"]
    except FileNotFoundError:
        raise InputError(f"weights: no such file: {os.fspath(path)}") from None
    except IsADirectoryError:
        raise InputError(f"weights: {os.fspath(path)} is a folder; expected a .npz file") from None
    except PermissionError:
        raise InputError(f"weights: {os.fspath(path)} may not be read; check its permissions") from None
    except Exception:  # on damage NumPy, zipfile, zlib, tokenize and json raise whatever they run into
        raise InputError(f"weights: {os.fspath(path)} is not a minidet weight file, or is damaged") from None
    if version != FORMAT_VERSION:
        raise InputError(
            f"weights: {os.fspath(path)} has format {version}; this version of minidet reads {FORMAT_VERSION}"
        )
    if checksum(arrays) != expected:
        raise InputError(f"weights: {os.fspath(path)} does not match its checksum; it is damaged")
    return architecture, arrays


def checksum(state: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of names, types, shapes and values, in the order of the names.

    It is about the numbers, not the file: packing the same arrays again gives the same checksum.

    Parameters
    ----------
    state : mapping of name to array

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
