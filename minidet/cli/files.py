"""Which images a command looks at, and where the pictures with the faces drawn in go."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from minidet.datasets import Dataset, bundled_portrait_path, only_named, open_dataset, read_name_list
from minidet.errors import InputError
from minidet.image.io import IMAGE_SUFFIXES

STDIN = "-"


@dataclass(frozen=True)
class InputImage:
    """One image to look at.

    Attributes
    ----------
    name : str
        Its path, or "-" for standard input.
    subfolder : Path
        Where it was below the folder the user has named; "." for a file the user has named itself.
    problem : str
        Why there is nothing to read, for a folder without images; empty for an image.
    """

    name: str
    subfolder: Path = Path()
    problem: str = ""

    @property
    def source(self) -> str | BinaryIO:
        """What :func:`minidet.read_image` takes.

        Raises
        ------
        InputError
            If there is a problem, or standard input is closed.
        """
        if self.problem:
            raise InputError(self.problem)
        if self.name != STDIN:
            return self.name
        if sys.stdin is None:
            raise InputError("standard input is closed; expected an image")
        return sys.stdin.buffer

    @property
    def stem(self) -> str:
        """The name without folder and ending."""
        return "stdin" if self.name == STDIN else Path(self.name).stem


# ---- In --------------------------------------------------------------------------------------------


def find_images(arguments: Iterable[str]) -> list[InputImage]:
    """Put the images of every folder in the folder's place.

    Parameters
    ----------
    arguments : strings
        Files, taken whatever they are called; folders; "-".

    Returns
    -------
    list of InputImage
        In the order of the arguments, within a folder in alphabetical order. A folder without images is an
        entry with a problem, and so is a subfolder that cannot be looked into; the others can still be done.
    """
    images: list[InputImage] = []
    for argument in arguments:
        if argument != STDIN and os.path.isdir(argument):
            images += _images_below(Path(argument))
        else:
            images.append(InputImage(argument))  # missing or no image: reading it will tell
    return images


def _images_below(folder: Path) -> list[InputImage]:
    paths = []
    closed: list[OSError] = []
    for parent, subfolders, files in os.walk(folder, onerror=closed.append):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]  # os.walk goes into these
        paths += [Path(parent, name) for name in files if not name.startswith(".")]
    images = [
        InputImage(str(path), subfolder=path.parent.relative_to(folder))
        for path in sorted(paths)
        if path.suffix.lower() in IMAGE_SUFFIXES and not is_annotated(path)
    ]
    problems = [f"cannot look into {error.filename!r} ({error.strerror})" for error in closed]
    if not images and not problems:
        problems = [f"no images in the folder {str(folder)!r}; expected files such as .jpg or .png"]
    return images + [InputImage(str(folder), problem=problem) for problem in problems]


def bundled_portrait() -> InputImage:
    """Return the public-domain portrait that comes with matplotlib, which is not imported for it.

    Raises
    ------
    InputError
        If this matplotlib comes without it.
    """
    try:
        return InputImage(str(bundled_portrait_path()))
    except InputError as error:
        raise InputError(f"no image given, and {error}") from None


# ---- Out -------------------------------------------------------------------------------------------

ENDING = "_faces.png"
AUTHOR = "minidet"


def open_photographs(source: str, part: slice | None = None, only: str | None = None) -> Dataset:
    """Open a data set, or a part of it, that has photographs.

    Parameters
    ----------
    source : str
        KIND:PATH.
    part : slice, optional
        Of those that are left by ``only``.
    only : path, optional
        A file that names photographs, one per line.

    Raises
    ------
    InputError
        If it cannot be read or has none; if the file names others.
    """
    dataset = open_dataset(source)
    if only is not None:
        dataset = only_named(dataset, read_name_list(only, [dataset]), f"{dataset.source}[{only}]")
    if part is not None:
        dataset = dataset[part]
    if not len(dataset):
        raise InputError(f"{dataset.source} has no photographs")
    return dataset


def make_writable(folder: Path) -> None:
    """Make ``folder`` if it does not exist, and try to write in it.

    Raises
    ------
    InputError
        If one of the two fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write into {str(folder)!r} ({error.strerror}); expected a folder you may write to"
        ) from error


def output_paths(images: Sequence[InputImage], folder: Path) -> list[Path]:
    """Choose for every image the file its picture goes to: ``<stem>_faces.png``, in its subfolder.

    No two images share a file, and no file is overwritten that is an input, or that an earlier run of
    minidet has not written; then it is ``<stem>_2_faces.png``, and so on.
    """
    taken = {_identity(Path(image.name)) for image in images}
    paths = []
    for image in images:
        for number in itertools.count(1):
            stem = image.stem if number == 1 else f"{image.stem}_{number}"
            path = folder / image.subfolder / f"{stem}{ENDING}"
            somebody_elses = os.path.lexists(path) and not is_annotated(path)
            if _identity(path) not in taken and not somebody_elses:
                break
        taken.add(_identity(path))
        paths.append(path)
    return paths


def _identity(path: Path) -> str:
    # On some systems A_faces.png and a_faces.png are one file.
    return os.path.realpath(path).casefold()


def save_annotated(picture: Image.Image, path: Path) -> None:
    """Write a picture as PNG, with a note of who made it, which :func:`is_annotated` finds."""
    note = PngInfo()
    note.add_text("Software", AUTHOR)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, pnginfo=note, compress_level=1)  # twice as fast, a few per cent larger


def is_annotated(path: Path) -> bool:
    """Tell whether ``path`` was written by :func:`save_annotated`."""
    if not path.name.endswith(ENDING):
        return False
    try:
        with path.open("rb") as file:
            # A PNG begins with its size; the next chunk is the note: type, keyword, a zero byte, text.
            return f"tEXtSoftware\0{AUTHOR}".encode() in file.read(100)
    except OSError:
        return False
