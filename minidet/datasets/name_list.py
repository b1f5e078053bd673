"""A text file that names photographs, one per line: which ones to measure on, for instance."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from minidet.datasets._files import read_lines, write_text
from minidet.datasets.dataset import Dataset
from minidet.errors import InputError

SHOWN = 3
"""So many names at most stand in a message."""


def write_name_list(path: str | os.PathLike[str], names: Iterable[str]) -> None:
    """Write names of photographs, one per line; the file is there whole or not at all.

    Parameters
    ----------
    path : str or path
    names : iterable of str

    Raises
    ------
    InputError
        If the file cannot be written; if a name is no line of text, with a line break or blanks at its ends.
    """
    names = list(names)
    for name in names:
        if not _can_be_line(name):
            raise InputError(f"{name!r} cannot be a line of {os.fspath(path)}; rename that photograph")
    write_text(Path(path), "".join(f"{name}\n" for name in names))


def read_name_list(path: str | os.PathLike[str], datasets: Sequence[Dataset]) -> list[str]:
    """Read names of photographs, one per line, that data sets hold.

    Parameters
    ----------
    path : path
        A text file; empty lines do not count.
    datasets : sequence of Dataset
        In one of them each name has to occur.

    Returns
    -------
    names : list of str
        As in the file.

    Raises
    ------
    InputError
        If the file cannot be read or has no names; if names are unknown, with their number and the first few.
    """
    names = [name for _, name in read_lines(Path(path))]
    if not names:
        raise InputError(f"{os.fspath(path)} names no photographs; expected one name per line")
    known = {annotation.name for dataset in datasets for annotation in dataset.annotations}
    unknown = [name for name in names if name not in known]
    if unknown:
        more = ", ..." if len(unknown) > SHOWN else ""
        sources = " and ".join(dataset.source for dataset in datasets)
        raise InputError(
            f"{os.fspath(path)}: {len(unknown):,} of {len(names):,} names are not in {sources}: "
            f"{', '.join(map(repr, unknown[:SHOWN]))}{more}"
        )
    return names


def only_named(dataset: Dataset, names: Collection[str], source: str) -> Dataset:
    """Return the photographs of a data set that have one of these names, in the order of the set.

    Parameters
    ----------
    dataset : Dataset
    names : collection of str
    source : str
        What the part is called.

    Returns
    -------
    Dataset

    Examples
    --------
    >>> from minidet.datasets import synthetic_dataset
    >>> part = only_named(synthetic_dataset(9), ["synthetic/000007.png", "synthetic/000002.png"], "two of 9")
    >>> [annotation.name for annotation in part.annotations]
    ['synthetic/000002.png', 'synthetic/000007.png']
    """
    wanted = set(names)
    return dataset.part([annotation.name in wanted for annotation in dataset.annotations], source)


def _can_be_line(name: str) -> bool:
    try:
        name.encode()  # on Linux a file may be called what is no text
    except UnicodeEncodeError:
        return False
    return name == name.strip() != "" and not set(name) & set("\n\r\0")
