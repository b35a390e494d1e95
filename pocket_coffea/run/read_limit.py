"""A wall clock for reads: no server that goes silent can hold a job up longer than that."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

__all__ = ["READ_SECONDS", "limited_read"]

#: Variable with the seconds that one read may take; without it there is no limit. Worker processes inherit
#: it.
READ_SECONDS = "POCKET_COFFEA_READ_SECONDS"


@contextlib.contextmanager
def limited_read() -> Iterator[None]:
    """Raise TimeoutError in the block when it takes longer than READ_SECONDS.

    Only the main thread of a process can be interrupted; elsewhere there is no limit. Not to be nested.
    """
    seconds = float(os.environ.get(READ_SECONDS) or 0)
    if seconds <= 0 or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(_number: int, _frame: Any) -> NoReturn:
        msg = f"no answer within {seconds:g} s"
        raise TimeoutError(msg)

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
