"""``KIND:PATH``, the way in which data sets are named on the command line, becomes a data set."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from minidet.datasets.celeba import read_celeba
from minidet.datasets.coco import read_coco
from minidet.datasets.dataset import Dataset
from minidet.datasets.points import read_points
from minidet.datasets.synthetic.dataset import open_synthetic
from minidet.datasets.voc import read_voc
from minidet.datasets.widerface import read_widerface
from minidet.datasets.yolo import read_yolo
from minidet.errors import InputError

READERS: dict[str, Callable[[str], Dataset]] = {
    "widerface": read_widerface,
    "voc": read_voc,
    "coco": read_coco,
    "yolo": read_yolo,
    "points": read_points,
    "celeba": read_celeba,
}
"""By the kind that stands before the colon."""

SYNTHETIC = "synthetic"
"""The kind without a path: behind the colon stands how many pictures to draw."""


def open_dataset(source: str) -> Dataset:
    """Read the annotations that ``KIND:PATH`` names.

    Parameters
    ----------
    source : str
        Such as ``"voc:photos/"``. What stands before the first colon is one of ``READERS``; the rest is a
        path that its reader takes. Or ``"synthetic:COUNT"``, and after the count, separated by commas,
        ``seed=S``, ``size=WxH``, ``faces=A-B``, ``heights=A-B``: faces that minidet draws itself.

    Returns
    -------
    dataset : Dataset
        Its ``source`` is the text as it was given.

    Raises
    ------
    InputError
        If the kind is missing or unknown; if there is no such path; if the reader cannot use what is there;
        if the options of a synthetic set cannot be read.

    Examples
    --------
    >>> open_dataset("pascal:photos/")
    Traceback (most recent call last):
        ...
    minidet.errors.InputError: no kind of data set 'pascal'; expected KIND:PATH with a KIND of widerface, voc,
    coco, yolo, points, celeba or synthetic
    """
    if not isinstance(source, str):
        raise InputError(f"data set {source!r}; expected a text KIND:PATH")
    kind, colon, path = source.partition(":")
    if colon and kind == SYNTHETIC:
        return open_synthetic(path)
    if not colon or kind not in READERS:
        raise InputError(_without_kind(source))
    if not path:
        raise InputError(f"data set {source!r} has no path; expected one after the colon")
    path = os.path.expanduser(path)  # a shell leaves the ~ behind a colon alone
    if not os.path.exists(path):
        raise InputError(f"data set {source!r}: there is no {path!r}; check the path")
    dataset = READERS[kind](path)
    dataset.source = source
    return dataset


def _without_kind(source: str) -> str:
    """Say what is missing before the colon."""
    kinds = " or ".join(", ".join([*READERS, SYNTHETIC]).rsplit(", ", 1))
    kind, colon, _ = source.partition(":")
    if os.path.exists(source):  # a path alone, on Windows perhaps with a colon of its own
        readable = [f"{kind}:{source}" for kind in _kinds_that_read(source)]
        expected = " or ".join(readable) or f"KIND:{source}, but of {kinds} none can read it"
        return f"data set {source!r} has no kind before its path; expected {expected}"
    if colon:
        return f"no kind of data set {kind!r}; expected KIND:PATH with a KIND of {kinds}"
    return f"data set {source!r} has no colon; expected KIND:PATH with a KIND of {kinds}"


def _kinds_that_read(path: str) -> list[str]:
    """Return the kinds whose readers find photographs at ``path``."""
    kinds = []
    for kind, read in READERS.items():
        with suppress(InputError):
            if len(read(path)) > 0:
                kinds.append(kind)
    return kinds
