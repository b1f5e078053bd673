"""Exercises on how good a detector is, and on alignment."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._typing import FloatArray
from minidet.course.answers import evaluation as answers
from minidet.course.answers.boxes import iou
from minidet.course.exercise import Exercise, Mistake
from minidet.course.topics._numbers import halves

TOPIC = "Evaluation and alignment"


def _matched(*, twice: bool = False, strictly: bool = False, next_best: bool = False) -> Any:
    """Make a matching with a mistake."""

    def match_detections(boxes: FloatArray, faces: FloatArray, iou_threshold: float) -> Any:
        overlap = iou(boxes, faces)
        found = np.zeros(len(faces), bool)
        right = np.zeros(len(boxes), bool)
        for k in range(len(boxes)):
            offered = np.where(found, 0, overlap[k]) if next_best else overlap[k]
            face = offered.argmax()
            fits = offered[face] > iou_threshold if strictly else offered[face] >= iou_threshold
            if fits and (twice or not found[face]):
                found[face] = right[k] = True
        return right

    return match_detections


def _first_match(boxes: FloatArray, faces: FloatArray, iou_threshold: float) -> Any:
    """Take the first face that fits well enough, not the best."""
    overlap = iou(boxes, faces)
    found = np.zeros(len(faces), bool)
    right = np.zeros(len(boxes), bool)
    for k in range(len(boxes)):
        fits = np.flatnonzero(overlap[k] >= iou_threshold)
        if len(fits) and not found[fits[0]]:
            found[fits[0]] = right[k] = True
    return right


def _columns(*pairs: tuple[float, float]) -> FloatArray:
    """Boxes 10 high, from x1 to x2."""
    return np.array([[x1, 0, x2, 10] for x1, x2 in pairs], np.float64)


MATCH_DETECTIONS = Exercise(
    name="match_detections",
    topic=TOPIC,
    question=(
        "Which of boxes (K, 4), sorted best score first, are right? One is if its IoU with the face "
        "it overlaps most is at least "
        "the threshold and no earlier box has found that face; a second find of a face is a mistake."
    ),
    returns="right (K,) bool",
    reference=answers.match_detections,
    cases=(
        {"boxes": _columns((0, 10), (20, 30)), "faces": _columns((1, 11), (50, 60)), "iou_threshold": 0.5},
        {"boxes": _columns((0, 10), (1, 11)), "faces": _columns((0, 10)), "iou_threshold": 0.5},
        {"boxes": _columns((0, 20)), "faces": _columns((0, 10)), "iou_threshold": 0.5},
        {
            "boxes": _columns((0, 10), (1, 11)),
            "faces": _columns((0, 10), (4, 14)),
            "iou_threshold": 0.5,
        },
        {
            "boxes": _columns((2, 12), (0, 10)),
            "faces": _columns((0, 10), (3, 13)),
            "iou_threshold": 0.5,
        },
    ),
    mistakes=(
        Mistake(
            "Your matching counts a face that is found twice as two finds: the second is a false alarm.",
            _matched(twice=True),
        ),
        Mistake(
            "Your matching asks for an IoU above the threshold: equal is enough.", _matched(strictly=True)
        ),
        Mistake(
            "A box whose face is taken turns to its next best in your matching: it is a false alarm.",
            _matched(next_best=True),
        ),
        Mistake(
            "Your matching takes the first face that fits: it has to be the one with the largest IoU.",
            _first_match,
        ),
        Mistake(
            "You return the number of right boxes: one answer per box is asked for.",
            lambda boxes, faces, iou_threshold: int(
                answers.match_detections(boxes, faces, iou_threshold).sum()
            ),
        ),
    ),
)


def _curve(scores: FloatArray, right: FloatArray, faces: int) -> tuple[FloatArray, FloatArray]:
    found = np.cumsum(right[np.argsort(-scores, kind="stable")])
    return found / faces, found / np.arange(1, len(right) + 1)


def _without_envelope(scores: FloatArray, right: FloatArray, faces: int) -> float:
    recall, precision = _curve(scores, right, faces)
    return float((np.diff(recall, prepend=0) * precision).sum())


def _eleven_points(scores: FloatArray, right: FloatArray, faces: int) -> float:
    recall, precision = _curve(scores, right, faces)
    return float(np.mean([precision[recall >= k / 10].max(initial=0) for k in range(11)]))


def _trapezia(scores: FloatArray, right: FloatArray, faces: int) -> float:
    recall, precision = _curve(scores, right, faces)
    before = np.concatenate([precision[:1], precision[:-1]])
    return float((np.diff(recall, prepend=0) * (precision + before) / 2).sum())


AVERAGE_PRECISION = Exercise(
    name="average_precision",
    topic=TOPIC,
    question=(
        "Of detections with scores (K,), right or not (K,), and the number of faces there are, "
        "compute the area under precision "
        "against recall, where precision at a recall is the best at this recall or a higher one "
        "(Pascal VOC since 2010)."
    ),
    returns="a number",
    reference=answers.average_precision,
    cases=(
        {"scores": np.array([0.9, 0.8, 0.7]), "right": np.array([True, False, True]), "faces": 2},
        {"scores": np.array([0.9, 0.8]), "right": np.array([True, True]), "faces": 4},
        {
            "scores": np.array([0.3, 0.9, 0.5, 0.8, 0.7]),
            "right": np.array([True, False, True, True, False]),
            "faces": 5,
        },
        {"scores": np.array([0.75, 0.5]), "right": np.array([False, False]), "faces": 1},
    ),
    mistakes=(
        Mistake(
            "Your curve is the saw as measured: take the best precision at this recall or a higher one.",
            _without_envelope,
        ),
        Mistake(
            "Your recall is divided by the number of right detections: faces that were missed count too.",
            lambda scores, right, faces: answers.average_precision(scores, right, max(int(right.sum()), 1)),
        ),
        Mistake(
            "Your detections are taken as they come: sort them, best score first.",
            lambda scores, right, faces: answers.average_precision(
                -np.arange(len(scores), dtype=float), right, faces
            ),
        ),
        Mistake(
            "Your area is a mean of eleven points, as in Pascal VOC before 2010: sum over every step "
            "of recall.",
            _eleven_points,
        ),
        Mistake("Your area is made of trapezia: between two recalls the curve is flat.", _trapezia),
        Mistake(
            "Your detections are sorted worst first.",
            lambda scores, right, faces: answers.average_precision(-scores, right, faces),
        ),
    ),
)

FACE = np.array([[30.0, 30.0], [70.0, 30.0], [50.0, 50.0], [35.0, 70.0], [65.0, 70.0]])
TRUTH = np.stack([FACE, 0.5 * FACE + [10, 20], FACE @ [[0.0, 1.0], [-1.0, 0.0]]])
FOUND = TRUTH + halves(600, 3, 5, 2)


def _distances(landmarks: FloatArray, truth: FloatArray) -> FloatArray:
    return np.sqrt(((landmarks - truth) ** 2).sum(axis=2))


def _between_eyes(truth: FloatArray) -> FloatArray:
    return np.sqrt(((truth[:, 0] - truth[:, 1]) ** 2).sum(axis=1))


LANDMARK_ERROR = Exercise(
    name="landmark_error",
    topic=TOPIC,
    question=(
        "How far off are landmarks (K, 5, 2) from the truth (K, 5, 2)? Give each face's mean "
        "distance over its five points, divided "
        "by the true distance between the eyes, which are the first two points."
    ),
    returns="errors (K,)",
    reference=answers.landmark_error,
    cases=(
        {"landmarks": FACE[None] + [3.0, 4.0], "truth": FACE[None]},
        {"landmarks": FOUND, "truth": TRUTH},
    ),
    mistakes=(
        Mistake(
            "Your error is in pixels: divide by the distance between the eyes.",
            lambda landmarks, truth: _distances(landmarks, truth).mean(axis=1),
        ),
        Mistake(
            "You divide by the distance between the eyes that were found: a bad guess must not "
            "choose its own measure.",
            lambda landmarks, truth: _distances(landmarks, truth).mean(axis=1) / _between_eyes(landmarks),
        ),
        Mistake(
            "Your distance lacks the root.",
            lambda landmarks, truth: (
                ((landmarks - truth) ** 2).sum(axis=2).mean(axis=1) / _between_eyes(truth)
            ),
        ),
        Mistake(
            "Your error is the root of the mean square: the mean of the distances is asked for.",
            lambda landmarks, truth: (
                np.sqrt((_distances(landmarks, truth) ** 2).mean(axis=1)) / _between_eyes(truth)
            ),
        ),
        Mistake(
            "You add x and y errors up: a distance is the root of the sum of their squares.",
            lambda landmarks, truth: (
                np.abs(landmarks - truth).sum(axis=2).mean(axis=1) / _between_eyes(truth)
            ),
        ),
        Mistake(
            "Your error is the sum over the points: the mean is asked for.",
            lambda landmarks, truth: _distances(landmarks, truth).sum(axis=1) / _between_eyes(truth),
        ),
        Mistake(
            "Your distance between the eyes is in x alone: a face may be tilted.",
            lambda landmarks, truth: (
                _distances(landmarks, truth).mean(axis=1) / np.abs(truth[:, 0, 0] - truth[:, 1, 0])
            ),
        ),
    ),
)


def _affine(source: FloatArray, target: FloatArray) -> FloatArray:
    columns = np.concatenate([source, np.ones((len(source), 1))], axis=1)
    solution: FloatArray = np.linalg.lstsq(columns, target, rcond=None)[0]
    return solution.T


def _around(matrix: FloatArray, source: FloatArray, target: FloatArray) -> FloatArray:
    """Add the shift that takes the mean of the source to that of the target."""
    shift = target.mean(axis=0) - matrix @ source.mean(axis=0)
    return np.concatenate([matrix, shift[:, None]], axis=1)


def _rigid(source: FloatArray, target: FloatArray) -> FloatArray:
    turn = answers.similarity_transform(source, target)[:, :2]
    return _around(turn / np.sqrt(np.linalg.det(turn)), source, target)


def _turned_back(source: FloatArray, target: FloatArray) -> FloatArray:
    return _around(answers.similarity_transform(source, target)[:, :2].T, source, target)


def _means_subtracted_as_they_are(source: FloatArray, target: FloatArray) -> FloatArray:
    matrix = answers.similarity_transform(source, target)[:, :2]
    return np.concatenate([matrix, (target.mean(axis=0) - source.mean(axis=0))[:, None]], axis=1)


def _may_mirror(source: FloatArray, target: FloatArray) -> FloatArray:
    """Umeyama's solution without the sign that keeps it from mirroring."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    u, s, vt = np.linalg.svd(b.T @ a)
    return _around(u @ vt * s.sum() / (a**2).sum(), source, target)


SHORT = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])

SIMILARITY_TRANSFORM = Exercise(
    name="similarity_transform",
    topic=TOPIC,
    question=(
        "Find the turn, scale and shift, without mirroring, that bring source (P, 2) closest to "
        "target (P, 2) in the sense of least "
        "squares, as a matrix that takes (x, y, 1) to the new (x, y)."
    ),
    returns="matrix (2, 3)",
    reference=answers.similarity_transform,
    cases=(
        {"source": SHORT, "target": np.array([[5.0, 0.0], [5.0, 2.0], [3.0, 0.0]])},
        {"source": FACE, "target": FOUND[1]},
        {"source": FACE[:3], "target": np.array([[70.0, 30.0], [30.0, 32.0], [50.0, 50.0]])},
    ),
    mistakes=(
        Mistake("Your transform shears: it has six free numbers, a similarity four.", _affine),
        Mistake("Your transform does not scale.", _rigid),
        Mistake(
            "Your transform leads from target to source.",
            lambda source, target: answers.similarity_transform(target, source),
        ),
        Mistake("Your transform turns the wrong way: the sines have the opposite signs.", _turned_back),
        Mistake(
            "Your shift is the difference of the means: turn and scale the source's mean first.",
            _means_subtracted_as_they_are,
        ),
        Mistake(
            "Your transform may mirror: Umeyama's solution has a sign against that, where det(U V^T) "
            "is negative.",
            _may_mirror,
        ),
    ),
)

EXERCISES = (MATCH_DETECTIONS, AVERAGE_PRECISION, LANDMARK_ERROR, SIMILARITY_TRANSFORM)
