"""A data set in two parts, to learn from and to measure on, with no picture in both."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minidet._check import check_whole
from minidet.datasets.dataset import Dataset
from minidet.datasets.near_duplicates import group_by_content
from minidet.errors import InputError


def split_by_content(
    dataset: Dataset, every: int = 5, *, groups: ArrayLike | None = None, progress: bool = True
) -> tuple[Dataset, Dataset]:
    """Take every so many-th photograph out for measuring, near-duplicates together.

    If a copy of a photograph was learnt from, what is measured on it says nothing about new photographs.

    Parameters
    ----------
    dataset : Dataset
    every : int
        5 holds out a fifth, rounded up; at least 2.
    groups : (N,) array-like of int, optional
        Which photographs stay together, from :func:`group_by_content`, which is called if this is left out.
    progress : bool
        Show progress bars on standard error if that is a terminal.

    Returns
    -------
    learning, held_out : Dataset
        In the order of the set. Which photographs are held out depends on their names and groups only, not on
        their order.

    Raises
    ------
    InputError
        If ``every`` is no whole number from 2 up; if a part would be empty.

    Examples
    --------
    >>> from minidet.datasets import synthetic_dataset
    >>> learning, held_out = split_by_content(synthetic_dataset(9), every=4)
    >>> len(learning), len(held_out)
    (6, 3)
    >>> held_out.source
    'every 4th of synthetic:9, by content'
    """
    check_whole("split_by_content", "every", every, least=2)
    numbers = group_by_content(dataset, progress=progress) if groups is None else np.asarray(groups)
    names = [annotation.name for annotation in dataset.annotations]
    held = choose_held_out(names, numbers, -(-len(names) // every))
    if not held.any() or held.all():
        raise InputError(
            f"{dataset.source} cannot be split: {len(names):,} photographs show "
            f"{len(np.unique(numbers)):,} different pictures; expected at least two"
        )
    return (
        dataset.part(~held, f"{dataset.source} but every {every}th, by content"),
        dataset.part(held, f"every {every}th of {dataset.source}, by content"),
    )


def choose_held_out(names: Sequence[str], groups: NDArray[np.int64], wanted: int) -> NDArray[np.bool_]:
    """Choose whole groups that have as many photographs as wanted, or a few less where groups are large.

    The groups are put in an order that is like a shuffled one but always the same: that of a checksum of the
    names in them. Each that fits in is taken. If none does, the smallest is.

    Parameters
    ----------
    names : (N,) sequence of str
    groups : (N,) int array
    wanted : int
        Photographs.

    Returns
    -------
    held_out : (N,) bool array

    Examples
    --------
    >>> choose_held_out(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], np.array([0, 1, 0, 1]), 3)
    array([False,  True, False,  True])
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups.tolist()):
        members[group].append(index)
    shuffled = sorted(members.values(), key=lambda group: _checksum(names[index] for index in group))
    held_out = np.zeros(len(names), np.bool_)
    for group in shuffled:
        if held_out.sum() + len(group) <= wanted:
            held_out[group] = True
    if not held_out.any() and len(shuffled) > 1:
        held_out[min(shuffled, key=len)] = True
    return held_out


def _checksum(names: Iterable[str]) -> str:
    text = "\n".join(sorted(names))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
