"""Is the answer of a student right, and if not, where and why not?"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from minidet.course.catalogue import find_exercise
from minidet.course.compare import difference
from minidet.course.exercise import Exercise, Mistake
from minidet.course.outcome import Outcome, accepts, place_of, run
from minidet.course.result import Result
from minidet.course.show import indent, show, show_case
from minidet.errors import InputError, one_line

LEAST_SHARE = 1 / 3
"""An answer that is wrong everywhere may by chance agree with a mistake that shows in one input only."""


def check(name: str, function: Callable[..., Any]) -> Result:
    """Try your own function on the inputs of an exercise.

    Parameters
    ----------
    name : str
        Of an exercise; :func:`minidet.course.exercises` lists them.
    function : callable
        Your answer. It is called with the arguments of the exercise's signature: by name if its parameters
        have the same names, else in that order.

    Returns
    -------
    Result
        ``passed`` says whether all came out right. Printed, it names the mistake if it is a typical one, and
        shows an input, what your function returned for it and what was expected.

    Raises
    ------
    InputError
        If there is no such exercise, or ``function`` cannot be called.

    Notes
    -----
    A mistake is recognised by what it does: for each there is a wrong answer, and whoever returns the same as
    that, wherever it differs from the right one, has made it.

    Examples
    --------
    >>> check("linear", lambda x, weight, bias: x @ weight.T + bias)
    linear: right, on all 3 inputs.
    >>> check("linear", lambda x, weight, bias: x @ weight.T).mistakes
    ('Your layer forgets the bias.',)
    """
    exercise = find_exercise(name)
    if not callable(function):
        raise InputError(
            f"course.check: the answer to {name!r} is a {type(function).__name__}; "
            "expected your function itself, without brackets behind its name"
        )
    return judge(exercise, function)


def judge(exercise: Exercise, function: Callable[..., Any]) -> Result:
    """Try a function on the inputs of an exercise that need not be one of the course's.

    Examples
    --------
    >>> cases = ({"x": 2}, {"x": 3})
    >>> double = Exercise("double", "Numbers", "Double.", "a number", lambda x: 2 * x, cases, ())
    >>> judge(double, lambda x: x + 2)
    double: not right yet; 1 of 2 inputs comes out right.
    <BLANKLINE>
    Input 2 of 2
      x = 3
    Returned: 5
    Expected: 6
    The number is 5; expected 6.
    """
    if not accepts(function, exercise.cases[0]):
        return _wrong_parameters(exercise, function)
    outcomes = [run(function, case) for case in exercise.cases]
    right = [run(exercise.reference, case) for case in exercise.cases]
    failed = [k for k, (own, wanted) in enumerate(zip(outcomes, right, strict=True)) if not own.like(wanted)]
    if not failed:
        return _no_failure(exercise, outcomes, right)

    explained = recognise(exercise, outcomes, right)
    shown = explained[0][1] if explained else failed[0]
    sentences = tuple(mistake.sentence for mistake, _ in explained)
    return _failure(exercise, function, outcomes, right, failed, shown, sentences)


def recognise(
    exercise: Exercise, outcomes: Sequence[Outcome], right: Sequence[Outcome]
) -> list[tuple[Mistake, int]]:
    """Find the mistakes that explain wrong outcomes, and the first case in which each shows.

    A mistake counts if the outcomes are those of its wrong answer wherever that differs from the right one,
    and if one of these is a result: an exception alone has too many causes. The results of a function that
    returns several are looked at one by one, so that a mistake in one is recognised beside one in another. Of
    two mistakes the one is left out that explains only a part of what the other does, and so is one that
    explains less than ``LEAST_SHARE`` of all that is wrong. The one that explains most comes first.
    """
    own = _by_part(outcomes, right)
    wanted = _by_part(right, right)
    failed = sum(not part.like(wanted[place]) for place, part in own.items())
    found = []
    for mistake in exercise.mistakes:
        wrong = _by_part([run(mistake.wrong, case) for case in exercise.cases], right)
        differing = {place for place, part in wrong.items() if not part.like(wanted[place])}
        returned = [case for case, number in sorted(differing) if wrong[case, number].error is None]
        explains_enough = len(differing) >= LEAST_SHARE * failed
        if returned and explains_enough and all(own[place].like(wrong[place]) for place in differing):
            found.append((mistake, differing, returned[0]))
    found.sort(key=lambda entry: -len(entry[1]))
    return [
        (mistake, first)
        for mistake, explained, first in found
        if not any(explained < more for _, more, _ in found)
    ]


def _by_part(outcomes: Sequence[Outcome], right: Sequence[Outcome]) -> dict[tuple[int, int], Outcome]:
    """Take outcomes apart: by case, and by number of the result where a function returns several."""
    parts = {}
    for case, (outcome, wanted) in enumerate(zip(outcomes, right, strict=True)):
        if not isinstance(wanted.value, tuple):
            parts[case, 0] = outcome
            continue
        count = len(wanted.value)
        fits = isinstance(outcome.value, tuple | list) and len(outcome.value) == count
        # What is no such tuple must not pass for one of its parts; as a tuple of its own it is like none.
        values = outcome.value if fits else [(outcome.value,)] * count
        for number, value in enumerate(values):
            parts[case, number] = Outcome(value, outcome.error)
    return parts


def _no_failure(exercise: Exercise, outcomes: Sequence[Outcome], right: Sequence[Outcome]) -> Result:
    count = len(exercise.cases)
    for case, own, wanted in zip(exercise.cases, outcomes, right, strict=True):
        if own.changed:
            changed = own.changed[0]
            message = (
                f"{exercise.name}: not right yet; the results are right, but your function changes its "
                f"argument `{changed}` in place.\nWhoever called it still needs that array. "
                f"Work on a copy: {changed} = {changed}.copy()"
            )
            return Result(exercise.name, False, message, (), case, own.value, wanted.value)
    return Result(exercise.name, True, f"{exercise.name}: right, on all {count} inputs.")


def _failure(
    exercise: Exercise,
    function: Callable[..., Any],
    outcomes: Sequence[Outcome],
    right: Sequence[Outcome],
    failed: Sequence[int],
    shown: int,
    sentences: tuple[str, ...],
) -> Result:
    count = len(exercise.cases)
    come_out = "comes" if count - len(failed) == 1 else "come"
    own, wanted = outcomes[shown], right[shown]
    lines = [
        f"{exercise.name}: not right yet; {count - len(failed)} of {count} inputs {come_out} out right.",
        *sentences,
        "",
        f"Input {shown + 1} of {count}",
        "  " + indent(show_case(exercise.cases[shown]), "  "),
    ]
    if own.error is not None:
        error = f"{type(own.error).__name__}: {one_line(own.error)}"
        lines += [f"Raised{place_of(own.error, function)}", f"  {error}"]
    else:
        lines.append("Returned: " + indent(show(own.value), " " * 10))
    lines.append("Expected: " + indent(show(wanted.value), " " * 10))
    if own.error is None:
        lines.append(str(difference(own.value, wanted.value)))
    if own.changed:
        lines.append(f"Your function also changes its argument `{own.changed[0]}` in place.")
    returned = own.value if own.error is None else own.error
    message = "\n".join(lines)
    return Result(exercise.name, False, message, sentences, exercise.cases[shown], returned, wanted.value)


def _wrong_parameters(exercise: Exercise, function: Callable[..., Any]) -> Result:
    message = (
        f"{exercise.name}: your function takes {inspect.signature(function)}; "
        f"it is called as {exercise.signature}."
    )
    return Result(exercise.name, False, message)
