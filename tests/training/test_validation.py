"""Validation: when it happens, which weights it keeps, when it ends the run, and what a kill changes."""

import contextlib

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.training.log import RunLog
from minidet.training.validation import Validation
from minidet.weights import load_npz
from tests.training.toy import toy_training


class Figures:
    """Returns the given figures one after the other, and remembers what it was shown."""

    def __init__(self, values):
        self.values, self.shown = list(values), []

    def __call__(self, network):
        assert not network.training
        assert not network.linear.training
        self.shown.append(network.state_dict())
        return {"recall": self.values[len(self.shown) - 1], "other": 1.0}


def validation(measure, folder, **options):
    folder.mkdir(exist_ok=True)
    defaults = {
        "every": 10,
        "steps": 40,
        "figure": "recall",
        "architecture": "toy",
        "best": folder / "best.npz",
    }
    return Validation(measure, **{**defaults, **options})


def validated(folder):
    return [
        (record["step"], record["recall"])
        for record in RunLog.read(folder / "log.jsonl")
        if record["kind"] == "validation"
    ]


def test_happens_every_so_often_and_at_the_end(tmp_path):
    figures = Figures([0.1, 0.2, 0.3])
    run = toy_training(tmp_path, callbacks=[validation(figures, tmp_path, every=15)])
    assert validated(tmp_path) == [(15, 0.1), (30, 0.2), (40, 0.3)]
    assert run.network.training


def test_at_the_end_once(tmp_path):
    toy_training(tmp_path, callbacks=[validation(Figures([0.1] * 4), tmp_path)])
    assert [step for step, _ in validated(tmp_path)] == [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([0.1, 0.4, 0.3, 0.2], 1),
        ([0.5, 0.4, 0.3, 0.2], 0),
        ([0.1, 0.2, 0.3, 0.4], 3),
        ([0.1, 0.4, 0.4, 0.2], 2),  # of equal ones the last
        ([0.0, -1.0, 0.0, -0.1], 2),
    ],
)
def test_keeps_the_best_weights(tmp_path, values, best):
    figures = Figures(values)
    callback = validation(figures, tmp_path)
    run = toy_training(tmp_path, callbacks=[callback])
    architecture, kept = load_npz(tmp_path / "best.npz")
    assert architecture == "toy"
    for name, array in figures.shown[best].items():
        assert np.array_equal(kept[name], array)
    callback.load_best(run.network)
    assert np.array_equal(run.network.state_dict()["linear.weight"], kept["linear.weight"])
    assert (callback.best_step, callback.best_value) == (10 * (best + 1), values[best])
    assert [path.name for path in tmp_path.glob("*best*")] == ["best.npz"]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([0.1, 0.4, 0.35, 0.2], 2),
        ([0.1, 0.4, 0.35, 0.31], 2),  # not step by step downwards: 0.4 is what counts
        ([0.4, 0.1, 0.2, 0.35], 3),
        ([0.4, 0.1, 0.2, 0.34], 0),
    ],
)
def test_keeps_later_weights_that_are_hardly_worse(tmp_path, values, kept):
    figures = Figures(values)
    callback = validation(figures, tmp_path, margin=0.0501)
    toy_training(tmp_path, callbacks=[callback])
    best = load_npz(tmp_path / "best.npz")[1]
    assert np.array_equal(best["linear.weight"], figures.shown[kept]["linear.weight"])
    assert (callback.best_step, callback.best_value) == (10 * (kept + 1), 0.4)


def test_hardly_worse_is_no_progress(tmp_path):
    callback = validation(Figures([0.4, 0.38, 0.39, 0.9]), tmp_path, margin=0.05, patience=2)
    assert toy_training(tmp_path, callbacks=[callback]).step == 30


def test_without_a_best_the_weights_stay(tmp_path):
    callback = validation(Figures([float("nan")] * 4), tmp_path)
    run = toy_training(tmp_path, callbacks=[callback])
    before = run.network.state_dict()
    callback.load_best(run.network)
    assert np.array_equal(run.network.state_dict()["linear.weight"], before["linear.weight"])
    assert not (tmp_path / "best.npz").exists()


def test_patience(tmp_path):
    callback = validation(Figures([0.1, 0.4, 0.3, 0.4, 0.9]), tmp_path, every=5, patience=2)
    run = toy_training(tmp_path, callbacks=[callback])
    assert run.step == 20
    assert run.stopped == "no better recall than 0.4000 in 2 validations"


def test_progress_renews_patience(tmp_path):
    callback = validation(Figures([0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4]), tmp_path, every=5, patience=2)
    assert toy_training(tmp_path, callbacks=[callback]).step == 40


@pytest.mark.parametrize("killed", [12, 22, 31])
@pytest.mark.parametrize("values", [[0.1, 0.4, 0.3, 0.2], [0.4, 0.3, 0.3, 0.3], [0.1, 0.2, 0.3, 0.4]])
@pytest.mark.parametrize("patience", [None, 2])
def test_a_resumed_run_validates_as_one_never_stopped(tmp_path, killed, values, patience):
    class ByStep:
        """Gives figures in the order in which weights were first seen, so the same to the same weights."""

        def __init__(self, weights):
            self.weights = weights

        def __call__(self, network):
            shown = network.state_dict()["linear.weight"].tobytes()
            if shown not in self.weights:
                self.weights.append(shown)
            return {"recall": values[self.weights.index(shown)]}

    class Kill:
        def __init__(self, step):
            self.step = step

        def after_step(self, run):
            if run.step == self.step:
                raise RuntimeError

        def state(self):
            return {}

        def restore(self, state):
            pass

    seen = []
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    first = validation(ByStep(seen), whole, patience=patience)
    run = toy_training(whole, callbacks=[first, Kill(None)])
    with contextlib.suppress(RuntimeError):  # patience may have ended the run before
        toy_training(parts, callbacks=[validation(ByStep(seen), parts, patience=patience), Kill(killed)])
    second = validation(ByStep(seen), parts, patience=patience)

    resumed = toy_training(parts, callbacks=[second, Kill(None)])
    assert (run.step, run.stopped) == (resumed.step, resumed.stopped)
    assert (first.best_step, first.best_value, first.since_best) == (
        second.best_step,
        second.best_value,
        second.since_best,
    )
    assert validated(whole) == validated(parts)
    assert (whole / "best.npz").read_bytes() == (parts / "best.npz").read_bytes()


def test_a_missing_figure_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no figure 'precision' among recall, other"):
        toy_training(tmp_path, callbacks=[validation(Figures([0.1]), tmp_path, figure="precision")])


@pytest.mark.parametrize("options", [{"every": 0}, {"patience": 0}, {"every": 2.5}])
def test_refuses_impossible_numbers(tmp_path, options):
    (name,) = options
    with pytest.raises(InputError, match=f"Validation: {name}="):
        validation(Figures([]), tmp_path, **options)
