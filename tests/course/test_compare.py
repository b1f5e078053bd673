"""When two results are the same, and what is said if they are not."""

import numpy as np
import pytest

from minidet.course.compare import TOLERANCE, TOLERANCE_FLOAT32, difference, same

ARRAY = np.array([[1.0, 2.0], [3.0, 4.0]])
NAN = float("nan")


class Tensor:
    """What another package may return."""


@pytest.mark.parametrize(
    ("returned", "expected", "sentence"),
    [
        (None, ARRAY, "It is None; is there a `return` at the end?"),
        (None, 3, "It is None; is there a `return` at the end?"),
        ([[1.0, 2.0], [3.0, 4.0]], ARRAY, "It is a list; expected an array: np.array(...) makes one."),
        ((1.0, 2.0), ARRAY, "It is a tuple; expected an array: np.array(...) makes one."),
        (3.0, ARRAY, "It is a number; expected an array of shape (2, 2)."),
        (np.float64(3), ARRAY, "It is a number; expected an array of shape (2, 2)."),
        (Tensor(), ARRAY, "It is a Tensor; expected an array of shape (2, 2)."),
        (ARRAY[0], ARRAY, "The shape is (2,); expected (2, 2)."),
        (ARRAY.astype(np.float32), ARRAY, "The type is float32; expected float64."),
        (ARRAY.astype(int), ARRAY, "The type is int64; expected float64."),
        (np.array([1.0, 2.0]), np.array([1, 2]), "The type is float64; expected integers."),
        (np.array([1, 0]), np.array([True, False]), "The type is int64; expected bool."),
        (np.array([True, False]), np.array([1, 0]), "The type is bool; expected integers."),
        (ARRAY + 1, ARRAY, "At [0, 0] stands 2.0; expected 1.0. 4 of 4 numbers differ."),
        (
            np.array([[1.0, 2.0], [3.0, 5.0]]),
            ARRAY,
            "At [1, 1] stands 5.0; expected 4.0. 1 of 4 numbers differs.",
        ),
        (np.array([2.0]), np.array([1.0]), "At [0] stands 2.0; expected 1.0."),
        (np.array([1, 3]), np.array([1, 2]), "At [1] stands 3; expected 2. 1 of 2 numbers differs."),
        (
            np.array([True, True]),
            np.array([True, False]),
            "At [1] stands True; expected False. 1 of 2 numbers differs.",
        ),
        (
            np.array([1.0, NAN]),
            np.array([2.0, 1.0]),
            "At [1] stands NaN: something was divided by zero, or overflowed.",
        ),
        (np.array([1 / 3]), np.array([2 / 3]), "At [0] stands 0.333333; expected 0.666667."),
        (np.array([np.inf]), np.array([1.0]), "At [0] stands inf; expected 1.0."),
        (np.array([1.0]), np.array([np.inf]), "At [0] stands 1.0; expected inf."),
        (np.array([1.0]), np.array([NAN]), "At [0] stands 1.0; expected nan."),
        (
            np.array([0.1234561]),
            np.array([0.1234563]),
            "At [0] stands 0.1234561; expected 0.1234563.",
        ),
        (ARRAY, (ARRAY, ARRAY), "It is one ndarray; expected 2 results: return a, b, ..."),
        ((ARRAY,), (ARRAY, ARRAY), "It holds 1 result; expected 2."),
        ((ARRAY, ARRAY, ARRAY), (ARRAY, ARRAY), "It holds 3 results; expected 2."),
        ((ARRAY, 1.0), (ARRAY, 2.0), "Result 2 of 2: the number is 1.0; expected 2.0."),
        (0.5, [0.5], "It is a float; expected a list of numbers."),
        ([[0.5]], [0.5], "It does not hold single numbers; expected a list of numbers."),
        (["a"], [0.5], "It does not hold single numbers; expected a list of numbers."),
        ([0.5], [0.5, 0.25], "It holds 1 number; expected 2."),
        ([], [0.5], "It holds 0 numbers; expected 1."),
        ([0.5, 0.5], [0.5, 0.25], "At [1] stands 0.5; expected 0.25. 1 of 2 numbers differs."),
        (np.array([1.0]), 1.0, "It is an array of shape (1,); expected one number."),
        (True, 1.0, "It is a bool; expected one number."),
        (np.True_, 1, "It is a bool; expected one number."),
        ("1", 1.0, "It is a str; expected one number."),
        (3.0, 3, "The number is 3.0; expected a whole one, such as // returns."),
        (4, 3, "The number is 4; expected 3."),
        (NAN, 1.0, "The number is NaN: something was divided by zero, or overflowed."),
        (1.5, 1.0, "The number is 1.5; expected 1.0."),
        (1, 1.5, "The number is 1.0; expected 1.5."),
    ],
)
def test_what_is_said(returned, expected, sentence):
    assert difference(returned, expected).replace("bool_", "bool") == sentence
    assert not same(returned, expected)


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (ARRAY, ARRAY.copy()),
        (ARRAY.T.copy().T, ARRAY),
        (np.array([1, 2], np.int32), np.array([1, 2])),
        (np.zeros((0, 4)), np.zeros((0, 4))),
        (np.array([NAN, np.inf, -np.inf, 1.0]), np.array([NAN, np.inf, -np.inf, 1.0])),
        ((ARRAY, 1.0), (ARRAY, 1.0)),
        ([ARRAY, 1.0], (ARRAY, 1.0)),
        ((0.5, 0.25), [0.5, 0.25]),
        (np.array([0.5, 0.25]), [0.5, 0.25]),
        ([], []),
        (np.float32(1.5), 1.5),
        (np.array(1.5), 1.5),
        (1, 1.0),
        (np.int64(3), 3),
        (np.array(3), 3),
        (NAN, NAN),
    ],
)
def test_what_is_the_same(returned, expected):
    assert difference(returned, expected) is None
    assert same(returned, expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, TOLERANCE), (np.float32, TOLERANCE_FLOAT32)])
def test_the_tolerance_is_of_the_largest_number(dtype, tolerance):
    expected = np.array([1000.0, 0.0], dtype)
    assert same(expected + np.array([0, 990 * tolerance], dtype), expected)
    assert not same(expected + np.array([0, 1010 * tolerance], dtype), expected)
    # An infinity is no measure for the others.
    assert not same(np.array([np.inf, 1.0], dtype), np.array([np.inf, 2.0], dtype))
    # Where all are zero there is no largest; then it is that of one.
    assert same(np.array([0.5 * tolerance], dtype), np.zeros(1, dtype))
    assert not same(np.array([2 * tolerance], dtype), np.zeros(1, dtype))


def test_a_negative_difference_counts_as_well():
    assert not same(np.array([0.0]), np.array([1.0]))
    assert not same(np.array([-1.0]), np.array([1.0]))
    assert not same(0.0, 1.0)
