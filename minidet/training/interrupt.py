"""Ctrl-C in the middle of a step would leave half of the weights moved, so it waits for the step's end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Lend a function that tells whether Ctrl-C was pressed; a second Ctrl-C interrupts at once.

    In a thread other than the main one nothing changes, since Python leaves signals to the main thread.

    Yields
    ------
    callable
        Returns True from the first Ctrl-C on.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
