"""The loop: it learns, it resumes bit for bit, it says which photographs a failure came from."""

import json
import logging
import os
import signal
import threading

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.nn import initialise
from minidet.training.checkpoint import Checkpoints
from minidet.training.log import RunLog
from minidet.training.objectives import Objective
from minidet.training.optim import SGD, Cosine, clip_grad_norm
from minidet.training.trainer import check_finite_loss, train
from tests.training.toy import ToyBatches, ToyNetwork, toy_objective, toy_training


def weights_of(run):
    return run.network.state_dict()


def records_of(folder):
    """The log without what a clock has said."""
    return [record for record in RunLog.read(folder / "log.jsonl") if record["kind"] != "speed"]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert np.array_equal(first[name], second[name]), name


class StopAt:
    """A callback that breaks the run off with an error, as a full disk would."""

    def __init__(self, step):
        self.step, self.seen = step, []

    def after_step(self, run):
        self.seen.append(run.step)
        if run.step == self.step:
            raise RuntimeError("broken off")

    def state(self):
        return {"seen": list(self.seen)}

    def restore(self, state):
        self.seen = list(state["seen"])


def test_equals_a_loop_written_out(tmp_path):
    run = toy_training(tmp_path / "run", max_norm=0.5)

    network, source = ToyNetwork(), ToyBatches()
    initialise(network, np.random.default_rng(0))
    optimizer, schedule = SGD(network.parameters(), lr=0.1, momentum=0.9), Cosine(0.1, 40)
    values = []
    for step in range(40):
        batch = source.batch(step)
        loss = toy_objective(network.forward(batch.x), batch.targets)
        network.zero_grad()
        network.backward(*loss.gradients)
        clip_grad_norm(network.parameters(), 0.5)
        optimizer.lr = schedule(step)
        optimizer.step()
        values.append(loss.value)

    assert_same(weights_of(run), network.state_dict())
    trained = [record for record in records_of(tmp_path / "run") if record["kind"] == "train"]
    assert [record["step"] for record in trained] == list(range(1, 41))
    assert [record["loss"] for record in trained] == values
    assert [record["error"] for record in trained] == values
    assert [record["lr"] for record in trained] == [schedule(step) for step in range(40)]


def test_learns(tmp_path):
    toy_training(tmp_path, steps=40)
    records = records_of(tmp_path)
    assert records[-1]["loss"] < records[0]["loss"] / 20


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_threads_that_make_batches_change_nothing(tmp_path, workers):
    alone, other = toy_training(tmp_path / "a", workers=0), toy_training(tmp_path / "b", workers=workers)
    assert_same(weights_of(alone), weights_of(other))
    assert records_of(tmp_path / "a") == records_of(tmp_path / "b")


def test_another_seed_ends_elsewhere(tmp_path):
    first, second = toy_training(tmp_path / "a", seed=0), toy_training(tmp_path / "b", seed=1)
    assert not np.array_equal(weights_of(first)["linear.weight"], weights_of(second)["linear.weight"])


@pytest.mark.parametrize("broken_off", [1, 6, 7, 8, 13, 14, 20, 39, 40])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_resumed_run_equals_one_never_stopped(tmp_path, broken_off, momentum):
    whole = toy_training(tmp_path / "whole", momentum=momentum, callbacks=[StopAt(None)])
    with pytest.raises(RuntimeError, match="broken off"):
        toy_training(tmp_path / "run", momentum=momentum, callbacks=[StopAt(broken_off)])
    callback = StopAt(None)
    resumed = toy_training(tmp_path / "run", momentum=momentum, callbacks=[callback])
    assert_same(weights_of(whole), weights_of(resumed))
    assert_same(whole.optimizer.state_dict(), resumed.optimizer.state_dict())
    assert callback.seen == list(range(1, 41))
    assert records_of(tmp_path / "whole") == records_of(tmp_path / "run")


def test_resume_does_not_do_done_steps_again(tmp_path):
    with pytest.raises(RuntimeError):
        toy_training(tmp_path, callbacks=[StopAt(25)])

    class Watching(ToyBatches):
        made = []  # noqa: RUF012

        def batch(self, step):
            self.made.append(step)
            return super().batch(step)

    toy_training(tmp_path, batches=Watching(), callbacks=[StopAt(None)])
    assert sorted(Watching.made) == list(range(21, 40))


def test_a_finished_run_is_finished(tmp_path):
    first = toy_training(tmp_path)
    log = (tmp_path / "log.jsonl").read_bytes()
    again = toy_training(tmp_path, batches=ToyBatches(broken_at=0))
    assert again.step == 40
    assert_same(weights_of(first), weights_of(again))
    assert (tmp_path / "log.jsonl").read_bytes() == log


def test_another_recipe_is_refused(tmp_path):
    toy_training(tmp_path, recipe={"lr": 0.1})
    with pytest.raises(InputError, match=r"lr: 0\.1 there, 0\.2 here"):
        toy_training(tmp_path, recipe={"lr": 0.2})


def test_damaged_checkpoint_is_named_and_the_one_before_taken(tmp_path, caplog):
    whole = toy_training(tmp_path / "whole")
    with pytest.raises(RuntimeError):
        toy_training(tmp_path / "run", callbacks=[StopAt(25)])
    newest = tmp_path / "run" / "checkpoint-00000021.npz"
    newest.write_bytes(newest.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING, "minidet"):
        resumed = toy_training(tmp_path / "run", callbacks=[StopAt(None)])
    assert "checkpoint-00000021.npz is refused" in caplog.text
    assert "going on from checkpoint-00000014.npz" in caplog.text
    assert_same(weights_of(whole), weights_of(resumed))


@pytest.mark.parametrize("step", [0, 3, 39])
def test_a_loss_that_is_no_number_stops_with_the_photographs(tmp_path, step):
    with pytest.raises(InputError) as caught:
        toy_training(tmp_path, batches=ToyBatches(broken_at=step))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"step {step + 1}: ")
    assert message.endswith(f"images of the batch: a{step}.jpg, b{step}.jpg")
    failure = RunLog.read(tmp_path / "log.jsonl")[-1]
    assert (failure["kind"], failure["step"]) == ("failure", step + 1)
    assert failure["images"] == [f"a{step}.jpg", f"b{step}.jpg"]


def test_of_many_photographs_the_message_names_some_and_the_log_all(tmp_path):
    class Crowd(ToyBatches):
        def batch(self, step):
            batch = super().batch(step)
            return type(batch)(batch.x * np.nan, batch.targets, [f"{i}.jpg" for i in range(50)])

    with pytest.raises(InputError) as caught:
        toy_training(tmp_path, batches=Crowd())
    assert str(caught.value).endswith(f"30.jpg, 31.jpg and 18 more, see {tmp_path / 'log.jsonl'}")
    assert len(RunLog.read(tmp_path / "log.jsonl")[-1]["images"]) == 50


def test_weights_before_the_failure_are_kept(tmp_path):
    """Whoever repairs the data goes on from the last checkpoint."""
    with pytest.raises(InputError):
        toy_training(tmp_path, batches=ToyBatches(broken_at=30))
    assert Checkpoints(tmp_path, recipe={"seed": 0}).load().step == 28
    resumed = toy_training(tmp_path)
    assert resumed.step == 40
    assert [record["kind"] for record in records_of(tmp_path)] == ["train"] * 40


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_finite_loss(value):
    with pytest.raises(InputError, match=r"the loss is -?(nan|inf) \(box 0\.5, landmark nan\)"):
        check_finite_loss(Objective(value, {"box": 0.5, "landmark": float("nan")}, (), np.ones(1, bool)))


def test_a_callback_can_stop_the_run_for_good(tmp_path):
    class Enough(StopAt):
        def after_step(self, run):
            self.seen.append(run.step)
            if run.step == 10:
                run.stop("enough")

    run = toy_training(tmp_path, callbacks=[Enough(None)])
    assert (run.step, run.stopped) == (10, "enough")
    again = toy_training(tmp_path, callbacks=[Enough(None)])
    assert (again.step, again.stopped) == (10, "enough")
    assert_same(weights_of(run), weights_of(again))


def test_interrupt_waits_for_the_step_and_keeps_it(tmp_path):
    whole = toy_training(tmp_path / "whole")

    class CtrlC(ToyBatches):
        def batch(self, step):
            if step == 16:
                os.kill(os.getpid(), signal.SIGINT)
            return super().batch(step)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        toy_training(tmp_path / "run", batches=CtrlC(), workers=0)
    assert signal.getsignal(signal.SIGINT) is before
    assert Checkpoints(tmp_path / "run", recipe={"seed": 0}).load().step == 17
    assert_same(weights_of(whole), weights_of(toy_training(tmp_path / "run")))


def test_trains_outside_of_the_main_thread(tmp_path):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(toy_training(tmp_path / "thread")))
    thread.start()
    thread.join()
    assert_same(weights_of(runs[0]), weights_of(toy_training(tmp_path / "main")))


def test_speed_and_waiting_are_reported(tmp_path):
    run = toy_training(tmp_path, steps=100)
    speeds = [record for record in RunLog.read(tmp_path / "log.jsonl") if record["kind"] == "speed"]
    assert [record["step"] for record in speeds] == [50, 100]
    for record in [*speeds, run.speed]:
        assert record["steps_per_second"] > 0
        assert 0 <= record["waiting"] <= 1


def test_waiting_is_what_the_batches_take(tmp_path):
    class Slow(ToyBatches):
        def batch(self, step):
            threading.Event().wait(0.02)
            return super().batch(step)

    run = toy_training(tmp_path, steps=20, batches=Slow(), workers=0)
    assert run.speed["waiting"] > 0.5


def test_the_log_is_strict_json_lines(tmp_path):
    toy_training(tmp_path)
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_progress_bar_shows_the_tasks(tmp_path, capfd):
    network = ToyNetwork()
    train(
        network,
        ToyBatches(),
        toy_objective,
        SGD(network.parameters(), lr=0.1),
        Cosine(0.1, 40),
        steps=5,
        folder=tmp_path,
        recipe={},
        name="toy",
    )
    shown = capfd.readouterr().err
    assert "toy: 100%" in shown
    assert "5/5" in shown
    assert "error=" in shown
