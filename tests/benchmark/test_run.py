"""A wrong result is refused a time; a right one gets its row."""

from typing import ClassVar

import numpy as np
import pytest

from minidet.benchmark import run
from minidet.benchmark.agreement import equal_arrays
from minidet.benchmark.cases import CASES, Case, Inputs
from minidet.benchmark.contestants import ALL_PEERS, MINIDET, READABLE
from minidet.benchmark.process import WorkerError
from minidet.benchmark.run import Results, count_blocks, run_case

CASE = Case("nms", "NMS", "nms", lambda photographs: None, equal_arrays, {"torch": equal_arrays})
INPUTS = Inputs({"x": np.ones(2)}, {}, ["small", "large"])


class FakeProcess:
    """Computes what is in ``OUTPUTS`` by the contestant's name, in no time."""

    OUTPUTS: ClassVar[dict] = {}
    started: ClassVar[list] = []

    def __init__(self, contestant, threads, *, python, environment):
        self.name = contestant.name
        self.started.append((contestant.name, threads, python, environment))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.started.append((self.name, "ended"))

    def prepare(self, case, arrays, settings):
        outputs = self.OUTPUTS[self.name]
        if outputs is None:
            raise WorkerError(f"{self.name}: no such model")
        answer = {"load": 1.0, "first": [2.0, 3.0], "versions": {self.name: "1"}, "compiled": False}
        return answer, [{"y": np.array(value)} for value in outputs]

    def run(self, instance, times, *, warm):
        return [{"minidet": 0.001, "minidet readable": 0.01, "torch": 0.004}[self.name]] * times

    def peak_memory(self):
        return 123.0


@pytest.fixture
def run_with(monkeypatch):
    """Run the case with these outputs of the contestants; returns the results and what was started."""

    def call(minidet, torch, readable=(1, 2), threads=(1,), **options):
        fake = type("Fake", (FakeProcess,), {"started": []})
        fake.OUTPUTS = {MINIDET.name: minidet, READABLE.name: readable, "torch": torch}
        monkeypatch.setattr(run, "Process", fake)
        monkeypatch.setattr("minidet.benchmark.timing.PAUSE_SECONDS", 0.0)
        results = Results()
        run_case(CASE, INPUTS, results, peers={"torch": "python9"}, threads=threads, rounds=2, **options)
        return results, fake.started

    return call


def rows_of(results, contestant):
    return {(row.instance, row.threads): row for row in results.rows if row.contestant == contestant}


def test_right_results_get_their_times(run_with):
    results, _ = run_with(minidet=(1, 2), torch=(1, 2))
    assert len(results.rows) == 6
    row = rows_of(results, "torch")["small", 1]
    assert row.milliseconds == pytest.approx((4, 4, 4))
    assert row.share == pytest.approx((0.25, 0.25, 0.25))
    assert row.agreement == "the same"
    assert rows_of(results, "minidet")["large", 1].share is None
    assert rows_of(results, "minidet readable")["large", 1].agreement == "the definition"
    assert rows_of(results, "minidet readable")["large", 1].share == pytest.approx((0.1, 0.1, 0.1))
    assert results.versions == {"minidet": "1", "minidet readable": "1", "torch": "1"}
    assert {(start.contestant, start.megabytes) for start in results.starts} == {
        ("minidet", 123.0),
        ("minidet readable", 123.0),
        ("torch", 123.0),
    }


def test_a_wrong_result_is_not_timed(run_with):
    results, _ = run_with(minidet=(1, 2), torch=(1, 9))
    small, large = rows_of(results, "torch")["small", 1], rows_of(results, "torch")["large", 1]
    assert small.milliseconds is not None
    assert large.milliseconds is None
    assert large.share is None
    assert large.agreement == "not timed, wrong: y is not the same"


def test_a_wrong_minidet_is_not_timed_and_nobody_is_compared_with_it(run_with):
    results, _ = run_with(minidet=(9, 2), torch=(1, 2))
    assert rows_of(results, "minidet")["small", 1].milliseconds is None
    assert rows_of(results, "torch")["small", 1].share is None
    assert rows_of(results, "torch")["large", 1].share is not None


def test_a_contestant_that_fails_leaves_the_others_alone(run_with):
    results, _ = run_with(minidet=(1, 2), torch=None)
    assert {row.agreement for row in rows_of(results, "torch").values()} == {
        "not timed, failed: torch: no such model"
    }
    assert rows_of(results, "minidet")["small", 1].milliseconds is not None


def test_without_the_definitions_nothing_can_be_verified(run_with):
    with pytest.raises(WorkerError, match="minidet readable: no such model"):
        run_with(minidet=(1, 2), torch=(1, 2), readable=None)


def test_the_definitions_run_once_and_every_process_ends(run_with):
    _, started = run_with(minidet=(1, 2), torch=(1, 2), threads=(1, 2), environment={"A": "b"})
    begun = [entry[:2] for entry in started if entry[1] != "ended"]
    assert begun == [("minidet readable", 1), ("minidet", 1), ("torch", 1), ("minidet", 2), ("torch", 2)]
    assert sum(entry[1] == "ended" for entry in started) == 5
    assert {entry[3] is None for entry in started if entry[0] == "torch" and len(entry) > 2} == {True}
    assert ("minidet", 2, started[0][2], {"A": "b"}) in started
    assert ("torch", 1, "python9", None) in started


@pytest.mark.parametrize("torch", [(1, 2), (1, 9), None])
def test_as_many_blocks_are_done_as_were_announced(run_with, torch):
    done = []
    run_with(minidet=(1, 2), torch=torch, threads=(1, 2), done=done.append)
    assert sum(done) == count_blocks(CASE, 2, {"torch": "python9"}, threads=2, rounds=2)


def test_peers_of_a_case_are_known():
    assert {name for case in CASES.values() for name in case.peers} == set(ALL_PEERS)
