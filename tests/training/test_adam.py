"""Adam and AdamW."""

import math
import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.nn.parameter import Parameter
from minidet.training.optim import SGD, Adam, AdamW
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import Numbers
from tests.oracles.optim_cases import RUNS, expected, trajectory

BOTH = pytest.mark.parametrize("kind", [Adam, AdamW])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("run", [run for run in RUNS if run.kind in ("Adam", "AdamW")], ids=str)
def test_equals_torch(run, dtype):
    reference = expected(run)
    ours = trajectory(run, dtype)
    assert ours.keys() == reference.keys()
    for name, array in ours.items():
        assert_close(array, reference[name].astype(dtype), OP_TOLERANCE[dtype])


def positions(kind, gradients, start=1.0, **options):
    """Step one number with these gradients, and return it after every step."""
    weight = Parameter(np.array([start]))
    optimizer = kind({"weight": weight}, **{"lr": 0.25, "eps": 1e-300, **options})
    after = []
    for grad in gradients:
        weight.grad = np.array([grad])
        optimizer.step()
        after.append(float(weight.data[0]))
    return after


def test_two_steps_by_hand():
    # betas 1/2 and 3/4; gradients 4, then 2.
    # Step 1: m = 2, / (1 - 1/2) = 4; v = 4, / (1 - 3/4) = 16; quotient 4 / 4 = 1.
    # Step 2: m = 1 + 1 = 2, / (1 - 1/4) = 8/3; v = 3 + 1 = 4, / (1 - 9/16) = 64/7; quotient sqrt(7) / 3.
    after = positions(Adam, [4.0, 2.0], betas=(0.5, 0.75))
    np.testing.assert_allclose(after, [0.75, 0.75 - 0.25 * math.sqrt(7) / 3], rtol=1e-14)


def test_eps_is_added_to_the_root():
    # Root 4 plus 4: half a step. Under the root it would be sqrt(16 + 4).
    assert positions(Adam, [4.0], eps=4.0) == [0.875]


@pytest.mark.parametrize(
    ("kind", "options", "after"),
    [
        (Adam, {"weight_decay": 2.0}, 0.75),  # gradient 4 + 2, divided by 6 again: no trace of the decay
        (AdamW, {"weight_decay": 2.0}, 0.25),  # 1 - 0.25 * 2 is left of the weight, then the step
        (Adam, {}, 0.75),
        (AdamW, {"weight_decay": 0.0}, 0.75),
        (AdamW, {}, 0.75 - 0.25 * 1e-2),
    ],
)
def test_where_the_decay_enters(kind, options, after):
    assert positions(kind, [4.0], **options) == [after]


def test_the_decay_of_adamw_uses_the_weight_before_the_step():
    assert positions(AdamW, [4.0], start=8.0, weight_decay=1.0) == [8 - 2 - 0.25]


@BOTH
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_scale_of_the_loss_does_not_matter(kind, scale):
    gradients = Numbers("scale").real(10)
    np.testing.assert_allclose(positions(kind, scale * gradients), positions(kind, gradients), rtol=1e-9)


@BOTH
def test_a_weight_without_a_gradient_stays_finite_and_unmoved(kind):
    assert positions(kind, [0.0, 0.0, 0.0], eps=1e-8, weight_decay=0.0) == [1.0, 1.0, 1.0]


def test_without_decay_the_two_are_one():
    gradients = Numbers("one").real(10)
    assert positions(Adam, gradients) == positions(AdamW, gradients, weight_decay=0.0)


@pytest.mark.parametrize(
    ("kind", "options", "steps"),
    [(SGD, {"lr": 0.05, "momentum": 0.8}, 200), (Adam, {"lr": 0.05}, 1500), (AdamW, {"lr": 0.05}, 1500)],
)
def test_finds_the_lowest_point_of_a_valley(kind, options, steps):
    # f(w) = sum of slope * (w - target)**2 / 2, a hundred times steeper across than along.
    target, slope = np.array([1.0, -2.0]), np.array([10.0, 0.1])
    weight = Parameter(np.zeros(2))
    options = {**options, "weight_decay": 0.0}
    optimizer = kind({"weight": weight}, **options)
    for _ in range(steps):
        weight.grad = slope * (weight.data - target)
        optimizer.step()
    assert_close(weight.data, target, 0.01)


@BOTH
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1e-3}, "lr=-0.001; expected a finite number, at least 0"),
        ({"lr": np.nan}, "lr=nan; expected a finite number, at least 0"),
        ({"betas": (0.9,)}, "betas=(0.9,); expected two numbers"),
        ({"betas": (0.9, 0.99, 0.999)}, "betas=(0.9, 0.99, 0.999); expected two numbers"),
        ({"betas": (1.0, 0.999)}, "betas[0]=1.0; expected at least 0 and below 1"),
        ({"betas": (-0.1, 0.999)}, "betas[0]=-0.1; expected at least 0 and below 1"),
        ({"betas": (0.9, 1.0)}, "betas[1]=1.0; expected at least 0 and below 1"),
        ({"betas": (0.9, np.nan)}, "betas[1]=nan; expected at least 0 and below 1"),
        ({"eps": 0.0}, "eps=0.0; expected a finite number above 0"),
        ({"eps": -1e-8}, "eps=-1e-08; expected a finite number above 0"),
        ({"eps": np.inf}, "eps=inf; expected a finite number above 0"),
        ({"weight_decay": -0.01}, "weight_decay=-0.01; expected a finite number, at least 0"),
        ({"weight_decay": np.inf}, "weight_decay=inf; expected a finite number, at least 0"),
    ],
)
def test_refuses(kind, options, message):
    with pytest.raises(InputError, match=f"^{kind.__name__}: {re.escape(message)}$"):
        kind({"weight": Parameter(np.zeros(1))}, **options)
