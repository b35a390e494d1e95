"""Waiting for Dask workers, with a limit, and with what the batch system says when none comes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pocket_coffea.errors import CommandFailed, ProcessingError
from pocket_coffea.utils.interrupt import stop_if_interrupted

__all__ = ["START_TIMEOUT", "Jobs", "count_workers", "log_tail", "wait_for_first_worker", "with_reasons"]

log = logging.getLogger(__name__)

#: How long the first worker may take when ``dask-worker-start-timeout`` is not given [s].
START_TIMEOUT = 3600
#: How often the batch system is asked [s], at first and later on; and how often the user hears of it.
_ASK, _ASK_LATER, _TELL = 5.0, 30.0, 120.0
#: Lines of a worker's log that are shown.
_LINES = 20


class Jobs(Protocol):
    """The jobs of a cluster, as those see them who wait for them."""

    def submitted(self) -> list[str]:
        """Return the numbers of the jobs."""

    def refused(self) -> list[str]:
        """Return what the batch system said to submissions that it did not take."""

    def living(self) -> set[str]:
        """Return those that are queued or running. Raises CommandFailed."""

    def why(self, jobs: Sequence[str]) -> list[str]:
        """Return what is to be said of them."""

    def logs(self) -> Path | None:
        """Return the folder of their logs, None when nobody knows."""


@dataclass
class _Watch:
    """Asks about jobs, but not too often."""

    jobs: Jobs
    began: float = field(default_factory=time.monotonic)
    asked: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def look(self) -> None:
        """Raise ProcessingError when no worker can come any more; say now and then why none has come."""
        if refused := self.jobs.refused():
            msg = f"The batch system did not take the jobs of the workers: {refused[-1]}"
            raise ProcessingError(msg)
        interval = _ASK if self.seconds() < 60 else _ASK_LATER
        if time.monotonic() - self.asked < interval or not self.jobs.submitted():
            return
        self.asked = time.monotonic()
        try:
            living = self.jobs.living()
        except CommandFailed as exc:
            log.debug("the batch system does not answer: %s", exc)
            return
        submitted = self.jobs.submitted()
        if submitted and not living:
            msg = f"No worker has started: all {len(submitted)} jobs have ended or are held."
            raise ProcessingError(with_reasons(msg, self.jobs))
        if time.monotonic() - self.told > _TELL:
            self.told = time.monotonic()
            for line in self.jobs.why(submitted):
                log.info("   %s", line)


def wait_for_first_worker(workers: Callable[[], int], jobs: Jobs, timeout: float, pause: float = 0.2) -> None:
    """Return when ``workers()`` is not 0. ``timeout`` in seconds.

    Raises ProcessingError with the reasons of the batch system and the end of a worker's log when the time is
    over, or as soon as none can come.
    """
    log.info(">> Waiting for the first job to start...")
    watch = _Watch(jobs)
    while not workers():
        stop_if_interrupted()
        watch.look()
        if watch.seconds() > timeout:
            msg = f"No worker has started within {timeout:.0f} s (run option dask-worker-start-timeout)."
            raise ProcessingError(with_reasons(msg, jobs))
        time.sleep(pause)
    log.info("The first worker is there after %.0f s", watch.seconds())


def with_reasons(message: str, jobs: Jobs) -> str:
    """Return a message with what the batch system says, and the end of a worker's log."""
    lines = [message, *(f"  {line}" for line in jobs.why(jobs.submitted()))]
    lines += _newest_log(jobs.logs(), jobs.submitted())
    return "\n".join(lines)


def _newest_log(folder: Path | None, jobs: Sequence[str]) -> list[str]:
    """Return the end of the newest log that says something, with its name."""
    if folder is None:
        return []
    found = [folder / f"worker-{job}{kind}" for job in jobs for kind in (".err", ".out")]
    said = [path for path in found if path.is_file() and path.stat().st_size]
    if not said:
        return [f"  The workers have written nothing into {folder}."]
    newest = max(said, key=lambda path: (path.suffix == ".err", path.stat().st_mtime))
    return [f"  The end of {newest}:", *(f"    {line}" for line in log_tail(newest))]


def log_tail(path: Path, lines: int = _LINES) -> list[str]:
    """Return the last lines of a log, none when it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 65536))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]


def count_workers(client: Any) -> int:
    """Return how many workers a client's scheduler has."""
    return len(client.scheduler_info(n_workers=-1)["workers"])
