"""When a job has to end: its own time limit, and the wish of the batch system (SIGTERM, SIGINT).

A job stops after the chunk that it is at. One that does not come back from what it is doing (a library that
hangs, a chunk that takes too long) is ended by a thread, before the batch system kills it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from pocket_coffea.errors import PocketCoffeaError

__all__ = ["JobClock", "TimeUp"]

log = logging.getLogger(__name__)

#: Of what is kept back, the part after which a job is ended by force.
_LAST = 0.75


class TimeUp(PocketCoffeaError):
    """A job ends before it is complete; its completed chunks are kept."""

    exit_code = 75


class JobClock:
    """Tells when to stop.

    began: when the job started (time.time). seconds: its time limit, 0 for none. margin: what is kept of it
    for the end of the job [s]. grace: how long it may go on once it was asked to end [s]. too_late: called
    with the reason, from another thread, when the job did not stop in time.
    """

    def __init__(
        self, began: float, seconds: float, margin: float, grace: float, too_late: Callable[[str], None]
    ) -> None:
        self.grace = grace
        self._too_late = too_late
        self._margin = min(margin, seconds)
        self._limit = began + seconds if seconds > 0 else None
        self._seconds = seconds
        self._last = time.time()
        self._longest = 0.0
        self.asked = ""  # why it has to end
        self._end: float | None = None  # of the grace
        self._closed = threading.Event()
        self._reader, self._writer = os.pipe()

    def start(self) -> None:
        """Watch from now on. Only the main thread can do this."""
        for each in (self._reader, self._writer):
            os.set_blocking(each, False)
        # written at once, whatever the main thread is doing
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _nothing)
        self._last = time.time()
        threading.Thread(target=self._watch, name="job clock", daemon=True).start()

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(-1)
        with contextlib.suppress(OSError):
            os.write(self._writer, b"\0")

    def check(self) -> None:
        """Raise TimeUp when there is no time for another chunk. Called after each of them."""
        now = time.time()
        self._longest = max(self._longest, now - self._last)
        self._last = now
        if self.asked:
            raise TimeUp(self.asked)
        if self._limit is None:
            return
        left = self._limit - now
        if left < self._margin or left < self._longest + self._margin / 2:
            msg = (
                f"stopped {max(left, 0):.0f} s before the time limit of {self._seconds:.0f} s; a chunk takes "
                f"up to {self._longest:.0f} s"
            )
            raise TimeUp(msg)

    # -- in another thread

    def _watch(self) -> None:
        while not self._closed.is_set():
            end = self._force_at()
            wait = None if end is None else max(0.0, end - time.time())
            ready, _, _ = select.select([self._reader], [], [], wait)
            if self._closed.is_set():
                return
            if ready:
                self._hear(os.read(self._reader, 64))
            elif end is not None and time.time() >= end:
                self._too_late(self.asked or f"the time limit of {self._seconds:.0f} s is reached")
                return

    def _hear(self, numbers: bytes) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT) and not self.asked:
                self.asked = f"asked to end by {signal.Signals(number).name}"
                self._end = time.time() + self.grace
                log.warning("%s: the job stops after this chunk", self.asked)

    def _force_at(self) -> float | None:
        limit = None if self._limit is None else self._limit - (1 - _LAST) * self._margin
        times = [each for each in (limit, self._end) if each is not None]
        return min(times, default=None)


def _nothing(_number: int, _frame: Any) -> None:
    """Leave it to the thread."""
