"""What the readers and writers of data sets share: text files, numbers in them, and where photographs lie."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping, Set
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from minidet._whole_file import write_whole
from minidet.errors import InputError, one_line
from minidet.image.io import IMAGE_SUFFIXES, open_quietly

LARGEST = 1e12
"""Of a number in a file: no coordinate, and no area, overflows float32 then."""

ORIENTATION_TAG = 0x0112
WIDTH_TAG, HEIGHT_TAG = 256, 257  # of a TIFF


# ---- text ----


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without a byte order mark; every kind of line end becomes one.

    Raises
    ------
    InputError
        If the file is missing, a folder, or not text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8") from None
    except OSError as error:
        raise _cannot("read", path, error) from None
    if "\0" in text:  # no path may hold one either
        raise InputError(f"{path} is not a text file: it holds a zero byte")
    return text


def read_json(path: Path) -> Any:
    """Read a json file.

    Raises
    ------
    InputError
        If the file is missing, a folder, not json, or cut short.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} line {error.lineno}: not json, or cut short ({error.msg})") from None
    except RecursionError:
        raise InputError(f"{path}: lists within lists without end") from None
    except ValueError:  # Python refuses to convert it
        raise InputError(f"{path}: holds a number of thousands of digits") from None


def read_bytes(path: Path) -> bytes:
    """Read a file whole.

    Raises
    ------
    InputError
        If the file is missing or a folder.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise _cannot("read", path, error) from None


def read_lines(path: Path) -> list[tuple[str, str]]:
    """Read the lines of a text file that are not blank.

    Returns
    -------
    lines : list of (where, line)
        ``where`` is "FILE line N", counted from 1, for messages; ``line`` has no space at its ends.

    Raises
    ------
    InputError
        If the file is missing, a folder, or not text.
    """
    stripped = [line.strip() for line in read_text(path).split("\n")]
    return [(f"{path} line {number}", line) for number, line in enumerate(stripped, 1) if line]


def can_be_path(text: str) -> bool:
    r"""Tell whether a file could be called so; a json may hold "\u0000" or half a letter."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def is_numeral(text: str) -> bool:
    """Tell whether text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def parse_number(text: str, where: str, what: str) -> float:
    """Turn text into a number.

    Parameters
    ----------
    text : str
    where, what : str
        For the message: "FILE line N", and the name of the number, such as "xmin".

    Raises
    ------
    InputError
        If it is no number, NaN, or beyond a million millions.

    Examples
    --------
    >>> parse_number("12.5", "a.txt line 3", "x1")
    12.5
    >>> parse_number("12,5", "a.txt line 3", "x1")
    Traceback (most recent call last):
        ...
    minidet.errors.InputError: a.txt line 3: x1 is '12,5'; expected a number
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:
        raise InputError(f"{where}: {what} is {text!r}; expected a number")
    return value


def parse_whole(text: str, where: str, what: str) -> int:
    """Turn text into a whole number; "3" and "3.0" are both 3.

    Raises
    ------
    InputError
        If it is none.
    """
    value = parse_number(text, where, what)
    if not value.is_integer():
        raise InputError(f"{where}: {what} is {text!r}; expected a whole number")
    return int(value)


def check_number(value: object, where: str, what: str) -> float:
    """Require a number where a file, such as a json, may hold anything.

    Raises
    ------
    InputError
        If it is text, None, true, a list, NaN, or beyond a million millions.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST:
        raise InputError(f"{where}: {what} is {value!r}; expected a number")
    return float(value)


def stated_size(record: Mapping[str, Any], where: str) -> tuple[int, int] | None:
    """Return the "width" and "height" of an entry of a json, None if it does not tell them.

    Raises
    ------
    InputError
        If they are no whole numbers from 1 up.
    """
    if record.get("width") is None or record.get("height") is None:
        return None
    width, height = (check_number(record[side], where, side) for side in ("width", "height"))
    if min(width, height) < 1 or width % 1 or height % 1:
        raise InputError(f"{where}: its size is {width:g} x {height:g}; expected whole numbers from 1 up")
    return int(width), int(height)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file and the folders it needs. An older file stays whole until the new one is.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    if not path.name:  # "." or "/"
        raise InputError(f"{path} is a folder; expected a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: file.write(text.encode()))
    except OSError as error:
        raise _cannot("write", path, error) from None


# ---- photographs ----


def image_size(path: Path) -> tuple[int, int]:
    """Tell the (width, height) in pixels of a photograph, upright as :func:`minidet.read_image` turns it.

    Only the header is read, unless a PNG holds metadata: they may come after the pixels.

    Raises
    ------
    InputError
        If the file is missing or not a picture.
    """
    try:
        with open(path, "rb") as file, open_quietly(file) as image:
            width, height = image.size
            if image.format == "TIFF":  # only new versions of Pillow have turned `image.size` already
                width, height = image.tag_v2[WIDTH_TAG], image.tag_v2[HEIGHT_TAG]  # type: ignore[attr-defined]
            on_its_side = _orientation(image, file) in (5, 6, 7, 8)
    except UnidentifiedImageError:
        raise InputError(f"{path} is not a picture") from None
    except OSError as error:
        raise _cannot("read", path, error) from None
    except Exception as error:  # on a broken header Pillow raises whatever it runs into
        raise InputError(f"{path} cannot be read as a picture: {one_line(error)}") from None
    return (height, width) if on_its_side else (width, height)


def _orientation(image: Image.Image, file: BinaryIO) -> object:
    # Pillow decodes a whole PNG to look for metadata behind the pixels; most have none.
    if image.format == "PNG" and not _png_has_metadata(file):
        return 1
    try:
        return image.getexif().get(ORIENTATION_TAG)
    except Exception:  # the block is garbage: no orientation, as in read_image
        return 1


def _png_has_metadata(file: BinaryIO) -> bool:
    """Walk the chunks: 4 bytes length, 4 bytes kind, the data, 4 bytes checksum."""
    position = file.tell()
    file.seek(8)  # the signature
    found = False
    while not found and len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        found = kind in (b"eXIf", b"iTXt", b"tEXt", b"zTXt")
        file.seek(length + 4, os.SEEK_CUR)
    file.seek(position)
    return found


class FileIndex:
    """The files of some kinds in a folder and its subfolders, listed once; none if there is no such folder.

    Attributes
    ----------
    folder : Path
    names : list of str
        Paths below the folder with forward slashes, in plain sorted order. Hidden files are left out.
    """

    def __init__(self, folder: Path, suffixes: Set[str] = IMAGE_SUFFIXES) -> None:
        self.folder = folder
        self.names = list_files(folder, suffixes) if folder.is_dir() else []
        backwards = self.names[::-1]  # so that of several the first stays
        self._names = {name.casefold(): name for name in backwards} | {name: name for name in self.names}
        stems = {without_suffix(name): name for name in backwards}
        self._stems = {stem.casefold(): name for stem, name in stems.items()} | stems

    def find(self, name: str) -> str | None:
        """Give the name under which a file is there: this very name, or else one with other capitals."""
        return self._names.get(name) or self._names.get(name.casefold())

    def find_stem(self, stem: str) -> str | None:
        """Find a file without knowing its ending: "train/a" finds train/a.jpg or train/a.PNG."""
        return self._stems.get(stem) or self._stems.get(stem.casefold())


def list_files(folder: Path, suffixes: Set[str]) -> list[str]:
    """List the files in a folder and its subfolders by their endings, whatever their capitals.

    Returns
    -------
    names : list of str
        Paths below the folder with forward slashes, in plain sorted order. Hidden files are left out.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    check_folder(folder)
    return sorted(
        path.relative_to(folder).as_posix() for path in _walk(folder) if path.suffix.lower() in suffixes
    )


def _walk(folder: Path) -> Iterator[Path]:
    for place, subfolders, files in os.walk(folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        yield from (Path(place, name) for name in files if not name.startswith("."))


def subfolder(folder: Path, *names: str) -> Path | None:
    """Find the first of these subfolders, whatever its capitals; None if there is none."""
    there = {path.name.casefold(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((there[name.casefold()] for name in names if name.casefold() in there), None)


def check_folder(folder: Path) -> None:
    """Require a folder.

    Raises
    ------
    InputError
        If there is nothing, or a file.
    """
    if not os.path.isdir(folder):  # Path.is_dir raises where a name is too long
        there = os.path.exists(folder)
        problem = "is a file; expected a folder" if there else "does not exist; check the path"
        raise InputError(f"{folder} {problem}")


def without_suffix(name: str) -> str:
    """Cut the ending off a path in text.

    Examples
    --------
    >>> without_suffix("train/a.b.jpg")
    'train/a.b'
    """
    return PurePosixPath(name).with_suffix("").as_posix()


def relative_name(text: str) -> str:
    r"""Turn a path that a file states into a name: forward slashes, and nothing that leads out of a folder.

    Examples
    --------
    >>> relative_name("train\\a.jpg"), relative_name("C:/data/a.jpg"), relative_name("../b/./a.jpg")
    ('train/a.jpg', 'data/a.jpg', 'b/a.jpg')
    """
    path = PureWindowsPath(text)  # which takes both kinds of slashes, and knows drives
    parts = path.parts[1:] if path.anchor else path.parts
    return "/".join(part for part in parts if part != "..")


def _cannot(verb: str, path: Path, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError) and verb == "read":
        return InputError(f"{path} does not exist; check the path")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path} is a folder; expected a file")
    return InputError(f"cannot {verb} {path}: {one_line(error)}")
