"""What is different between two recipes; the journal and the checkpoints show it in their messages."""

import pytest

from minidet.evaluation.recipe import first_difference

RECIPE = {
    "seed": 1,
    "data": {"faces": {"least": 12, "kinds": [{"a": 1, "b": 2}]}, "flip": True},
    "init": None,
}


def test_the_same_has_none():
    assert first_difference(RECIPE, RECIPE) is None
    assert first_difference({}, {}) is None


def test_the_order_does_not_matter_at_any_depth():
    other = {
        "init": None,
        "data": {"flip": True, "faces": {"kinds": [{"b": 2, "a": 1}], "least": 12}},
        "seed": 1,
    }
    assert first_difference(RECIPE, other) is None


@pytest.mark.parametrize(
    ("there", "here", "difference"),
    [
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, "a.b.c: 1 there, 2 here"),
        ({"a": {"b": {"c": 1}}}, {"a": {}}, "a: nothing there, {} here"),
        ({"a": 1}, {"a": True}, "a: 1 there, true here"),
        ({"a": 1}, {"a": 1.0}, "a: 1 there, 1.0 here"),
        ({"a": [1, 2]}, {"a": [2, 1]}, "a: [1, 2] there, [2, 1] here"),
        ({"a": None}, {}, "a: null there, nothing here"),
        ({}, {"a": None}, "a: nothing there, null here"),
        ({"a": {}}, {}, "a: {} there, nothing here"),
        ({"b": 1, "a": 1}, {"a": 2, "b": 2}, "a: 1 there, 2 here"),
        ({"a": "é"}, {"a": "e"}, r'a: "\u00e9" there, "e" here'),
    ],
)
def test_the_first_is_named(there, here, difference):
    assert first_difference(there, here) == difference
