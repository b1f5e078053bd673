"""The next batches are made while the network is busy with this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from minidet._check import check_whole
from minidet.training.batch import Batch, Batches, Targets


@contextmanager
def prefetched(
    batches: Batches[Targets], first: int, last: int, *, workers: int = 1, ahead: int = 2
) -> Iterator[Iterator[Batch[Targets]]]:
    """Lend an iterator over the batches from ``first`` to before ``last``, made ahead in other threads.

    Threads and not processes: batches are made by compiled code and by decoding, which let others run, and
    nothing has to be copied from one process to another. Which thread makes a batch, and when, changes
    nothing in it: it depends on its number alone.

    Parameters
    ----------
    batches : Batches
    first, last : int
    workers : int
        Threads that make batches; 0 makes each one when it is asked for, to compare with.
    ahead : int
        How many batches may be waiting, over those in the making.

    Yields
    ------
    iterator of Batch

    Raises
    ------
    InputError
        If ``workers`` or ``ahead`` is negative; in the iterator, whatever making a batch raises.

    Examples
    --------
    >>> class Counting:
    ...     steps_per_epoch = 10
    ...
    ...     def batch(self, step):
    ...         return step * step
    >>> with prefetched(Counting(), 2, 5) as stream:
    ...     list(stream)
    [4, 9, 16]
    """
    check_whole("prefetched", "workers", workers, least=0)
    check_whole("prefetched", "ahead", ahead, least=0)
    if workers == 0:
        yield map(batches.batch, range(first, last))
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
    waiting: deque[Future[Batch[Targets]]] = deque()

    def in_order() -> Iterator[Batch[Targets]]:
        for step in range(first, min(first + workers + ahead, last)):
            waiting.append(pool.submit(batches.batch, step))
        for step in range(first, last):
            batch = waiting.popleft().result()
            if step + workers + ahead < last:
                waiting.append(pool.submit(batches.batch, step + workers + ahead))
            yield batch

    try:
        yield in_order()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
