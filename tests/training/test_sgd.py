import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.nn.parameter import Parameter
from minidet.training.optim import SGD
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import Numbers
from tests.oracles.optim_cases import RUNS, expected, trajectory

RATES = [0.1, 0.1, 0.1, 0.01, 0.01, 0.01]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("run", [run for run in RUNS if run.kind == "SGD"], ids=str)
def test_equals_torch(run, dtype):
    reference = expected(run)
    ours = trajectory(run, dtype)
    assert ours.keys() == reference.keys()
    for name, array in ours.items():
        assert_close(array, reference[name].astype(dtype), OP_TOLERANCE[dtype])


def positions(gradients, lrs=None, start=1.0, **options):
    """Step one number with these gradients, and return it after every step."""
    weight = Parameter(np.array([start]))
    optimizer = SGD({"weight": weight}, **{"lr": 0.25, **options})
    after = []
    for i, grad in enumerate(gradients):
        if lrs is not None:
            optimizer.lr = lrs[i]
        weight.grad = np.array([grad])
        optimizer.step()
        after.append(float(weight.data[0]))
    return after


@pytest.mark.parametrize(
    ("options", "after"),
    [
        ({}, [0.5, 0.0]),
        ({"momentum": 0.5}, [0.5, -0.25]),  # velocities 2 and 0.5 * 2 + 2 = 3
        ({"momentum": 0.5, "nesterov": True}, [0.25, -0.625]),  # 2 + 0.5 * 2 = 3 and 2 + 0.5 * 3 = 3.5
        ({"weight_decay": 0.5}, [0.375, -0.171875]),  # gradients 2.5 and 2 + 0.1875
        ({"weight_decay": 0.5, "momentum": 0.5}, [0.375, -0.484375]),  # velocities 2.5 and 1.25 + 2.1875
        ({"lr": 0.0, "momentum": 0.5, "weight_decay": 0.5}, [1.0, 1.0]),
    ],
)
def test_two_steps_by_hand(options, after):
    assert positions([2.0, 2.0], **options) == after


def test_momentum_goes_on_without_a_gradient():
    # 1 + 1/2 + 1/4 + ... of the first step.
    assert positions([1.0, 0.0, 0.0], momentum=0.5) == [0.75, 0.625, 0.5625]


def test_weight_decay_is_the_gradient_of_half_the_square():
    numbers = Numbers("penalty")
    w, grad = numbers.real(3, 4), numbers.real(3, 4)
    results = []
    for weight_decay, gradient in [(0.25, grad), (0.0, grad + 0.25 * w)]:
        weight = Parameter(w.copy())
        weight.grad = gradient
        SGD({"weight": weight}, lr=0.5, weight_decay=weight_decay).step()
        results.append(weight.data)
    np.testing.assert_array_equal(*results)


# ---- What the docstring says about the other two forms ---------------------------------------------


def caffe_positions(gradients, lrs, momentum, start=1.0):
    w, v, after = start, 0.0, []
    for grad, lr in zip(gradients, lrs, strict=True):
        v = momentum * v - lr * grad
        w += v
        after.append(w)
    return after


def test_the_rate_inside_the_velocity_is_the_same_while_it_is_constant():
    gradients = Numbers("caffe").real(6)
    constant = [0.1] * 6
    np.testing.assert_allclose(
        positions(gradients, constant, momentum=0.9),
        caffe_positions(gradients, constant, momentum=0.9),
        rtol=1e-12,
    )


def test_after_a_drop_of_the_rate_the_velocity_outside_drops_at_once():
    gradients = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    ours, caffe = positions(gradients, RATES, momentum=0.5), caffe_positions(gradients, RATES, momentum=0.5)
    # Velocities 1, 1.5, 1.75, 0.875, ...; then the rate drops from 0.1 to 0.01.
    np.testing.assert_allclose(np.diff(ours)[2:], [-0.00875, -0.004375, -0.0021875])
    np.testing.assert_allclose(np.diff(caffe)[2:], [-0.0875, -0.04375, -0.021875])


def test_nesterov_measures_from_where_the_velocity_leads():
    # The textbook's variable is the point before the look ahead; ours is the point looked at.
    lr, momentum = 0.1, 0.8
    theta, v = 3.0, 0.0  # of f(w) = w**2 / 2, whose gradient is w
    looked_at = []
    for _ in range(6):
        ahead = theta + momentum * v
        v = momentum * v - lr * ahead
        theta = theta + v
        looked_at.append(theta + momentum * v)

    weight = Parameter(np.array([3.0]))
    optimizer = SGD({"weight": weight}, lr=lr, momentum=momentum, nesterov=True)
    for expected_weight in looked_at:
        weight.grad = weight.data
        optimizer.step()
        np.testing.assert_allclose(weight.data, expected_weight, rtol=1e-12)


# ---- Refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -0.1}, "lr=-0.1; expected a finite number, at least 0"),
        ({"lr": np.nan}, "lr=nan; expected a finite number, at least 0"),
        ({"lr": np.inf}, "lr=inf; expected a finite number, at least 0"),
        ({"lr": "fast"}, "lr='fast'; expected a finite number, at least 0"),
        ({"momentum": -0.5}, "momentum=-0.5; expected at least 0 and below 1"),
        ({"momentum": 1.0}, "momentum=1.0; expected at least 0 and below 1"),
        ({"momentum": np.nan}, "momentum=nan; expected at least 0 and below 1"),
        ({"momentum": None}, "momentum=None; expected at least 0 and below 1"),
        ({"weight_decay": -1e-4}, "weight_decay=-0.0001; expected a finite number, at least 0"),
        ({"weight_decay": np.nan}, "weight_decay=nan; expected a finite number, at least 0"),
        ({"nesterov": True}, "nesterov=True with momentum=0; expected momentum above 0, such as 0.9"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(InputError, match=f"^SGD: {re.escape(message)}$"):
        SGD({"weight": Parameter(np.zeros(1))}, **{"lr": 0.1, **options})
