"""A process that prepares one case with one library, says what it computes, and times it when asked to.

Run as ``python worker.py with_torch.py``. Requests come on standard input, one line of JSON each, and each is
answered by one line on standard output:

==========================================================  ===============================================
request                                                     answer
==========================================================  ===============================================
``{"prepare": case, "inputs": npz, "settings": {...},       ``load`` and ``first`` (a list) in seconds,
"outputs": npz}``                                           ``versions``, ``compiled``
``{"run": number, "times": n, "warm": bool}``               ``seconds``: a list of n
``{"memory": true}``                                        ``megabytes``: the peak
==========================================================  ===============================================

What went wrong is ``{"error": "..."}``. Between requests the process waits for its pipe and uses no
processor.
This file needs the standard library and NumPy only, and Python 3.10.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Prepared(NamedTuple):
    """What a script makes of a case.

    Attributes
    ----------
    runs : list of callables without arguments
        What is timed, for each instance of the case.
    read : callable
        The result of a run to arrays by name; not timed.
    """

    runs: list[Callable[[], Any]]
    read: Callable[[Any], dict[str, Any]]


class Worker:
    """Answers requests.

    Parameters
    ----------
    script : module
        Its ``CASES`` are functions of arrays and settings that return ``runs`` and ``read``, by the name of
        the case; its ``versions()`` names what is measured.
    import_seconds : float
        What it took to import ``script``, which counts as loading.
    """

    def __init__(self, script: Any, import_seconds: float) -> None:
        self._script = script
        self._import_seconds = import_seconds
        self._runs: list[Callable[[], Any]] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what ``request`` asks for."""
        if "prepare" in request:
            return self._prepare(**request)
        if "run" in request:
            return {"seconds": time_runs(self._runs[request["run"]], request["times"], request["warm"])}
        if "memory" in request:
            return {"megabytes": peak_memory()}
        raise ValueError(f"unknown request {request}")

    def _prepare(self, prepare: str, inputs: str, settings: dict[str, Any], outputs: str) -> dict[str, Any]:
        with np.load(inputs) as file:
            arrays = dict(file)
        started = time.perf_counter()
        prepared = Prepared(*self._script.CASES[prepare](arrays, settings))
        load = self._import_seconds + time.perf_counter() - started
        self._runs = prepared.runs
        first: list[float] = []
        results: dict[str, Any] = {}
        for number, run in enumerate(prepared.runs):
            started = time.perf_counter()
            result = run()
            first.append(time.perf_counter() - started)
            for name, array in prepared.read(result).items():
                results[f"{number}.{name}"] = np.asarray(array)
        np.savez(outputs, **results)
        compiled = getattr(self._script, "compiled", lambda: False)()
        return {"load": load, "first": first, "versions": self._script.versions(), "compiled": compiled}


def time_runs(run: Callable[[], Any], times: int, warm: bool) -> list[float]:
    """Call ``times`` times and return the seconds of each; if ``warm``, once before to fill the caches."""
    if warm:
        run()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return seconds


def peak_memory() -> float:
    """Return the largest memory this process has used, in MB; NaN where the system does not tell."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return float("nan")


def load_script(path: Path) -> Any:
    """Import a file by its path, whatever it is called."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Answer until standard input ends."""
    # What a library prints goes to standard error, so that only answers are on standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    started = time.perf_counter()
    script = load_script(Path(sys.argv[1]))
    worker = Worker(script, time.perf_counter() - started)
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
