"""Which jobs can still do something: queued or running, neither held nor ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.process import run_command

__all__ = ["living_jobs"]

_LIMIT = 60.0
#: Idle, running, sending its output: JobStatus of HTCondor.
_ALIVE = ("1", "2", "6")


def living_jobs(system: Literal["htcondor", "slurm"], job_ids: Iterable[str]) -> set[str]:
    """Return those of the jobs that are queued or running. Raises CommandFailed when nobody answers."""
    jobs = list(dict.fromkeys(job_ids))
    if not jobs:
        return set()
    return _of_htcondor(jobs) if system == "htcondor" else _of_slurm(jobs)


def _of_htcondor(jobs: list[str]) -> set[str]:
    printed = run_command(["condor_q", *jobs, "-af:j", "JobStatus"], timeout=_LIMIT).stdout
    rows = [line.split() for line in printed.splitlines()]
    return {row[0] for row in rows if len(row) == 2 and row[1] in _ALIVE}


def _of_slurm(jobs: list[str]) -> set[str]:
    argv = ["squeue", "--noheader", "--states=PENDING,CONFIGURING,RUNNING,SUSPENDED", "--format=%i|%r"]
    done = run_command([*argv, f"--jobs={','.join(jobs)}"], timeout=_LIMIT, check=False)
    if done.returncode and "Invalid job id" not in done.stderr:  # all of them are forgotten
        msg = f"squeue ended with code {done.returncode}: {done.stderr.strip()}"
        raise CommandFailed(msg)
    rows = [line.partition("|") for line in done.stdout.splitlines()]
    return {job for job, _, reason in rows if "held" not in reason.lower()}
