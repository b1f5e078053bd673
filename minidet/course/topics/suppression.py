"""Exercises on non-maximum suppression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidet._typing import FloatArray, IntArray
from minidet.course.answers import suppression as answers
from minidet.course.exercise import Exercise, Mistake

TOPIC = "Suppression"

Overlap = Callable[[FloatArray, FloatArray], FloatArray]


def _row(*starts: float, width: float = 5, height: float = 2) -> FloatArray:
    """Boxes of one size beside each other, that begin at ``starts``."""
    return np.array([[start, 0, start + width, height] for start in starts], np.float64)


# Box 1 overlaps box 0 by 8 of 12, box 2 overlaps box 1 by 8 of 12 and box 0 by 6 of 14.
CHAIN = {"boxes": _row(0, 1, 2), "scores": np.array([0.9, 0.8, 0.7]), "iou_threshold": 0.5}
UNSORTED = {
    "boxes": _row(20, 0, 1, 21, 40),
    "scores": np.array([0.6, 0.7, 0.9, 0.8, 0.65]),
    "iou_threshold": 0.5,
}
# They share 4 of 8 columns: exactly the threshold.
EQUAL = {"boxes": _row(0, 2, width=6), "scores": np.array([0.5, 0.75]), "iou_threshold": 0.5}
# Small boxes, whose IoU with 1 added is more than twice as large.
SMALL = {"boxes": _row(0, 1, width=2, height=1), "scores": np.array([0.75, 0.5]), "iou_threshold": 0.4}
INSIDE = {
    "boxes": np.array([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 5.0, 5.0]]),
    "scores": np.array([0.75, 0.5]),
    "iou_threshold": 0.5,
}
NONE = {"boxes": np.zeros((0, 4)), "scores": np.zeros(0), "iou_threshold": 0.5}


def _plus_one(box: FloatArray, others: FloatArray) -> FloatArray:
    return answers.overlaps(box + np.array([0, 0, 1, 1]), others + np.array([0, 0, 1, 1]))


def _nms(
    overlap: Overlap = answers.overlaps, *, with_dropped: bool = False, at_threshold: bool = False
) -> Any:
    """Make an NMS with a mistake."""

    def nms(boxes: FloatArray, scores: FloatArray, threshold: float) -> IntArray:
        order = np.argsort(-scores, kind="stable")
        dropped = np.zeros(len(boxes), bool)
        for place, best in enumerate(order):
            if dropped[best] and not with_dropped:
                continue
            later = order[place + 1 :]
            overlapping = overlap(boxes[best], boxes[later])
            dropped[later[overlapping >= threshold if at_threshold else overlapping > threshold]] = True
        return order[~dropped[order]]

    return nms


def _as_they_come(boxes: FloatArray, scores: FloatArray, threshold: float) -> IntArray:
    return answers.nms(boxes, -np.arange(len(boxes), dtype=float), threshold)


def _worst_first(boxes: FloatArray, scores: FloatArray, threshold: float) -> IntArray:
    return answers.nms(boxes, -scores, threshold)


def _places_in_the_order(boxes: FloatArray, scores: FloatArray, threshold: float) -> IntArray:
    order = np.argsort(-scores, kind="stable")
    kept = answers.nms(boxes, scores, threshold)
    return np.array([int(np.flatnonzero(order == k)[0]) for k in kept], np.intp)


def _as_mask(boxes: FloatArray, scores: FloatArray, threshold: float) -> FloatArray:
    mask: Any = np.zeros(len(boxes), bool)
    mask[answers.nms(boxes, scores, threshold)] = True
    return mask


def _kept_boxes(boxes: FloatArray, scores: FloatArray, threshold: float) -> FloatArray:
    return boxes[answers.nms(boxes, scores, threshold)]


def _only_with_the_best(boxes: FloatArray, scores: FloatArray, threshold: float) -> IntArray:
    order = np.argsort(-scores, kind="stable")
    if len(order) == 0:
        return order
    overlapping = answers.overlaps(boxes[order[0]], boxes[order[1:]])
    return np.concatenate([order[:1], order[1:][overlapping <= threshold]])


NMS = Exercise(
    name="nms",
    topic=TOPIC,
    question=(
        "Keep the best of boxes (K, 4) that overlap: take them best score first, and drop a box "
        "whose IoU with one that is kept "
        "is above the threshold."
    ),
    returns="kept, an array of the indices of the boxes that stay, best score first",
    reference=answers.nms,
    cases=(CHAIN, UNSORTED, EQUAL, SMALL, INSIDE, NONE),
    mistakes=(
        Mistake(
            "Your NMS compares with boxes already suppressed: what is dropped must not drop others.",
            _nms(with_dropped=True),
        ),
        Mistake(
            "Your NMS drops a box whose IoU equals the threshold: it has to be above.",
            _nms(at_threshold=True),
        ),
        Mistake("Your NMS takes the boxes as they come: the best score has to come first.", _as_they_come),
        Mistake("Your NMS takes the worst score first: sort downwards.", _worst_first),
        Mistake(
            "Your indices are places in the sorted order: look them up in it to have those of `boxes`.",
            _places_in_the_order,
        ),
        Mistake("Your NMS adds 1 to widths and heights: these boxes are continuous.", _nms(_plus_one)),
        Mistake(
            "Your NMS divides by the smaller area: the IoU is asked for.", _nms(answers.overlaps_of_smaller)
        ),
        Mistake(
            "Your NMS compares with the best box only: go on with the best of those that are left.",
            _only_with_the_best,
        ),
        Mistake("Your NMS returns a mask: indices are asked for, best score first.", _as_mask),
        Mistake("Your NMS returns the boxes themselves: their indices are asked for.", _kept_boxes),
    ),
)


def _of_kept(box: FloatArray, others: FloatArray) -> FloatArray:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return np.maximum(sides, 0).prod(axis=1) / (box[2:] - box[:2]).prod()


def _of_larger(box: FloatArray, others: FloatArray) -> FloatArray:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    areas = np.maximum((box[2:] - box[:2]).prod(), (others[:, 2:] - others[:, :2]).prod(axis=1))
    return np.maximum(sides, 0).prod(axis=1) / areas


def _min_case(boxes: Any, scores: list[float], threshold: float) -> dict[str, Any]:
    return {"boxes": np.array(boxes, np.float64), "scores": np.array(scores), "threshold": threshold}


NMS_MIN = Exercise(
    name="nms_min",
    topic=TOPIC,
    question=(
        "Suppress as O-Net's last step does: as in nms, but a box is dropped if the area it shares "
        "with a kept one is more than "
        "`threshold` of the smaller of the two, so that a box inside another goes."
    ),
    returns="kept, an array of the indices of the boxes that stay, best score first",
    reference=answers.nms_min,
    cases=(
        _min_case([[0, 0, 10, 10], [1, 1, 5, 5]], [0.75, 0.5], 0.7),
        _min_case([[1, 1, 5, 5], [0, 0, 10, 10]], [0.75, 0.5], 0.7),
        _min_case([[0, 0, 10, 10], [8, 0, 12, 10], [30, 0, 40, 10]], [0.75, 0.5, 0.9], 0.25),
        _min_case(_row(0, 1, 2), [0.9, 0.8, 0.7], 0.7),
        _min_case(_row(0, 2, width=4), [0.5, 0.75], 0.5),
    ),
    mistakes=(
        Mistake("Your NMS divides by the union: a small box inside a large one then stays.", _nms()),
        Mistake(
            "Your NMS divides by the area of the kept box: the smaller of the two is asked for.",
            _nms(_of_kept),
        ),
        Mistake("Your NMS divides by the larger area: the smaller is asked for.", _nms(_of_larger)),
        Mistake(
            "Your NMS compares with boxes already suppressed: what is dropped must not drop others.",
            _nms(answers.overlaps_of_smaller, with_dropped=True),
        ),
        Mistake(
            "Your NMS drops a box whose share equals the threshold: it has to be above.",
            _nms(answers.overlaps_of_smaller, at_threshold=True),
        ),
    ),
)


def _soft(
    lower: Callable[[FloatArray, float], FloatArray],
    *,
    resort: bool = True,
    original: bool = False,
    drop: bool = True,
) -> Any:
    """Make a soft NMS with a mistake; ``lower(overlap, sigma)`` is the factor of a score."""

    def soft_nms(
        boxes: FloatArray, scores: FloatArray, sigma: float, score_threshold: float
    ) -> tuple[IntArray, FloatArray]:
        first, scores = scores, scores.copy()
        waiting = np.argsort(-scores, kind="stable")
        waiting = waiting[scores[waiting] >= score_threshold]
        kept = []
        while len(waiting):
            place = int(scores[waiting].argmax()) if resort else 0
            best = waiting[place]
            kept.append(best)
            waiting = np.delete(waiting, place)
            factor = lower(answers.overlaps(boxes[best], boxes[waiting]), sigma)
            scores[waiting] = (first if original else scores)[waiting] * factor
            if drop:
                waiting = waiting[scores[waiting] >= score_threshold]
        taken = np.array(kept, np.intp)
        return taken, scores[taken]

    return soft_nms


def _gaussian(overlap: FloatArray, sigma: float) -> FloatArray:
    return np.exp(-(overlap**2) / sigma)


def _soft_case(
    boxes: FloatArray, scores: list[float], sigma: float, score_threshold: float
) -> dict[str, Any]:
    return {"boxes": boxes, "scores": np.array(scores), "sigma": sigma, "score_threshold": score_threshold}


SOFT_NMS = Exercise(
    name="soft_nms",
    topic=TOPIC,
    question=(
        "Take the best box, multiply the score of every box still waiting by exp(-IoU^2 / sigma), "
        "drop those below "
        "score_threshold, and go on with the best of the rest."
    ),
    returns="(kept, an array of indices in the order taken; their lowered scores)",
    reference=answers.soft_nms,
    cases=(
        _soft_case(_row(0, 1, width=3), [0.9, 0.8], 0.5, 0.001),
        _soft_case(_row(0, 1, 9, width=3), [0.9, 0.8, 0.5], 0.5, 0.001),
        _soft_case(_row(0, 1, 2, 9), [0.9, 0.8, 0.7, 0.6], 0.25, 0.001),
        _soft_case(_row(0, 1, 9, width=3), [0.5, 0.375, 0.25], 0.5, 0.3),
    ),
    mistakes=(
        Mistake(
            "Your order is that of the first scores: a box whose score was lowered may be overtaken.",
            _soft(_gaussian, resort=False),
        ),
        Mistake(
            "Your exponent lacks the square: it is IoU^2 / sigma.",
            _soft(lambda overlap, sigma: np.exp(-overlap / sigma)),
        ),
        Mistake(
            "Your sigma is squared as in a bell curve, 2 sigma^2: here IoU^2 is divided by sigma itself.",
            _soft(lambda overlap, sigma: np.exp(-(overlap**2) / (2 * sigma**2))),
        ),
        Mistake(
            "You multiply by 1 - IoU, the linear variant: the Gaussian one is asked for.",
            _soft(lambda overlap, sigma: 1 - overlap),
        ),
        Mistake(
            "You lower the first score each time: a box that overlaps two better ones is lowered twice.",
            _soft(_gaussian, original=True),
        ),
        Mistake("You keep boxes whose score has fallen below score_threshold.", _soft(_gaussian, drop=False)),
    ),
)

EXERCISES = (NMS, NMS_MIN, SOFT_NMS)
