import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.errors import InputError
from minidet.nn.parameter import Parameter
from minidet.training.optim import SGD, Cosine, MultiStep, WarmUp

SCHEDULES = [
    MultiStep(0.1, (2, 5)),
    MultiStep(0.1, ()),
    Cosine(0.1, 7),
    Cosine(0.1, 7, final_lr=0.01),
    WarmUp(0.01, 4, MultiStep(0.1, (6, 8))),
    WarmUp(0.0, 3, Cosine(0.1, 9)),
]


def rates(schedule, steps):
    return [schedule(step) for step in range(steps)]


# ---- By hand ---------------------------------------------------------------------------------------


def test_a_milestone_is_the_first_step_with_the_lower_rate():
    assert rates(MultiStep(1.0, (2, 4), gamma=0.5), 6) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_a_tenth_is_the_default():
    np.testing.assert_allclose(rates(MultiStep(0.01, (1, 2)), 3), [1e-2, 1e-3, 1e-4], rtol=1e-15)


def test_without_milestones_the_rate_is_constant():
    assert rates(MultiStep(0.3, ()), 4) == [0.3] * 4


def test_milestones_may_be_a_list():
    assert rates(MultiStep(1.0, [1], gamma=0.5), 2) == [1.0, 0.5]


def test_a_cosine_at_the_angles_with_known_values():
    # 0, 60, 90, 120 and 180 degrees of half a turn.
    schedule = Cosine(9.0, 6, final_lr=1.0)
    np.testing.assert_allclose([schedule(s) for s in (0, 2, 3, 4, 6)], [9, 7, 5, 3, 1], rtol=1e-15)


@pytest.mark.parametrize("final_lr", [0.0, 0.001, 0.5])
def test_a_cosine_ends_exactly_and_stays(final_lr):
    schedule = Cosine(0.1, 5, final_lr=final_lr)
    assert [schedule(step) for step in (5, 6, 10, 1000)] == [final_lr] * 4


def test_a_warm_up_rises_in_a_straight_line():
    schedule = WarmUp(1.0, 4, MultiStep(3.0, (6,), gamma=0.5))
    assert rates(schedule, 8) == [1.0, 1.5, 2.0, 2.5, 3.0, 3.0, 1.5, 1.5]


def test_a_warm_up_aims_at_what_follows_it():
    # The milestone at 2 has passed when the rise ends; the target is the rate after it.
    schedule = WarmUp(0.0, 4, MultiStep(2.0, (2,), gamma=0.5))
    assert rates(schedule, 6) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_warm_up_may_fall_too():
    assert rates(WarmUp(3.0, 2, MultiStep(1.0, ())), 4) == [3.0, 2.0, 1.0, 1.0]


def test_the_schedule_of_retinaface():
    epoch = 403  # steps
    schedule = WarmUp(1e-3, 5 * epoch, MultiStep(1e-2, (55 * epoch, 68 * epoch)))
    found = [schedule(round(e * epoch)) for e in (0, 1, 5, 30, 55, 67, 68, 80)]
    np.testing.assert_allclose(found, [1e-3, 2.8e-3, 1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4], rtol=1e-12)
    assert schedule(55 * epoch - 1) == 1e-2
    assert schedule(68 * epoch - 1) == 1e-3


# ---- Properties ------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_schedule_remembers_nothing(schedule):
    forwards = rates(schedule, 12)
    assert [schedule(step) for step in reversed(range(12))] == forwards[::-1]
    assert [schedule(np.int64(step)) for step in range(12)] == forwards


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_schedule_drives_an_optimiser(schedule):
    weight = Parameter(np.zeros(1))
    optimizer = SGD({"weight": weight}, lr=0.0)
    for _ in range(12):
        optimizer.lr = schedule(optimizer.steps)
        weight.grad = np.array([-1.0])
        optimizer.step()
    np.testing.assert_allclose(weight.data, [sum(rates(schedule, 12))], rtol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_schedules_can_be_compared_and_not_changed(schedule):
    assert dataclasses.replace(schedule) == schedule
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.steps = 3


@given(st.floats(0, 10), st.integers(1, 1000), st.floats(0, 10))
def test_a_cosine_goes_one_way_and_is_symmetric(lr, steps, final_lr):
    schedule = Cosine(lr, steps, final_lr=final_lr)
    found = np.array(rates(schedule, steps + 1))
    assert (np.diff(found) * np.sign(final_lr - lr) >= -1e-12).all()
    np.testing.assert_allclose(found + found[::-1], lr + final_lr, atol=1e-12)


@given(st.floats(0, 10), st.integers(1, 1000), st.floats(0, 10), st.integers(1, 2000))
def test_a_warm_up_has_no_jump(start_lr, steps, lr, later):
    schedule = WarmUp(start_lr, steps, Cosine(lr, later))
    assert schedule(0) == start_lr
    rise = np.diff(rates(schedule, steps + 1))
    np.testing.assert_allclose(rise, rise[0], atol=1e-12)
    assert schedule(steps) == schedule.then(steps)
    assert schedule(steps + 1) == schedule.then(steps + 1)


# ---- Refusals --------------------------------------------------------------------------------------

CONSTANT = MultiStep(0.1, ())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiStep(-0.1, ()), "MultiStep: lr=-0.1; expected a finite number, at least 0"),
        (lambda: MultiStep(np.nan, ()), "MultiStep: lr=nan; expected a finite number, at least 0"),
        (lambda: MultiStep(0.1, (), gamma=0), "MultiStep: gamma=0; expected a finite number above 0"),
        (lambda: MultiStep(0.1, (), gamma=np.inf), "MultiStep: gamma=inf; expected a finite number above 0"),
        (lambda: MultiStep(0.1, (0,)), "MultiStep: milestones[0]=0; expected a whole number from 1 up"),
        (lambda: MultiStep(0.1, (5, 7.5)), "MultiStep: milestones[1]=7.5; expected a whole number from 1 up"),
        (lambda: MultiStep(0.1, (5, 3)), "MultiStep: milestones=(5, 3); expected increasing numbers"),
        (lambda: MultiStep(0.1, (5, 5)), "MultiStep: milestones=(5, 5); expected increasing numbers"),
        (lambda: Cosine(-0.1, 5), "Cosine: lr=-0.1; expected a finite number, at least 0"),
        (lambda: Cosine(0.1, 0), "Cosine: steps=0; expected a whole number from 1 up"),
        (lambda: Cosine(0.1, 5.0), "Cosine: steps=5.0; expected a whole number from 1 up"),
        (lambda: Cosine(0.1, 5, final_lr=-1), "Cosine: final_lr=-1; expected a finite number, at least 0"),
        (
            lambda: WarmUp(np.inf, 5, CONSTANT),
            "WarmUp: start_lr=inf; expected a finite number, at least 0",
        ),
        (lambda: WarmUp(0.1, 0, CONSTANT), "WarmUp: steps=0; expected a whole number from 1 up"),
        (
            lambda: WarmUp(0.1, 5, 0.01),
            "WarmUp: then=0.01; expected a schedule, such as MultiStep(0.01, ())",
        ),
        (lambda: CONSTANT(-1), "MultiStep: step=-1; expected a whole number from 0 up"),
        (lambda: CONSTANT(1.0), "MultiStep: step=1.0; expected a whole number from 0 up"),
        (lambda: Cosine(0.1, 5)(-1), "Cosine: step=-1; expected a whole number from 0 up"),
        (lambda: Cosine(0.1, 5)(np.nan), "Cosine: step=nan; expected a whole number from 0 up"),
        (lambda: WarmUp(0.1, 5, CONSTANT)(-1), "WarmUp: step=-1; expected a whole number from 0 up"),
        (lambda: WarmUp(0.1, 5, CONSTANT)(2.5), "WarmUp: step=2.5; expected a whole number from 0 up"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        make()
