"""The first time: what a user waits for when nothing is compiled yet, and in a new process later."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minidet.benchmark.cases import Case, Inputs
from minidet.benchmark.contestants import MINIDET
from minidet.benchmark.process import Process, WorkerError
from minidet.benchmark.run import Results, Start
from minidet.benchmark.timing import spread

COMMAND = "minidet detect, the whole process"


@contextmanager
def empty_cache() -> Iterator[dict[str, str]]:
    """Make a folder without machine code; yields the variable by which Numba is told to use it."""
    with tempfile.TemporaryDirectory(prefix="minidet-") as folder:
        yield {"NUMBA_CACHE_DIR": folder}


def time_cold_start(
    case: Case, inputs: Inputs, results: Results, *, threads: int, environment: dict[str, str]
) -> None:
    """Run a case in a process that has to compile everything, and add a :class:`Start` to ``results``.

    ``environment`` is that of :func:`empty_cache`; the machine code stays there for processes that follow.
    """
    with Process(MINIDET, threads, environment=environment) as process:
        answer, _ = process.prepare(case.task, inputs.arrays, inputs.settings)
        results.starts.append(
            Start(
                case.name,
                MINIDET.name,
                threads,
                answer["load"],
                answer["first"][0],
                process.peak_memory(),
                answer["compiled"],
            )
        )


def time_command(image: Path, results: Results, *, repeats: int = 5) -> None:
    """Time ``minidet detect`` from start to end: once with nothing compiled, then the median of some more."""
    with empty_cache() as environment:
        seconds = [_time_process(image, environment) for _ in range(1 + repeats)]
    for compiled, value in ((True, seconds[0]), (False, spread(seconds[1:]).median)):
        results.starts.append(Start(COMMAND, MINIDET.name, 0, 0.0, value, float("nan"), compiled))


def _time_process(image: Path, environment: dict[str, str]) -> float:
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "minidet", "detect", str(image)],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise WorkerError(f"minidet detect: {done.stderr.strip()}")
    return time.perf_counter() - started
