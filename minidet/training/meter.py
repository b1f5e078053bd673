"""How fast a run is, and whether the network waits for its data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from minidet.training.batch import Batch, Targets


class Meter:
    """A progress bar that also measures.

    Parameters
    ----------
    name : str
        What is trained.
    first, steps : int
        Steps done already, and in all.
    progress : bool
        Show the bar on standard error.
    every : int
        Steps between two reports of the speed.
    """

    def __init__(self, name: str, first: int, steps: int, *, progress: bool, every: int = 50) -> None:
        self.every = every
        self.bar = tqdm(
            desc=name, total=steps, initial=first, unit="step", disable=not progress, dynamic_ncols=True
        )
        self.steps = 0
        self.seconds = 0.0
        self.waiting_seconds = 0.0
        self._reported = (0, 0.0, 0.0)
        self._last = time.perf_counter()

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def take(self, stream: Iterator[Batch[Targets]]) -> Batch[Targets]:
        """Take the next batch, and count the time until it is there as waiting.

        Parameters
        ----------
        stream : iterator of Batch

        Returns
        -------
        Batch
        """
        start = time.perf_counter()
        batch = next(stream)
        self.waiting_seconds += time.perf_counter() - start
        return batch

    def step_done(self, figures: dict[str, float]) -> dict[str, Any] | None:
        """Move the bar on by a step that cost ``figures``; now and then return a report of the speed.

        Parameters
        ----------
        figures : dict of str to float
            Parts of the loss, by name.

        Returns
        -------
        dict or None
        """
        now = time.perf_counter()
        self.seconds += now - self._last
        self._last = now
        self.steps += 1
        self.bar.set_postfix({task: f"{loss:.4f}" for task, loss in figures.items()}, refresh=False)
        self.bar.update()
        return self.report() if self.steps % self.every == 0 else None

    def pause(self) -> None:
        """Leave what happened since the last step, such as a validation, out of the time of the steps."""
        self._last = time.perf_counter()

    def report(self) -> dict[str, Any]:
        """Return steps per second and the share of the time spent waiting for data, since the last report."""
        steps, seconds, waiting = (
            now - before
            for now, before in zip(
                (self.steps, self.seconds, self.waiting_seconds), self._reported, strict=True
            )
        )
        self._reported = (self.steps, self.seconds, self.waiting_seconds)
        return speed(int(steps), seconds, waiting)

    def total(self) -> dict[str, Any]:
        """Return the same over all steps of this process."""
        return speed(self.steps, self.seconds, self.waiting_seconds)


def speed(steps: int, seconds: float, waiting_seconds: float) -> dict[str, Any]:
    """Turn counts into rates.

    Parameters
    ----------
    steps : int
    seconds, waiting_seconds : float
        All the time, and that of waiting for batches.

    Returns
    -------
    dict

    Examples
    --------
    >>> speed(20, 10.0, 1.0)
    {'seconds': 10.0, 'steps_per_second': 2.0, 'waiting': 0.1}
    """
    return {
        "seconds": round(seconds, 3),
        "steps_per_second": round(steps / max(seconds, 1e-9), 3),
        "waiting": round(waiting_seconds / max(seconds, 1e-9), 4),
    }
