"""Every Numba flag, chosen once.

``jit`` compiles a kernel on its first call and keeps the machine code on disk for the next process.
There is no ``fastmath`` and no ``parallel`` here: a kernel adds its numbers in the order in which it
is written, so the result is the same on every run and with every number of threads. ``jit_fast`` is for
the storey ``fast/`` and differs in when it takes the machine code on disk to be out of date.

Compiling takes seconds, once per machine. Nobody should wait for that in silence, so the first kernel
that needs compiling is announced through the ``minidet`` logger, every few seconds it says how far it has
come, and at the end how long it took.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import event
from numba.core.caching import FunctionCache, NullCache

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

logger = logging.getLogger("minidet")


def jit(kernel: Kernel) -> Kernel:
    """Compile ``kernel`` with Numba on its first call; with ``NUMBA_DISABLE_JIT=1`` leave it plain Python."""
    return _compiled(kernel, stamp=lambda: "")


def jit_fast(kernel: Kernel) -> Kernel:
    """Compile a kernel of ``fast/``; it may call kernels and intrinsics of other files of ``fast/``.

    Numba takes machine code on disk to be out of date when the file of the kernel itself has changed. A
    kernel of ``fast/`` is built of many files, so here it is when any file of that folder has.
    """
    return _compiled(kernel, stamp=_fingerprint_of_fast)


def jit_inline(kernel: Kernel) -> Kernel:
    """Compile a part of a kernel of ``fast/`` as ``jit_fast`` does, but into whoever calls it.

    For what is called once per register tile, where a call would cost as much as the tile.
    """
    return _compiled(kernel, stamp=_fingerprint_of_fast, forceinline=True)


def _compiled(kernel: Kernel, stamp: Callable[[], str], **flags: Any) -> Kernel:
    # error_model "numpy": x / 0 is inf or nan as in NumPy, and the check for it does not stop vector code.
    compiled = numba.njit(nogil=True, error_model="numpy", **flags)(kernel)
    if hasattr(compiled, "_cache"):  # not with NUMBA_DISABLE_JIT=1
        compiled._cache = KernelCache(kernel, stamp)
    return cast(Kernel, compiled)


_PROCESS = uuid.uuid4().hex[:12]
"""Part of the names of the files this process writes."""


class KernelCache:
    """Keeps the machine code of one kernel on disk, as Numba's ``cache=True`` does, with four differences.

    Nothing is looked up before the first call, which would take a millisecond for each kernel at every
    import. No place for it, a full disk or an exceeded quota is no reason to stop. And beside the date of the
    kernel's file there is a ``stamp``: code kept under another stamp is out of date. And two processes that
    compile the kernel at the same time write to two files: Numba's would write to one, and either could later
    be given code that the other has made for other types of arguments.

    Parameters
    ----------
    kernel : function
    stamp : callable
        Returns a text.
    """

    def __init__(self, kernel: Callable[..., Any], stamp: Callable[[], str]) -> None:
        self._kernel = kernel
        self._stamp = stamp

    @cached_property
    def _files(self) -> Any:
        try:
            cache = FunctionCache(self._kernel)
        except RuntimeError:  # neither the package's folder nor the user's can be written: compile every time
            compilation.kept = False
            return NullCache()
        file = cache._cache_file
        file._data_name_pattern = file._data_name_pattern.replace("{number", _PROCESS + ".{number")
        if stamp := self._stamp():
            file._source_stamp = (file._source_stamp, stamp)
        return cache

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled kernel for these types of arguments, or None."""
        return self._files.load_overload(signature, target)

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep the compiled kernel, if possible."""
        try:
            self._files.save_overload(signature, compiled)
        except OSError:
            compilation.kept = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)  # what else Numba's dispatcher asks of its cache


@lru_cache(maxsize=1)
def _fingerprint_of_fast() -> str:
    """Return a digest of every source file of ``fast/``."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).with_name("fast").rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


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
        self._started = 0.0  # of the outermost compilation under way
        self._spoken = 0.0  # when the user last heard of it

    def on_start(self, event: Any) -> None:
        """Announce the first compilation; start the clock of an outermost one."""
        if not _is_ours(event):
            return
        now = time.perf_counter()
        if self.kernels == 0 and self._depth == 0:
            logger.warning("minidet: compiling its kernels for this machine (some seconds) ...")
            self._spoken = now
        if self._depth == 0:
            self._started = now
        self._depth += 1

    def on_end(self, event: Any) -> None:
        """Stop the clock of an outermost compilation."""
        if not _is_ours(event):
            return
        now = time.perf_counter()
        self.kernels += 1
        self._depth -= 1
        if self._depth == 0:
            self.seconds += now - self._started
        if now - self._spoken > SECONDS_BETWEEN_REPORTS:
            logger.warning(f"minidet: {self.kernels} kernels compiled so far ...")
            self._spoken = now

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


SECONDS_BETWEEN_REPORTS = 3.0
"""How long a user is left without a word while kernels are compiled."""

compilation = Compilation()
event.register("numba:compile", compilation)
