import math

import numpy as np
import pytest

from minidet.losses import binary_cross_entropy, softmax_cross_entropy
from tests.check import FLOATS, assert_close
from tests.losses.checks import assert_loss_gradients, assert_refuses
from tests.oracles.cases import Numbers


@pytest.mark.parametrize("dtype", FLOATS)
def test_hand_example(dtype):
    """Score 1/2 costs ln 2 whatever the target; score 4/5 costs ln 5 for a 0."""
    logits = np.array([0.0, 0.0, math.log(4)], dtype)
    losses, gradient = binary_cross_entropy(logits, np.array([1.0, 0.25, 0.0], dtype), reduction="none")
    assert_close(losses, np.array([math.log(2), math.log(2), math.log(5)], dtype), tolerance=1e-6)
    assert_close(gradient, np.array([-0.5, 0.25, 0.8], dtype), tolerance=1e-6)


def test_is_the_cross_entropy_of_two_classes():
    numbers = Numbers("two classes")
    logits, labels = numbers.real(9), numbers.whole(0, 1, 9).astype(int)
    ours, gradient = binary_cross_entropy(logits, labels.astype(float), reduction="none")
    pairs = np.stack([np.zeros(9), logits], axis=1)
    theirs, grad_pairs = softmax_cross_entropy(pairs, labels, reduction="none")
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_allclose(gradient, grad_pairs[:, 1], rtol=1e-12)


@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_is_least_where_the_score_is_the_target(target):
    logits = np.linspace(-8, 8, 1601)
    losses, gradient = binary_cross_entropy(logits, np.full(1601, target), reduction="none")
    best = logits[losses.argmin()]
    assert abs(1 / (1 + math.exp(-best)) - target) < 0.002
    apart = np.abs(logits - best) > 0.02
    np.testing.assert_array_equal(np.sign(gradient[apart]), np.sign((logits - best)[apart]))


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 5, 2)])
def test_gradient(shape):
    numbers = Numbers(f"binary{shape}")
    assert_loss_gradients(binary_cross_entropy, numbers.real(*shape), numbers.whole(0, 8, *shape) / 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": np.zeros((2, 2), bool)}, "`logits` is bool; expected float32 or float64"),
        ({"targets": np.zeros((2, 3))}, "`targets` has shape (2, 3); expected (2, 2), that of `logits`"),
        ({"logits": np.zeros(()), "targets": np.zeros(())}, "`logits` has shape (); expected (M, ...)"),
        ({"logits": np.array([[0, 0], [np.nan, 0]])}, "`logits` is not finite in sample 1, element 0: nan"),
        ({"targets": np.array([[0, 1], [1.5, 0]])}, "`targets` is 1.5 in sample 1; expected 0 to 1"),
        ({"targets": np.array([[0, -0.5], [1.5, 0]])}, "`targets` is -0.5 in sample 0; expected 0 to 1"),
        (
            {"logits": np.zeros((0, 4)), "targets": np.zeros((0, 4))},
            "`logits` has shape (0, 4), and no losses have no mean; expected at least one, "
            "or reduction='sum'",
        ),
    ],
)
def test_refuses(change, message):
    fitting = {"logits": np.zeros((2, 2)), "targets": np.zeros((2, 2))}
    assert_refuses(f"binary_cross_entropy: {message}", binary_cross_entropy, **{**fitting, **change})
