"""Waiting for Parsl's workers: why none is there, and when to give up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.errors import ProcessingError

__all__ = ["BlockErrors", "WorkerWatch", "log_tails"]

log = logging.getLogger(__name__)

#: How often the log says why nothing runs [s].
SAY_S = 60.0
#: Batch jobs that end without having worked, one after the other, before all is given up.
MAX_FAILED_BLOCKS = 3
#: Jobs of which a message gives the reason.
_SHOWN = 3
_FAILED = ("FAILED", "MISSING")
_NOT_SUBMITTED = "Failed to start block"


def log_tails(folders: Sequence[Path], lines: int = 10) -> str:
    """Return the last lines of the newest log of batch jobs that says something; empty when none does."""
    for path in _newest_first(folders):
        try:
            said = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            continue
        if said:
            return f"The last lines of {path}:\n" + "\n".join(said[-lines:])
    return ""


def _newest_first(folders: Sequence[Path]) -> list[Path]:
    """Standard error comes before what else there is."""
    for pattern in ("*.stderr", "block-*/*/manager.log", "*.stdout"):
        found = [path for folder in folders for path in folder.glob(pattern) if _size(path)]
        if found:
            return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)
    return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class BlockErrors:
    """What becomes of batch jobs that end without having worked; called by Parsl after each look at them.

    A few are nothing: Parsl submits others. When all do, the executor is set into its bad state with a
    ProcessingError that says why. tails: returns the last lines of their logs.
    """

    def __init__(self, tails: Callable[[], str]) -> None:
        self._tails = tails

    def __call__(self, executor: Any, status: Mapping[str, Any]) -> None:
        blocks = [status[key] for key in sorted(status, key=int)]
        failed = [block for block in blocks if block.state.name in _FAILED]
        refused = [block for block in failed if str(block.message or "").startswith(_NOT_SUBMITTED)]
        nothing = len(blocks) > 0 and len(refused) == len(blocks)
        last = blocks[-MAX_FAILED_BLOCKS:]
        all_fail = len(last) == MAX_FAILED_BLOCKS and all(block.state.name in _FAILED for block in last)
        never = len(failed) >= MAX_FAILED_BLOCKS and not executor.connected_blocks()
        if not (nothing or all_fail or never) or executor.connected_managers():
            return
        executor.set_bad_state_and_fail_all(ProcessingError("\n".join(self._message(failed, nothing))))

    def _message(self, failed: Sequence[Any], nothing: bool) -> Iterator[str]:
        what = "be submitted" if nothing else "start a worker"
        yield f"{len(failed)} batch jobs could not {what}; the last ones:"
        yield from dict.fromkeys(str(block.message or block.state.name) for block in failed[-_SHOWN:])
        if not nothing and (tails := self._tails()):
            yield tails


class WorkerWatch:
    """Called while no task ends: says why there is no worker, and raises ProcessingError after ``limit`` [s].

    connected: number of batch jobs with a worker. problem: an error that ended all, or None. reasons: the
    batch system's, by job. tails: the last lines of the jobs' logs.
    """

    def __init__(
        self,
        *,
        connected: Callable[[], int],
        problem: Callable[[], BaseException | None],
        reasons: Callable[[], list[str]],
        tails: Callable[[], str],
        limit: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connected = connected
        self._problem = problem
        self._reasons = reasons
        self._tails = tails
        self._limit = limit
        self._clock = clock
        self._since: float | None = None
        self._said = 0.0
        self._seen = False

    def __call__(self) -> None:
        problem = self._problem()
        if problem is not None:
            raise problem
        if self._connected():
            if not self._seen:
                log.info("the first worker is there")
            self._seen, self._since = True, None
            return
        now = self._clock()
        if self._since is None:
            self._since = self._said = now
        if now - self._since >= self._limit:
            raise ProcessingError(self._message(now - self._since))
        if now - self._said >= SAY_S:
            self._said = now
            log.info("no worker yet, for %.0f s:\n%s", now - self._since, "\n".join(self._why()))

    def _why(self) -> list[str]:
        reasons = self._reasons()
        more = [f"... and {len(reasons) - _SHOWN} more"] if len(reasons) > _SHOWN else []
        return [*reasons[:_SHOWN], *more] or ["no batch job is in the queue"]

    def _message(self, waited: float) -> str:
        what = "has started" if not self._seen else "is left"
        first = f"No worker {what} for {waited:.0f} s (run option parsl-worker-start-timeout)."
        lines = [
            f"{first} The batch system says:",
            *self._why(),
            self._tails(),
        ]
        return "\n".join(line for line in lines if line)
