"""Minibatches for RetinaFace: photographs in a shuffled order, each seen differently every time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from minidet import fast
from minidet._check import check_whole
from minidet._typing import IntArray
from minidet.boxes import (
    REFERENCE_ANCHORS,
    AnchorSettings,
    MatchThresholds,
    corners_to_centre,
    match_anchors,
)
from minidet.datasets import Annotation, Dataset, Sample, load_sample
from minidet.datasets._files import image_size
from minidet.errors import InputError, one_line
from minidet.fast.boxes.matching import match_anchors as fast_match_anchors
from minidet.image import retinaface_input
from minidet.training.augment import AugmentSettings, augment
from minidet.training.batch import Batch
from minidet.training.objectives import RetinaFaceTargets, retinaface_targets
from minidet.training.objectives.retinaface_targets import Faces, away_from

logger = logging.getLogger("minidet")

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
    anchors : AnchorSettings
        Those that the network answers for.
    with_faces : bool
        Whether the targets have ``faces``, which a cascade needs.
    cache_bytes : int
        Photographs are kept in memory, decoded or drawn, up to so many bytes: a small set is read once.

    Attributes
    ----------
    annotations : list of Annotation
        Of the photographs that can be used.
    anchors : (A, 4) float32 array
        Of an image of ``settings.size``.
    skipped : dict of str to str
        Photographs that cannot be used, by path, with the reason. Most are found at the beginning, when every
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
        anchors: AnchorSettings = REFERENCE_ANCHORS,
        with_faces: bool = False,
        cache_bytes: int = 1 << 30,
    ) -> None:
        check_whole("RetinaFaceBatches", "batch_size", batch_size, least=1)
        check_whole("RetinaFaceBatches", "seed", seed, least=0)
        check_whole("RetinaFaceBatches", "cache_bytes", cache_bytes, least=0)
        self.batch_size, self.seed = batch_size, int(seed)
        self.settings, self.thresholds = settings, thresholds
        self.with_faces = with_faces
        self.annotations: list[Annotation] = []
        self._usable: list[Annotation] = []  # the same without boxes that have no area
        self.skipped: dict[str, str] = {}
        self._lock = threading.Lock()
        self._cache: dict[int, Sample] = {}
        self._cache_bytes_left = cache_bytes
        self._problems: dict[str, list[str]] = {}  # photographs by what is wrong with them
        for annotation in (annotation for dataset in datasets for annotation in dataset.annotations):
            self._add(annotation)
        for line in self._problem_lines():
            logger.warning(line)

        source = ", ".join(dataset.source for dataset in datasets)
        if not self.annotations:
            raise InputError(f"{source}: no photograph to learn from{self._first_reason()}")
        if not any((~one.ignore).any() for one in self._usable):
            raise InputError(f"{source}: {len(self.annotations)} photographs without a face to learn")
        self.anchors = anchors.lay(settings.size, settings.size)  # (A, 4)
        self._matcher = fast_match_anchors if fast.is_available() else match_anchors
        self._order = lru_cache(maxsize=2)(self._shuffle)

    @property
    def steps_per_epoch(self) -> int:
        """In so many batches every photograph is shown at least once."""
        return -(-len(self.annotations) // self.batch_size)

    @property
    def has_landmarks(self) -> bool:
        """Whether any face to learn has its five points."""
        return any((one.landmark_mask & ~one.ignore).any() for one in self._usable)

    def batch(self, step: int) -> Batch[RetinaFaceTargets]:
        """Make batch number ``step``.

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
            If the step is below 0, or no photograph can be read any more.
        """
        samples = self.samples(step)
        faces = tuple(faces_of(sample) for sample in samples)
        targets = retinaface_targets(
            self.anchors,
            [image.boxes for image in faces],
            [image.landmarks for image in faces],
            [image.has_landmarks for image in faces],
            self.thresholds,
            matcher=self._matcher,
        )
        negative = targets.negative.copy()
        for row, image in zip(negative, faces, strict=True):
            row &= away_from(self.anchors, image.ignored, self.thresholds, self._matcher)
        if self.with_faces:
            targets = targets._replace(faces=faces)
        x = np.concatenate([retinaface_input(sample.image) for sample in samples])  # (N, 3, size, size)
        return Batch(x, targets._replace(negative=negative), [sample.name for sample in samples])

    def samples(self, step: int) -> list[Sample]:
        """Make the images of batch number ``step`` with their labels, as people can look at them.

        Parameters
        ----------
        step : int
            From 0.

        Returns
        -------
        list of Sample

        Raises
        ------
        InputError
            As :meth:`batch`.
        """
        check_whole("RetinaFaceBatches", "step", step, least=0)
        return [self._image(step * self.batch_size + place) for place in range(self.batch_size)]

    def describe(self) -> str:
        """Tell what is learnt from, and below it what cannot be: each kind on one line, the first few named.

        Returns
        -------
        str
        """
        faces = sum(int((~one.ignore).sum()) for one in self._usable)
        landmarks = sum(int((one.landmark_mask & ~one.ignore).sum()) for one in self._usable)
        ignored = sum(int(one.ignore.sum()) for one in self._usable)
        without = sum(len(one.boxes) == 0 for one in self._usable)
        first = (
            f"batches of {self.batch_size} images, {self.steps_per_epoch:,} steps per epoch: "
            f"{len(self.annotations):,} photographs ({without:,} without faces), {faces:,} faces "
            f"({landmarks:,} with landmarks), {ignored:,} faces ignored"
        )
        return "\n".join([first, *self._problem_lines()])

    # ---- one image ----

    def _image(self, position: int) -> Sample:
        """Return image number ``position`` of the row of all, counted from the first batch on."""
        rng = np.random.default_rng([self.seed, 1, position])
        return augment(self._photograph(position), self.settings, rng)

    def _photograph(self, position: int) -> Sample:
        """Read the photograph at this place of the row, or else the next that can be read."""
        for further in range(len(self.annotations)):
            epoch, place = divmod(position + further, len(self.annotations))
            number = int(self._order(epoch)[place])
            try:
                return self._read(number)
            except InputError as error:
                self._skip(self.annotations[number], error)
        raise InputError(f"no photograph can be read{self._first_reason()}")

    def _read(self, number: int) -> Sample:
        """Return photograph ``number`` with its pixels, from memory if it is there."""
        if number in self._cache:
            return self._cache[number]
        sample = load_sample(self.annotations[number])
        with self._lock:
            if sample.image.nbytes <= self._cache_bytes_left and number not in self._cache:
                self._cache[number] = sample
                self._cache_bytes_left -= sample.image.nbytes
        return sample

    def _shuffle(self, epoch: int) -> IntArray:
        return np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.annotations))

    def _skip(self, annotation: Annotation, error: InputError) -> None:
        with self._lock:
            new = str(annotation.path) not in self.skipped
            self.skipped[str(annotation.path)] = one_line(error)
        if new:
            logger.warning(
                "%s cannot be used: %s; the next photograph takes its place", annotation.name, error
            )

    # ---- what is wrong with the photographs ----

    def _add(self, annotation: Annotation) -> None:
        """Take a photograph if its file opens, and note what is wrong with it."""
        size = annotation.size
        if annotation.on_disk:
            try:
                size = image_size(annotation.path)
            except InputError as error:
                self.skipped[str(annotation.path)] = one_line(error)
                self._note("that cannot be read, left out", annotation)
                return
        usable = annotation.usable()
        self.annotations.append(annotation)
        self._usable.append(usable)
        if len(usable.boxes) < len(annotation.boxes):
            self._note("with boxes without area, which are left out", annotation)
        if size is not None:
            centres = corners_to_centre(usable.boxes)[:, :2]  # (G, 2)
            if ((centres < 0) | (centres >= size)).any():
                self._note("with faces whose centre is outside", annotation)
            points = usable.landmarks[usable.landmark_mask]  # (G, 5, 2)
            if ((points < 0) | (points > size)).any():
                self._note("with landmarks outside", annotation)

    def _note(self, problem: str, annotation: Annotation) -> None:
        self._problems.setdefault(problem, []).append(annotation.name)

    def _problem_lines(self) -> list[str]:
        lines = []
        for problem, names in self._problems.items():
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            lines.append(f"photographs {problem} ({len(names):,}): {', '.join(names[:NAMED])}{more}")
        return lines

    def _first_reason(self) -> str:
        path, reason = next(iter(self.skipped.items()), ("", ""))
        return f" ({len(self.skipped)} cannot be read, first {path}: {reason})" if path else ""


def faces_of(sample: Sample) -> Faces:
    """Return the faces of an image, those to learn and those to ignore.

    Parameters
    ----------
    sample : Sample

    Returns
    -------
    Faces
    """
    learnt = ~sample.ignore
    return Faces(
        sample.boxes[learnt],
        sample.landmarks[learnt],
        sample.landmark_mask[learnt],
        sample.boxes[sample.ignore],
    )
