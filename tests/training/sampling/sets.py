"""Small sets of training crops whose contents can be told from their row numbers."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from minidet.training.objectives import SampleType
from minidet.training.sampling.samples import INPUT_SIDES, Samples
from minidet.training.sampling.store import SampleStore, write_manifest, write_shard


def random_samples(count: int, *, network: str = "pnet", seed: int = 0, photographs: int = 10) -> Samples:
    rng = np.random.default_rng(seed)
    side = INPUT_SIDES[network]
    return Samples(
        rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8),
        rng.integers(0, 4, count, dtype=np.uint8),
        rng.random((count, 4), dtype=np.float32),
        rng.random((count, 10), dtype=np.float32),
        rng.random((count, 4), dtype=np.float32),
        np.sort(rng.integers(0, photographs, count, dtype=np.int32)),
    )


def write_set(
    folder: Path,
    samples: Samples,
    cuts: tuple[int, ...] = (),
    *,
    network: str = "pnet",
    photographs: int = 10,
) -> SampleStore:
    """Keep samples as a finished set, divided into shards before the rows ``cuts``."""
    folder.mkdir(parents=True)
    bounds = [0, *cuts, len(samples)]
    shards = [
        write_shard(folder, number, network, samples[start:stop])
        for number, (start, stop) in enumerate(pairwise(bounds))
    ]
    manifest = {
        "network": network,
        "recipe": {"seed": 0},
        "photographs": [f"{number}.jpg" for number in range(photographs)],
        "photographs_per_shard": -(-photographs // len(shards)),
        "shards": shards,
        "skipped": [],
        "remarks": [],
        "finished": True,
    }
    write_manifest(folder, manifest)
    return SampleStore(folder)


def samples_of(types: dict[SampleType, int]) -> Samples:
    """So many samples of each type, mixed; each has its own number as its first box delta."""
    kinds = np.repeat([int(kind) for kind in types], list(types.values())).astype(np.uint8)
    samples = random_samples(len(kinds))
    samples.sample_types[:] = np.random.default_rng(5).permutation(kinds)
    samples.box_deltas[:, 0] = np.arange(len(kinds))
    return samples
