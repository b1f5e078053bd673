"""A worker's process and its protocol, with a contestant that is made for the test."""

import sys
from pathlib import Path

import numpy as np
import pytest

from minidet.benchmark.contestants import Contestant
from minidet.benchmark.peers.worker import peak_memory, time_runs
from minidet.benchmark.process import Process, WorkerError

FAKE = Contestant("fake", "", ())
SCRIPT = Path(__file__).with_name("fake_peer.py")


@pytest.fixture
def process():
    with Process(FAKE, 3, script=SCRIPT) as process:
        yield process


def test_prepare_returns_what_every_instance_computed(process):
    arrays = {"a": np.arange(3.0), "b": np.ones((2, 2), np.float32)}
    answer, outputs = process.prepare("double", arrays, {"factor": 5})
    assert [len(answer["first"]), answer["versions"], answer["compiled"]] == [2, {"fake": "1.0"}, False]
    assert answer["load"] >= 0
    np.testing.assert_array_equal(outputs[0]["doubled"], [0, 10, 20])
    np.testing.assert_array_equal(outputs[1]["doubled"], np.full((2, 2), 10, np.float32))
    assert outputs[1]["doubled"].dtype == np.float32
    assert outputs[0]["threads"] == 3


def test_run_times_one_instance(process):
    process.prepare("double", {"a": np.arange(3.0)}, {})
    seconds = process.run(0, 4, warm=True)
    assert len(seconds) == 4
    assert all(second >= 0 for second in seconds)


def test_threads_are_set_before_a_library_could_start_its_own(process):
    _, outputs = process.prepare("environment", {}, {})
    assert outputs[0]["threads"] == 3


def test_an_error_of_the_contestant_is_told_and_the_worker_goes_on(process):
    with pytest.raises(WorkerError, match="fake: RuntimeError: no such model"):
        process.prepare("fail", {}, {})
    with pytest.raises(WorkerError, match="fake: IndexError"):
        process.run(7, 1, warm=False)
    process.prepare("double", {"a": np.arange(3.0)}, {})


def test_an_unknown_request_is_refused(process):
    with pytest.raises(WorkerError, match="unknown request"):
        process._ask(dance=True)


def test_the_end_of_the_process_is_told_with_its_last_words(process):
    with pytest.raises(WorkerError, match="fake: its process has ended: killed by a bug"):
        process.prepare("die", {}, {})


def test_leaving_ends_the_process():
    with Process(FAKE, 1, script=SCRIPT) as process:
        process.prepare("double", {"a": np.arange(3.0)}, {})
        child = process._process
        assert child.poll() is None
    assert child.poll() == 0


def test_minidet_is_found_by_its_worker(monkeypatch, tmp_path):
    # As in a checkout that is not installed, started from another folder.
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    contestant = Contestant("minidet readable", "with_minidet.py", backend="readable")
    boxes = np.array([[0, 0, 9, 9], [1, 0, 10, 9]], np.float32)
    arrays = {"boxes": boxes, "scores": np.array([0.5, 0.9], np.float32)}
    with Process(contestant, 1, python=sys.executable) as process:
        _, outputs = process.prepare("nms", arrays, {"iou_threshold": 0.4})
    assert outputs[0]["kept"].tolist() == [1]


@pytest.mark.parametrize(("warm", "calls"), [(True, 4), (False, 3)])
def test_time_runs(warm, calls):
    called = []
    assert len(time_runs(lambda: called.append(1), 3, warm)) == 3
    assert len(called) == calls


def test_peak_memory_is_that_of_this_process():
    assert not peak_memory() < 10  # NaN where the system does not tell
