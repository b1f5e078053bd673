import threading

import numpy as np
import pytest

from minidet.fast import workspace
from minidet.fast.workspace import Workspaces, aligned_empty


@pytest.mark.parametrize("size", [1, 15, 16, 17, 100_003])
def test_an_array_begins_at_a_cache_line(size):
    array = aligned_empty(size)
    assert (array.shape, array.dtype, array.ctypes.data % 64) == ((size,), np.float32, 0)


def test_what_is_handed_back_is_lent_again():
    workspaces = Workspaces()
    with workspaces.borrow(100) as first:
        pass
    with workspaces.borrow(50) as second:
        assert second is first
        with workspaces.borrow(50) as third:
            assert third is not first


def test_too_small_an_array_is_replaced():
    workspaces = Workspaces()
    with workspaces.borrow(100):
        pass
    with workspaces.borrow(1000) as larger:
        assert len(larger) == 1000
    with workspaces.borrow(10) as again:
        assert again is larger


def test_it_is_handed_back_after_an_error():
    workspaces = Workspaces()
    with pytest.raises(ZeroDivisionError), workspaces.borrow(10) as first:
        raise ZeroDivisionError
    with workspaces.borrow(10) as second:
        assert second is first


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(workspace, "KEPT", 250)
    workspaces = Workspaces()
    with workspaces.borrow(100), workspaces.borrow(100), workspaces.borrow(100):
        pass
    assert sum(map(len, workspaces._idle)) == 200
    with workspaces.borrow(1000):
        pass
    assert sum(map(len, workspaces._idle)) <= 250


def test_no_two_threads_hold_the_same_array():
    workspaces = Workspaces()
    barrier = threading.Barrier(6)
    failures = []

    def work(number):
        barrier.wait()
        for _ in range(300):
            with workspaces.borrow(64) as array:
                array[:] = number
                if not (array == number).all():
                    failures.append(number)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert len(workspaces._idle) <= 6
