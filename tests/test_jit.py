import logging
from types import SimpleNamespace

import numba
import numpy as np
import pytest

import minidet._jit
from minidet._jit import Compilation, _saving_if_possible, jit


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
    monkeypatch.setattr(minidet._jit, "compilation", Compilation())
    assert jit(double)(np.float32(3)) == 6
    assert not minidet._jit.compilation.kept


def test_the_first_compilation_is_announced_and_the_others_are_not(ours, caplog):
    listener = Compilation()
    with caplog.at_level(logging.WARNING, logger="minidet"):
        for _ in range(3):
            listener.on_start(ours)
            listener.on_end(ours)
    assert [record.message for record in caplog.records] == [
        "minidet: compiling its kernels for this machine (some seconds) ..."
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


@pytest.mark.parametrize(("kept", "fate"), [(True, "kept for the next run"), (False, "not kept")])
def test_the_report_comes_once_and_says_whether_the_code_is_kept(ours, caplog, kept, fate):
    listener = Compilation()
    listener.on_start(ours)
    listener.on_end(ours)
    listener.kept = kept
    caplog.clear()
    listener.report()
    listener.report()
    (record,) = caplog.records
    assert record.message.startswith(f"minidet: compiled 1 kernels in {listener.seconds:.1f} s; {fate}")


def test_a_full_disk_is_no_reason_to_stop(monkeypatch):
    monkeypatch.setattr(minidet._jit, "compilation", Compilation())

    def save(*args):
        raise OSError(28, "No space left on device")

    _saving_if_possible(save)("signature", "code")
    assert not minidet._jit.compilation.kept


def test_other_peoples_functions_are_none_of_our_business(caplog):
    listener = Compilation()
    with caplog.at_level(logging.WARNING, logger="minidet"):
        listener.on_start(Event(double))
        listener.on_end(Event(double))
    assert listener.kernels == 0
    assert not caplog.records
