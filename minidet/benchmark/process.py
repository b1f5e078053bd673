"""The other end of a worker: starts its process, asks, and ends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.benchmark.contestants import PEERS, Contestant

Arrays = dict[str, NDArray[Any]]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


class WorkerError(RuntimeError):
    """A contestant could not do what it was asked to; the message says what it said."""


class Process:
    """A worker of one contestant; a context manager, at whose end the process ends.

    Parameters
    ----------
    contestant : Contestant
    threads : int
        How many it may use.
    python : str
        The interpreter that has it.
    script : Path, optional
        Instead of the contestant's own.
    environment : dict
        Variables beside those of this process.
    """

    def __init__(
        self,
        contestant: Contestant,
        threads: int,
        *,
        python: str = sys.executable,
        script: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.contestant, self.threads = contestant, threads
        self._folder = tempfile.TemporaryDirectory(prefix="minidet-")
        self._complaints = Path(self._folder.name, "stderr")
        variables = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
        if (
            contestant.backend
        ):  # its interpreter is this one, which may have found minidet by way of PYTHONPATH
            root = str(Path(__file__).parents[2])
            variables["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        with self._complaints.open("wb") as complaints:
            self._process = subprocess.Popen(
                [python, str(PEERS / "worker.py"), str(script or PEERS / contestant.script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env={**variables, **(environment or {})},
                text=True,
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=10)  # closes its standard input, so that it ends
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.communicate()
        self._folder.cleanup()

    def prepare(
        self, case: str, arrays: Arrays, settings: dict[str, Any]
    ) -> tuple[dict[str, Any], list[Arrays]]:
        """Let it load what it needs and run every instance once.

        Returns
        -------
        answer : dict
            ``load`` and ``first`` (list) in seconds, ``versions``.
        outputs : list of dicts of arrays
            What it has computed, for each instance.
        """
        inputs, outputs = Path(self._folder.name, "inputs.npz"), Path(self._folder.name, "outputs.npz")
        arrays_of_file: dict[str, Any] = dict(arrays)
        np.savez(inputs, **arrays_of_file)
        settings = {**settings, "threads": self.threads, "backend": self.contestant.backend}
        answer = self._ask(prepare=case, inputs=str(inputs), settings=settings, outputs=str(outputs))
        results: list[Arrays] = [{} for _ in answer["first"]]
        with np.load(outputs) as file:
            for key in file.files:
                number, _, name = key.partition(".")
                results[int(number)][name] = file[key]
        for path in (inputs, outputs):
            path.unlink()
        return answer, results

    def run(self, instance: int, times: int, *, warm: bool) -> list[float]:
        """Run one instance so many times, if ``warm`` after once more; return the seconds of each."""
        return list(self._ask(run=instance, times=times, warm=warm)["seconds"])

    def peak_memory(self) -> float:
        """Return the largest memory it has used, in MB."""
        return float(self._ask(memory=True)["megabytes"])

    def _ask(self, **request: Any) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            print(json.dumps(request), file=stdin, flush=True)
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            said = self._complaints.read_text(errors="replace").strip().splitlines() or ["without a word"]
            raise WorkerError(f"{self.contestant.name}: its process has ended: {said[-1]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.contestant.name}: {answer['error']}")
        return answer
