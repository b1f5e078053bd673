"""Fair timing: contestants take turns, block by block, while the others' processes sleep."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol


class Runner(Protocol):
    """What can be timed: see :class:`minidet.benchmark.process.Process`."""

    def run(self, instance: int, times: int, *, warm: bool) -> list[float]:
        """Run one instance so many times, if ``warm`` after once more; return the seconds of each."""
        ...


class Spread(NamedTuple):
    """A median with the quartiles around it: half of the values lie between them."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles.

    Examples
    --------
    >>> spread([4.0, 1.0, 2.0, 3.0, 5.0])
    Spread(median=3.0, low=2.0, high=4.0)
    """
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return our time as a share of theirs, round by round: below 1 we are faster.

    A ratio of neighbours in time is steadier than the ratio of two medians: what else the machine does slows
    both.

    Examples
    --------
    >>> ratio([1.0, 2.0, 1.0], [2.0, 4.0, 4.0])
    Spread(median=0.5, low=0.375, high=0.5)
    """
    # A slow contestant may have sat out the later rounds.
    return spread([mine / other for mine, other in zip(ours, theirs, strict=False)])


BLOCK_SECONDS = 0.25
"""How long a contestant is timed at a stretch: long enough to reach its own pace, short enough for the
machine to be the same for its neighbours."""

PAUSE_SECONDS = 0.25
"""Between two blocks: the threads of some libraries go on spinning for up to 0.2 s after their last call."""

PATIENCE_SECONDS = 30.0
"""A contestant that has had so much time in all sits out the rounds that are left."""

SLOW_SECONDS = 1.0
"""A run of so long need not be warmed up: it does that itself."""


def alternate(
    runners: Mapping[str, Runner],
    instance: int,
    rounds: int,
    *,
    first: Mapping[str, float],
    done: Callable[[], object] = lambda: None,
    pause: Callable[[float], object] = time.sleep,
) -> dict[str, list[float]]:
    """Time all runners in turns, every other round in the opposite order.

    Parameters
    ----------
    runners : dict
    instance : int
    rounds : int
    first : dict
        About how many seconds one run of each takes: it decides how many runs make a block, one to fifty.
    done : callable
        Called after each block.
    pause : callable
        Called with :data:`PAUSE_SECONDS` before each block.

    Returns
    -------
    dict
        For each runner the median seconds of its blocks, in the order of the rounds.
    """
    medians: dict[str, list[float]] = {name: [] for name in runners}
    estimates, spent = dict(first), dict.fromkeys(runners, 0.0)
    for number in range(rounds):
        order = list(runners) if number % 2 == 0 else list(runners)[::-1]
        for name in order:
            if number == 0 or spent[name] < PATIENCE_SECONDS:
                times = min(max(int(BLOCK_SECONDS / max(estimates[name], 1e-9)), 1), 50)
                pause(PAUSE_SECONDS)
                started = time.perf_counter()
                seconds = runners[name].run(instance, times, warm=estimates[name] < SLOW_SECONDS)
                spent[name] += time.perf_counter() - started
                estimates[name] = statistics.median(seconds)
                medians[name].append(estimates[name])
            done()
    return medians
