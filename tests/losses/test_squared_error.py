import numpy as np
import pytest

from minidet.losses import squared_error
from tests.check import FLOATS, assert_close
from tests.losses.checks import assert_loss_gradients, assert_refuses
from tests.oracles.cases import Numbers


@pytest.mark.parametrize("dtype", FLOATS)
def test_hand_example(dtype):
    predictions = np.array([[1.0, 2.0], [3.0, -4.0]], dtype)
    targets = np.array([[1.0, 4.0], [0.0, -5.0]], dtype)
    losses, gradient = squared_error(predictions, targets, reduction="none")
    assert_close(losses, np.array([[0.0, 4.0], [9.0, 1.0]], dtype), tolerance=0)
    assert_close(gradient, np.array([[0.0, -4.0], [6.0, 2.0]], dtype), tolerance=0)


@pytest.mark.parametrize(("numbers", "equation"), [(4, "box, eq. 2"), (10, "landmarks, eq. 3")])
def test_the_sum_over_a_sample_is_the_squared_distance_of_mtcnn(numbers, equation):
    predictions, targets = Numbers(equation).real(1, numbers), Numbers("targets").real(1, numbers)
    value, _ = squared_error(predictions, targets, reduction="sum")
    assert value == pytest.approx(np.linalg.norm(predictions - targets) ** 2, rel=1e-12)


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 5, 2)])
def test_gradient(shape):
    numbers = Numbers(f"squared{shape}")
    assert_loss_gradients(squared_error, numbers.real(*shape), numbers.real(*shape))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictions": np.zeros((2, 2), bool)}, "`predictions` is bool; expected float32 or float64"),
        (
            {"predictions": np.zeros((2, 2), np.float32)},
            "`targets` is float64, `predictions` is float32; cast one with .astype()",
        ),
        ({"targets": np.zeros((2, 3))}, "`targets` has shape (2, 3); expected (2, 2), that of `predictions`"),
        (
            {"predictions": np.zeros(()), "targets": np.zeros(())},
            "`predictions` has shape (); expected (M, ...)",
        ),
        (
            {"predictions": np.array([[0, 0], [np.nan, 0]])},
            "`predictions` is not finite in sample 1, element 0: nan",
        ),
        (
            {"targets": np.array([[0, -np.inf], [0, 0]])},
            "`targets` is not finite in sample 0, element 1: -inf",
        ),
        (
            {
                "predictions": np.array([[0, 0], [0, 2e19]], np.float32),
                "targets": np.zeros((2, 2), np.float32),
            },
            "`predictions` reaches 2.0e+19 in sample 1, where the loss overflows float32; "
            "expected smaller numbers",
        ),
        (
            {"targets": np.array([[0, 0], [0, -2e200]])},
            "`targets` reaches -2.0e+200 in sample 1, where the loss overflows float64; "
            "expected smaller numbers",
        ),
        (
            {"targets": np.array([[1e154, 1e154], [0, 0]])},
            "the sum of the losses overflows; the largest is 1.0e+308",
        ),
        (
            {"predictions": np.zeros((0, 4)), "targets": np.zeros((0, 4))},
            "`predictions` has shape (0, 4), and no losses have no mean; expected at least one, "
            "or reduction='sum'",
        ),
    ],
)
def test_refuses(change, message):
    fitting = {"predictions": np.zeros((2, 2)), "targets": np.zeros((2, 2))}
    assert_refuses(f"squared_error: {message}", squared_error, **{**fitting, **change})
