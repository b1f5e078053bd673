"""The measure of agreement itself: what it must accept and what it must refuse."""

import numpy as np
import pytest

from tests.check import LAYOUTS, assert_close, disagreement

REFERENCE = np.array([[1.0, -4.0], [0.5, 0.0]])


def test_the_figure_is_the_largest_difference_over_the_largest_value():
    assert disagreement(REFERENCE + np.array([[0.0, 0.25], [-0.5, 0.0]]), REFERENCE) == 0.5 / 4


def test_a_small_value_may_be_as_inexact_as_the_largest():
    assert_close(REFERENCE + np.array([[0.0, 0.0], [0.0, 4e-6]]), REFERENCE, 1e-6)


def test_equal_tensors_agree_to_nothing():
    assert_close(REFERENCE, REFERENCE, 0)
    assert_close(np.zeros((2, 3)), np.zeros((2, 3)), 0)
    assert_close(np.zeros((0, 3)), np.zeros((0, 3)), 0)
    assert_close(np.array([np.nan, np.inf, -np.inf]), np.array([np.nan, np.inf, -np.inf]), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros_like(REFERENCE),
        -REFERENCE,
        REFERENCE.T,
        2 * REFERENCE,
        REFERENCE + 1e-5,
        np.full_like(REFERENCE, np.nan),
        np.where(REFERENCE == 0, np.nan, REFERENCE),
        np.where(REFERENCE == 0, np.inf, REFERENCE),
    ],
    ids=["zeros", "sign", "transposed", "scaled", "shifted", "all-nan", "one-nan", "one-infinite"],
)
def test_refuses_wrong_values(wrong):
    with pytest.raises(AssertionError, match="disagreement"):
        assert_close(wrong, REFERENCE, 1e-6)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_refuses_a_number_in_the_place_of_a_special_value(special):
    with pytest.raises(AssertionError, match="disagreement inf"):
        assert_close(np.array([1.0, 2.0]), np.array([1.0, special]), 1e-6)


def test_refuses_anything_but_zeros_where_all_are_zero():
    with pytest.raises(AssertionError, match="disagreement inf"):
        assert_close(np.array([1e-300]), np.array([0.0]), 1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (REFERENCE.ravel(), r"shape \(4,\), expected \(2, 2\)"),
        (REFERENCE[:, :1], r"shape \(2, 1\), expected \(2, 2\)"),
        (REFERENCE.astype(np.float32), "float32, expected float64"),
        (REFERENCE.tolist(), "list instead of an array"),
        (np.float64(1.0), "float64 instead of an array"),
    ],
)
def test_refuses_another_shape_or_type(wrong, message):
    with pytest.raises(AssertionError, match=message):
        assert_close(wrong, REFERENCE, 1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4, 5)])
def test_layouts_hold_the_same_numbers(layout, shape):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    copy = layout(array)
    assert copy.dtype == array.dtype
    assert not np.shares_memory(copy, array)
    np.testing.assert_array_equal(copy, array)
