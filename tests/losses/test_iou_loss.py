import numpy as np
import pytest

from minidet.boxes import iou
from minidet.losses import iou_loss
from tests.check import FLOATS, assert_close
from tests.losses.checks import assert_loss_gradients, assert_refuses
from tests.oracles.cases import Numbers


def boxes_of(distances):
    """Around the point (0, 0)."""
    return distances * [-1, -1, 1, 1]


def some(name, M=9):
    numbers = Numbers(name)
    return numbers.whole(1, 40, M, 4) / 8, numbers.whole(1, 40, M, 4) / 8


@pytest.mark.parametrize("dtype", FLOATS)
def test_hand_example(dtype):
    """A square of 4 in a square of 8: a quarter. One unit more to a side is 4 more of the 16 covered."""
    distances, targets = np.full((1, 4), 2.0, dtype), np.full((1, 4), 4.0, dtype)
    losses, gradient = iou_loss(distances, targets, reduction="none")
    assert_close(losses, np.log(np.array([4.0], dtype)), tolerance=1e-6)
    assert_close(gradient, np.full((1, 4), -1 / 4, dtype), tolerance=1e-6)


def test_is_minus_the_logarithm_of_the_iou():
    distances, targets = some("boxes")
    losses, _ = iou_loss(distances, targets, reduction="none")
    overlap = np.diag(iou(boxes_of(distances), boxes_of(targets)))
    np.testing.assert_allclose(losses, -np.log(overlap), rtol=1e-12, atol=1e-14)


def test_equal_boxes_cost_nothing_and_stay():
    distances, _ = some("equal")
    losses, gradient = iou_loss(distances, distances.copy(), reduction="none")
    np.testing.assert_allclose(losses, 0, atol=1e-14)
    np.testing.assert_allclose(gradient, 0, atol=1e-14)


def test_the_unit_does_not_matter():
    distances, targets = some("unit")
    losses, gradient = iou_loss(distances, targets, reduction="none")
    larger, grad_larger = iou_loss(1024 * distances, 1024 * targets, reduction="none")
    np.testing.assert_allclose(larger, losses, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(1024 * grad_larger, gradient, rtol=1e-12, atol=1e-14)


def test_gradient():
    distances, targets = some("gradient")
    assert (np.abs(distances - targets) > 1e-3).any(axis=0).all()
    assert_loss_gradients(iou_loss, np.where(distances == targets, distances + 0.25, distances), targets)


def test_a_box_longer_than_the_true_one_is_to_shrink_and_a_shorter_one_to_grow():
    targets = np.ones((1, 4))
    for side in range(4):
        for length, sign in ((1.5, 1), (0.5, -1)):
            distances = targets.copy()
            distances[0, side] = length
            _, gradient = iou_loss(distances, targets)
            assert np.sign(gradient[0, side]) == sign


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"distances": np.ones((2, 4), np.float32)},
            "`targets` is float64, `distances` is float32; cast one with .astype()",
        ),
        ({"targets": np.ones((3, 4))}, "`targets` has shape (3, 4); expected (2, 4), that of `distances`"),
        (
            {"distances": np.ones((2, 3)), "targets": np.ones((2, 3))},
            "`distances` has shape (2, 3); expected (M, 4)",
        ),
        ({"distances": np.ones(4), "targets": np.ones(4)}, "`distances` has shape (4,); expected (M, 4)"),
        (
            {"distances": np.array([[1, 1, 1, 1], [1, 0, 1, 1.0]])},
            "`distances` is 0.0 in box 1; expected distances above 0",
        ),
        (
            {"targets": np.array([[1, 1, 1, -2], [1, 1, 1, 1.0]])},
            "`targets` is -2.0 in box 0; expected distances above 0",
        ),
        (
            {"distances": np.array([[1, 1, 1, 1], [1, 1, np.inf, 1.0]])},
            "`distances` is not finite in sample 1, element 2: inf",
        ),
        (
            {"distances": np.array([[1, 1, 1, 1], [1e200, 1e200, 1, 1]])},
            "`distances` reaches 1.0e+200 in sample 1, where the loss overflows float64; "
            "expected smaller numbers",
        ),
    ],
)
def test_refuses(change, message):
    fitting = {"distances": np.ones((2, 4)), "targets": np.ones((2, 4))}
    assert_refuses(f"iou_loss: {message}", iou_loss, **{**fitting, **change})
