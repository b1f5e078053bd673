"""Several photographs at a time."""

from __future__ import annotations

import gc
import time

from minidet.evaluation.parallel import photograph_workers


def slowly(number: int) -> int:
    time.sleep(0.02)
    return number * number


def test_results_come_in_the_order_of_the_items():
    with photograph_workers(3) as parallel_map:
        assert list(parallel_map(slowly, range(7))) == [0, 1, 4, 9, 16, 25, 36]


def test_who_stops_early_is_not_warned():
    with photograph_workers(2) as parallel_map:
        assert next(parallel_map(slowly, range(20))) == 0
    gc.collect()  # what joblib says of tasks that were broken off would be an error by now
