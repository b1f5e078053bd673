import logging
from types import SimpleNamespace

import numba
import numpy as np
import pytest

from minidet._jit import Compilation, jit


def double(x):
    return 2 * x


class Event:
    """What Numba tells a listener when it compiles ``function``."""

    def __init__(self, function):
        self.data = {"dispatcher": SimpleNamespace(py_func=function)}


@pytest.fixture
def ours(monkeypatch):
    monkeypatch.setattr(double, "__module__", "minidet.ops.double")
    return Event(double)


def test_a_kernel_without_a_place_for_its_cache_still_runs(monkeypatch):
    compile_kernel = numba.njit

    def njit(*function, cache=False, **flags):
        if cache:
            raise RuntimeError("cannot cache function 'double': no locator available")
        return compile_kernel(*function, **flags)

    monkeypatch.setattr(numba, "njit", njit)
    assert jit(double)(np.float32(3)) == 6


def test_the_first_compilation_is_announced_and_the_others_are_not(ours, caplog):
    listener = Compilation()
    with caplog.at_level(logging.WARNING, logger="minidet"):
        for _ in range(3):
            listener.on_start(ours)
            listener.on_end(ours)
    assert [record.message for record in caplog.records] == [
        "minidet: compiling its kernels for this machine (once, some seconds) ..."
    ]
    assert listener.kernels == 3


def test_a_kernel_inside_another_is_counted_but_its_time_is_not_counted_twice(ours, monkeypatch):
    clock = iter([10.0, 13.0])  # asked at the outermost start and end only
    monkeypatch.setattr("minidet._jit.time.perf_counter", lambda: next(clock))
    listener = Compilation()
    listener.on_start(ours)
    listener.on_start(ours)
    listener.on_end(ours)
    listener.on_end(ours)
    assert (listener.kernels, listener.seconds) == (2, 3.0)
    assert listener.report() == "minidet: compiled 2 kernels in 3.0 s; kept for the next run"


def test_other_peoples_functions_are_none_of_our_business(caplog):
    listener = Compilation()
    with caplog.at_level(logging.WARNING, logger="minidet"):
        listener.on_start(Event(double))
        listener.on_end(Event(double))
    assert listener.kernels == 0
    assert not caplog.records
