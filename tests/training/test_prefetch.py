"""Batches made ahead: the same ones, in order, and really at the same time."""

import threading
import time

import pytest

from minidet.errors import InputError
from minidet.training.prefetch import prefetched


class Recording:
    """Batch k is k; keeps which were made, and by how many threads at a time."""

    steps_per_epoch = 7

    def __init__(self, seconds=0.0):
        self.made, self.seconds = [], seconds
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()

    def batch(self, step):
        with self.lock:
            self.busy += 1
            self.most_busy = max(self.busy, self.most_busy)
        time.sleep(self.seconds)
        with self.lock:
            self.busy -= 1
            self.made.append(step)
        return step


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
@pytest.mark.parametrize("ahead", [0, 1, 3])
@pytest.mark.parametrize(("first", "last"), [(0, 0), (3, 3), (0, 1), (2, 5), (0, 20)])
def test_every_batch_once_and_in_order(workers, ahead, first, last):
    source = Recording()
    with prefetched(source, first, last, workers=workers, ahead=ahead) as stream:
        assert list(stream) == list(range(first, last))
    assert sorted(source.made) == list(range(first, last))


def test_batches_are_made_while_the_consumer_works():
    """Who takes a batch finds the next ones in the making, but no more of them than asked for."""
    source = Recording()
    with prefetched(source, 0, 100, workers=2, ahead=3) as stream:
        next(stream)
        deadline = time.monotonic() + 5
        while len(source.made) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert sorted(source.made) == list(range(6))


def test_two_workers_make_two_at_a_time():
    source = Recording(seconds=0.05)
    with prefetched(source, 0, 6, workers=2) as stream:
        assert list(stream) == list(range(6))
    assert source.most_busy == 2


def test_without_workers_nothing_is_made_ahead():
    source = Recording()
    with prefetched(source, 0, 9, workers=0) as stream:
        next(stream)
        assert source.made == [0]


def test_an_error_reaches_whoever_asks_for_that_batch():
    class Broken(Recording):
        def batch(self, step):
            if step == 2:
                raise InputError("no such photograph")
            return super().batch(step)

    taken = []
    with (
        pytest.raises(InputError, match="no such photograph"),
        prefetched(Broken(), 0, 5) as stream,
    ):
        taken.extend(stream)
    assert taken == [0, 1]


def test_leaving_early_ends_the_threads():
    source = Recording(seconds=0.01)
    before = threading.active_count()
    with prefetched(source, 0, 1000, workers=3) as stream:
        next(stream)
    assert threading.active_count() == before
    assert len(source.made) < 20


def test_refuses_a_negative_number_of_workers():
    with pytest.raises(InputError, match=r"workers=-1; expected a whole number from 0 up"):
        prefetched(Recording(), 0, 1, workers=-1).__enter__()
