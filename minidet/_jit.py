"""Every Numba flag of the readable code, chosen once.

``jit`` compiles a kernel on its first call and keeps the machine code on disk for the next process.
There is no ``fastmath`` and no ``parallel`` here: a kernel adds its numbers in the order in which it
is written, so the result is the same on every run and with every number of threads.

Compiling takes seconds, once per machine. Nobody should wait for that in silence, so the first kernel
that needs compiling is announced through the ``minidet`` logger, and the end with the time it took.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core import event

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

logger = logging.getLogger("minidet")


def jit(kernel: Kernel) -> Kernel:
    """Compile ``kernel`` with Numba on its first call; with ``NUMBA_DISABLE_JIT=1`` leave it plain Python."""
    # error_model "numpy": x / 0 is inf or nan as in NumPy, and the check for it does not stop vector code.
    flags: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        compiled = numba.njit(cache=True, **flags)(kernel)
    except RuntimeError:  # neither the package's folder nor the user's can be written: compile every time
        compilation.kept = False
        return cast(Kernel, numba.njit(cache=False, **flags)(kernel))
    if hasattr(compiled, "_cache"):  # not with NUMBA_DISABLE_JIT=1
        compiled._cache.save_overload = _saving_if_possible(compiled._cache.save_overload)
    return cast(Kernel, compiled)


def _saving_if_possible(save: Callable[..., None]) -> Callable[..., None]:
    """Return ``save``, but with a full disk or an exceeded quota no reason to stop."""

    def save_if_possible(*args: Any) -> None:
        try:
            save(*args)
        except OSError:
            compilation.kept = False

    return save_if_possible


class Compilation(event.Listener):
    """Counts the kernels compiled in this process, and the seconds that took.

    Attributes
    ----------
    kernels : int
    seconds : float
    kept : bool
        Whether the machine code could be written to disk.
    """

    def __init__(self) -> None:
        self.kernels = 0
        self.seconds = 0.0
        self.kept = True
        self._reported = 0
        self._lock = threading.Lock()
        self._depth = 0  # a kernel that calls another compiles it inside its own compilation
        self._started = 0.0

    def on_start(self, event: Any) -> None:
        """Announce the first compilation; start the clock of an outermost one."""
        if not _is_ours(event):
            return
        if self.kernels == 0 and self._depth == 0:
            logger.warning("minidet: compiling its kernels for this machine (some seconds) ...")
        if self._depth == 0:
            self._started = time.perf_counter()
        self._depth += 1

    def on_end(self, event: Any) -> None:
        """Stop the clock of an outermost compilation."""
        if not _is_ours(event):
            return
        self.kernels += 1
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._started

    def report(self) -> None:
        """Log in one line what has been compiled, if anything new has, and whether it is kept."""
        with self._lock:  # of several threads one speaks
            if self.kernels == self._reported:
                return
            self._reported = self.kernels
        fate = "kept for the next run" if self.kept else "not kept: no folder for it, set NUMBA_CACHE_DIR"
        logger.warning(f"minidet: compiled {self.kernels} kernels in {self.seconds:.1f} s; {fate}")


def _is_ours(event: Any) -> bool:
    # Numba fires "numba:compile" only when no cached machine code was found, for everybody's functions.
    return str(event.data["dispatcher"].py_func.__module__).startswith("minidet.")


compilation = Compilation()
event.register("numba:compile", compilation)  # type: ignore[no-untyped-call]
