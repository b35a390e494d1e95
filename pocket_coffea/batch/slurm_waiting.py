"""What Slurm says of jobs that wait: squeue, and sacct for those that have ended."""

from __future__ import annotations

from collections.abc import Sequence

from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.process import run_command

__all__ = ["reasons"]

_LIMIT = 60.0
#: %R: the reason of a waiting job, the nodes of a running one. It may contain the separator, so it is last.
_FIELDS = "%i|%T|%P|%l|%M|%R"
_WAITING = ("PENDING", "REQUEUED", "SPECIAL_EXIT")
_RUNNING = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED")
#: What Slurm's words mean and what to do about it.
_MEANING = {
    "PartitionTimeLimit": "it asks for {limit}, more than partition {partition} allows: a shorter walltime, "
    "or another queue",
    "PartitionNodeLimit": "it asks for more nodes than partition {partition} allows",
    "PartitionDown": "partition {partition} is down",
    "PartitionInactive": "partition {partition} takes no jobs",
    "Resources": "all nodes that could take it are busy",
    "Priority": "jobs with higher priority come first",
    "BeginTime": "its start time is not there yet, or it failed and waits to start again",
    "Dependency": "it waits for another job",
    "DependencyNeverSatisfied": "the job it waits for has failed",
    "JobHeldUser": "held by its user: scontrol release {job}",
    "JobHeldAdmin": "held by the administrator",
    "BadConstraints": "no node has what it asks for: constraint, memory or CPUs",
    "InvalidAccount": "its account is not allowed: run option account",
    "InvalidQOS": "its quality of service is not allowed: run option qos",
    "launch failed requeued held": "it could not be started: ask the administrator",
}


def reasons(jobs: Sequence[str]) -> dict[str, str]:
    """Return one line for each job. Raises CommandFailed when Slurm's controller does not answer."""
    queued = _queued(jobs)
    said = {}
    missing = []
    for job in jobs:
        row = queued.get(job)
        if row is None or row[0] not in (*_WAITING, *_RUNNING):
            missing.append(job)
        else:
            said[job] = _of_queued(job, row)
    ended = _ended(missing) if missing else {}
    for job in missing:
        row = queued.get(job)
        said[job] = ended.get(job) or (
            f"ended already: {row[0]}" if row else "known to neither squeue nor sacct"
        )
    return {job: said[job] for job in jobs}


def _queued(jobs: Sequence[str]) -> dict[str, list[str]]:
    argv = [
        "squeue",
        "--noheader",
        "--array",
        "--states=all",
        f"--jobs={','.join(jobs)}",
        f"--format={_FIELDS}",
    ]
    done = run_command(argv, timeout=_LIMIT, check=False)
    # a single job that Slurm has forgotten is an error of squeue
    if done.returncode and "Invalid job id" not in done.stderr:
        msg = f"squeue ended with code {done.returncode}: {done.stderr.strip()}"
        raise CommandFailed(msg)
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        job, *row = line.split("|", 5)
        if len(row) == 5:
            found[job] = row
            found.setdefault(job.partition("_")[0], row)  # an array is told by its first task
    return found


def _of_queued(job: str, row: Sequence[str]) -> str:
    state, partition, limit, used, reason = row
    if state in _RUNNING:
        return f"{state.lower()} for {used} on {reason}"
    word = reason.strip("()")
    meaning = _MEANING.get(word.partition(",")[0], "").format(job=job, partition=partition, limit=limit)
    return f"{state.lower()} in partition {partition}: {word}{f' ({meaning})' if meaning else ''}"


def _ended(jobs: Sequence[str]) -> dict[str, str]:
    argv = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State,ExitCode"]
    try:
        printed = run_command([*argv, f"--jobs={','.join(jobs)}"], timeout=_LIMIT).stdout
    except CommandFailed:
        return {}  # not every site keeps accounts
    found: dict[str, str] = {}
    for line in printed.splitlines():
        job, _, rest = line.partition("|")
        state, _, code = rest.partition("|")
        number, _, signal = code.partition(":")
        by = f", signal {signal}" if signal not in ("", "0") else ""
        said = f"ended already: {state}, exit code {number}{by}"
        found.setdefault(job, said)
        found.setdefault(job.partition("_")[0], said)
    return found
