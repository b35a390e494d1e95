"""Why jobs of a batch system do not run: its own reason, in one line; and how to remove them.

Nothing here raises when a batch system does not answer: that is said in a line like any other reason, since
who asks is already in trouble.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from pocket_coffea.batch import htcondor_waiting, slurm_waiting
from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.process import run_command

__all__ = ["System", "remove_jobs", "why_waiting"]

log = logging.getLogger(__name__)

System = Literal["htcondor", "slurm"]

_REASONS: dict[str, Callable[[Sequence[str]], dict[str, str]]] = {
    "htcondor": htcondor_waiting.reasons,
    "slurm": slurm_waiting.reasons,
}
#: What removes jobs, and the words of an answer that says only that they have ended already.
_REMOVE = {"htcondor": ["condor_rm"], "slurm": ["scancel", "--quiet"]}
_GONE = ("not found", "no jobs", "invalid job id", "already completed")
_SHOWN = 4


def why_waiting(system: System, job_ids: Iterable[str]) -> list[str]:
    """Return what the batch system says of the jobs; those with the same reason share a line.

    ``job_ids`` as the system prints them: ``12`` or ``12.0`` of HTCondor, ``34`` or ``34_1`` of Slurm.
    """
    jobs = list(dict.fromkeys(str(job) for job in job_ids))
    if not jobs:
        return []
    try:
        found = _REASONS[system](jobs)
    except CommandFailed as error:
        return [f"{system} does not answer: {' '.join(str(error).split())}"]
    together: dict[str, list[str]] = {}
    for job, reason in found.items():
        together.setdefault(reason, []).append(job)
    return [f"{_named(names)}: {reason}" for reason, names in together.items()]


def _named(jobs: Sequence[str]) -> str:
    more = f" and {len(jobs) - _SHOWN} more" if len(jobs) > _SHOWN else ""
    return f"job{'s' if len(jobs) > 1 else ''} {', '.join(jobs[:_SHOWN])}{more}"


def remove_jobs(system: System, job_ids: Iterable[str]) -> None:
    """Remove jobs, queued or running; those that have ended are no error. What cannot be removed is logged,
    with the command that does it."""
    jobs = list(dict.fromkeys(str(job) for job in job_ids))
    if not jobs:
        return
    argv = [*_REMOVE[system], *jobs]
    try:
        done = run_command(argv, timeout=60, check=False)
        said = (done.stderr + done.stdout).strip()
        failed = done.returncode != 0 and not any(word in said.lower() for word in _GONE)
    except CommandFailed as error:
        said, failed = str(error), True
    if failed:
        log.warning("jobs may be left in the queue (%s). Remove them: %s", said, " ".join(argv))
