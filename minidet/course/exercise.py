"""What an exercise is: a question, inputs to try an answer on, a right answer, and typical wrong ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Case: TypeAlias = Mapping[str, Any]
"""One input: the arguments by name, in the order of the signature."""


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer.

    Attributes
    ----------
    sentence : str
        Names the mistake to the student who has made it, and says what to think about.
    wrong : callable
        The wrong answer itself. Whoever returns what it returns has made the mistake.
    """

    sentence: str
    wrong: Callable[..., Any] = field(repr=False)


@dataclass(frozen=True, repr=False)
class Exercise:
    """A question whose answer is a function.

    Attributes
    ----------
    name : str
        What :func:`minidet.course.check` is given.
    topic : str
        Exercises of one topic belong together.
    question : str
        What the function is to do.
    returns : str
        What it is to return, with shapes.
    reference : callable
        A right answer. It is not printed with the exercise.
    cases : tuple of dict
        Small inputs, the simplest first.
    mistakes : tuple of Mistake

    Examples
    --------
    >>> Exercise("double", "Numbers", "Double it.", "a number", lambda x: 2 * x, ({"x": 2},), ())
    double(x) -> a number
      Double it.
    """

    name: str
    topic: str
    question: str
    returns: str
    reference: Callable[..., Any]
    cases: tuple[Case, ...]
    mistakes: tuple[Mistake, ...]

    @property
    def signature(self) -> str:
        """The function's name and its parameters, as in ``iou(a, b)``."""
        return f"{self.name}({', '.join(inspect.signature(self.reference).parameters)})"

    def __repr__(self) -> str:
        return f"{self.signature} -> {self.returns}\n  {self.question}"
