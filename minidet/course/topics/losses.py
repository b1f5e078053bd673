"""Exercises on losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._typing import FloatArray, IntArray
from minidet.course.answers import losses as answers
from minidet.course.exercise import Exercise, Mistake
from minidet.course.topics._numbers import halves

TOPIC = "Losses"


def _times(factor: float, loss: tuple[float, FloatArray], gradient_too: bool) -> tuple[float, FloatArray]:
    value, gradient = loss
    return factor * value, factor * gradient if gradient_too else gradient


def _naive_cross_entropy(logits: FloatArray, labels: IntArray) -> tuple[float, FloatArray]:
    M = len(logits)
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = scores.copy()
    gradient[np.arange(M), labels] -= 1
    return float(-np.log(scores[np.arange(M), labels]).mean()), gradient / M


def _scores_as_gradient(logits: FloatArray, labels: IntArray) -> tuple[float, FloatArray]:
    value, gradient = answers.softmax_cross_entropy(logits, labels)
    gradient[np.arange(len(labels)), labels] += 1 / len(labels)
    return value, gradient


SOFTMAX_CROSS_ENTROPY = Exercise(
    name="softmax_cross_entropy",
    topic=TOPIC,
    question=(
        "Of logits (M, C) and labels (M,) compute the mean of -ln(score of the label), the scores "
        "being the softmax of a row, "
        "and its gradient with respect to the logits."
    ),
    returns="(value, grad_logits (M, C))",
    reference=answers.softmax_cross_entropy,
    cases=(
        {"logits": np.log([[1.0, 3.0]]), "labels": np.array([1])},
        {"logits": halves(300, 3, 2), "labels": np.array([0, 1, 1])},
        {"logits": halves(301, 2, 4), "labels": np.array([3, 0])},
        {"logits": np.array([[1000.0, 0.0], [0.0, 1000.0]]), "labels": np.array([1, 1])},
    ),
    mistakes=(
        Mistake(
            "Your loss overflows: subtract the largest logit of a row first, and take the logarithm "
            "of the sum, not of each score.",
            _naive_cross_entropy,
        ),
        Mistake(
            "Your loss and gradient are of the sum: divide both by the number of samples.",
            lambda logits, labels: _times(
                len(labels), answers.softmax_cross_entropy(logits, labels), gradient_too=True
            ),
        ),
        Mistake(
            "Your gradient is not divided by the number of samples, though the loss is a mean.",
            lambda logits, labels: (
                answers.softmax_cross_entropy(logits, labels)[0],
                answers.softmax_cross_entropy(logits, labels)[1] * len(labels),
            ),
        ),
        Mistake(
            "Your gradient is the scores alone: of the label's score 1 has to be taken off.",
            _scores_as_gradient,
        ),
        Mistake(
            "Your gradient has the wrong sign: it is score minus label.",
            lambda logits, labels: (
                answers.softmax_cross_entropy(logits, labels)[0],
                -answers.softmax_cross_entropy(logits, labels)[1],
            ),
        ),
        Mistake(
            "Your loss has the wrong sign: the logarithm of a score is negative, a price is not.",
            lambda logits, labels: (
                -answers.softmax_cross_entropy(logits, labels)[0],
                answers.softmax_cross_entropy(logits, labels)[1],
            ),
        ),
        Mistake(
            "Your logarithm is that of base 2: the natural one has the gradient score minus label.",
            lambda logits, labels: _times(
                1 / np.log(2), answers.softmax_cross_entropy(logits, labels), gradient_too=False
            ),
        ),
    ),
)


def _smooth(
    predictions: FloatArray, targets: FloatArray, beta: float, *, half: bool = True, join: bool = True
) -> float:
    d = np.abs(predictions - targets)
    parabola = d**2 / beta / (2 if half else 1)
    line = d - (beta / 2 if join else 0)
    return float(np.where(d < beta, parabola, line).mean())


def _with_value(value: float, predictions: FloatArray, targets: FloatArray, beta: float) -> Any:
    return value, answers.smooth_l1(predictions, targets, beta)[1]


def _with_gradient(
    factor: float, predictions: FloatArray, targets: FloatArray, beta: float
) -> tuple[float, FloatArray]:
    value, gradient = answers.smooth_l1(predictions, targets, beta)
    return value, factor * gradient


SMOOTH_L1 = Exercise(
    name="smooth_l1",
    topic=TOPIC,
    question=(
        "With d = predictions - targets compute the mean of d^2 / (2 beta) where |d| < beta and |d| "
        "- beta / 2 elsewhere, "
        "and its gradient with respect to the predictions."
    ),
    returns="(value, grad_predictions, an array like predictions)",
    reference=answers.smooth_l1,
    cases=(
        {"predictions": np.array([0.5, -3.0]), "targets": np.array([0.0, 0.0]), "beta": 1.0},
        {"predictions": halves(310, 2, 4), "targets": halves(311, 2, 4) / 2, "beta": 1.0},
        {"predictions": halves(312, 2, 4), "targets": halves(313, 2, 4) / 2, "beta": 0.75},
    ),
    mistakes=(
        Mistake(
            "Your parabola lacks the half: it is d^2 / (2 beta).",
            lambda predictions, targets, beta: _with_value(
                _smooth(predictions, targets, beta, half=False), predictions, targets, beta
            ),
        ),
        Mistake(
            "Your line does not meet the parabola: take beta / 2 off |d|.",
            lambda predictions, targets, beta: _with_value(
                _smooth(predictions, targets, beta, join=False), predictions, targets, beta
            ),
        ),
        Mistake(
            "Your loss ignores beta, as if it were 1.",
            lambda predictions, targets, beta: answers.smooth_l1(predictions, targets, 1.0),
        ),
        Mistake(
            "Your gradient is not divided by the number of elements, though the loss is a mean.",
            lambda predictions, targets, beta: _with_gradient(predictions.size, predictions, targets, beta),
        ),
        Mistake(
            "Your gradient has the wrong sign: it is with respect to the predictions.",
            lambda predictions, targets, beta: _with_gradient(-1, predictions, targets, beta),
        ),
        Mistake(
            "Your loss is the mean over rows of the sum over columns: the mean runs over all elements.",
            lambda predictions, targets, beta: _times(
                predictions[0].size, answers.smooth_l1(predictions, targets, beta), gradient_too=True
            ),
        ),
    ),
)


def _focal(
    scores: FloatArray, labels: IntArray, weight: Any, exponentiated: FloatArray, gamma: float
) -> float:
    right = np.where(labels == 1, scores, 1 - scores)
    return float((-weight * exponentiated**gamma * np.log(right)).sum())


FOCAL_LOSS = Exercise(
    name="focal_loss",
    topic=TOPIC,
    question=(
        "Of scores (M,), the chance of a face, and labels (M,), 1 for a face, sum up -a (1 - "
        "p)^gamma ln p, p being the score "
        "of the class that is true, a = alpha for faces and 1 - alpha for background."
    ),
    returns="a number",
    reference=answers.focal_loss,
    cases=(
        {"scores": np.array([0.75]), "labels": np.array([1]), "alpha": 0.25, "gamma": 2.0},
        {"scores": np.array([0.75, 0.25]), "labels": np.array([0, 1]), "alpha": 0.25, "gamma": 2.0},
        {
            "scores": np.array([0.9, 0.1, 0.6, 0.2]),
            "labels": np.array([1, 0, 0, 1]),
            "alpha": 0.4,
            "gamma": 1.0,
        },
    ),
    mistakes=(
        Mistake(
            "Your loss weighs faces and background alike by alpha: background weighs 1 - alpha.",
            lambda scores, labels, alpha, gamma: _focal(
                scores, labels, alpha, np.where(labels == 1, 1 - scores, scores), gamma
            ),
        ),
        Mistake(
            "Your alpha is the weight of the background: it is that of the faces.",
            lambda scores, labels, alpha, gamma: answers.focal_loss(scores, labels, 1 - alpha, gamma),
        ),
        Mistake(
            "Your loss takes p to the power gamma: it is 1 - p, so that what is right already counts little.",
            lambda scores, labels, alpha, gamma: _focal(
                scores,
                labels,
                np.where(labels == 1, alpha, 1 - alpha),
                np.where(labels == 1, scores, 1 - scores),
                gamma,
            ),
        ),
        Mistake(
            "Your loss takes the score of a face for background too: p is the score of the class "
            "that is true.",
            lambda scores, labels, alpha, gamma: float(
                (-np.where(labels == 1, alpha, 1 - alpha) * (1 - scores) ** gamma * np.log(scores)).sum()
            ),
        ),
        Mistake(
            "Your loss leaves out alpha.",
            lambda scores, labels, alpha, gamma: _focal(
                scores, labels, 1.0, np.where(labels == 1, 1 - scores, scores), gamma
            ),
        ),
        Mistake(
            "Your loss is the mean: the sum is asked for, which the paper divides by the number of faces.",
            lambda scores, labels, alpha, gamma: (
                answers.focal_loss(scores, labels, alpha, gamma) / len(scores)
            ),
        ),
        Mistake(
            "Your loss leaves out gamma: it is a weighted cross-entropy.",
            lambda scores, labels, alpha, gamma: answers.focal_loss(scores, labels, alpha, 0.0),
        ),
    ),
)


def _tasks(
    in_class: tuple[int, ...],
    in_box: tuple[int, ...],
    in_landmark: tuple[int, ...],
    *,
    mean: bool = False,
    weighted: bool = True,
) -> Any:
    """Make a multi-task loss in which other types of sample have a say."""

    def loss(
        types: IntArray,
        class_losses: FloatArray,
        box_losses: FloatArray,
        landmark_losses: FloatArray,
        alpha: tuple[float, float, float],
    ) -> float:
        total = 0.0
        members = (in_class, in_box, in_landmark)
        for weight, losses, kinds in zip(
            alpha, (class_losses, box_losses, landmark_losses), members, strict=True
        ):
            total += (weight if weighted else 1) * float(losses[np.isin(types, kinds)].sum())
        return total / len(types) if mean else total

    return loss


def _minibatch(seed: int, types: list[int], alpha: tuple[float, float, float]) -> dict[str, Any]:
    M = len(types)
    return {
        "types": np.array(types),
        "class_losses": 0.5 + np.abs(halves(seed, M)),
        "box_losses": 0.5 + np.abs(halves(seed + 1, M)),
        "landmark_losses": 0.5 + np.abs(halves(seed + 2, M)),
        "alpha": alpha,
    }


MULTI_TASK_LOSS = Exercise(
    name="multi_task_loss",
    topic=TOPIC,
    question=(
        "Join MTCNN's tasks, each given as losses (M,): sum the classification losses of negatives "
        "(type 0) and positives (1), "
        "the box losses of positives and parts (2), the landmark losses of landmark samples (3), and "
        "weigh the three sums by "
        "alpha."
    ),
    returns="a number",
    reference=answers.multi_task_loss,
    cases=(
        _minibatch(320, [0, 1, 2, 3], (1.0, 0.5, 0.5)),
        _minibatch(330, [3, 0, 0, 2, 1, 0], (1.0, 0.5, 1.0)),
        _minibatch(340, [0, 0], (1.0, 0.5, 0.25)),
    ),
    mistakes=(
        Mistake(
            "Your part faces are classified: they are neither faces nor background, and only teach boxes.",
            _tasks((0, 1, 2), (1, 2), (3,)),
        ),
        Mistake(
            "Your landmark samples are classified: they only teach landmarks.",
            _tasks((0, 1, 3), (1, 2), (3,)),
        ),
        Mistake(
            "Your positives do not teach boxes: they do, together with the parts.", _tasks((0, 1), (2,), (3,))
        ),
        Mistake("Your parts do not teach boxes: that is what they are for.", _tasks((0, 1), (1,), (3,))),
        Mistake(
            "Your positives teach landmarks: only landmark samples have points.",
            _tasks((0, 1), (1, 2), (1, 3)),
        ),
        Mistake(
            "Every sample has its say in every task: background has no box, and its box loss means nothing.",
            _tasks((0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3)),
        ),
        Mistake("Your sum leaves out alpha.", _tasks((0, 1), (1, 2), (3,), weighted=False)),
        Mistake("You divide by the batch size: sums are asked for.", _tasks((0, 1), (1, 2), (3,), mean=True)),
    ),
)

EXERCISES = (SOFTMAX_CROSS_ENTROPY, SMOOTH_L1, FOCAL_LOSS, MULTI_TASK_LOSS)
