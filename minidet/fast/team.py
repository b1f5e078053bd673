"""Threads that work through one plan together.

A *plan* is a compiled function: the kernels of a network, in order. Every thread of the team runs the whole
plan. A kernel divides its output into blocks; a thread claims the next block, computes it, claims another,
and when none is left waits until the others have finished theirs. That is all the threads have to do with
each other::

    thread 0   stem 0 │ stem 2 │ stem 3 │ ·wait· ║ conv 0 │ conv 1 │ ...
    thread 1   (late) │ stem 1 ········ │ ·wait· ║ conv 2 │ ...

A block is computed in the same way whoever claims it, so results do not depend on the number of threads, not
even by a rounding. A thread that comes late, or not at all, costs nothing but its help: what it would have
done the others have claimed. It may even come after the end, because whatever a plan writes it writes inside
of a block. That is why a caller never waits for its helpers, and why many Python threads may share them.

Numba's own ``parallel`` is not used: one of its threading layers must not be entered from two Python threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet.errors import InputError
from minidet.fast.atomic import cycle_counter, fetch_and_increment, pause, read_counter, yield_processor

Counters: TypeAlias = NDArray[np.int64]

# Counters of one step: blocks claimed, blocks finished, and the clock when all were. Each of the first two
# has a cache line of 64 bytes to itself, so that who reads one does not hold up who writes the other.
_CLAIMED, _FINISHED, _CLOCK = 0, 8, 9
_PER_STEP = 16

SPINS_BEFORE_YIELD = 4000
"""Waits of a thread, of about 20 nanoseconds each, before it lets another run in its place."""


class Team(NamedTuple):
    """What a kernel needs to know of the threads.

    Attributes
    ----------
    counters : int64 array
        Shared by all threads of this run.
    step : int64 array of one
        This thread's own: the kernel it is at.
    member : int
        This thread's number, from 0: in the order in which they have come. Below the number of threads.
    """

    counters: Counters
    step: Counters
    member: int


def run_plan(
    plan: Callable[..., Any],
    *arguments: Any,
    steps: int,
    alone: bool = False,
    threads: int | None = None,
) -> Counters:
    """Run ``plan(*arguments, counters)`` on this thread, with the help of the others.

    Parameters
    ----------
    plan : function compiled with ``jit_fast``
        Begins with ``team = join(counters)``.
    arguments
        Arrays and numbers.
    steps : int
        Kernels that the plan runs, at most.
    alone : bool
        Do without help: for work that is done before help could come.
    threads : int, optional
        At most so many; by default as many as there are.

    Returns
    -------
    counters : int64 array
        For :func:`step_clocks`.
    """
    counters = np.zeros((steps + 1) * _PER_STEP, np.int64)
    if not alone:
        for inbox in _helpers.inboxes()[: None if threads is None else threads - 1]:
            inbox.put((plan, (*arguments, counters)))
    plan(*arguments, counters)
    return counters


def step_clocks(counters: Counters) -> Counters:
    """Return the processor's clock at the begin of a run and at the end of every step; zeros where it has
    none.

    Returns
    -------
    clocks : (steps + 1,) int64 array
        Steps that the plan did not come to are 0.
    """
    return counters.reshape(-1, _PER_STEP)[:, _CLOCK]


@jit_fast
def join(counters: Counters) -> Team:
    """Become a member of the team that shares ``counters``: the first thing a plan does."""
    member = fetch_and_increment(counters, _CLAIMED)
    if member == 0:
        counters[_CLOCK] = cycle_counter()
    step = np.empty(1, np.int64)
    step[0] = 1
    return Team(counters, step, member)


@jit_fast
def first_block(team: Team) -> int:
    """Claim a block of this step: a number from 0, perhaps beyond the last."""
    return fetch_and_increment(team.counters, team.step[0] * _PER_STEP + _CLAIMED)


@jit_fast
def next_block(team: Team) -> int:
    """Report the block in hand as finished and claim another."""
    fetch_and_increment(team.counters, team.step[0] * _PER_STEP + _FINISHED)
    return fetch_and_increment(team.counters, team.step[0] * _PER_STEP + _CLAIMED)


@jit_fast
def end_step(team: Team, blocks: int) -> None:
    """Wait until all blocks of this step are finished, and go to the next step."""
    finished = team.step[0] * _PER_STEP + _FINISHED
    spins = 0
    while read_counter(team.counters, finished) < blocks:
        pause()
        spins += 1
        if spins > SPINS_BEFORE_YIELD:
            yield_processor()
    team.counters[team.step[0] * _PER_STEP + _CLOCK] = cycle_counter()
    team.step[0] += 1


def set_num_threads(n: int) -> None:
    """Let the fast backend use ``n`` threads from now on, in the whole process.

    Results do not depend on it. The default is the number of processors this process may use.

    Parameters
    ----------
    n : int
        At least 1; with 1 no thread is started.

    Raises
    ------
    InputError
        If ``n`` is no whole number from 1 up.
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InputError(f"set_num_threads: n={n!r}; expected a whole number from 1 up")
    _helpers.resize(int(n) - 1)


def get_num_threads() -> int:
    """Return how many threads the fast backend uses.

    Returns
    -------
    int
        1 or more.
    """
    return _helpers.count + 1


class _Helpers:
    """The threads besides the caller's, started when needed; each runs what comes into its inbox."""

    def __init__(self) -> None:
        self.count = usable_processors() - 1
        self._inboxes: list[SimpleQueue[Any]] = []
        self._lock = threading.Lock()

    def inboxes(self) -> list[SimpleQueue[Any]]:
        if len(self._inboxes) == self.count:
            return self._inboxes
        with self._lock:
            inboxes = list(self._inboxes)
            while len(inboxes) < self.count:
                inboxes.append(SimpleQueue())
                threading.Thread(target=_help, args=inboxes[-1:], name="minidet", daemon=True).start()
            for inbox in inboxes[self.count :]:
                inbox.put(None)
            self._inboxes = inboxes[: self.count]
            return self._inboxes

    def resize(self, count: int) -> None:
        with self._lock:
            self.count = count
        self.inboxes()

    def forget(self) -> None:
        """Begin anew in a child process: a fork copies no threads."""
        self._inboxes = []
        self._lock = threading.Lock()


def _help(inbox: SimpleQueue[Any]) -> None:
    while (task := inbox.get()) is not None:
        plan, arguments = task
        # What goes wrong here goes wrong in the caller's thread too, which tells the caller.
        with contextlib.suppress(Exception):
            plan(*arguments)
        del task, arguments  # an idle thread must not keep large arrays alive


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_helpers = _Helpers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.forget)
