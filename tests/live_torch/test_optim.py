"""Optimisers, clipping, schedules and first weights against PyTorch itself."""

import dataclasses
import math
from itertools import product

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from minidet.nn.init import fans, kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform
from minidet.nn.parameter import Parameter
from minidet.training.optim import Cosine, MultiStep, WarmUp, clip_grad_norm
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import Numbers
from tests.oracles.make_optim import torch_trajectory
from tests.oracles.optim_cases import RUNS, STEPS, Run, expected, trajectory

# ---- Optimisers ------------------------------------------------------------------------------------


def random_run(i):
    """An optimiser with random options, and for two in three a rate that changes at every step."""
    random = np.random.RandomState(i)

    def pick(*values):
        return values[random.randint(len(values))]

    kind = pick("SGD", "Adam", "AdamW")
    options = {"lr": pick(0.001, 0.01, 0.1), "weight_decay": pick(0.0, 5e-4, 0.1)}
    if kind == "SGD":
        options["momentum"] = pick(0.0, 0.5, 0.9, 0.99)
        options["nesterov"] = options["momentum"] > 0 and pick(False, True)
    else:
        options["betas"] = pick(0.0, 0.8, 0.9), pick(0.0, 0.99, 0.999)
        options["eps"] = pick(1e-8, 1e-4, 0.1)
    lrs = tuple(float(lr) for lr in random.choice([0.0, 1e-3, 0.01, 0.1], STEPS)) if pick(0, 1, 1) else ()
    shapes = {f"p{k}": tuple(random.randint(1, 7, random.choice([1, 2, 4]))) for k in range(pick(1, 2, 5))}
    return Run(f"random{i}-{kind}", kind, options, lrs, pick("real", "real", "rare"), shapes)


RANDOM_RUNS = [random_run(i) for i in range(120)]
LARGE_RUNS = [
    dataclasses.replace(run, name=f"large-{run}", shapes={"conv": (128, 64, 3, 3), "head": (256, 1152)})
    for run in RUNS
    if "changing" in run.name
]


def assert_trajectory(run, dtype):
    theirs = torch_trajectory(run, dtype)
    ours = trajectory(run, dtype)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert_close(array, theirs[name], OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("run", [*RUNS, *RANDOM_RUNS, *LARGE_RUNS], ids=str)
def test_runs(run, dtype):
    assert_trajectory(run, dtype)


def test_the_random_runs_have_changing_rates_of_every_kind():
    assert {run.kind for run in RANDOM_RUNS if run.lrs} == {"SGD", "Adam", "AdamW"}


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_the_stored_oracle_is_what_torch_says_today(run):
    today = torch_trajectory(run, "float64")
    assert today.keys() == expected(run).keys()
    for name, array in today.items():
        assert_close(array, expected(run)[name], OP_TOLERANCE["float64"])


# ---- Clipping --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("max_norm", [1e-3, 0.5, 5.0, 20.0, 1e3, math.inf])
@pytest.mark.parametrize("seed", range(5))
def test_clipping(seed, max_norm, dtype):
    numbers = Numbers(seed)
    shapes = {"a": (3, 2, 3, 3), "b": (1,), "none": (2,), "c": (7, 4)}
    parameters = {name: Parameter(np.zeros(shape, dtype)) for name, shape in shapes.items()}
    tensors = {name: torch.zeros(shape, dtype=getattr(torch, dtype)) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        if name != "none":
            grad = numbers.real(*shape).astype(dtype)
            parameters[name].grad, tensors[name].grad = grad, torch.tensor(grad)
    norm = clip_grad_norm(parameters, max_norm)
    their_norm = torch.nn.utils.clip_grad_norm_(list(tensors.values()), max_norm)
    assert norm == pytest.approx(their_norm.item(), rel=OP_TOLERANCE[dtype])
    for name, parameter in parameters.items():
        if name == "none":
            assert parameter.grad is None
        else:
            assert_close(parameter.grad, tensors[name].grad.numpy(), OP_TOLERANCE[dtype])


# ---- Schedules -------------------------------------------------------------------------------------


def torch_rates(make, lr, steps):
    """The rates that a scheduler of PyTorch gives to the steps 0, 1, ..."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def assert_rates(schedule, theirs):
    assert_close(np.array([schedule(step) for step in range(len(theirs))]), np.array(theirs), 1e-12)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("milestones", [(), (1,), (3, 4), (5, 9, 30)])
def test_multi_step(milestones, gamma):
    theirs = torch_rates(lambda o: lr_scheduler.MultiStepLR(o, list(milestones), gamma), 0.01, 40)
    assert_rates(MultiStep(0.01, milestones, gamma), theirs)


@pytest.mark.parametrize("final_lr", [0.0, 0.001])
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_cosine(steps, final_lr):
    theirs = torch_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, steps, final_lr), 0.1, steps + 1)
    assert_rates(Cosine(0.1, steps, final_lr), theirs)


@pytest.mark.parametrize(("start_lr", "steps"), list(product([0.001, 0.005], [1, 2, 5, 11])))
def test_warm_up_to_a_constant_rate(start_lr, steps):
    theirs = torch_rates(lambda o: lr_scheduler.LinearLR(o, start_lr / 0.01, 1.0, steps), 0.01, 20)
    assert_rates(WarmUp(start_lr, steps, MultiStep(0.01, ())), theirs)


@pytest.mark.parametrize("milestones", [(), (6,), (8, 13)])
def test_warm_up_to_multi_step(milestones):
    # A sequence of PyTorch's restarts the count for its second part; ours counts from the beginning.
    def make(optimizer):
        rise = lr_scheduler.LinearLR(optimizer, 0.1, 1.0, 5)
        drops = lr_scheduler.MultiStepLR(optimizer, [milestone - 5 for milestone in milestones])
        return lr_scheduler.SequentialLR(optimizer, [rise, drops], [5])

    assert_rates(WarmUp(0.001, 5, MultiStep(0.01, milestones)), torch_rates(make, 0.01, 20))


def test_warm_up_to_cosine():
    # PyTorch's second part starts from its beginning when the rise is over.
    def make(optimizer):
        rise = lr_scheduler.LinearLR(optimizer, 0.1, 1.0, 5)
        fall = lr_scheduler.CosineAnnealingLR(optimizer, 20, 0.001)
        return lr_scheduler.SequentialLR(optimizer, [rise, fall], [5])

    cosine = Cosine(0.01, 20, 0.001)
    schedule = WarmUp(0.001, 5, lambda step: cosine(step - 5))
    assert_rates(schedule, torch_rates(make, 0.01, 26))


# ---- First weights ---------------------------------------------------------------------------------

SHAPES = [(2, 256), (1, 1), (16, 3, 5, 5), (16, 3, 1, 1), (4, 3, 2, 5), (64, 1, 3, 3), (1, 64, 3, 3)]
MODES = ["fan_in", "fan_out"]
SLOPES = [0.0, 0.1, 0.25, 1.0]


@pytest.mark.parametrize("shape", SHAPES)
def test_fans(shape):
    assert fans(shape) == torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


class Recorder:
    """In the place of a generator: notes what was asked for."""

    def normal(self, mean, std, shape):
        self.asked = {"mean": mean, "std": std}
        return np.zeros(shape)

    def uniform(self, low, high, shape):
        self.asked = {"a": low, "b": high}
        return np.zeros(shape)


def asked_of_torch(monkeypatch, fill, shape, **options):
    """Mean and std, or the bounds, with which PyTorch fills a tensor."""
    asked = {}

    def note_normal(tensor, mean, std, generator=None):
        asked.update(mean=mean, std=std)

    def note_uniform(tensor, a, b, generator=None):
        asked.update(a=a, b=b)

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "normal_", note_normal)
        patch.setattr(torch.Tensor, "uniform_", note_uniform)
        fill(torch.empty(shape), **options)
    assert asked
    return asked


def assert_asked_the_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value == pytest.approx(theirs[name], rel=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("draw", "fill"),
    [(xavier_normal, torch.nn.init.xavier_normal_), (xavier_uniform, torch.nn.init.xavier_uniform_)],
)
def test_xavier_asks_for_the_same_numbers(monkeypatch, draw, fill, shape):
    recorder = Recorder()
    draw(shape, recorder)
    assert_asked_the_same(recorder.asked, asked_of_torch(monkeypatch, fill, shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize(
    ("draw", "fill"),
    [(kaiming_normal, torch.nn.init.kaiming_normal_), (kaiming_uniform, torch.nn.init.kaiming_uniform_)],
)
def test_kaiming_asks_for_the_same_numbers(monkeypatch, draw, fill, slope, mode, shape):
    recorder = Recorder()
    draw(shape, recorder, negative_slope=slope, mode=mode)
    theirs = asked_of_torch(monkeypatch, fill, shape, a=slope, mode=mode)
    assert_asked_the_same(recorder.asked, theirs)
