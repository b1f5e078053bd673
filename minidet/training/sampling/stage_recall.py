"""How many faces a stage of MTCNN lets through: the next one never sees those that are lost.

The boxes measured are the squares that the next network is shown. A square about a face of 4 to 5 has at most
an IoU of 0.8 with it, so recall at high thresholds says more about the shape of faces than about the stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from minidet._typing import Float64Array, FloatArray, IntArray, RGBImage
from minidet.boxes import iou
from minidet.datasets import Dataset
from minidet.errors import InputError, is_number, is_share
from minidet.evaluation.faces import too_small
from minidet.evaluation.parallel import photograph_workers
from minidet.evaluation.recall import Recall
from minidet.evaluation.report import height_label
from minidet.training.sampling.windows import windows_of_boxes

IOU_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8)
"""0.65 is from where a window is a positive of the next network."""

SIZE_EDGES = (0, 12, 20, 40, 80, 160)
"""Heights in pixels: P-Net's window, the smallest face looked for by default, and doubles of that."""


@dataclass(frozen=True, eq=False)
class StageRecall:
    """What a stage lets through of a data set.

    Attributes
    ----------
    stage : str
        Its name in messages.
    best_iou : (G,) float64 array
        Of each face that counts: its IoU with the box that fits it best, 0 if none touches it.
    heights : (G,) float64 array
        Of the same faces, in pixels.
    boxes : (photographs,) integer array
        How many boxes come out of each photograph.
    """

    stage: str
    best_iou: Float64Array
    heights: Float64Array
    boxes: IntArray

    def recall(self, iou: float = 0.5) -> Recall:
        """Count the faces on which a box lies with at least this IoU.

        Parameters
        ----------
        iou : float
            0 to 1.

        Returns
        -------
        Recall

        Raises
        ------
        InputError
            If ``iou`` is not from 0 to 1.
        """
        return self._count(iou, np.ones(len(self.best_iou), np.bool_))

    def by_size(
        self, iou: float = 0.5, edges: Sequence[float] = SIZE_EDGES
    ) -> dict[tuple[float, float], Recall]:
        """Count the same in each range of heights: from one edge, included, to the next; the last is open.

        Parameters
        ----------
        iou : float
            0 to 1.
        edges : sequence of float
            Heights of a face in pixels, rising.

        Returns
        -------
        dict of (lower, upper) to Recall
        """
        return {
            (lower, upper): self._count(iou, (self.heights >= lower) & (self.heights < upper))
            for lower, upper in zip(edges, [*edges[1:], float("inf")], strict=True)
        }

    def __str__(self) -> str:
        faces = [(lower, upper, recall) for (lower, upper), recall in self.by_size().items() if recall.faces]
        columns = [("all", 0.0, float("inf")), *((height_label(low, up), low, up) for low, up, _ in faces)]
        lines = [
            f"{self.stage}: {_count(len(self.best_iou))} of {len(self.boxes):,} photographs, "
            f"{self.boxes.mean() if len(self.boxes) else 0:.1f} boxes per photograph",
            "IoU   " + "".join(f"{label:>12}" for label, _, _ in columns),
        ]
        for threshold in IOU_THRESHOLDS:
            cells = [
                self._count(threshold, (self.heights >= lower) & (self.heights < upper))
                for _, lower, upper in columns
            ]
            lines.append(f"{threshold:<6g}" + "".join(f"{_percent(cell):>12}" for cell in cells))
        counts = [f"{len(self.best_iou):,}", *(f"{recall.faces:,}" for _, _, recall in faces)]
        lines.append("faces " + "".join(f"{count:>12}" for count in counts))
        return "\n".join(lines)

    def _count(self, iou: float, chosen: NDArray[np.bool_]) -> Recall:
        if not is_share(iou):
            raise InputError(f"StageRecall: iou={iou!r}; expected 0 to 1")
        return Recall(int((self.best_iou[chosen] >= iou).sum()), int(chosen.sum()))


class StageTooWeakError(InputError):
    """A stage loses too many faces, or lets through too much else, to train the next one on the rest."""


def stage_recall(
    dataset: Dataset,
    propose: Callable[[RGBImage], FloatArray],
    *,
    stage: str = "the stage",
    min_face_size: float = 20,
    jobs: int | None = None,
    progress: bool = True,
) -> StageRecall:
    """Measure which faces of a data set a stage of MTCNN lets through.

    Parameters
    ----------
    dataset : Dataset
        Photographs that cannot be read are left out, as they are from training crops.
    propose : callable
        An image to boxes (P, 4) in MTCNN's 1-based pixels: a proposer, or for the detector as a whole
        ``lambda image: detector.detect(image).boxes``. It serves several threads at once.
    stage : str
        What messages call it.
    min_face_size : float
        Faces of a smaller height in pixels do not count, nor do those marked to be ignored. By default those
        for which the detector does not look by default.
    jobs : int, optional
        Photographs at a time; by default as many as the fast backend may use threads.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    StageRecall

    Raises
    ------
    InputError
        If no photograph can be read.
    """

    def measure(index: int) -> tuple[Float64Array, Float64Array, int] | InputError:
        try:
            sample = dataset[index]
        except InputError as error:
            return error
        boxes = windows_of_boxes(propose(sample.image))
        counted = ~(sample.ignore | too_small(sample, min_face_size))
        faces = sample.boxes[counted].astype(np.float64)
        return best_overlaps(boxes, faces), faces[:, 3] - faces[:, 1], len(boxes)

    bar = tqdm(desc=f"recall of {stage}", total=len(dataset), unit="photo", disable=not progress)
    measured, unread = [], None
    with bar, photograph_workers(jobs) as parallel_map:
        for one in parallel_map(measure, range(len(dataset))):
            if isinstance(one, InputError):
                unread = unread or one
            else:
                measured.append(one)
            bar.update()
    if not measured:
        raise InputError(
            f"stage_recall: no photograph of {dataset.source} can be used ({unread or 'there are none'})"
        )
    best, heights, counts = zip(*measured, strict=True)
    return StageRecall(stage, np.concatenate(best), np.concatenate(heights), np.array(counts, np.intp))


def check_stage(
    recall: StageRecall, *, floor: float = 0.8, iou: float = 0.5, most_boxes: float = 2000
) -> None:
    """Require that a stage finds enough faces to train the next one, and not by letting everything through.

    Parameters
    ----------
    recall : StageRecall
    floor : float
        Smallest share of the faces. With fewer, the next stage would learn from what the weak one happens to
        find, and the cascade as a whole cannot find more than that.
    iou : float
    most_boxes : float
        Largest mean number of boxes per photograph. An untrained P-Net, whose scores are all about 0.5, may
        let through thousands of any photograph, and finds nearly every face that way; the released one lets
        through some hundreds.

    Raises
    ------
    StageTooWeakError
        If it finds fewer faces, or lets through more boxes.
    InputError
        If there are no faces to judge by.

    Examples
    --------
    Of two faces one is found, the smaller one is not:

    >>> weak = StageRecall("P-Net", np.array([0.7, 0.2]), np.array([60.0, 20.0]), np.array([5]))
    >>> check_stage(weak, floor=0.5)
    >>> check_stage(weak)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    minidet.training.sampling.stage_recall.StageTooWeakError: P-Net finds 50 % of 2 faces at IoU 0.5, ...
    """
    if not is_share(floor):
        raise InputError(f"check_stage: floor={floor!r}; expected 0 to 1")
    if not (is_number(most_boxes) and most_boxes > 0):
        raise InputError(f"check_stage: most_boxes={most_boxes!r}; expected a number above 0")
    found = recall.recall(iou)
    if not found.faces:
        raise InputError(
            f"check_stage: there are no faces to measure {recall.stage} by; expected at least one"
        )
    if recall.boxes.mean() > most_boxes:
        raise StageTooWeakError(
            f"{recall.stage} lets through {recall.boxes.mean():,.0f} boxes per photograph, above the limit "
            f"of {most_boxes:,g}: it does not choose yet. Train it longer, or raise its threshold"
        )
    if found.value >= floor:
        return
    by_size = {edges: one for edges, one in recall.by_size(iou).items() if one.faces}
    (lower, upper), worst = min(by_size.items(), key=lambda item: item[1].value)
    raise StageTooWeakError(
        f"{recall.stage} finds {_percent(found)} of {_count(found.faces)} at IoU {iou:g}, below the floor of "
        f"{100 * floor:g} %: the next stage would be trained on what is left. Train it longer or on more "
        f"faces, or lower its threshold (worst: {_percent(worst)} of {_count(worst.faces)} of "
        f"{height_label(lower, upper)})"
    )


def best_overlaps(boxes: FloatArray, faces: FloatArray) -> Float64Array:
    """Return for each face (G, 4) its largest IoU (G,) with a box (P, 4); 0 without boxes.

    A box may serve several faces here: this is about what the next stage gets to see, not about how often.
    """
    return iou(boxes, faces).max(axis=0, initial=0.0)


def _percent(recall: Recall) -> str:
    return f"{100 * recall.value:.0f} %" if recall.faces else "-"


def _count(faces: int) -> str:
    return f"{faces:,} face{'s' * (faces != 1)}"
