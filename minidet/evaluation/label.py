"""A detector as a teacher: what it finds becomes annotations, or completes those that are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from minidet._typing import FloatArray, IntArray
from minidet.boxes import iou
from minidet.boxes.iou import area
from minidet.datasets import Annotation, load_sample
from minidet.detections import Detections
from minidet.errors import InputError, is_share
from minidet.evaluation.matching import Outcome, match_detections
from minidet.evaluation.parallel import photograph_workers
from minidet.evaluation.views import FaceDetector, ViewSettings, detect_views


@dataclass(frozen=True)
class LabelSettings:
    """When a teacher is believed.

    Attributes
    ----------
    min_score : float
        Above it a detection is sure. High, since a wrong label teaches a mistake.
    ignore_score : float or None
        Above it, but not sure, a detection is doubtful: it becomes an ignored face, which a training counts
        neither as a face nor as background. None leaves such detections out.
    min_face : float
        Detections whose longer side is less, in pixels, are doubtful whatever their score. By default none.
    add_faces : bool
        Whether detections that meet no annotated face are added.
    teacher_boxes : bool
        Whether a face whose landmarks the teacher confirms gets the teacher's box. For sets of landmarks,
        whose boxes were made from them.
    iou_threshold : float
        From this overlap up a detection is of the annotated face, as in Pascal VOC.
    new_face_iou : float
        Below this overlap with every annotated face a detection is of another one. Between the two thresholds
        it may be a poor box of the same face, so nothing is done.
    agreement : float
        Mean distance of the five points, as a share of the square root of the box's area, up to which
        landmarks agree. 0.075 of a face from the front is about a fifth of the distance of the eyes.
    """

    min_score: float = 0.8
    ignore_score: float | None = 0.3
    min_face: float = 0.0
    add_faces: bool = True
    teacher_boxes: bool = False
    iou_threshold: float = 0.5
    new_face_iou: float = 0.2
    agreement: float = 0.075

    def __post_init__(self) -> None:
        for name in ("min_score", "iou_threshold", "new_face_iou"):
            if not is_share(getattr(self, name)):
                raise InputError(f"LabelSettings: {name}={getattr(self, name)!r}; expected 0 to 1")
        if self.ignore_score is not None and not (
            is_share(self.ignore_score) and self.ignore_score < self.min_score
        ):
            raise InputError(
                f"LabelSettings: ignore_score={self.ignore_score!r}; expected 0 or more and less than "
                f"min_score={self.min_score:g}, or None"
            )
        if self.new_face_iou > self.iou_threshold:
            raise InputError(
                f"LabelSettings: new_face_iou={self.new_face_iou:g} is above "
                f"iou_threshold={self.iou_threshold:g}; expected at most that"
            )
        for name in ("min_face", "agreement"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(f"LabelSettings: {name}={getattr(self, name)!r}; expected 0 or more")

    @property
    def least_score(self) -> float:
        """The score above which the teacher has to report its detections."""
        return self.min_score if self.ignore_score is None else self.ignore_score


class LabelCounts(NamedTuple):
    """What was done to some photographs.

    Attributes
    ----------
    photographs : int
    kept : int
        Faces that were annotated before.
    got_landmarks : int
        Those of them that had no landmarks and have some now.
    agree, disagree : int
        Those that had landmarks and were found, by whether the teacher's landmarks agree.
    added, ignored : int
        Sure detections that became faces, doubtful ones that became ignored faces.
    undecided : int
        Sure detections that overlap an annotated face, but not enough, or one that another detection has
        found: nothing was done.
    """

    photographs: int = 0
    kept: int = 0
    got_landmarks: int = 0
    agree: int = 0
    disagree: int = 0
    added: int = 0
    ignored: int = 0
    undecided: int = 0


class Labelled(NamedTuple):
    """Annotations made by a teacher.

    Attributes
    ----------
    annotations : list of Annotation
        Without the photographs that could not be read.
    counts : LabelCounts
    unreadable : int
    """

    annotations: list[Annotation]
    counts: LabelCounts
    unreadable: int


def label_photographs(
    annotations: Sequence[Annotation],
    detector: FaceDetector,
    settings: LabelSettings | None = None,
    views: ViewSettings | None = None,
    *,
    jobs: int | None = None,
    on_error: Callable[[Annotation, Exception], None] | None = None,
    progress: bool = True,
) -> Labelled:
    """Let a detector annotate photographs, or complete what is annotated.

    Parameters
    ----------
    annotations : sequence of Annotation
        Without faces where there is nothing to complete.
    detector : FaceDetector
        Serves several threads at once, and reports detections above ``settings.least_score``.
    settings : LabelSettings, optional
    views : ViewSettings, optional
        By default each photograph is looked at once, as it is.
    jobs : int, optional
        Photographs at a time; by default as many as the fast backend may use threads.
    on_error : callable, optional
        Is told of a photograph that cannot be used, which is then left out; by default the error is raised.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    Labelled
        In the order given.

    Raises
    ------
    InputError
        If a photograph cannot be used and there is no ``on_error``.
    """
    rules, ways = settings or LabelSettings(), views or ViewSettings()

    def label(annotation: Annotation) -> tuple[Annotation, LabelCounts] | Exception:
        try:
            image = load_sample(annotation).image
            found = detect_views(image, detector, ways)
        except (InputError, OSError) as error:
            return error
        height, width = image.shape[:2]
        return label_photograph(annotation, found, (width, height), rules)

    done: list[Annotation] = []
    counts: list[LabelCounts] = []
    bar = tqdm(desc="label", total=len(annotations), unit="photo", disable=not progress)
    with bar, photograph_workers(jobs) as parallel_map:
        for annotation, result in zip(annotations, parallel_map(label, annotations), strict=True):
            bar.update()
            if not isinstance(result, Exception):
                done.append(result[0])
                counts.append(result[1])
            elif on_error is None:
                raise InputError(f"{annotation.path}: {result}") from result
            else:
                on_error(annotation, result)
    total = LabelCounts(*(sum(column) for column in zip(*counts, strict=True)))
    return Labelled(done, total, len(annotations) - len(done))


def label_photograph(
    annotation: Annotation, found: Detections, size: tuple[int, int], settings: LabelSettings
) -> tuple[Annotation, LabelCounts]:
    """Complete the annotation of one photograph by what a teacher has found in it.

    Annotated faces stay, in their order; new ones come behind them. Which detection is of which face is
    decided by :func:`minidet.evaluation.match_detections`.

    Parameters
    ----------
    annotation : Annotation
    found : Detections
        Boxes are cut at the edges of the photograph, as those of annotators are.
    size : (width, height)
        Of the photograph in pixels.
    settings : LabelSettings

    Returns
    -------
    annotation : Annotation
        A new one.
    counts : LabelCounts

    Examples
    --------
    One face without landmarks is annotated; the teacher sees it, and is sure of another one:

    >>> annotation = Annotation("a.jpg", "a.jpg", [[0, 0, 10, 10]])
    >>> found = Detections([[0, 0, 10, 9], [50, 50, 60, 60]], [0.9, 0.95], np.ones((2, 5, 2)))
    >>> labelled, counts = label_photograph(annotation, found, (80, 80), LabelSettings())
    >>> labelled.boxes, labelled.landmark_mask
    (array([[ 0.,  0., 10., 10.],
           [50., 50., 60., 60.]], dtype=float32), array([ True,  True]))
    >>> counts.kept, counts.got_landmarks, counts.added
    (1, 1, 1)
    """
    found = _inside(found, size)
    is_sure = (found.scores > settings.min_score) & _large_enough(found, settings.min_face)  # (K,)
    is_doubtful = ~is_sure & (found.scores > settings.least_score)
    if settings.ignore_score is None:
        is_doubtful[:] = False
    matched = match_detections(found.boxes, annotation, iou_threshold=settings.iou_threshold)
    overlap = iou(found.boxes, annotation.boxes).max(axis=1, initial=0)  # (K,)
    is_new = (overlap < settings.new_face_iou) & (matched.outcome != Outcome.LEFT_OUT)
    is_wrong = is_sure & (matched.outcome == Outcome.FALSE_POSITIVE)

    boxes, landmarks = annotation.boxes.copy(), annotation.landmarks.copy()
    k = np.flatnonzero(is_sure & (matched.face >= 0))  # detections that found a face
    g = matched.face[k]  # and those faces
    has_landmarks = annotation.landmark_mask[g]
    landmarks[g[~has_landmarks]] = found.landmarks[k[~has_landmarks]]
    agree = has_landmarks & (_distance(annotation, g, found, k) <= settings.agreement)
    if settings.teacher_boxes:
        boxes[g[agree]] = found.boxes[k[agree]]

    none = np.zeros(len(found), np.bool_)
    added, ignored = (is_new & is_sure, is_new & is_doubtful) if settings.add_faces else (none, none)
    labelled = Annotation(
        annotation.path,
        annotation.name,
        np.concatenate([boxes, found.boxes[added], found.boxes[ignored]]),
        # The points of a doubtful face are no better than its box: none.
        np.concatenate([landmarks, found.landmarks[added], np.full((ignored.sum(), 5, 2), np.nan)]),
        np.concatenate(
            [annotation.ignore, np.zeros(added.sum(), np.bool_), np.ones(ignored.sum(), np.bool_)]
        ),
        size,
    )
    counts = LabelCounts(
        photographs=1,
        kept=len(annotation.boxes),
        got_landmarks=int((~has_landmarks).sum()),
        agree=int(agree.sum()),
        disagree=int((has_landmarks & ~agree).sum()),
        added=int(added.sum()),
        ignored=int(ignored.sum()),
        undecided=int((is_wrong & ~is_new).sum()),
    )
    return labelled, counts


def describe_labels(counts: LabelCounts, settings: LabelSettings) -> str:
    """Say in one line what was done.

    Parameters
    ----------
    counts : LabelCounts
    settings : LabelSettings

    Returns
    -------
    str

    Examples
    --------
    >>> describe_labels(LabelCounts(photographs=2, added=3, ignored=1), LabelSettings())
    '2 photographs: 3 faces added, 1 doubtful one to be ignored'
    >>> counts = LabelCounts(638, kept=3021, got_landmarks=2845, added=112, undecided=40)
    >>> describe_labels(counts, LabelSettings())
    '638 photographs: 3,021 faces kept, 2,845 got landmarks, 112 faces added, 40 finds left undecided'
    """
    confirmed = "got the teacher's box" if settings.teacher_boxes else "with landmarks like the teacher's"
    parts = [
        (counts.kept, "face kept", "faces kept"),
        (counts.got_landmarks, "got landmarks", "got landmarks"),
        (counts.agree, confirmed, confirmed),
        (
            counts.disagree,
            "with other landmarks than the teacher's",
            "with other landmarks than the teacher's",
        ),
        (counts.added, "face added", "faces added"),
        (counts.ignored, "doubtful one to be ignored", "doubtful ones to be ignored"),
        (counts.undecided, "find left undecided", "finds left undecided"),
    ]
    said = [f"{number:,} {one if number == 1 else many}" for number, one, many in parts if number]
    photographs = f"{counts.photographs:,} photograph{'s' * (counts.photographs != 1)}"
    return f"{photographs}: {', '.join(said) or 'no faces'}"


def _inside(found: Detections, size: tuple[int, int]) -> Detections:
    """Cut the boxes at the edges of the photograph; leave out those that lie outside."""
    clipped = found.clip(*size)
    has_area = np.asarray((clipped.boxes[:, 2:] > clipped.boxes[:, :2]).all(axis=1))  # (K,)
    return clipped[has_area]


def _large_enough(found: Detections, least: float) -> NDArray[np.bool_]:
    longer_sides = found.to_xywh()[:, 2:].max(axis=1, initial=0)  # (K,)
    return longer_sides >= least


def _distance(annotation: Annotation, g: IntArray, found: Detections, k: IntArray) -> FloatArray:
    """Return how far the landmarks of detections k are from those of faces g, by the size of the box.

    As :func:`minidet.evaluation.landmark_errors`; the distance of the eyes would leave out faces in profile.
    """
    apart = np.linalg.norm(found.landmarks[k] - annotation.landmarks[g], axis=2).mean(axis=1)  # (M,)
    return apart / np.sqrt(area(annotation.boxes[g]).astype(np.float64))
