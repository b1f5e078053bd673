"""``Trace``: the steps of a detection with their times and values."""

import time

import numpy as np
import pytest

from minidet import Detections, Trace
from minidet.trace import SILENT, Recorder


@pytest.fixture
def trace():
    trace = Trace()
    trace.record("first", boxes=np.zeros((3, 4)), threshold=0.5)
    trace.record("second", levels=[np.zeros(2), np.zeros(3)], scales=(1, 2, 3))
    return trace


def test_steps_in_order(trace):
    assert [step.name for step in trace] == ["first", "second"]
    assert [step.name for step in trace.steps] == ["first", "second"]
    assert len(trace) == 2


def test_a_step_by_its_name_and_a_value_by_its(trace):
    assert trace["first"] is trace.steps[0]
    assert trace["first"]["threshold"] == 0.5
    assert trace["second"]["levels"][1].shape == (3,)
    assert set(trace["first"].values) == {"boxes", "threshold"}


def test_an_unknown_step_names_those_there_are(trace):
    with pytest.raises(KeyError) as caught:
        trace["third"]
    assert caught.value.args == ("no step 'third'; there are first, second",)


def test_an_unknown_value(trace):
    with pytest.raises(KeyError, match="scores"):
        trace["first"]["scores"]


def test_of_two_steps_of_one_name_the_first(trace):
    trace.record("first", threshold=0.9)
    assert len(trace) == 3
    assert trace["first"]["threshold"] == 0.5


def test_a_step_may_be_called_anything_and_hold_anything():
    trace = Trace()
    trace.record("a name with spaces")
    assert trace["a name with spaces"].values == {}


def test_the_time_of_a_step_is_since_the_one_before():
    started = time.perf_counter()
    trace = Trace()
    time.sleep(0.02)
    trace.record("slow")
    trace.record("quick")
    elapsed = time.perf_counter() - started
    assert trace["slow"].seconds >= 0.02
    assert 0 <= trace["quick"].seconds < trace["slow"].seconds
    assert trace["slow"].seconds + trace["quick"].seconds <= elapsed


def test_printing_gives_a_line_per_step_with_shapes(trace):
    first, second = str(trace).splitlines()
    assert first.split() == [
        f"{trace['first'].seconds * 1000:.1f}",
        *["ms", "first", "boxes", "(3,", "4),", "threshold", "0.5"],
    ]
    assert second.endswith("ms  second     levels [2], scales [3]")


def test_printing_no_step():
    assert str(Trace()) == ""


def test_detections_are_empty_until_they_are_set():
    trace = Trace()
    assert isinstance(trace.detections, Detections)
    assert len(trace.detections) == 0


def test_two_traces_share_nothing(trace):
    assert len(Trace()) == 0


def test_a_step_cannot_be_reassigned(trace):
    with pytest.raises(AttributeError):
        trace["first"].seconds = 0


def test_the_silent_recorder_keeps_nothing():
    assert isinstance(SILENT, Recorder)
    assert not isinstance(SILENT, Trace)
    before = vars(SILENT).copy()
    SILENT.record("first", boxes=np.zeros((3, 4)))
    assert vars(SILENT) == before == {}
