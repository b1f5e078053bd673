import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.losses import focal_loss, softmax_cross_entropy
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.losses.checks import assert_loss_gradients, assert_refuses
from tests.oracles.cases import Numbers
from tests.oracles.loss_cases import EXTREME, with_each_label

GAMMAS = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_hand_example(dtype):
    # Scores 1/4 and 3/4 of the right class; alpha 0.25, gamma 2.
    logits = np.log(np.array([[1.0, 3.0], [3.0, 1.0], [1.0, 3.0], [3.0, 1.0]])).astype(dtype)
    losses, _ = focal_loss(logits, np.array([0, 0, 1, 1]), reduction="none")
    wanted = [
        0.75 * (3 / 4) ** 2 * np.log(4),  # no face, score 1/4
        0.75 * (1 / 4) ** 2 * np.log(4 / 3),  # no face, score 3/4
        0.25 * (1 / 4) ** 2 * np.log(4 / 3),  # face, score 3/4
        0.25 * (3 / 4) ** 2 * np.log(4),  # face, score 1/4
    ]
    assert_close(losses, np.array(wanted).astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.6, 1.0])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_gradient(gamma, alpha):
    numbers = Numbers("focal")
    logits, labels = 2 * numbers.real(9, 2), np.arange(9) % 2
    assert_loss_gradients(focal_loss, logits, labels, gamma=gamma, alpha=alpha)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.6, 1.0])
def test_without_gamma_it_is_cross_entropy_weighted_by_alpha(alpha, dtype):
    extreme, extreme_labels = with_each_label(EXTREME)
    logits = np.concatenate([2 * Numbers("plain").real(10, 2), extreme]).astype(dtype)
    labels = np.concatenate([np.arange(10) % 2, extreme_labels])
    weight = np.where(labels == 1, alpha, 1 - alpha).astype(dtype)
    plain_losses, plain_gradient = softmax_cross_entropy(logits, labels, reduction="none")
    losses, gradient = focal_loss(logits, labels, alpha=alpha, gamma=0, reduction="none")
    assert_close(losses, weight * plain_losses, OP_TOLERANCE[dtype])
    assert_close(gradient, weight[:, None] * plain_gradient, OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("gamma", [*GAMMAS, 1e-30, 1e4, 3e38])
def test_scores_of_exactly_one_and_zero(gamma, dtype):
    logits = np.array([[-1e4, 1e4], [1e4, -1e4]], dtype)
    losses, gradient = focal_loss(logits, np.array([1, 1]), alpha=0.25, gamma=gamma, reduction="none")
    assert_close(losses, np.array([0, 0.25 * 2e4], dtype), tolerance=0)
    assert_close(gradient, np.array([[0, 0], [0.25, -0.25]], dtype), tolerance=0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_difference_that_overflows_is_no_loss_for_the_right_class(dtype):
    largest = np.finfo(dtype).max
    for gamma in GAMMAS:
        logits = np.array([[-largest, largest]], dtype)
        losses, gradient = focal_loss(logits, np.array([1]), gamma=gamma, reduction="none")
        assert_close(losses, np.zeros(1, dtype), tolerance=0)
        assert_close(gradient, np.zeros((1, 2), dtype), tolerance=0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_small_loss_is_not_lost_beside_a_one(dtype):
    # 1 - p = e^-20 = -ln p, to the first order, so the loss is e^-60 / 4 and its derivative three times that.
    losses, gradient = focal_loss(np.array([[-20.0, 0.0]], dtype), np.array([1]), reduction="none")
    small = np.array([np.exp(-60.0) / 4])
    np.testing.assert_allclose(losses, small, rtol=1e-5)
    np.testing.assert_allclose(gradient, [[3 * small[0], -3 * small[0]]], rtol=1e-5)


@given(
    st.lists(
        st.tuples(st.floats(-1e4, 1e4, width=32), st.floats(-1e4, 1e4, width=32), st.integers(0, 1)),
        min_size=1,
        max_size=5,
    ),
    st.floats(0, 1),
    st.floats(0, 10),
    st.sampled_from(FLOATS),
)
def test_never_more_than_weighted_cross_entropy_and_downhill_for_the_label(rows, alpha, gamma, dtype):
    logits = np.array([row[:2] for row in rows], dtype)
    labels = np.array([row[2] for row in rows])
    losses, gradient = focal_loss(logits, labels, alpha=alpha, gamma=gamma, reduction="none")
    plain, _ = softmax_cross_entropy(logits, labels, reduction="none")
    weight = np.where(labels == 1, alpha, 1 - alpha)
    assert (losses >= 0).all()
    assert (losses <= weight * plain * (1 + OP_TOLERANCE[dtype]) + np.finfo(dtype).tiny).all()
    samples = np.arange(len(labels))
    assert (gradient[samples, labels] <= 0).all()
    np.testing.assert_array_equal(gradient[:, 0], -gradient[:, 1])


def test_numpy_numbers_as_options_do_not_change_the_type():
    logits = np.zeros((2, 2), np.float32)
    losses, gradient = focal_loss(
        logits, np.array([0, 1]), alpha=np.float64(0.25), gamma=np.float64(2), reduction="none"
    )
    assert losses.dtype == gradient.dtype == np.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": np.zeros((3, 2), np.float16)}, "`logits` is float16; expected float32 or float64"),
        ({"logits": np.zeros((3, 3))}, "`logits` has shape (3, 3); expected (M, 2): no face, face"),
        ({"logits": np.zeros(2)}, "`logits` has shape (2,); expected (M, 2): no face, face"),
        (
            {"logits": np.array([[0, 0], [0, 0], [0, np.inf]])},
            "`logits` is not finite in sample 2, class 1: inf",
        ),
        (
            {"logits": np.array([[0, np.nan], [0, 0], [0, 0]], np.float32)},
            "`logits` is not finite in sample 0, class 1: nan",
        ),
        ({"labels": np.array([0, 1])}, "`labels` has shape (2,); expected (3,), one per row of `logits`"),
        ({"labels": np.zeros(3)}, "`labels` is float64; expected whole numbers, cast with .astype(int)"),
        (
            {"labels": np.array([True, False, True])},
            "`labels` is bool; expected whole numbers, cast with .astype(int)",
        ),
        ({"labels": np.array([0, 1, 2])}, "`labels` is 2 in sample 2; expected 0 or 1"),
        ({"labels": np.array([-1, 1, 1])}, "`labels` is -1 in sample 0; expected 0 or 1"),
        ({"alpha": -0.25}, "alpha=-0.25; expected a number from 0 to 1"),
        ({"alpha": 1.5}, "alpha=1.5; expected a number from 0 to 1"),
        ({"alpha": np.nan}, "alpha=nan; expected a number from 0 to 1"),
        ({"alpha": "0.25"}, "alpha='0.25'; expected a number from 0 to 1"),
        ({"alpha": None}, "alpha=None; expected a number from 0 to 1"),
        ({"gamma": -1}, "gamma=-1; expected a number from 0 to 1.8e+308"),
        ({"gamma": np.nan}, "gamma=nan; expected a number from 0 to 1.8e+308"),
        ({"gamma": np.inf}, "gamma=inf; expected a number from 0 to 1.8e+308"),
        ({"gamma": "2"}, "gamma='2'; expected a number from 0 to 1.8e+308"),
        (
            {"logits": np.zeros((3, 2), np.float32), "gamma": 1e39},
            "gamma=1e+39; expected a number from 0 to 3.4e+38",
        ),
        (
            {"logits": np.array([[0, 0], [3e38, -3e38], [0, 0]], np.float32)},
            "`logits` reaches 3.0e+38 in sample 1, where the loss overflows float32; "
            "expected smaller numbers",
        ),
        (
            {"logits": np.array([[0, 0], [3e38, -3e38], [0, 0]], np.float32), "alpha": 0},
            "`logits` reaches 3.0e+38 in sample 1, where the loss overflows float32; "
            "expected smaller numbers",
        ),
        (
            {"logits": np.array([[0, 1.5e308]] * 3), "labels": np.zeros(3, int)},
            "the sum of the losses overflows; the largest is 1.1e+308",
        ),
        (
            {"logits": np.zeros((0, 2)), "labels": np.zeros(0, int)},
            "`logits` has shape (0, 2), and no losses have no mean; expected at least one, "
            "or reduction='sum'",
        ),
    ],
)
def test_refuses(change, message):
    fitting = {"logits": np.zeros((3, 2)), "labels": np.array([0, 1, 0])}
    assert_refuses(f"focal_loss: {message}", focal_loss, **{**fitting, **change})
