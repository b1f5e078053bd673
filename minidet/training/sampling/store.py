"""A set of training crops on disk, written shard by shard and read in any order.

::

    folder/
      |- manifest.json     the recipe, the names of the photographs, and per shard: rows, counts, checksum
      |- shard_00000.npy   one record per crop, of the first photographs
      `- ...

A shard is a NumPy file of records whose fields are those of :class:`Samples`, so that a crop lies next to its
labels. The files are mapped into memory: what a batch does not ask for is not read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from minidet._typing import IntArray
from minidet._whole_file import write_whole
from minidet.datasets._files import read_json
from minidet.errors import InputError, one_line
from minidet.training.objectives import SampleType
from minidet.training.sampling.samples import INPUT_SIDES, NetworkName, Samples

MANIFEST = "manifest.json"

FORMAT_VERSION = 1

READERS = 4
"""Shards that are checked at a time when a set is opened."""


class SampleStore:
    """A finished set of training crops; threads may share it.

    Opening it reads every shard once and compares its checksum, which takes about a second per gigabyte.

    Parameters
    ----------
    folder : path
        What :func:`minidet.training.sampling.build_samples` has made.

    Attributes
    ----------
    folder : Path
    network : "pnet", "rnet" or "onet"
        For whom the crops are.
    recipe : dict
        All that decides what is in the set.
    names : list of str
        Of the photographs; ``Samples.photographs`` counts in this list.
    counts : dict of SampleType to int
    skipped : list of {"photograph": str, "why": str}
        Photographs that gave no crops because they could not be used.
    remarks : list of {"photograph": str, "why": str}
        Photographs that were used although some of their annotations could not.
    sha256 : str
        Checksum of the manifest. It holds those of the shards, so equal ones mean equal sets.

    Raises
    ------
    InputError
        If there is no finished set, or one of its files is missing, cut, altered or from another set.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        manifest = read_manifest(self.folder)
        if not manifest["finished"]:
            raise InputError(
                f"{self.folder} is not finished: {len(manifest['shards'])} of {shard_count(manifest)} shards "
                "are there; build the set again with the same settings, and it goes on where it stopped"
            )
        self.network: NetworkName = manifest["network"]
        self.recipe: dict[str, Any] = manifest["recipe"]
        self.names: list[str] = manifest["photographs"]
        self.skipped: list[dict[str, str]] = manifest["skipped"]
        self.remarks: list[dict[str, str]] = manifest["remarks"]
        self.sha256 = hashlib.sha256(_json_bytes(manifest)).hexdigest()

        check_shards(self.folder, manifest)
        record = record_type(self.network)
        self._shards = [
            _map_records(self.folder / shard["file"], shard["rows"], record) for shard in manifest["shards"]
        ]
        self._ends = np.cumsum([len(shard) for shard in self._shards])
        self._record = record
        types = np.concatenate([shard["sample_types"] for shard in self._shards])
        self._rows = {kind: np.flatnonzero(types == kind) for kind in SampleType}
        self.counts = {kind: len(rows) for kind, rows in self._rows.items()}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def rows_of(self, sample_type: SampleType) -> IntArray:
        """Return the numbers of the crops of one type, rising.

        Parameters
        ----------
        sample_type : SampleType

        Returns
        -------
        (M,) integer array
        """
        return self._rows[sample_type]

    def take(self, rows: IntArray) -> Samples:
        """Read crops by their numbers, in the order given.

        Parameters
        ----------
        rows : (M,) integer array
            From 0 to ``len(store) - 1``; a number may come more than once.

        Returns
        -------
        Samples
            Copies: they may be changed.

        Raises
        ------
        InputError
            If there is no crop of such a number.
        """
        rows = np.asarray(rows, np.intp)
        outside = (rows < 0) | (rows >= len(self))
        if outside.any():
            raise InputError(
                f"SampleStore.take: row {rows[outside][0]}; expected 0 to {len(self) - 1} ({self.folder})"
            )
        records = np.empty(len(rows), self._record)
        shards = np.searchsorted(self._ends, rows, side="right")  # (M,)
        for number in np.unique(shards):
            here = np.flatnonzero(shards == number)
            shard = self._shards[number]
            records[here] = shard[rows[here] - (self._ends[number] - len(shard))]
        return Samples(*(np.ascontiguousarray(records[field.name]) for field in fields(Samples)))

    def describe(self) -> str:
        """Tell in one line what is in the set."""
        kinds = ", ".join(f"{count:,} {kind.name.lower()}" for kind, count in self.counts.items())
        return f"{len(self):,} crops for {self.network} of {len(self.names):,} photographs: {kinds}"


# ---- the manifest ----


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a set, finished or not.

    Raises
    ------
    InputError
        If there is none, or it is not what :func:`write_manifest` wrote.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} holds no set of training crops: there is no {MANIFEST} in it")
    manifest = read_json(path)
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise InputError(f"{path} is no manifest of training crops")
    if manifest["format"] != FORMAT_VERSION:
        raise InputError(
            f"{path} has format {manifest['format']!r}; this version of minidet reads {FORMAT_VERSION}"
        )
    if manifest.get("sha256") != _own_checksum(manifest):
        raise InputError(f"{path} does not match its own checksum; it was altered, build the set again")
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest, with its own checksum in it; an older one stays whole until the new one is."""
    manifest = manifest | {"format": FORMAT_VERSION}
    manifest["sha256"] = _own_checksum(manifest)
    _write(folder / MANIFEST, lambda file: file.write(_json_bytes(manifest)))


def shard_count(manifest: Mapping[str, Any]) -> int:
    """Return how many shards the finished set has."""
    return -(-len(manifest["photographs"]) // manifest["photographs_per_shard"])


def _own_checksum(manifest: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(_json_bytes(rest)).hexdigest()


def _json_bytes(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, sort_keys=True) + "\n").encode()


# ---- shards ----


def record_type(network: NetworkName) -> np.dtype[Any]:
    """Return the type of the record of one crop; byte order and all, so that files are the same everywhere.

    Examples
    --------
    432 pixels, a type, 4 + 10 + 4 numbers and the photograph:

    >>> record_type("pnet").itemsize
    509
    """
    side = INPUT_SIDES[network]
    return np.dtype(
        [
            ("crops", "u1", (side, side, 3)),
            ("sample_types", "u1"),
            ("box_deltas", "<f4", (4,)),
            ("landmark_deltas", "<f4", (10,)),
            ("windows", "<f4", (4,)),
            ("photographs", "<i4"),
        ]
    )


def write_shard(folder: Path, number: int, network: NetworkName, samples: Samples) -> dict[str, Any]:
    """Write one shard, and return what the manifest says of it."""
    records = np.empty(len(samples), record_type(network))
    for field in fields(Samples):
        records[field.name] = getattr(samples, field.name)
    path = folder / f"shard_{number:05d}.npy"
    _write(path, lambda file: np.lib.format.write_array(file, records, allow_pickle=False))
    counts = {kind.name.lower(): int((samples.sample_types == kind).sum()) for kind in SampleType}
    return {
        "file": path.name,
        "rows": len(samples),
        "counts": counts,
        "bytes": path.stat().st_size,
        "sha256": file_checksum(path),
    }


def check_shards(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Compare every shard that the manifest names with what it says: there, whole, and the same bytes.

    Raises
    ------
    InputError
        Naming the first shard that is not.
    """

    def check(shard: Mapping[str, Any]) -> None:
        path = folder / shard["file"]
        if not path.is_file():
            raise InputError(f"{path} is missing; delete the folder and build the set again")
        size = path.stat().st_size
        if size != shard["bytes"]:
            raise InputError(
                f"{path} is {size:,} bytes long; expected {shard['bytes']:,}. It was cut or belongs to "
                "another set: delete the folder and build the set again"
            )
        if file_checksum(path) != shard["sha256"]:
            raise InputError(
                f"{path} does not match its checksum. It was altered or belongs to another set: delete the "
                "folder and build the set again"
            )

    with ThreadPoolExecutor(READERS) as pool:
        for _ in pool.map(check, manifest["shards"]):
            pass


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {one_line(error)}") from None


def _map_records(path: Path, rows: int, record: np.dtype[Any]) -> NDArray[Any]:
    records = np.load(path, mmap_mode="r", allow_pickle=False)
    if records.dtype != record or records.shape != (rows,):
        raise InputError(f"{path} holds other records than the manifest says; build the set again")
    # A plain view of the mapped bytes: indexing is faster than through np.memmap.
    return np.asarray(records)


def _write(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    try:
        write_whole(path, write)
    except OSError as error:
        raise InputError(f"cannot write {path}: {one_line(error)}") from None
