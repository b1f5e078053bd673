"""Run a program that can go on where it stopped, kill it at random moments, and let it finish."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

POLL_SECONDS = 0.002


@dataclass(frozen=True)
class Killed:
    """How a program got on that was killed again and again.

    Attributes
    ----------
    steps : list of int
        Where it was at each kill, one number per kill, as ``progress`` told.
    output : str
        What the last process, which was left to finish, wrote on standard output and error.
    """

    steps: list[int]
    output: str


def run_killed(
    command: Sequence[str | os.PathLike[str]],
    progress: Callable[[], int],
    *,
    steps: int,
    kills: int,
    rng: np.random.Generator,
    longest_delay: float = 0.05,
    timeout: float = 120.0,
    cwd: str | os.PathLike[str] | None = None,
) -> Killed:
    """Start a program ``kills`` times, kill it each time with SIGKILL, and start it a last time.

    The kills come after random numbers of steps, from early to late ones, and then after a random delay, so
    that they hit any moment of a step, and now and then the start of a process. A program that begins anew
    every time does not get there within the timeout, or needs more steps than it should: see what it logs.

    Parameters
    ----------
    command : sequence of str
        The same every time. The program finds out by itself how far it has come.
    progress : callable
        Tells how many steps are done, from what the program writes, such as the lines of its log; a program
        that goes on may take a few of them back. See :func:`last_step`.
    steps : int
        How many there are in all.
    kills : int
    rng : Generator
    longest_delay : float
        Seconds, some steps long. Were the program to end in it, that would be no kill.
    timeout : float
        Seconds for one process.
    cwd : path, optional
        The folder to run in.

    Returns
    -------
    Killed

    Raises
    ------
    AssertionError
        If the program ends before it is killed, fails, or takes too long.
    """
    targets = np.sort(rng.integers(0, max(1, int(0.9 * steps)), kills)).tolist()
    at = []
    for target in targets:
        with running(command, cwd) as (process, output):
            deadline = time.monotonic() + timeout
            while progress() < target:
                check_running(process, output)
                assert time.monotonic() < deadline, f"step {progress()} of {target} after {timeout} seconds"
                time.sleep(POLL_SECONDS)
            time.sleep(rng.uniform(0, longest_delay))
            check_running(process, output)
        at.append(progress())
    with running(command, cwd) as (process, output):
        status = process.wait(timeout)
        assert status == 0, text_of(output)
        return Killed(at, text_of(output))


def last_step(log: Path) -> int:
    """Return the step of the last whole line of a log of JSON lines; 0 if there is none.

    It is read as text, so that the test does not rely on what it tests.
    """
    if not log.exists():
        return 0
    whole, _, _ = log.read_bytes().rpartition(b"\n")
    number = whole.rpartition(b"\n")[2].partition(b'"step": ')[2]
    return int(number.partition(b",")[0].rstrip(b"}") or 0)


@contextmanager
def running(
    command: Sequence[str | os.PathLike[str]], cwd: str | os.PathLike[str] | None
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Start a program; in the end kill it. Its output goes to a file, since a full pipe would stop it."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=cwd)
        try:
            yield process, output
        finally:
            process.kill()  # this very process, by SIGKILL: it cannot prepare for it
            process.wait()


def check_running(process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
    status = process.poll()
    assert status is None, f"ended with status {status} before it was killed: {text_of(output)}"


def text_of(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")
