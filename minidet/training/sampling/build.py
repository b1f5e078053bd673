"""Make a set of training crops from photographs: in parallel, and resumable at any moment.

What is cut from photograph number k depends on the seed and on k alone. So it makes no difference in which
order the photographs are worked on, how many at a time, or how often the work was broken off.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from minidet._check import check_whole
from minidet.datasets import Annotation, Dataset, Sample
from minidet.errors import InputError
from minidet.evaluation import data_recipe
from minidet.evaluation.parallel import photograph_workers
from minidet.evaluation.recipe import first_difference
from minidet.training.sampling.make import make_samples
from minidet.training.sampling.proposals import Proposer
from minidet.training.sampling.samples import INPUT_SIDES, NetworkName, Samples
from minidet.training.sampling.settings import SampleSettings
from minidet.training.sampling.store import (
    MANIFEST,
    SampleStore,
    check_shards,
    read_manifest,
    shard_count,
    write_manifest,
    write_shard,
)

PHOTOGRAPHS_PER_SHARD = 64
"""So much work is lost at most when a run is broken off: some seconds."""

MOST_SHARDS = 256
"""Of a set. Each is a file held open, and a process may open about 1,000."""

logger = logging.getLogger("minidet")


def build_samples(
    datasets: Sequence[Dataset],
    network: NetworkName,
    folder: str | os.PathLike[str],
    settings: SampleSettings,
    *,
    seed: int,
    propose: Proposer | None = None,
    recipe: dict[str, Any] | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> SampleStore:
    """Cut training crops for one network out of every photograph, and keep them in a folder.

    If the folder holds a part of the same set, only the rest is made; the files are the same as if it had
    been made in one go. One process at a time may work on a folder.

    Parameters
    ----------
    datasets : sequence of Dataset
        Photographs of one that is not exhaustive give no negatives: what looks like background there may be a
        face.
    network : "pnet", "rnet" or "onet"
    folder : path
        Made if it is not there.
    settings : SampleSettings
    seed : int
    propose : Proposer, optional
        The stages before, for R-Net and O-Net; without, their squares are drawn like P-Net's.
    recipe : dict, optional
        Further plain values that identify the set, beside those this function knows of itself.
    jobs : int, optional
        Photographs at a time; by default as many as the fast backend may use threads.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    SampleStore
        The finished set. Photographs that cannot be read are named in its ``skipped``, annotations that
        cannot be used in its ``remarks``; a line of the log counts each.

    Raises
    ------
    InputError
        If the folder holds another set, no crops come out, more than half of the photographs cannot be read,
        or a proposer is not wanted.
    """
    folder = Path(folder)
    _check(datasets, network, propose, seed)
    photographs = [
        _Photograph(dataset.annotations[i], dataset, i) for dataset in datasets for i in range(len(dataset))
    ]
    whole_recipe = {
        "network": network,
        "seed": int(seed),
        "settings": asdict(settings),
        "data": {
            str(number): {**data_recipe(dataset), "exhaustive": dataset.exhaustive}
            for number, dataset in enumerate(datasets, start=1)
        },
        "proposals": propose.recipe if propose else None,
        **({"further": recipe} if recipe else {}),
    }
    manifest = _begin(
        folder, whole_recipe, network, [photograph.annotation.name for photograph in photographs]
    )
    if not manifest["finished"]:

        def make(number: int) -> _Made:
            rng = np.random.default_rng([seed, number])
            return _make(photographs[number], network, settings, rng, number, propose)

        _make_missing(folder, manifest, make, jobs, progress)
    store = SampleStore(folder)
    _tell_skipped(store)
    return store


# ---- one photograph ----


@dataclass(frozen=True)
class _Photograph:
    annotation: Annotation
    dataset: Dataset
    index: int
    """In its data set."""


@dataclass(frozen=True)
class _Made:
    samples: Samples
    skipped: str = ""
    """Why there are none; empty if there may be."""
    remark: str = ""
    """What could not be used of the annotation."""


def _make(
    photograph: _Photograph,
    network: NetworkName,
    settings: SampleSettings,
    rng: np.random.Generator,
    number: int,
    propose: Proposer | None,
) -> _Made:
    try:
        sample = photograph.dataset[photograph.index]
    except InputError as error:
        return _Made(Samples.empty(INPUT_SIDES[network]), skipped=str(error))
    samples = make_samples(
        sample,
        network,
        settings,
        rng,
        photograph=number,
        proposals=propose(sample.image) if propose else None,
        negatives=photograph.dataset.exhaustive,
    )
    return _Made(samples, remark=_remark(photograph.annotation, sample))


def _remark(annotation: Annotation, sample: Sample) -> str:
    """Tell which annotations of a photograph cannot be used, or not wholly; nothing if all can."""
    H, W = sample.image.shape[:2]
    without_area = len(annotation.boxes) - len(sample.boxes)
    start, stop = sample.boxes[:, :2], sample.boxes[:, 2:]
    outside = int(((start >= [W, H]) | (stop <= 0)).any(axis=1).sum())
    points = sample.landmarks[sample.landmark_mask]  # (faces, 5, 2)
    points_outside = int(((points < 0) | (points > [W, H])).any(axis=2).sum())
    counted = [
        f"{count} {noun}{'' if count == 1 else plural} {what}"
        for count, noun, plural, what in (
            (without_area, "box", "es", "without area"),
            (outside, "box", "es", "outside the photograph"),
            (points_outside, "landmark", "s", "outside the photograph"),
        )
        if count
    ]
    return ", ".join(counted)


# ---- the set ----


def _begin(folder: Path, recipe: dict[str, Any], network: str, names: list[str]) -> dict[str, Any]:
    """Return the manifest of the part that is there; of none if nothing is."""
    if not os.path.lexists(folder / MANIFEST):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {folder}: {error.strerror}") from None
        begun: dict[str, Any] = {
            "network": network,
            "recipe": recipe,
            "photographs": names,
            "photographs_per_shard": max(PHOTOGRAPHS_PER_SHARD, -(-len(names) // MOST_SHARDS)),
            "shards": [],
            "skipped": [],
            "remarks": [],
            "finished": False,
        }
        write_manifest(folder, begun)
        return begun
    manifest = read_manifest(folder)
    if difference := first_difference(manifest["recipe"], recipe):
        raise InputError(
            f"{folder} holds training crops of another recipe ({difference}); "
            "give another folder, or delete that one"
        )
    if not manifest["finished"]:  # otherwise opening it checks the shards
        check_shards(folder, manifest)
    return manifest


def _make_missing(
    folder: Path,
    manifest: dict[str, Any],
    make: Callable[[int], _Made],
    jobs: int | None,
    progress: bool,
) -> None:
    """Make the shards that are not there yet; the manifest on disk grows with each."""
    names, per_shard = manifest["photographs"], manifest["photographs_per_shard"]
    first = len(manifest["shards"])
    bar = tqdm(
        desc=f"crops for {manifest['network']}",
        total=len(names),
        initial=first * per_shard,
        unit="photo",
        disable=not progress,
    )
    with bar, photograph_workers(jobs) as parallel_map:
        for number in range(first, shard_count(manifest)):
            photographs = range(number * per_shard, min((number + 1) * per_shard, len(names)))
            parts = []
            for k, made in zip(photographs, parallel_map(make, photographs), strict=True):
                parts.append(made.samples)
                if made.skipped:
                    manifest["skipped"].append({"photograph": names[k], "why": made.skipped})
                if made.remark:
                    manifest["remarks"].append({"photograph": names[k], "why": made.remark})
                bar.update()
            _check_skipped(manifest)
            manifest["shards"].append(write_shard(folder, number, manifest["network"], Samples.join(parts)))
            manifest["finished"] = len(manifest["shards"]) == shard_count(manifest)
            if manifest["finished"]:
                _check_not_empty(manifest)
            write_manifest(folder, manifest)


def _check(datasets: Sequence[Dataset], network: str, propose: Proposer | None, seed: int) -> None:
    if network not in INPUT_SIDES:
        raise InputError(f"build_samples: network={network!r}; expected 'pnet', 'rnet' or 'onet'")
    check_whole("build_samples", "seed", seed, least=0)
    if not any(len(dataset) for dataset in datasets):
        sources = ", ".join(dataset.source for dataset in datasets) or "no data set"
        raise InputError(f"build_samples: no photographs ({sources}); expected at least one")
    if network == "pnet" and propose is not None:
        raise InputError("build_samples: P-Net is the first stage; expected no proposer")


def _check_skipped(manifest: dict[str, Any]) -> None:
    skipped, names = manifest["skipped"], manifest["photographs"]
    if 2 * len(skipped) > len(names):
        raise InputError(
            f"build_samples: more than half of {len(names):,} photographs cannot be used, "
            f"the first is {skipped[0]['photograph']!r}: {skipped[0]['why']}"
        )


def _check_not_empty(manifest: dict[str, Any]) -> None:
    if not any(shard["rows"] for shard in manifest["shards"]):
        raise InputError(
            f"build_samples: not one crop for {manifest['network']} in {len(manifest['photographs']):,} "
            "photographs; check that they have faces large enough for the settings"
        )


def _tell_skipped(store: SampleStore) -> None:
    for what, entries in (("left out", store.skipped), ("used in part", store.remarks)):
        if entries:
            first = entries[0]
            logger.warning(
                f"minidet: {store.folder}: {len(entries):,} of {len(store.names):,} photographs {what}, "
                f"the first is {first['photograph']} ({first['why']}); {MANIFEST} names them all"
            )
