import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.losses import softmax_cross_entropy
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.losses.checks import assert_loss_gradients, assert_refuses
from tests.oracles.cases import Numbers

LOGITS = np.zeros((3, 2))
LABELS = np.array([0, 1, 0])


@pytest.mark.parametrize("dtype", FLOATS)
def test_hand_example(dtype):
    # Scores 1/4, 1/2, 1/4 in both rows; the right classes are the last and the middle one.
    logits = np.log(np.array([[1.0, 2.0, 1.0], [3.0, 6.0, 3.0]])).astype(dtype)
    losses, gradient = softmax_cross_entropy(logits, np.array([2, 1]), reduction="none")
    assert_close(losses, np.log(np.array([4.0, 2.0])).astype(dtype), OP_TOLERANCE[dtype])
    wanted = np.array([[0.25, 0.5, -0.75], [0.25, -0.5, 0.25]], dtype)
    assert_close(gradient, wanted, OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
def test_two_classes_are_the_binary_cross_entropy_of_the_difference(dtype):
    logits = Numbers("binary").real(20, 2).astype(dtype)
    y = Numbers("labels").whole(0, 1, 20).astype(int)
    difference = (logits[:, 1] - logits[:, 0]).astype(np.float64)
    p = 1 / (1 + np.exp(-difference))
    binary = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    losses, gradient = softmax_cross_entropy(logits, y, reduction="none")
    assert_close(losses, binary.astype(dtype), OP_TOLERANCE[dtype])
    assert_close(gradient, np.stack([y - p, p - y], axis=1).astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize(("M", "C"), [(1, 2), (6, 2), (5, 3), (3, 7)])
def test_gradient(M, C):
    numbers = Numbers(f"gradient{M}x{C}")
    logits, labels = 2 * numbers.real(M, C), numbers.whole(0, C - 1, M).astype(int)
    assert_loss_gradients(softmax_cross_entropy, logits, labels)


@pytest.mark.parametrize("dtype", FLOATS)
def test_no_logit_is_too_large(dtype):
    # The difference of these overflows float32; the right class wins by so much that the loss is 0.
    largest = np.finfo(dtype).max
    logits = np.array([[largest, -largest, 0.0], [1.0, 1.0, -largest]], dtype)
    losses, gradient = softmax_cross_entropy(logits, np.array([0, 1]), reduction="none")
    assert_close(losses, np.array([0.0, np.log(2.0)]).astype(dtype), OP_TOLERANCE[dtype])
    assert_close(gradient, np.array([[0, 0, 0], [0.5, -0.5, 0]], dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("label", [0, 1, 2])
def test_a_small_loss_is_not_lost_beside_a_one(label, dtype):
    # Beside a 1, e^-40 is below the rounding of both types. The others of the three classes share it.
    logits = np.full((1, 3), -40.0 - np.log(2.0), dtype)
    logits[0, label] = 0.0
    losses, gradient = softmax_cross_entropy(logits, np.array([label]), reduction="none")
    small = np.exp(np.float64(logits[0, label - 1]))
    wanted = np.full((1, 3), small)
    wanted[0, label] = -2 * small
    assert_close(losses, np.array([2 * small]).astype(dtype), OP_TOLERANCE[dtype])
    assert_close(gradient, wanted.astype(dtype), OP_TOLERANCE[dtype])


@st.composite
def samples(draw):
    M, C = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    logit = st.floats(-1e4, 1e4, width=32)
    logits = draw(st.lists(logit, min_size=M * C, max_size=M * C))
    labels = draw(st.lists(st.integers(0, C - 1), min_size=M, max_size=M))
    return np.array(logits).reshape(M, C), np.array(labels)


@given(samples(), st.sampled_from(FLOATS))
def test_losses_are_not_negative_and_gradients_sum_to_zero(sample, dtype):
    logits, labels = sample
    losses, gradient = softmax_cross_entropy(logits.astype(dtype), labels, reduction="none")
    assert (losses >= 0).all()
    of_label = np.arange(len(labels)), labels
    assert (gradient[of_label] <= 0).all()
    others = gradient.copy()
    others[of_label] = 0
    assert (others >= 0).all()
    assert np.abs(gradient.astype(np.float64).sum(axis=1)).max() <= OP_TOLERANCE[dtype]


@given(samples())
def test_adding_a_number_to_all_logits_changes_nothing(sample):
    logits, labels = np.round(sample[0]), sample[1]  # whole numbers, so that adding is exact
    losses, gradient = softmax_cross_entropy(logits, labels, reduction="none")
    same_losses, same_gradient = softmax_cross_entropy(logits + 4096, labels, reduction="none")
    np.testing.assert_array_equal(same_losses, losses)
    np.testing.assert_array_equal(same_gradient, gradient)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
)
def test_labels_may_have_any_integer_type(dtype):
    logits = Numbers("integers").real(4, 3)
    labels = np.array([2, 0, 1, 2])
    value, gradient = softmax_cross_entropy(logits, labels.astype(dtype))
    wanted_value, wanted_gradient = softmax_cross_entropy(logits, labels)
    assert value == wanted_value
    np.testing.assert_array_equal(gradient, wanted_gradient)


def test_more_classes_than_the_labels_type_can_count():
    logits = np.zeros((1, 300))
    value, _ = softmax_cross_entropy(logits, np.array([7], np.uint8))
    assert value == pytest.approx(np.log(300), rel=1e-12)


def with_number(shape, at, number, dtype=np.float64):
    array = np.zeros(shape, dtype)
    array[at] = number
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"logits": np.zeros((3, 2), int)},
            "`logits` is int64; expected float32 or float64",
        ),
        ({"logits": np.zeros(3)}, "`logits` has shape (3,); expected (M, C)"),
        ({"logits": np.zeros((3, 2, 1))}, "`logits` has shape (3, 2, 1); expected (M, C)"),
        ({"logits": np.zeros((3, 0))}, "`logits` has shape (3, 0); expected at least one class"),
        (
            {"logits": with_number((3, 2), (1, 1), np.nan)},
            "`logits` is not finite in sample 1, class 1: nan",
        ),
        (
            {"logits": with_number((3, 2), (2, 0), -np.inf, np.float32)},
            "`logits` is not finite in sample 2, class 0: -inf",
        ),
        (
            {"labels": np.array([0, 1])},
            "`labels` has shape (2,); expected (3,), one per row of `logits`",
        ),
        (
            {"labels": np.array([[0], [1], [0]])},
            "`labels` has shape (3, 1); expected (3,), one per row of `logits`",
        ),
        (
            {"labels": np.zeros(3)},
            "`labels` is float64; expected whole numbers, cast with .astype(int)",
        ),
        (
            {"labels": np.array([True, False, True])},
            "`labels` is bool; expected whole numbers, cast with .astype(int)",
        ),
        ({"labels": np.array([0, 2, 3])}, "`labels` is 2 in sample 1; expected 0 or 1"),
        ({"labels": np.array([0, 0, -1])}, "`labels` is -1 in sample 2; expected 0 or 1"),
        (
            {"logits": np.zeros((3, 5)), "labels": np.array([5, 0, 0])},
            "`labels` is 5 in sample 0; expected 0 to 4",
        ),
        (
            {"labels": np.array([0, 2**64 - 1, 0], np.uint64)},
            "`labels` is 18446744073709551615 in sample 1; expected 0 or 1",
        ),
        (
            {"logits": np.array([[0, 0], [3e38, -3e38], [0, 0]], np.float32)},
            "`logits` reaches 3.0e+38 in sample 1, where the loss overflows float32; "
            "expected smaller numbers",
        ),
        (
            {"logits": np.array([[0, 0], [0, 0], [-1.5e308, 1e308]]), "labels": np.array([0, 0, 0])},
            "`logits` reaches -1.5e+308 in sample 2, where the loss overflows float64; "
            "expected smaller numbers",
        ),
        (
            {"logits": np.array([[0, 0], [1e308, 0], [0, 1e308]])},
            "the sum of the losses overflows; the largest is 1.0e+308",
        ),
        (
            {"logits": np.zeros((0, 2)), "labels": np.zeros(0, int)},
            "`logits` has shape (0, 2), and no losses have no mean; expected at least one, "
            "or reduction='sum'",
        ),
    ],
)
def test_refuses(change, message):
    fitting = {"logits": LOGITS, "labels": LABELS}
    assert_refuses(f"softmax_cross_entropy: {message}", softmax_cross_entropy, **{**fitting, **change})
