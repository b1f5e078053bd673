"""What a student is told."""

import functools
import re
from html import unescape

import numpy as np
import pytest

import minidet
from minidet.course import Exercise, Mistake, Result, check
from minidet.course.check import judge
from minidet.course.outcome import accepts, place_of, run
from minidet.course.show import MOST_LINES, show, show_case
from minidet.errors import InputError


def exercise(reference, cases, *mistakes):
    """An exercise of one's own; mistakes are (sentence, wrong) pairs."""
    return Exercise(
        "own", "Own", "?", "a result", reference, cases, tuple(Mistake(*pair) for pair in mistakes)
    )


DOUBLE = exercise(
    lambda x: 2 * x,
    ({"x": np.array([1.0, 2.0])}, {"x": np.array([3.0, 4.0, 5.0])}, {"x": np.array([-1.0])}),
    ("You square.", lambda x: x**2),
    ("You drop the sign.", lambda x: np.abs(2 * x)),
)


def naive_nms(boxes, scores, threshold):
    """The best-known wrong one: every box drops those that it overlaps, dropped or not."""
    order = np.argsort(-scores)
    overlaps = minidet.boxes.iou(boxes[order], boxes[order])
    drops = np.triu(overlaps > threshold, 1).any(axis=0)
    return order[~drops]


def test_the_example_of_the_issue():
    result = check("nms", naive_nms)
    assert not result.passed
    assert not result
    assert result.exercise == "nms"
    assert len(result.mistakes) == 1
    assert result.mistakes[0].startswith("Your NMS compares with boxes already suppressed")
    assert (
        repr(result)
        == f"""\
nms: not right yet; 5 of 6 inputs come out right.
{result.mistakes[0]}

Input 1 of 6
  boxes = array([[0., 0., 5., 2.],
                 [1., 0., 6., 2.],
                 [2., 0., 7., 2.]])
  scores = array([0.9, 0.8, 0.7])
  iou_threshold = 0.5
Returned: array([0])
Expected: array([0, 2])
The shape is (1,); expected (2,)."""
    )
    np.testing.assert_array_equal(result.returned, [0])
    np.testing.assert_array_equal(result.expected, [0, 2])
    np.testing.assert_array_equal(result.case["scores"], [0.9, 0.8, 0.7])


def test_a_right_answer():
    result = check("nms", minidet.boxes.nms)
    assert result.passed
    assert bool(result) is True
    assert repr(result) == "nms: right, on all 6 inputs."
    assert (result.mistakes, result.case, result.returned, result.expected) == ((), None, None, None)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("iou", minidet.boxes.iou),
        ("conv2d", minidet.ops.conv2d_forward),  # by name: its stride cannot be given otherwise
        ("mirror_landmarks", minidet.boxes.mirror_landmarks),
        ("softmax_cross_entropy", minidet.losses.softmax_cross_entropy),
        ("encode_boxes", minidet.boxes.encode_boxes),
        ("linear", lambda **named: named["x"] @ named["weight"].T + named["bias"]),
        ("linear", lambda *given: given[0] @ given[1].T + given[2]),
        ("linear", lambda bias, weight, x: x @ weight.T + bias),
        ("linear", lambda a, b, c, extra=0: a @ b.T + c + extra),
        ("linear", functools.partial(minidet.ops.linear_forward)),
        ("shift_boxes", lambda b, d: b + d * np.tile(b[:, 2:] - b[:, :2], 2)),
    ],
)
def test_any_way_to_write_it_passes(name, function):
    result = check(name, function)
    assert result.passed, result


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nsm", "course.check: no exercise 'nsm'; did you mean nms?"),
        ("NMS_min", "course.check: no exercise 'NMS_min'; did you mean "),
        ("zzz", "course.check: no exercise 'zzz'; minidet.course.exercises() lists all"),
        (3, "course.check: no exercise 3; minidet.course.exercises() lists all"),
    ],
)
def test_an_unknown_name(name, message):
    with pytest.raises(InputError) as raised:
        check(name, naive_nms)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_near_names_are_proposed():
    with pytest.raises(InputError, match="did you mean encode_boxes, "):
        check("encode_box", naive_nms)


def test_a_call_in_place_of_the_function():
    with pytest.raises(
        InputError, match=r"^course.check: the answer to 'nms' is a ndarray; expected your function "
    ):
        check("nms", np.array([0, 2]))


def test_wrong_parameters():
    result = check("nms", lambda boxes, scores: boxes)
    assert not result.passed
    assert repr(result) == (
        "nms: your function takes (boxes, scores); it is called as nms(boxes, scores, iou_threshold)."
    )


def broken(x):
    """Fail on longer arrays."""
    if len(x) > 2:
        raise IndexError("no such\n  index")
    return 2 * x


def test_an_exception_is_told_with_its_place():
    result = judge(DOUBLE, broken)
    line = broken.__code__.co_firstlineno + 3
    assert (
        repr(result)
        == f"""\
own: not right yet; 2 of 3 inputs come out right.

Input 2 of 3
  x = array([3., 4., 5.])
Raised in line {line}: raise IndexError("no such\\n  index")
  IndexError: no such index
Expected: array([ 6.,  8., 10.])"""
    )
    assert isinstance(result.returned, IndexError)
    assert result.mistakes == ()


def test_an_exception_from_deeper_is_told_at_the_students_line():
    def calls_numpy(x):
        return np.reshape(x, (7, 7))

    result = judge(DOUBLE, calls_numpy)
    assert "Raised in line " in repr(result)
    assert ": return np.reshape(x, (7, 7))\n  ValueError: " in repr(result)


def test_the_place_is_left_out_where_it_is_not_known():
    assert place_of(ValueError("x"), functools.partial(broken)) == ""
    assert "\nRaised\n  IndexError" in repr(judge(DOUBLE, functools.partial(broken)))


def test_what_ends_the_program_is_not_caught():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge(DOUBLE, interrupted)


def test_a_change_in_place_is_told_though_the_result_is_right():
    def in_place(x):
        x *= 2
        return x

    result = judge(DOUBLE, in_place)
    assert not result.passed
    assert repr(result) == (
        "own: not right yet; the results are right, but your function changes its argument `x` in place.\n"
        "Whoever called it still needs that array. Work on a copy: x = x.copy()"
    )
    np.testing.assert_array_equal(result.case["x"], [1.0, 2.0])


def test_a_change_in_place_is_told_beside_a_wrong_result():
    def in_place(x):
        x += 1
        return x

    result = judge(DOUBLE, in_place)
    assert repr(result).splitlines()[-1] == "Your function also changes its argument `x` in place."
    assert "x = array([1., 2.])" in repr(result), "the argument is shown as it was given"


def test_a_list_that_is_changed_is_noticed():
    of_list = exercise(lambda numbers: sum(numbers), ({"numbers": [1, 2]},))

    def popping(numbers):
        return numbers.pop() + numbers.pop()

    assert "changes its argument `numbers` in place" in repr(judge(of_list, popping))


@pytest.mark.parametrize("changed", [np.zeros(2), np.array([-0.0, 1.0])])
def test_any_change_of_the_bytes_counts(changed):
    def writes(x):
        x[:] = changed
        return 0

    assert run(writes, {"x": np.array([0.0, 1.0])}).changed == ("x",)


def test_nan_in_an_argument_is_no_change():
    assert run(lambda x: 0, {"x": np.array([np.nan])}).changed == ()


def test_nan_in_the_result():
    result = judge(DOUBLE, lambda x: x / 0 - x / 0)
    assert repr(result).splitlines()[-1] == "At [0] stands NaN: something was divided by zero, or overflowed."


def test_a_list_in_place_of_an_array():
    result = judge(DOUBLE, lambda x: [2 * value for value in x])
    assert "Returned: [2, 4]" in repr(result).replace(".0", "")
    assert repr(result).splitlines()[-1] == "It is a list; expected an array: np.array(...) makes one."


def test_a_buffer_that_is_used_again_is_no_mistake():
    buffers = {}

    def reuses(x):
        buffer = buffers.setdefault("x", np.empty(3))[: len(x)]
        buffer[:] = 2 * x
        return buffer

    assert judge(DOUBLE, reuses).passed
    pair = exercise(lambda x: (2 * x, x), DOUBLE.cases)
    assert judge(pair, lambda x: (reuses(x), x)).passed


def test_the_arguments_of_one_run_are_not_those_of_the_next():
    def keeps(x):
        keeps.seen.append(x)
        return 2 * x

    keeps.seen = []
    judge(DOUBLE, keeps)
    first = list(keeps.seen)
    judge(DOUBLE, keeps)
    assert not any(np.shares_memory(a, b) for a, b in zip(first, keeps.seen[len(first) :], strict=True))


# ---- Recognising -----------------------------------------------------------------------------------


def test_a_mistake_is_named_and_shown_where_it_shows():
    result = judge(DOUBLE, lambda x: np.sqrt(4 * x * x))
    assert result.mistakes == ("You drop the sign.",)
    assert "Input 3 of 3" in repr(result)
    assert repr(result).startswith("own: not right yet; 2 of 3 inputs come out right.\nYou drop the sign.\n")


def test_no_name_for_what_is_no_known_mistake():
    assert judge(DOUBLE, lambda x: 3 * x).mistakes == ()
    # Right where the mistake is wrong, wrong elsewhere.
    assert judge(DOUBLE, lambda x: x**2 if len(x) > 1 else x).mistakes == ()


def test_one_right_input():
    assert "; 1 of 3 inputs comes out right." in repr(judge(DOUBLE, lambda x: 2 * x if len(x) == 1 else x))


RAISING = exercise(
    lambda x: x,
    ({"x": 1}, {"x": 2}),
    ("You fail.", lambda x: [][x]),
    ("You fail at 2.", lambda x: 5 if x == 1 else [][x]),
)


def test_an_exception_alone_names_no_mistake():
    assert judge(RAISING, lambda x: [][0]).mistakes == ()


def test_an_exception_of_the_same_type_agrees_with_a_mistake():
    assert judge(RAISING, lambda x: 5 if x == 1 else {}[0]).mistakes == ()
    result = judge(RAISING, lambda x: 5 if x == 1 else "a"[9])
    assert result.mistakes == ("You fail at 2.",)
    assert "Input 1 of 2" in repr(result)


PAIR = exercise(
    lambda x: (x, x + 1, 7),
    ({"x": 1}, {"x": 2}, {"x": 3}),
    ("The first is doubled.", lambda x: (2 * x, x + 1, 7)),
    ("The second lacks 1.", lambda x: (x, x, 7)),
    ("Both are zero.", lambda x: (0, 0, 7)),
    ("The first is zero.", lambda x: (0, x + 1, 7)),
    ("The third is 8 for 3.", lambda x: (x, x + 1, 8 if x == 3 else 7)),
)


def test_two_mistakes_in_two_results_are_both_named():
    result = judge(PAIR, lambda x: (2 * x, x, 7))
    assert result.mistakes == ("The first is doubled.", "The second lacks 1.")
    assert repr(result).splitlines()[1:3] == list(result.mistakes)


def test_the_mistake_that_explains_most_comes_first():
    def wrong(x):
        return (2 * x, x, 7) if x == 1 else (2 * x, x + 1, 7)

    late = exercise(
        PAIR.reference,
        PAIR.cases,
        ("The second lacks 1 for 1.", lambda x: (x, x if x == 1 else x + 1, 7)),
        ("The first is doubled.", lambda x: (2 * x, x + 1, 7)),
    )
    assert judge(late, wrong).mistakes == ("The first is doubled.",)
    two = exercise(
        PAIR.reference,
        PAIR.cases,
        ("The second lacks 1 above 1.", lambda x: (x, x + 1 if x == 1 else x, 7)),
        ("The first is doubled.", lambda x: (2 * x, x + 1, 7)),
    )
    result = judge(two, lambda x: (2 * x, x + 1 if x == 1 else x, 7))
    assert result.mistakes == ("The first is doubled.", "The second lacks 1 above 1.")
    assert "Input 1 of 3" in repr(result)


def test_the_input_is_one_where_the_named_mistake_shows():
    def wrong(x):
        return 100 * x if len(x) == 3 else np.abs(2 * x)

    assert judge(DOUBLE, wrong).mistakes == ("You drop the sign.",)
    assert "Input 3 of 3" in repr(judge(DOUBLE, wrong))


def test_a_mistake_that_is_a_part_of_another_is_left_out():
    assert judge(PAIR, lambda x: (0, 0, 7)).mistakes == ("Both are zero.",)
    assert judge(PAIR, lambda x: (0, x + 1, 7)).mistakes == ("The first is zero.",)
    assert judge(PAIR, lambda x: [0, x + 1, 7]).mistakes == ("The first is zero.",)
    assert judge(PAIR, lambda x: (0, x, 7)).mistakes == ("The second lacks 1.", "The first is zero.")


def test_what_agrees_by_chance_in_one_of_many_wrong_ones_is_not_named():
    assert judge(PAIR, lambda x: (x, x + 1, 8 if x == 3 else 7)).mistakes == ("The third is 8 for 3.",)
    assert judge(PAIR, lambda x: (-x, x + 1, 8 if x == 3 else 7)).mistakes == ()
    assert judge(PAIR, lambda x: (x if x == 1 else -x, x + 1, 8 if x == 3 else 7)).mistakes == (
        "The third is 8 for 3.",
    )


@pytest.mark.parametrize("wrong", [lambda x: (x, x + 1), lambda x: x, lambda x: np.zeros(3)])
def test_another_number_of_results(wrong):
    result = judge(PAIR, wrong)
    assert result.mistakes == ()
    assert not result.passed


# ---- How it looks ----------------------------------------------------------------------------------


def test_html_sets_a_named_mistake_as_text_and_the_rest_as_it_stands():
    result = check("linear", lambda x, weight, bias: x @ weight.T)
    html = result._repr_html_()
    before, _, listing = html.partition("<pre")
    assert f">{result.mistakes[0]}</div>" in before
    assert result.mistakes[0] not in listing
    words = re.sub(r"<[^>]*>", "\n", html)
    shown = [unescape(line) for line in words.splitlines() if line]
    assert shown == [line for line in result.message.splitlines() if line]


def test_html_says_the_same_and_escapes():
    of_text = exercise(lambda x: len(x) + 1, ({"x": "<b>"},))
    html = judge(of_text, lambda x: 3)._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>own: not right yet; 0 of 1 inputs come out right.</b>" in html
    assert "<pre" in html
    passed = check("iou", minidet.boxes.iou)._repr_html_()
    assert "<b>iou: right, on all 4 inputs.</b>" in passed
    assert "<pre" not in passed
    assert passed[:50] != html[:50], "the colours differ"


def test_a_result_stands_for_itself():
    result = Result("own", True, "fine")
    assert (str(result), f"{result}", bool(result)) == ("fine", "fine", True)


def test_results_of_any_size_are_cut():
    assert len(show(np.zeros((60, 60, 3))).splitlines()) <= MOST_LINES
    text = show(tuple(np.arange(9.0).reshape(3, 3) for _ in range(20)))
    assert len(text.splitlines()) == MOST_LINES
    assert text.endswith("...")
    assert len(show(list(range(10**5)))) > 1000  # a list is written as it is


def test_what_is_shown_can_be_pasted_back():
    array = np.arange(12.0).reshape(1, 2, 2, 3) - 4
    assert "\n\n" not in show(array)
    for value in (
        array,
        np.array([True, False]),
        np.array([[1, 2]], np.uint8),
        0.5,
        3,
        (array, 0.5),
        [0.25, 1],
    ):
        again = eval(show(value), {"array": np.array, "uint8": np.uint8})
        np.testing.assert_equal(again, value)


def test_arguments_are_indented_below_each_other():
    assert show_case({"x": np.eye(2), "k": 1}) == "x = array([[1., 0.],\n           [0., 1.]])\nk = 1"


def test_functions_without_a_signature_are_called_in_order():
    of_two = exercise(lambda a, b: max(a, b), ({"a": 1, "b": 2},))
    assert accepts(max, of_two.cases[0])
    assert judge(of_two, max).passed
