"""Hard sample mining: exact counts, slow twins, and the reference code's way of ranking."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minidet.errors import InputError
from minidet.training.mining import keep_hardest, mine_negatives
from tests.check import FLOATS, LAYOUTS
from tests.oracles.cases import Numbers

few_losses = st.integers(-2, 3)  # few values, so that ties are common

# The kinds of anchor in the scenes below.
POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


def first_of_the_largest(losses, count):
    """Indices of the ``count`` largest, earlier ones before equal later ones."""
    return sorted(range(len(losses)), key=lambda i: (-losses[i], i))[:count]


# ---- Keep the hardest ------------------------------------------------------------------------------


def test_seven_tenths_of_any_number_is_exact():
    for M in range(1, 1001):
        kept = keep_hardest(np.zeros(M))
        assert kept.shape == (M,)
        assert np.count_nonzero(kept) == max(1, 7 * M // 10), M


@given(M=st.integers(1, 3000), whole=st.integers(1, 100), data=st.data())
def test_any_other_share_of_any_number_is_exact(M, whole, data):
    part = data.draw(st.integers(0, whole))
    assert np.count_nonzero(keep_hardest(np.zeros(M), part / whole)) == max(1, part * M // whole)


def test_floating_point_alone_would_miss_some_counts():
    assert int(0.7 * 90) == 62
    assert np.count_nonzero(keep_hardest(np.zeros(90), 0.7)) == 63
    assert np.count_nonzero(keep_hardest(np.zeros(10_009), 0.9999)) == 10_007  # 10,007.9991 is not rounded


@pytest.mark.parametrize("dtype", FLOATS)
@given(losses=st.lists(few_losses, min_size=1, max_size=20), tenths=st.integers(0, 10))
def test_keep_hardest_against_a_slow_twin(dtype, losses, tenths):
    kept = keep_hardest(np.array(losses, dtype), tenths / 10)
    expected = first_of_the_largest(losses, max(1, tenths * len(losses) // 10))
    assert np.flatnonzero(kept).tolist() == sorted(expected)


def test_of_equal_losses_the_earlier_are_kept():
    assert keep_hardest(np.full(40, 0.5), 0.25).tolist() == [True] * 10 + [False] * 30


def test_a_minibatch_of_one_or_none():
    assert keep_hardest(np.array([0.0])).tolist() == [True]
    none = keep_hardest(np.zeros(0))
    assert none.shape == (0,)
    assert none.dtype == np.bool_


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout.__name__ != "columns_first"])
def test_keep_hardest_takes_any_layout_and_changes_nothing(layout):
    losses = Numbers("any layout").positive(30)
    given_losses = layout(losses)
    np.testing.assert_array_equal(keep_hardest(given_losses), keep_hardest(losses))
    np.testing.assert_array_equal(given_losses, losses)


@pytest.mark.parametrize(
    ("losses", "share", "message"),
    [
        (np.zeros((2, 3)), 0.7, "`losses` has shape (2, 3); expected (M,)"),
        (np.zeros(3, int), 0.7, "`losses` is int64; expected float32 or float64"),
        (np.array([0.5, 0.1, np.nan, np.nan]), 0.7, "`losses` is not finite in sample 2: nan"),
        (np.array([0.5, np.inf]), 0.7, "`losses` is not finite in sample 1: inf"),
        (np.zeros(3), 1.1, "share=1.1; expected 0 to 1"),
        (np.zeros(3), -0.1, "share=-0.1; expected 0 to 1"),
        (np.zeros(3), float("nan"), "share=nan; expected 0 to 1"),
        (np.zeros(3), None, "share=None; expected 0 to 1"),
    ],
)
def test_keep_hardest_refuses(losses, share, message):
    with pytest.raises(InputError) as caught:
        keep_hardest(losses, share)
    assert str(caught.value) == f"keep_hardest: {message}"


# ---- Mine negatives --------------------------------------------------------------------------------


def reference_ranking(losses, positive, ratio):
    """biubug6's way, in our words: rank all anchors of an image, positives as if they cost nothing."""
    background = np.where(positive, 0, losses)
    rank = np.argsort(np.argsort(-background, axis=1), axis=1)  # (N, A), 0 for the largest
    wanted = np.minimum(ratio * positive.sum(axis=1, keepdims=True), losses.shape[1] - 1)  # (N, 1)
    return (rank < wanted) & ~positive  # positives are in the loss anyway


def mine_by_definition(losses, kinds, ratio, at_least):
    """One image after the other, one anchor after the other."""
    kept = np.zeros(losses.shape, bool)
    for n, row in enumerate(kinds.tolist()):
        negatives = [a for a, kind in enumerate(row) if kind == NEGATIVE]
        count = max(ratio * row.count(POSITIVE), at_least)
        for i in first_of_the_largest([losses[n, a] for a in negatives], count):
            kept[n, negatives[i]] = True
    return kept


def mine(losses, kinds, **options):
    """Call with an array of kinds instead of two masks."""
    return mine_negatives(losses, kinds == POSITIVE, kinds == NEGATIVE, **options)


@pytest.mark.parametrize("ratio", [1, 3, 7])
@pytest.mark.parametrize("dtype", FLOATS)
def test_against_the_references_ranking(dtype, ratio):
    for seed in range(40):
        numbers = Numbers(seed)
        N, A = 1 + seed % 4, 2 + 3 * seed
        losses = 1 + np.argsort(numbers.positive(N * A)).reshape(N, A).astype(dtype)  # no two are equal
        # From no positives at all to nearly all of them, so that the cap is met as well.
        positive = numbers.positive(N, A) - 0.5 < numbers.some_of([0, 0.02, 0.1, 0.3, 0.9], N, 1)
        expected = reference_ranking(losses, positive, ratio)
        np.testing.assert_array_equal(mine_negatives(losses, positive, ~positive, ratio=ratio), expected)


@given(
    losses=arrays(np.int64, (2, 9), elements=few_losses),
    kinds=arrays(np.int64, (2, 9), elements=st.sampled_from([POSITIVE, NEGATIVE, NEGATIVE, IGNORED])),
    ratio=st.integers(0, 4),
    at_least=st.integers(0, 12),
)
def test_against_a_slow_twin(losses, kinds, ratio, at_least):
    losses = losses.astype(np.float32)
    kept = mine(losses, kinds, ratio=ratio, at_least=at_least)
    np.testing.assert_array_equal(kept, mine_by_definition(losses, kinds, ratio, at_least))


def test_three_negatives_per_positive_image_by_image():
    losses = np.array([[9.0, 1, 2, 3, 4, 5, 6, 7, 8], [9.0, 8, 1, 2, 3, 4, 5, 6, 7]])
    kinds = np.array([[1, 0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0]])
    assert [np.flatnonzero(row).tolist() for row in mine(losses, kinds)] == [[6, 7, 8], [3, 4, 5, 6, 7, 8]]


def test_an_image_without_positives_keeps_what_at_least_says():
    losses, kinds = np.array([[1.0, 3, 2, 9]]), np.array([[0, 0, 0, IGNORED]])
    assert not mine(losses, kinds).any()
    assert mine(losses, kinds, at_least=2).tolist() == [[False, True, True, False]]
    assert mine(losses, kinds, at_least=100).tolist() == [[True, True, True, False]]


def test_at_least_is_a_floor_and_no_sum():
    losses, kinds = np.arange(10.0)[None], np.array([[1] + [0] * 9])
    counts = [np.count_nonzero(mine(losses, kinds, at_least=n)) for n in (0, 2, 3, 4, 9, 10)]
    assert counts == [3, 3, 3, 4, 9, 9]


def test_ignored_anchors_are_never_kept():
    losses = np.array([[100.0, 90.0, 80.0, 1.0]])
    kinds = np.array([[IGNORED, POSITIVE, IGNORED, NEGATIVE]])
    assert mine(losses, kinds, ratio=7, at_least=4).tolist() == [[False, False, False, True]]


def test_of_equal_losses_the_earlier_anchors_are_kept():
    losses, kinds = np.full((1, 40), 0.5), np.array([[0] * 20 + [1] * 3 + [0] * 17])
    assert np.flatnonzero(mine(losses, kinds, ratio=4)).tolist() == list(range(12))


@pytest.mark.parametrize("shape", [(0, 5), (2, 0), (0, 0)])
def test_no_image_or_no_anchor(shape):
    kept = mine(np.zeros(shape), np.zeros(shape), at_least=1)
    assert kept.shape == shape
    assert kept.dtype == np.bool_


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout.__name__ != "every_other"])
def test_mine_negatives_takes_any_layout_and_changes_nothing(layout):
    numbers = Numbers("any layout")
    losses, kinds = numbers.positive(3, 40), numbers.some_of([POSITIVE, 0, 0, 0, 0, 0, IGNORED], 3, 40)
    arguments = losses, kinds == POSITIVE, kinds == NEGATIVE
    given_arguments = [layout(array) for array in arguments]
    np.testing.assert_array_equal(mine_negatives(*given_arguments), mine_negatives(*arguments))
    for array, before in zip(given_arguments, arguments, strict=True):
        np.testing.assert_array_equal(array, before)


def losses_with(value):
    """Losses of 2 images and 3 anchors with ``value`` in the second image, third anchor."""
    losses = np.ones((2, 3))
    losses[1, 2] = value
    return losses


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": np.ones(3)}, "`losses` has shape (3,); expected (N, A)"),
        ({"losses": np.ones((2, 3), int)}, "`losses` is int64; expected float32 or float64"),
        (
            {"positive": np.zeros((2, 4), bool)},
            "`positive` has shape (2, 4); expected (2, 3), that of `losses`",
        ),
        ({"negative": np.zeros(3, bool)}, "`negative` has shape (3,); expected (2, 3), that of `losses`"),
        ({"positive": np.zeros((2, 3), int)}, "`positive` is int64; expected bool"),
        ({"negative": np.zeros((2, 3), np.float32)}, "`negative` is float32; expected bool"),
        (
            {"positive": losses_with(0) == 0, "negative": np.ones((2, 3), bool)},
            "`positive` and `negative` are both true in image 1, anchor 2; expected one at most",
        ),
        ({"losses": losses_with(np.nan)}, "`losses` is not finite in image 1, anchor 2: nan"),
        ({"losses": losses_with(-np.inf)}, "`losses` is not finite in image 1, anchor 2: -inf"),
        ({"ratio": -1}, "ratio=-1; expected a whole number from 0 up"),
        ({"ratio": 2.5}, "ratio=2.5; expected a whole number from 0 up"),
        ({"at_least": -1}, "at_least=-1; expected a whole number from 0 up"),
        ({"at_least": None}, "at_least=None; expected a whole number from 0 up"),
    ],
)
def test_mine_negatives_refuses(change, message):
    masks = {"positive": np.zeros((2, 3), bool), "negative": np.ones((2, 3), bool)}
    with pytest.raises(InputError) as caught:
        mine_negatives(**({"losses": np.ones((2, 3))} | masks | change))
    assert str(caught.value) == f"mine_negatives: {message}"
