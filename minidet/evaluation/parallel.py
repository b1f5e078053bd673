"""Several photographs at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from minidet._check import check_whole
from minidet.fast import get_num_threads, set_num_threads

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def photograph_workers(
    jobs: int | None,
) -> Iterator[Callable[[Callable[[Item], Result], Iterable[Item]], Iterator[Result]]]:
    """Lend a ``map`` that works on ``jobs`` items at a time and returns results in the order of the items.

    The workers are threads: a detector spends its time in compiled code and in decoding, which let others
    run. While several are at work, each photograph is computed by one thread.

    Parameters
    ----------
    jobs : int or None
        By default as many as the fast backend may use threads.

    Raises
    ------
    InputError
        If ``jobs`` is below 1.
    """
    from joblib import Parallel, delayed  # here: importing it takes a tenth of a second

    before = get_num_threads()
    jobs = before if jobs is None else jobs
    check_whole("evaluation", "jobs", jobs, least=1)

    lent: list[Generator[Any, None, None]] = []

    def parallel_map(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        workers = Parallel(n_jobs=jobs, backend="threading", return_as="generator")
        results: Generator[Result, None, None] = workers(delayed(function)(item) for item in items)
        lent.append(results)
        return results

    if jobs > 1:
        set_num_threads(1)
    try:
        yield parallel_map
    finally:
        with warnings.catch_warnings():  # whoever stops early needs no warning that he did
            warnings.filterwarnings("ignore", ".* tasks which", UserWarning)
            for results in lent:
                results.close()
        set_num_threads(before)
