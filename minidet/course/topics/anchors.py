"""Exercises on anchors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidet._typing import FloatArray, IntArray
from minidet.course.answers import anchors as answers
from minidet.course.answers.boxes import iou
from minidet.course.exercise import Exercise, Mistake
from minidet.course.topics._numbers import halves

TOPIC = "Anchors"


def _column_by_column(height: int, width: int, stride: int, sizes: Sequence[float]) -> FloatArray:
    anchors = answers.generate_anchors(height, width, stride, sizes)
    rows = -(-height // stride)
    return anchors.reshape(rows, -1, len(sizes), 4).transpose(1, 0, 2, 3).reshape(-1, 4)


def _size_by_size(height: int, width: int, stride: int, sizes: Sequence[float]) -> FloatArray:
    levels = [answers.generate_anchors(height, width, stride, [size]) for size in sizes]
    return np.concatenate(levels)


def _as_centre_and_size(height: int, width: int, stride: int, sizes: Sequence[float]) -> FloatArray:
    anchors = answers.generate_anchors(height, width, stride, sizes)
    return np.concatenate([(anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]], axis=1)


GENERATE_ANCHORS = Exercise(
    name="generate_anchors",
    topic=TOPIC,
    question=(
        "Lay the anchors of one level over an image: on each position of a map of ceil(height / "
        "stride) rows and "
        "ceil(width / stride) columns one square per size, centred on the stride x stride pixels it "
        "answers for."
    ),
    returns="anchors (A, 4), x1 y1 x2 y2, row by row, column by column, size by size",
    reference=answers.generate_anchors,
    cases=(
        {"height": 8, "width": 16, "stride": 8, "sizes": [16]},
        {"height": 16, "width": 24, "stride": 8, "sizes": [16, 32]},
        {"height": 20, "width": 33, "stride": 16, "sizes": [20.0]},
    ),
    mistakes=(
        Mistake(
            "Your anchors stand on the corners of the cells: the centre of cell j is at (j + 0.5) * stride.",
            lambda height, width, stride, sizes: (
                answers.generate_anchors(height, width, stride, sizes) - stride / 2
            ),
        ),
        Mistake(
            "Your anchors run column by column: the column changes faster than the row.", _column_by_column
        ),
        Mistake("Your anchors run size by size: all sizes of a position stand together.", _size_by_size),
        Mistake(
            "Your map leaves out the last row and column of an image that is no multiple of the "
            "stride: round up.",
            lambda height, width, stride, sizes: answers.generate_anchors(
                height // stride * stride, width // stride * stride, stride, sizes
            ),
        ),
        Mistake(
            "Your anchors are twice as large: half of the size lies on either side of the centre.",
            lambda height, width, stride, sizes: answers.generate_anchors(
                height, width, stride, [2 * size for size in sizes]
            ),
        ),
        Mistake("Your anchors are centre and size: x1 y1 x2 y2 is asked for.", _as_centre_and_size),
    ),
)


def _match(
    *,
    forced: bool = True,
    least: bool = True,
    ignores: bool = True,
    own_face: bool = True,
    equal_too: bool = True,
) -> Any:
    """Make a matching with a mistake."""

    def match_anchors(
        anchors: FloatArray, faces: FloatArray, positive: float, negative: float, force_best: float
    ) -> IntArray:
        overlap = iou(anchors, faces)
        best, match = overlap.max(axis=1), overlap.argmax(axis=1)
        nearest = match.copy()
        match[best < positive if equal_too else best <= positive] = -2
        match[best < (negative if ignores else positive)] = -1
        best_anchor = overlap.argmax(axis=0)
        for g in np.argsort(overlap.max(axis=0)):
            if forced and (overlap[best_anchor[g], g] >= force_best or not least):
                match[best_anchor[g]] = g if own_face else nearest[best_anchor[g]]
        return match

    return match_anchors


def _swapped(
    anchors: FloatArray, faces: FloatArray, positive: float, negative: float, force_best: float
) -> IntArray:
    return answers.match_anchors(faces, anchors, positive, negative, force_best)


ROW = np.array([[0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
# Face 0 shares 9 of 11 columns with anchor 0; face 1 covers a quarter of anchor 1.
SMALL_FACE = np.array([[1.0, 0.0, 11.0, 10.0], [12.0, 2.0, 17.0, 7.0]])


def _matching(anchors: FloatArray, faces: FloatArray, positive: float, negative: float) -> dict[str, Any]:
    return {"anchors": anchors, "faces": faces, "positive": positive, "negative": negative, "force_best": 0.2}


MATCH_ANCHORS = Exercise(
    name="match_anchors",
    topic=TOPIC,
    question=(
        "Which face is each of anchors (A, 4) to find? The one of faces (G, 4) with the largest IoU, "
        "if that is at least `positive`; "
        "below `negative` it is background (-1), in between it is ignored (-2). Then every face gets "
        "its best anchor, if "
        "their IoU is at least force_best; of two faces that want the same one, the larger IoU wins."
    ),
    returns="match (A,) integers",
    reference=answers.match_anchors,
    cases=(
        _matching(ROW, SMALL_FACE, 0.35, 0.35),
        _matching(ROW, np.array([[4.0, 0.0, 14.0, 10.0], [21.0, 0.0, 30.0, 10.0]]), 0.5, 0.3),
        # The face covers half of its union with anchors 0 and 1 each.
        _matching(ROW, np.array([[0.0, 0.0, 20.0, 10.0]]), 0.6, 0.3),
        _matching(ROW, np.array([[0.0, 0.0, 20.0, 10.0]]), 0.5, 0.3),
        _matching(ROW, np.array([[20.0, 0.0, 29.0, 10.0], [12.0, 2.0, 14.0, 5.0]]), 0.35, 0.35),
        # Anchor 1 overlaps face 0 more than face 1, whose best anchor it is all the same.
        _matching(
            np.array([[0.0, 0.0, 10.0, 10.0], [2.0, 0.0, 12.0, 10.0]]),
            np.array([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0]]),
            0.6,
            0.3,
        ),
    ),
    mistakes=(
        Mistake(
            "Your matching forces nothing: a small face that no anchor fits well is never learnt.",
            _match(forced=False),
        ),
        Mistake(
            "Your matching forces even the worst: below force_best the best anchor is far from the face.",
            _match(least=False),
        ),
        Mistake(
            "Your matching ignores no anchor: between `negative` and `positive` it is neither face "
            "nor background.",
            _match(ignores=False),
        ),
        Mistake(
            "Your forced anchor keeps the face it overlaps most: it has to find the face that claimed it.",
            _match(own_face=False),
        ),
        Mistake(
            "An anchor whose IoU equals `positive` is not positive in your matching: it is `at least`.",
            _match(equal_too=False),
        ),
        Mistake("You return the anchor of each face: the face of each anchor is asked for.", _swapped),
    ),
)


def _over_the_batch(losses: FloatArray, positive: FloatArray, negative: FloatArray, ratio: int) -> FloatArray:
    flat = answers.mine_negatives(
        losses.reshape(1, -1), positive.reshape(1, -1), negative.reshape(1, -1), ratio
    )
    return flat.reshape(losses.shape)


MASKS = {
    "positive": np.array(
        [[True, False, False, False, False, False], [False, True, False, False, True, False]]
    ),
    "negative": np.array([[False, False, True, True, True, True], [True, False, True, True, False, True]]),
}

MINE_NEGATIVES = Exercise(
    name="mine_negatives",
    topic=TOPIC,
    question=(
        "Mark, image by image, the negative anchors with the largest losses (N, A), `ratio` times as "
        "many as there are positives; "
        "positive and negative are masks (N, A), and an anchor that is neither is ignored."
    ),
    returns="kept (N, A) bool",
    reference=answers.mine_negatives,
    cases=(
        {
            "losses": np.array([[9.0, 8.0, 0.5, 0.75, 0.625]]),
            "positive": np.array([[True, False, False, False, False]]),
            "negative": np.array([[False, False, True, True, True]]),
            "ratio": 2,
        },
        {"losses": 4 + halves(500, 2, 6) + np.arange(12).reshape(2, 6) / 16, **MASKS, "ratio": 1},
        {"losses": 4 + halves(501, 2, 6) + np.arange(12).reshape(2, 6) / 16, **MASKS, "ratio": 3},
        {
            "losses": np.array([[1.0, 2.0, 4.0], [3.0, 8.0, 6.0]]),
            "positive": np.array([[True, False, False], [False, False, False]]),
            "negative": np.array([[False, True, True], [True, True, True]]),
            "ratio": 1,
        },
    ),
    mistakes=(
        Mistake(
            "Your mining takes ignored anchors for negatives: what is not positive need not be background.",
            lambda losses, positive, negative, ratio: answers.mine_negatives(
                losses, positive, ~positive, ratio
            ),
        ),
        Mistake(
            "Your mining runs over the whole batch: each image has its own positives and negatives.",
            _over_the_batch,
        ),
        Mistake(
            "Your mining keeps the easiest: it is the largest losses that teach.",
            lambda losses, positive, negative, ratio: answers.mine_negatives(
                -losses, positive, negative, ratio
            ),
        ),
        Mistake(
            "Your mining lets positives compete: their losses are larger, and take the places of negatives.",
            lambda losses, positive, negative, ratio: (
                answers.mine_negatives(losses, positive, positive | negative, ratio) & negative
            ),
        ),
        Mistake(
            "Your mining marks the positives too: only the kept negatives are asked for.",
            lambda losses, positive, negative, ratio: (
                answers.mine_negatives(losses, positive, negative, ratio) | positive
            ),
        ),
        Mistake(
            "Your mining keeps `ratio` negatives whatever the number of positives.",
            lambda losses, positive, negative, ratio: np.concatenate(
                [
                    answers.mine_negatives(losses[n : n + 1], np.array([[True]]), negative[n : n + 1], ratio)
                    for n in range(len(losses))
                ]
            ),
        ),
    ),
)

EXERCISES = (GENERATE_ANCHORS, MATCH_ANCHORS, MINE_NEGATIVES)
