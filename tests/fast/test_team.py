"""Threads: every block is done once, in order, and nobody waits for a helper that is not there."""

import multiprocessing
import subprocess
import sys
import threading

import numpy as np
import pytest

from minidet._jit import jit_fast
from minidet.errors import InputError
from minidet.fast import get_num_threads, set_num_threads
from minidet.fast.team import _help, _helpers, end_step, first_block, join, next_block, run_plan, step_clocks


@jit_fast
def count_blocks(team, counts, step, blocks):
    block = first_block(team)
    while block < blocks:
        counts[step, block] += 1
        if step > 0:  # every block of the step before has to be finished
            for other in range(blocks):
                counts[step, block] += 100 * (counts[step - 1, other] % 100 != 1)
        block = next_block(team)
    end_step(team, blocks)


@jit_fast
def count_plan(counts, steps, blocks, counters):
    team = join(counters)
    for step in range(steps):
        count_blocks(team, counts, step, blocks)


@pytest.fixture(autouse=True)
def threads_as_before():
    before = get_num_threads()
    yield
    set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_every_block_of_every_step_is_done_once_and_in_order(threads):
    set_num_threads(threads)
    for blocks in (0, 1, 2, 17):
        counts = np.zeros((50, max(blocks, 1)), np.int64)
        run_plan(count_plan, counts, 50, blocks, steps=50)
        assert (counts[:, :blocks] == 1).all()


def test_many_python_threads_share_the_helpers():
    set_num_threads(3)
    results = [np.zeros((40, 9), np.int64) for _ in range(64)]

    def work(first):
        for counts in results[first::8]:
            run_plan(count_plan, counts, 40, 9, steps=40)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all((counts == 1).all() for counts in results)


def test_who_comes_after_the_end_changes_nothing():
    set_num_threads(1)
    counts = np.zeros((5, 4), np.int64)
    counters = run_plan(count_plan, counts, 5, 4, steps=5)
    count_plan(counts, 5, 4, counters)
    assert (counts == 1).all()


@pytest.mark.parametrize(("threads", "helpers"), [(1, 0), (2, 1), (4, 3)])
def test_help_can_be_limited_and_done_without(threads, helpers, monkeypatch):
    asked = []

    class Inbox:
        def put(self, task):
            asked.append(task)

    monkeypatch.setattr(_helpers, "inboxes", lambda: [Inbox()] * 5)
    counts = np.zeros((1, 3), np.int64)
    run_plan(count_plan, counts, 1, 3, steps=1, threads=threads)
    assert len(asked) == helpers
    run_plan(count_plan, counts, 1, 3, steps=1, alone=True)
    assert len(asked) == helpers


def test_the_clock_goes_forward():
    clocks = step_clocks(run_plan(count_plan, np.zeros((3, 2), np.int64), 3, 2, steps=3))
    assert len(clocks) == 4
    assert (np.diff(clocks) >= 0).all()


def test_a_helper_survives_an_error_and_stops_when_told():
    class Inbox:
        tasks = iter([(len, (3,)), (print, ()), None])

        def get(self):
            return next(self.tasks)

    _help(Inbox())
    assert next(Inbox.tasks, "empty") == "empty"


def test_the_number_of_threads_follows():
    for n in (1, 4, 2, 1):
        set_num_threads(n)
        assert get_num_threads() == n
    set_num_threads(np.int64(2))
    assert get_num_threads() == 2


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", True, None])
def test_other_numbers_of_threads_are_refused(n):
    with pytest.raises(InputError, match=r"set_num_threads: n=.*; expected a whole number from 1 up"):
        set_num_threads(n)


def test_threads_that_are_too_many_end():
    def running():
        return [thread for thread in threading.enumerate() if thread.name == "minidet"]

    set_num_threads(5)
    run_plan(count_plan, np.zeros((1, 1), np.int64), 1, 1, steps=1)
    assert len(running()) >= 4
    too_many = running()
    set_num_threads(1)
    for thread in too_many:
        thread.join(timeout=10)
    assert running() == []


def in_child(results):
    counts = np.zeros((20, 7), np.int64)
    run_plan(count_plan, counts, 20, 7, steps=20)
    names = [thread.name for thread in threading.enumerate()]
    results.put(((counts == 1).all(), names.count("minidet")))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_starts_threads_of_its_own():
    set_num_threads(3)
    run_plan(count_plan, np.zeros((1, 1), np.int64), 1, 1, steps=1)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=in_child, args=(results,))
    child.start()
    child.join(timeout=60)
    assert results.get() == (True, 2)


def test_a_program_ends_while_helpers_wait():
    code = """
import numpy as np, minidet
minidet.set_num_threads(4)
print(len(minidet.detect(np.zeros((64, 64, 3), np.uint8))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout == "0\n"
