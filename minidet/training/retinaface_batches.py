"""Minibatches for RetinaFace: photographs in a shuffled order, each seen differently every time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from minidet import fast
from minidet._check import check_whole
from minidet._typing import FloatArray, IntArray
from minidet.boxes import MatchThresholds, generate_anchors, iou, match_anchors
from minidet.datasets import Annotation, Dataset, Sample, load_sample
from minidet.datasets._files import image_size
from minidet.errors import InputError
from minidet.fast.boxes.matching import match_anchors as fast_match_anchors
from minidet.image import retinaface_input
from minidet.training.augment import AugmentSettings, augment
from minidet.training.batch import Batch
from minidet.training.objectives import RetinaFaceTargets, retinaface_targets

logger = logging.getLogger("minidet")

CACHE_BYTES = 1 << 30
"""A small set is decoded, or drawn, once; of a large one as much as fits is kept."""

NAMED = 5
"""So many photographs are named in a message; the others are counted."""


class RetinaFaceBatches:
    """An endless row of minibatches of photographs; threads may share it.

    All photographs are shown once, then all again in another order. Batch number k and every change to its
    images depend on the seed and on k alone.

    Parameters
    ----------
    datasets : sequence of Dataset
        Faces without landmarks teach their box only; photographs without faces teach background; nothing is
        learnt of ignored faces.
    batch_size : int
    settings : AugmentSettings
    thresholds : MatchThresholds
        Which anchors are positive and negative.
    seed : int

    Attributes
    ----------
    annotations : list of Annotation
        Of the photographs that can be used.
    skipped : dict of str to str
        Photographs that cannot be used, by name, with the reason. Most are found at the beginning, when every
        file is opened; one that is damaged further on is found when its pixels are read, and the next one
        takes its place.

    Raises
    ------
    InputError
        If there is no photograph to learn from, or none of them has a face.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        *,
        batch_size: int,
        settings: AugmentSettings,
        thresholds: MatchThresholds,
        seed: int,
    ) -> None:
        check_whole("RetinaFaceBatches", "batch_size", batch_size, least=1)
        check_whole("RetinaFaceBatches", "seed", seed, least=0)
        self.batch_size, self.settings, self.thresholds, self.seed = (
            batch_size,
            settings,
            thresholds,
            int(seed),
        )
        self.skipped: dict[str, str] = {}
        self._lock = threading.Lock()
        self._cache: dict[int, Sample] = {}
        self._cached_bytes = 0
        self.annotations = [
            annotation
            for dataset in datasets
            for annotation in dataset.annotations
            if self._opens(annotation)
        ]
        self._report()
        source = ", ".join(dataset.source for dataset in datasets)
        if not self.annotations:
            raise InputError(f"{source}: no photograph to learn from{self._first_reason()}")
        if not any((~one.usable().ignore).any() for one in self.annotations):
            raise InputError(f"{source}: {len(self.annotations)} photographs without a face to learn")
        self.anchors = generate_anchors(settings.size, settings.size)  # (A, 4)
        self._order = lru_cache(maxsize=2)(self._shuffle)

    @property
    def steps_per_epoch(self) -> int:
        """In so many batches every photograph is shown at least once."""
        return -(-len(self.annotations) // self.batch_size)

    def batch(self, step: int) -> Batch[RetinaFaceTargets]:
        """Make batch number ``step``.

        Raises
        ------
        InputError
            If the step is below 0, or no photograph can be read any more.
        """
        check_whole("RetinaFaceBatches.batch", "step", step, least=0)
        samples = [self._image(step * self.batch_size + place) for place in range(self.batch_size)]
        learnt = [~sample.ignore for sample in samples]
        targets = retinaface_targets(
            self.anchors,
            [sample.boxes[faces] for sample, faces in zip(samples, learnt, strict=True)],
            [sample.landmarks[faces] for sample, faces in zip(samples, learnt, strict=True)],
            [sample.landmark_mask[faces] for sample, faces in zip(samples, learnt, strict=True)],
            self.thresholds,
            matcher=fast_match_anchors if fast.is_available() else match_anchors,
        )
        negative = targets.negative.copy()
        for row, sample in zip(negative, samples, strict=True):
            row &= ~touches(self.anchors, sample.boxes[sample.ignore], self.thresholds.negative)
        x = np.concatenate([retinaface_input(sample.image) for sample in samples])  # (N, 3, size, size)
        return Batch(x, targets._replace(negative=negative), [sample.name for sample in samples])

    def _image(self, position: int) -> Sample:
        """Return image number ``position`` of the row of all, counted from the first batch on."""
        rng = np.random.default_rng([self.seed, 1, position])
        for further in range(len(self.annotations)):
            epoch, place = divmod(position + further, len(self.annotations))
            number = int(self._order(epoch)[place])
            try:
                return augment(self._sample(number), self.settings, rng)
            except InputError as error:
                self._skip(self.annotations[number], error)
        raise InputError(f"no photograph can be read{self._first_reason()}")

    def _sample(self, number: int) -> Sample:
        """Return photograph ``number`` with its pixels, from memory if it is there."""
        if number in self._cache:
            return self._cache[number]
        sample = load_sample(self.annotations[number])
        with self._lock:
            if self._cached_bytes + sample.image.nbytes <= CACHE_BYTES and number not in self._cache:
                self._cache[number] = sample
                self._cached_bytes += sample.image.nbytes
        return sample

    def _shuffle(self, epoch: int) -> IntArray:
        return np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.annotations))

    def _opens(self, annotation: Annotation) -> bool:
        if not annotation.on_disk:
            return True
        try:
            image_size(annotation.path)
        except (InputError, OSError) as error:
            self.skipped[annotation.name] = " ".join(str(error).split())
            return False
        return True

    def _skip(self, annotation: Annotation, error: InputError) -> None:
        with self._lock:
            new = annotation.name not in self.skipped
            self.skipped[annotation.name] = str(error)
        if new:
            logger.warning(
                "%s cannot be used: %s; the next photograph takes its place", annotation.name, error
            )

    def _report(self) -> None:
        """Say what of the data cannot be used: each kind on one line, counted, the first few named."""
        without_area = [one.name for one in self.annotations if len(one.usable().boxes) < len(one.boxes)]
        for names, what in (
            (list(self.skipped), "cannot be read and are left out"),
            (without_area, "have boxes without area, which are left out"),
        ):
            if names:
                more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
                logger.warning("%d photographs %s: %s%s", len(names), what, ", ".join(names[:NAMED]), more)

    def _first_reason(self) -> str:
        name, reason = next(iter(self.skipped.items()), ("", ""))
        return f" ({len(self.skipped)} cannot be read, first {name}: {reason})" if name else ""


def touches(anchors: FloatArray, regions: FloatArray, threshold: float) -> NDArray[np.bool_]:
    """Tell which anchors (A, 4) overlap a region (R, 4) by ``threshold``, or have their centre in one.

    Examples
    --------
    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]], np.float32)
    >>> touches(anchors, np.array([[4.0, 4.0, 8.0, 8.0]], np.float32), 0.3)
    array([ True, False])
    """
    if not len(regions):
        return np.zeros(len(anchors), np.bool_)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    inside = (centres[:, None] >= regions[None, :, :2]) & (centres[:, None] < regions[None, :, 2:])
    overlap = iou(anchors, regions.astype(anchors.dtype)) >= threshold  # (A, R)
    return np.asarray((inside.all(axis=2) | overlap).any(axis=1))
