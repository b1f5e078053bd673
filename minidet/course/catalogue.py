"""All exercises, in the order of the course."""

from __future__ import annotations

from difflib import get_close_matches
from html import escape
from itertools import groupby

from minidet.course.exercise import Exercise
from minidet.course.topics import (
    anchors,
    backward,
    boxes,
    convolution,
    evaluation,
    layers,
    losses,
    mtcnn,
    optimisation,
    pixels,
    suppression,
)
from minidet.errors import InputError

TOPICS = (
    pixels,
    convolution,
    layers,
    backward,
    losses,
    boxes,
    suppression,
    mtcnn,
    anchors,
    optimisation,
    evaluation,
)


class ExerciseList(tuple[Exercise, ...]):
    """Exercises that print as a list, topic by topic."""

    def __repr__(self) -> str:
        parts = []
        for topic, members in groupby(self, key=lambda exercise: exercise.topic):
            parts.append("\n".join([topic, *(f"  {exercise.signature}" for exercise in members)]))
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        rows = [
            f"<tr><td>{escape(exercise.topic)}</td><td><code>{escape(exercise.signature)}</code></td>"
            f'<td style="text-align: left">{escape(exercise.question)}</td></tr>'
            for exercise in self
        ]
        head = "<tr><th>topic</th><th>exercise</th><th>question</th></tr>"
        return f"<table>{head}{''.join(rows)}</table>"


def exercises() -> ExerciseList:
    """List all exercises in the order of the course.

    Returns
    -------
    ExerciseList
        A tuple of :class:`Exercise`.

    Examples
    --------
    >>> exercises()[7]
    depthwise_conv2d(x, weight, bias, stride, padding) -> y (N, C, OH, OW)
      Convolve every channel of x (N, C, H, W) with its own filter, weight (C, 1, KH, KW), and add bias (C,).
    """
    return ExerciseList(exercise for topic in TOPICS for exercise in topic.EXERCISES)


def find_exercise(name: str) -> Exercise:
    """Return the exercise of that name.

    Raises
    ------
    InputError
        If there is none; the message proposes names like it.

    Examples
    --------
    >>> find_exercise("iou").signature
    'iou(a, b)'
    """
    by_name = {exercise.name: exercise for exercise in exercises()}
    if name in by_name:
        return by_name[name]
    near = get_close_matches(str(name), by_name, n=3, cutoff=0.5)
    advice = f"did you mean {', '.join(near)}?" if near else "minidet.course.exercises() lists all"
    raise InputError(f"course.check: no exercise {name!r}; {advice}")
