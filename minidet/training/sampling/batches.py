"""Minibatches of training crops in a fixed mixture of types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_whole
from minidet._typing import IntArray
from minidet.errors import InputError, is_number
from minidet.image import mtcnn_input
from minidet.training.batch import Batch
from minidet.training.objectives import MTCNNTargets, SampleType
from minidet.training.photometric import PhotometricSettings, distort_colours
from minidet.training.sampling.mirror import mirror_samples
from minidet.training.sampling.samples import Samples
from minidet.training.sampling.store import SampleStore

RATIO = (3.0, 1.0, 1.0, 2.0)
"""Negatives to positives to parts to landmark samples (Zhang et al. 2016, section III-A)."""

ORDERS_KEPT = 8
"""Shuffled orders in memory: of each of four types the one in use and the one after it."""

MANY_TIMES = 20
"""Samples shown so often per epoch are few enough to be learnt by heart, and to be told of."""

AUGMENTATION = len(SampleType)
"""Comes after the seed where chance decides on mirrors and colours; the types stand there for orders."""


class MTCNNBatches:
    """An endless row of minibatches from a set of training crops; threads may share it.

    Every batch holds the same number of samples of each type. Each type is gone through in an order of its
    own, shuffled anew whenever all its samples have been shown. So within a type all are seen equally often,
    however rare the type is.

    Parameters
    ----------
    store : SampleStore
    batch_size : int
    ratio : (negative, positive, part, landmark)
        Shares of the types in a batch, in any unit; 0 leaves a type out. A type without samples gives its
        share to the others.
    seed : int
    mirror : bool
        Mirror every sample with probability 1/2.
    photometric : PhotometricSettings, optional
        How to distort colours; by default they stay.

    Attributes
    ----------
    per_batch : dict of SampleType to int
        How many samples of each type a batch holds.

    Raises
    ------
    InputError
        If a number is out of range, or the batch is too small to hold one sample of each type.
    """

    def __init__(
        self,
        store: SampleStore,
        *,
        batch_size: int,
        ratio: Sequence[float] = RATIO,
        seed: int,
        mirror: bool = True,
        photometric: PhotometricSettings | None = None,
    ) -> None:
        check_whole("MTCNNBatches", "batch_size", batch_size, least=1)
        check_whole("MTCNNBatches", "seed", seed, least=0)
        self._store, self._seed, self._mirror, self._photometric = store, int(seed), mirror, photometric
        self.per_batch = share_out(batch_size, ratio, store.counts)
        self._missing = [
            kind for kind, share in zip(SampleType, ratio, strict=True) if share and not store.counts[kind]
        ]
        self._order = lru_cache(maxsize=ORDERS_KEPT)(self._shuffle)

    @property
    def steps_per_epoch(self) -> int:
        """In so many batches every sample is shown at least once; those of rarer types more often."""
        return max(
            -(-self._store.counts[kind] // count) for kind, count in self.per_batch.items() if count > 0
        )

    def batch(self, step: int) -> Batch[MTCNNTargets]:
        """Make batch number ``step``: a function of the store, the settings, the seed and the step.

        Parameters
        ----------
        step : int
            From 0.

        Returns
        -------
        Batch

        Raises
        ------
        InputError
            If the step is below 0.
        """
        check_whole("MTCNNBatches.batch", "step", step, least=0)
        samples = self._store.take(self.rows(step))
        rng = np.random.default_rng([self._seed, AUGMENTATION, step])
        if self._mirror:
            _mirror_some(samples, rng.random(len(samples)) < 0.5)
        crops = samples.crops
        if self._photometric:
            crops = distort_colours(crops, rng, self._photometric)
        return Batch(
            x=mtcnn_input(crops),
            targets=MTCNNTargets(samples.sample_types, samples.box_deltas, samples.landmark_deltas),
            names=[self._store.names[k] for k in samples.photographs],
        )

    def rows(self, step: int) -> IntArray:
        """Return which samples of the store are in batch number ``step``, type by type.

        Parameters
        ----------
        step : int
            From 0.

        Returns
        -------
        (batch size,) integer array
        """
        parts = []
        for kind, count in self.per_batch.items():
            if count == 0:
                continue
            positions = np.arange(step * count, (step + 1) * count)
            epochs, places = np.divmod(positions, self._store.counts[kind])
            for epoch in np.unique(
                epochs
            ):  # two where a batch spans the end of an epoch, more of a rare type
                parts.append(self._order(kind, int(epoch))[places[epochs == epoch]])
        return np.concatenate(parts)

    def describe(self) -> str:
        """Tell in one line what a batch is made of."""
        mixture = ", ".join(f"{count} {kind.name.lower()}" for kind, count in self.per_batch.items() if count)
        missing = ", ".join(kind.name.lower() for kind in self._missing)
        remark = f"; the set has no {missing} samples, the others take their share" if missing else ""
        for kind, count in self.per_batch.items():
            shown = count * self.steps_per_epoch / max(self._store.counts[kind], 1)
            if shown >= MANY_TIMES:
                kind_name = kind.name.lower()
                remark += f"; only {self._store.counts[kind]:,} {kind_name}, each shown {shown:.0f} times"
        return (
            f"batches of {sum(self.per_batch.values())} crops ({mixture}), "
            f"{self.steps_per_epoch:,} steps per epoch{remark}"
        )

    def _shuffle(self, kind: SampleType, epoch: int) -> IntArray:
        rng = np.random.default_rng([self._seed, int(kind), epoch])
        return rng.permutation(self._store.rows_of(kind))


def share_out(
    batch_size: int, ratio: Sequence[float], available: dict[SampleType, int]
) -> dict[SampleType, int]:
    """Divide a batch among the types of which there are samples.

    The shares are rounded down, and the places left over go to the largest remainders.

    Returns
    -------
    dict of SampleType to int

    Raises
    ------
    InputError
        If ``ratio`` is not four numbers from 0 up, no type is left, or one would get no place.

    Examples
    --------
    Shares of 3/7, 1/7, 1/7 and 2/7; and without landmark samples 3/5, 1/5 and 1/5:

    >>> counts = {kind: 100 for kind in SampleType}
    >>> list(share_out(448, (3, 1, 1, 2), counts).values())
    [192, 64, 64, 128]
    >>> list(share_out(448, (3, 1, 1, 2), counts | {SampleType.LANDMARK: 0}).values())
    [269, 90, 89, 0]
    """
    numbers = [float(value) for value in ratio if is_number(value) and 0 <= value < np.inf]
    if len(numbers) != len(SampleType) or len(ratio) != len(SampleType):
        raise InputError(f"MTCNNBatches: ratio={tuple(ratio)!r}; expected four numbers from 0 up")
    shares = np.array(
        [share if available[kind] else 0.0 for kind, share in zip(SampleType, numbers, strict=True)]
    )
    if shares.sum() == 0:
        there = ", ".join(f"{count:,} {kind.name.lower()}" for kind, count in available.items())
        raise InputError(f"MTCNNBatches: ratio={tuple(ratio)!r} leaves nothing of a set with {there}")
    exact = batch_size * shares / shares.sum()
    counts = np.floor(exact).astype(np.intp)
    largest = np.argsort(counts - exact, kind="stable")  # most is left over of the first; of equals the first
    counts[largest[: batch_size - counts.sum()]] += 1
    if (counts[shares > 0] == 0).any():
        raise InputError(
            f"MTCNNBatches: batch_size={batch_size} is too small for one sample of each type at the ratio "
            f"{':'.join(f'{share:g}' for share in ratio)}"
        )
    return {kind: int(count) for kind, count in zip(SampleType, counts, strict=True)}


def _mirror_some(samples: Samples, chosen: NDArray[np.bool_]) -> None:
    mirrored = mirror_samples(samples[chosen])
    for field in fields(Samples):
        getattr(samples, field.name)[chosen] = getattr(mirrored, field.name)
