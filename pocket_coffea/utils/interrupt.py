"""Ctrl-C that is not lost.

Python raises KeyboardInterrupt wherever the program happens to be, and a library with a bare ``except``, a
``__del__`` or a call-back of C code swallows it there: the run would go on as if nothing had been pressed.
So it is noted, too, and :func:`stop_if_interrupted` raises it again where a run waits or begins anew.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["interruptible", "stop_if_interrupted"]

_asked = threading.Event()


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block Ctrl-C, a polite kill, and a terminal that is closed, raise KeyboardInterrupt.

    Signals that are ignored, as under nohup, stay so. Outside the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]
    _asked.clear()
    before = {number: signal.signal(number, _stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()


def stop_if_interrupted() -> None:
    """Raise the KeyboardInterrupt of this :func:`interruptible` that has been swallowed.

    Not to be called while something is undone, which the first one may have led to.
    """
    if _asked.is_set() and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


def _stop(number: int, _frame: Any) -> None:
    if number == signal.SIGHUP:
        _leave_terminal()
    _asked.set()
    raise KeyboardInterrupt


def _leave_terminal() -> None:
    """Let what is still said go nowhere: writing to a terminal that was closed is an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):  # a closed terminal is none for isatty
            os.dup2(nowhere, stream)
    os.close(nowhere)
