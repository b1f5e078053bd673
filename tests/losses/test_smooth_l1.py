import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.losses import smooth_l1, squared_error
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.losses.checks import assert_loss_gradients, assert_refuses
from tests.oracles.cases import Numbers


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("beta", "losses", "gradient"),
    [
        (2, [0.0, 0.25, 0.25, 1.0, 3.0], [0.0, 0.5, -0.5, 1.0, -1.0]),
        (1, [0.0, 0.5, 0.5, 1.5, 3.5], [0.0, 1.0, -1.0, 1.0, -1.0]),
        (0, [0.0, 1.0, 1.0, 2.0, 4.0], [0.0, 1.0, -1.0, 1.0, -1.0]),
    ],
)
def test_hand_example(beta, losses, gradient, dtype):
    targets = np.array([0.0, 1.0, 2.0, 3.0, 4.0], dtype)
    predictions = targets + np.array([0.0, 1.0, -1.0, 2.0, -4.0], dtype)
    found_losses, found_gradient = smooth_l1(predictions, targets, beta=beta, reduction="none")
    assert_close(found_losses, np.array(losses, dtype), tolerance=0)
    assert_close(found_gradient, np.array(gradient, dtype), tolerance=0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_sigma_of_faster_r_cnn(dtype):
    # As its code has it: 0.5 (sigma d)^2 where |d| < 1 / sigma^2, else |d| - 0.5 / sigma^2.
    d = Numbers("sigma").real(50) / 8
    sigma = 3
    wanted = np.where(np.abs(d) < 1 / sigma**2, 0.5 * (sigma * d) ** 2, np.abs(d) - 0.5 / sigma**2)
    d = d.astype(dtype)
    losses, _ = smooth_l1(d, np.zeros_like(d), beta=1 / 9, reduction="none")
    assert_close(losses, wanted.astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("shape", [(24,), (6, 4), (2, 5, 2)])
@pytest.mark.parametrize("beta", [0.0, 1 / 9, 1.0, 2.5])
def test_gradient(beta, shape):
    numbers = Numbers(f"smooth{shape}")
    targets = numbers.real(*shape)
    errors = numbers.real(*shape)
    errors.flat[:4] = [beta / 2 + 0.01, -beta / 2 - 0.01, beta + 0.01, -beta - 0.01]
    kinks = np.abs(errors) - beta
    assert np.abs(kinks).min() > 1e-3  # hundred steps of the differences away
    assert (kinks > 0).any()
    assert (kinks < 0).any() == (beta > 0)
    assert_loss_gradients(smooth_l1, targets + errors, targets, beta=beta)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("beta", [1e-320, 1e-50, 1e-40, 1e-30])
def test_a_switch_point_close_to_zero_is_the_absolute_error(beta, dtype):
    predictions = np.array([0.0, 1.0, -3.0], dtype)
    losses, gradient = smooth_l1(predictions, np.zeros(3, dtype), beta=beta, reduction="none")
    assert_close(losses, np.array([0.0, 1.0, 3.0], dtype), OP_TOLERANCE[dtype])
    assert_close(gradient, np.array([0.0, 1.0, -1.0], dtype), tolerance=0)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=6),
    st.floats(0, 1e6, width=32),
    st.sampled_from(FLOATS),
)
def test_between_the_line_and_the_absolute_error(errors, beta, dtype):
    d = np.array(errors, dtype)
    losses, gradient = smooth_l1(d, np.zeros_like(d), beta=beta, reduction="none")
    slack = OP_TOLERANCE[dtype] * (np.abs(d) + beta)
    assert (losses <= np.abs(d) + slack).all()
    assert (losses >= np.abs(d) - beta / 2 - slack).all()
    assert (losses >= 0).all()
    assert (np.abs(gradient) <= 1).all()
    assert (gradient * d >= 0).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_with_a_switch_point_beyond_all_errors_it_is_half_the_squared_error(dtype):
    predictions, targets = Numbers("p").real(4, 3).astype(dtype), Numbers("t").real(4, 3).astype(dtype)
    losses, gradient = smooth_l1(predictions, targets, beta=8, reduction="none")
    squares, twice = squared_error(predictions, targets, reduction="none")
    assert_close(losses, squares / 16, OP_TOLERANCE[dtype])
    assert_close(gradient, twice / 16, OP_TOLERANCE[dtype])


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_a_large_error_is_no_overflow(beta):
    # Its square would be one in float32.
    value, gradient = smooth_l1(np.full(2, 1e30, np.float32), np.zeros(2, np.float32), beta=beta)
    assert value == np.float32(1e30)
    assert_close(gradient, np.full(2, 0.5, np.float32), tolerance=0)


@pytest.mark.parametrize("beta", [np.float64(0.5), np.float32(0.5), 1, 0])
def test_numpy_numbers_as_options_do_not_change_the_type(beta):
    losses, gradient = smooth_l1(np.ones(2, np.float32), np.zeros(2, np.float32), beta=beta, reduction="none")
    assert losses.dtype == gradient.dtype == np.float32


def rows(*numbers, dtype=np.float64):
    return np.array([[0.0, 0.0], *numbers], dtype)


def with_nan(shape, at):
    array = np.zeros(shape)
    array[at] = np.nan
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictions": np.zeros((2, 2), int)}, "`predictions` is int64; expected float32 or float64"),
        (
            {"targets": np.zeros((2, 2), np.float32)},
            "`targets` is float32, `predictions` is float64; cast one with .astype()",
        ),
        ({"targets": np.zeros(2)}, "`targets` has shape (2,); expected (2, 2), that of `predictions`"),
        ({"targets": np.zeros((2, 1))}, "`targets` has shape (2, 1); expected (2, 2), that of `predictions`"),
        (
            {"predictions": np.zeros(()), "targets": np.zeros(())},
            "`predictions` has shape (); expected (M, ...)",
        ),
        ({"predictions": rows([1, np.nan])}, "`predictions` is not finite in sample 1, element 1: nan"),
        ({"targets": rows([np.inf, 1])}, "`targets` is not finite in sample 1, element 0: inf"),
        (
            {"predictions": with_nan((2, 3, 10), (1, 1, 5)), "targets": np.zeros((2, 3, 10))},
            "`predictions` is not finite in sample 1, element 15: nan",
        ),
        ({"beta": -1.0}, "beta=-1.0; expected a number from 0 to 1.8e+308"),
        ({"beta": np.nan}, "beta=nan; expected a number from 0 to 1.8e+308"),
        ({"beta": np.inf}, "beta=inf; expected a number from 0 to 1.8e+308"),
        ({"beta": None}, "beta=None; expected a number from 0 to 1.8e+308"),
        (
            {
                "predictions": np.zeros((1, 2), np.float32),
                "targets": np.zeros((1, 2), np.float32),
                "beta": 4e38,
            },
            "beta=4e+38; expected a number from 0 to 3.4e+38",
        ),
        (
            {
                "predictions": rows([0, 2e38], dtype=np.float32),
                "targets": rows([0, -3e38], dtype=np.float32),
            },
            "`targets` reaches -3.0e+38 in sample 1, where the loss overflows float32; "
            "expected smaller numbers",
        ),
        (
            {"predictions": rows([1e308, 1e308])},
            "the sum of the losses overflows; the largest is 1.0e+308",
        ),
        (
            {"predictions": np.zeros((3, 0)), "targets": np.zeros((3, 0))},
            "`predictions` has shape (3, 0), and no losses have no mean; expected at least one, "
            "or reduction='sum'",
        ),
    ],
)
def test_refuses(change, message):
    fitting = {"predictions": np.zeros((2, 2)), "targets": np.zeros((2, 2))}
    assert_refuses(f"smooth_l1: {message}", smooth_l1, **{**fitting, **change})
