"""Every exercise: its answer passes, each mistake is called by its name, and a student can read it."""

import importlib.util
import inspect
from dataclasses import replace

import numpy as np
import pytest

from minidet.course import Exercise, ExerciseList, exercises
from minidet.course.catalogue import TOPICS
from minidet.course.check import judge
from minidet.course.outcome import run
from minidet.course.show import show, show_case

EXERCISES = exercises()
by_name = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
MISTAKES = [
    pytest.param(exercise, number, id=f"{exercise.name}-{number}")
    for exercise in EXERCISES
    for number in range(len(exercise.mistakes))
]


def test_there_are_as_many_as_promised_and_of_every_topic():
    assert len(EXERCISES) >= 24
    assert len({exercise.name for exercise in EXERCISES}) == len(EXERCISES)
    assert [exercise for topic in TOPICS for exercise in topic.EXERCISES] == list(EXERCISES)
    for topic in TOPICS:
        assert {exercise.topic for exercise in topic.EXERCISES} == {topic.TOPIC}
        of_module = [thing for thing in vars(topic).values() if isinstance(thing, Exercise)]
        assert of_module == list(topic.EXERCISES), "an exercise is missing from EXERCISES"


@by_name
def test_the_reference_passes(exercise):
    result = judge(exercise, exercise.reference)
    assert result.passed, result
    assert repr(result) == f"{exercise.name}: right, on all {len(exercise.cases)} inputs."


@pytest.mark.parametrize(("exercise", "number"), MISTAKES)
def test_a_mistake_is_called_by_its_name_and_by_no_other(exercise, number):
    mistake = exercise.mistakes[number]
    backwards = replace(exercise, mistakes=exercise.mistakes[::-1])
    for order in (exercise, backwards):  # were two alike, the order would decide
        result = judge(order, mistake.wrong)
        assert not result.passed
        assert result.mistakes == (mistake.sentence,)
        assert mistake.sentence in repr(result).splitlines()
        # What is shown is a result that the mistake spoils.
        assert show(result.returned) in repr(result).replace("\n" + " " * 10, "\n")


@by_name
def test_at_least_three_mistakes_are_known(exercise):
    sentences = [mistake.sentence for mistake in exercise.mistakes]
    assert len(sentences) >= 3
    assert len(set(sentences)) == len(sentences)
    for sentence in sentences:
        assert sentence.endswith("."), sentence
        assert sentence[0].isupper(), sentence
        assert "  " not in sentence
        assert len(sentence) <= 180, sentence


@by_name
def test_the_question_is_short(exercise):
    assert exercise.question[-1] in ".?"
    assert len(exercise.question) <= 400
    assert "  " not in exercise.question + exercise.returns
    assert exercise.returns
    assert exercise.name.isidentifier()


@by_name
def test_inputs_are_those_of_the_signature(exercise):
    names = list(inspect.signature(exercise.reference).parameters)
    assert all(list(case) == names for case in exercise.cases)
    assert len(exercise.cases) >= 2
    assert exercise.signature == f"{exercise.name}({', '.join(names)})"


@by_name
def test_inputs_and_answers_can_be_read(exercise):
    for case in exercise.cases:
        arrays = [value for value in case.values() if isinstance(value, np.ndarray)]
        assert all(array.size <= 100 for array in arrays)
        for text in (show_case(case), show(exercise.reference(**case))):
            assert "..." not in text
            assert max(map(len, text.splitlines())) <= 110
            assert len(text.splitlines()) <= 45


@by_name
def test_the_reference_leaves_its_arguments_alone(exercise):
    for case in exercise.cases:
        outcome = run(exercise.reference, case)
        assert outcome.error is None
        assert outcome.changed == ()


@by_name
def test_numbers_are_float64_unless_they_are_pixels(exercise):
    for case in exercise.cases:
        for value in case.values():
            if isinstance(value, np.ndarray):
                assert value.dtype in (np.float64, np.intp, np.bool_, np.uint8)


@by_name
def test_what_a_student_sees_does_not_give_the_answer_away(exercise):
    text = repr(exercise)
    assert text == f"{exercise.signature} -> {exercise.returns}\n  {exercise.question}"
    assert "function" not in repr(exercise.mistakes)
    assert "lambda" not in repr(exercise.mistakes)


def test_inputs_are_the_same_every_time():
    first = [show_case(case) for exercise in exercises() for case in exercise.cases]
    for topic in TOPICS:
        again = importlib.util.module_from_spec(topic.__spec__)
        topic.__spec__.loader.exec_module(again)
        for exercise in again.EXERCISES:
            for case in exercise.cases:
                assert show_case(case) == first.pop(0)
    assert first == []


def test_the_list_prints_topic_by_topic():
    lines = repr(EXERCISES).splitlines()
    assert lines[:2] == ["Pixels", "  mtcnn_input(image)"]
    assert len(lines) == len(EXERCISES) + len(TOPICS)
    assert isinstance(EXERCISES, ExerciseList)
    assert isinstance(EXERCISES, tuple)
    html = EXERCISES._repr_html_()
    assert html.count("<tr>") == len(EXERCISES) + 1
    assert "<code>iou(a, b)</code>" in html
    assert "0 * 2 &lt; 1" in ExerciseList([replace(EXERCISES[0], question="0 * 2 < 1")])._repr_html_()
