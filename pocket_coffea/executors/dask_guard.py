"""Watches the jobs of Dask workers while a run goes on.

Dask replaces a worker that was there and is gone. It knows nothing of jobs that end, or are held, before
their worker has ever reached the scheduler: those are found here and replaced, but not for ever.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

from pocket_coffea.errors import CommandFailed
from pocket_coffea.executors.dask_waiting import with_reasons

__all__ = ["WorkerGuard"]

log = logging.getLogger(__name__)

#: How often the batch system is asked [s].
_INTERVAL = 30.0
#: A job that is this young [s] may be missing in an answer.
_YOUNG = 20.0
#: So many jobs in a row may end before their worker arrives, whatever ``scaleout`` is.
_FAILURES = 6


class WorkerGuard:
    """A thread that is there between ``__enter__`` and ``__exit__``. ``jobs``: how many there should be."""

    def __init__(self, cluster: Any, jobs: int, interval: float = _INTERVAL) -> None:
        self._cluster = cluster
        self._limit = max(_FAILURES, 2 * jobs)
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="dask-worker-guard", daemon=True)
        self._cancel: Callable[[], None] | None = None
        self.failures = 0
        #: Why the run cannot go on; empty as long as it can.
        self.verdict = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join(timeout=5)

    @contextlib.contextmanager
    def watching(self, cancel: Callable[[], None]) -> Iterator[None]:
        """Call ``cancel`` when no worker is left and none comes any more, as long as the block lasts."""
        self._cancel = cancel
        try:
            yield
        finally:
            self._cancel = None

    def _work(self) -> None:
        while not self._over.wait(self._interval):
            try:
                self.look()
            except Exception as exc:  # noqa: BLE001  (a guard that ends by itself guards nothing)
                log.debug("the jobs of the workers could not be looked at: %s", exc)

    def look(self) -> None:
        """Find the jobs that ended too early, and have them replaced."""
        plan, connected = self._cluster.job_plan, self._connected()
        if connected:
            self.failures = 0
        for reason in set(plan.refused.values()):
            log.warning("The batch system did not take a job: %s", reason)
        lost = list(plan.refused)
        try:
            lost += self._lost(connected)
        except CommandFailed as exc:
            log.debug("the batch system does not answer: %s", exc)
        if lost:
            self._replace(lost)
        if self.failures >= self._limit and not connected:
            self._give_up()

    def _connected(self) -> set[str]:
        """Return the names of the jobs whose workers are there; several workers of a job have -0, -1 ..."""
        names = [str(each["name"]) for each in self._cluster.scheduler_info["workers"].values()]
        return {*names, *(name.rpartition("-")[0] for name in names)}

    def _lost(self, connected: set[str]) -> list[str]:
        plan = self._cluster.job_plan
        now = time.monotonic()
        waiting = {
            name: job
            for name, (job, when) in list(plan.submitted.items())
            if name not in connected and now - when > _YOUNG
        }
        living = self._cluster.living() if waiting else set()
        return [name for name, job in waiting.items() if job not in living]

    def _replace(self, names: list[str]) -> None:
        plan = self._cluster.job_plan
        self.failures += len(names)
        jobs = [plan.submitted[name][0] for name in names if name in plan.submitted]
        for line in self._cluster.why(jobs):
            log.warning("A job ended before its worker came: %s", line)
        for name in names:
            plan.refused.pop(name, None)
        # the cluster asks for others by itself
        self._cluster.loop.add_callback(self._cluster.scale_down, names)

    def _give_up(self) -> None:
        if self.verdict:
            return
        self.verdict = with_reasons(
            f"No Dask worker is left, and {self.failures} jobs in a row ended before theirs came.",
            self._cluster,
        )
        if self._cancel is not None:
            self._cancel()
