"""Faults `condor restart|schedd-kill|hold JOB|remove JOB|release JOB`: what a pool does to its users."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ci.lab.errors import LabError
from ci.lab.process import CommandFailedError, run

if TYPE_CHECKING:
    from ci.lab.inside.supervisor import Supervised, Supervisor

NAME = "condor"
USAGE = (
    "condor restart | schedd-kill | hold JOB | remove JOB | release JOB, with JOB as 12.0, 12 or condor:12.0"
)
SERVICES = ("condor", "condor-bare")  # the second is not in every lab
ACTIONS = {  # command, what is done, JobStatus of jobs that it does not change (1 idle ... 5 held)
    "hold": ("condor_hold", "held", {"5"}),
    "remove": ("condor_rm", "removed", {"3"}),
    "release": ("condor_release", "released", {"1", "2", "6", "7"}),
}
SCHEDD_SECONDS = 40.0


def switch(supervisor: Supervisor, words: list[str]) -> str:
    """Do what the words say and return what was done; raises LabError on other words or unknown jobs."""
    supervisor["condor"]  # says which services there are when this lab has no HTCondor
    match words:
        case ["restart"]:
            return _restart(supervisor)
        case ["schedd-kill"]:
            return _kill_schedd(supervisor)
        case [action, job] if action in ACTIONS:
            return act(action, job)
    msg = f"unknown words {' '.join(words)!r}; there are: {USAGE}"
    raise LabError(msg)


def act(action: str, job: str) -> str:
    """Hold, remove or release a job (all of a cluster's when it has no dot) as the pool's administrator does.

    Raises LabError on what is no job number and on a job that is not in the queue.
    """
    number = job.removeprefix("condor:")
    if not re.fullmatch(r"\d+(\.\d+)?", number):
        msg = f"no job of HTCondor: {job!r}; there are: 12.0, 12 (every job of the cluster), condor:12.0"
        raise LabError(msg)
    command, done, before = ACTIONS[action]
    try:
        run([command, "-reason", f"{done} by the administrator of the lab", number], timeout=20)
    except CommandFailedError:
        states = set(run(["condor_q", "-allusers", number, "-af", "JobStatus"], timeout=20).stdout.split())
        if not states:
            msg = f"job {number} is not in the queue of HTCondor; see `condor_q -allusers`"
            raise LabError(msg) from None
        if not states <= before:
            raise
    return f"job {number} {done}"


def _restart(supervisor: Supervisor) -> str:
    pool = [supervisor[name] for name in SERVICES if name in supervisor.services]
    with _announced(supervisor, "condor restarting"):
        for each in reversed(pool):
            daemons = _children(each)
            each.stop()
            _end_orphans(daemons)
        for each in pool:
            each.start_daemons()
            each.wait_healthy()
            each.check_now()
    return "the pool went down and came back; its queue was kept"


def _kill_schedd(supervisor: Supervisor) -> str:
    pool = supervisor["condor"]
    killed = _schedd(pool)
    with _announced(supervisor, "condor schedd killed"):
        if killed is not None:
            os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + SCHEDD_SECONDS
        while _schedd(pool) in (None, killed):
            if time.monotonic() > deadline:
                msg = f"the master did not start a new schedd within {SCHEDD_SECONDS:.0f} s"
                raise LabError(msg)
            time.sleep(0.1)
        pool.wait_healthy(SCHEDD_SECONDS)
    pool.check_now()
    return f"schedd {killed} killed; the master started {_schedd(pool)}, which answers"


@contextlib.contextmanager
def _announced(supervisor: Supervisor, text: str) -> Iterator[None]:
    """Show the fault in the status for as long as it lasts."""
    supervisor.faults[NAME] = text
    try:
        yield
    finally:
        supervisor.faults.pop(NAME, None)


def _schedd(pool: Supervised) -> int | None:
    """Return the pid of the schedd, if it runs."""
    found = [pid for pid, name in _children(pool).items() if name == "condor_schedd"]
    return found[0] if found else None


def _children(pool: Supervised) -> dict[int, str]:
    """Return pid and name of the daemons that the service's master has started."""
    masters, found = set(pool.pids), {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(entry)) and stat[1] in masters:
            found[int(entry.name)] = stat[0]
    return found


def _stat(process: Path) -> tuple[str, int] | None:
    """Return name and parent of a live process, None of one that has ended."""
    try:
        head, _, tail = (process / "stat").read_text().rpartition(")")
    except OSError:
        return None
    state, parent, *_ = tail.split()
    return None if state == "Z" else (head.partition("(")[2], int(parent))


def _end_orphans(daemons: dict[int, str]) -> None:
    """End daemons whose master was killed for being slow: each leads a process group of its own."""
    for pid, name in daemons.items():
        stat = _stat(Path("/proc") / str(pid))
        if stat is not None and stat[0] == name:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
