"""Parsl's providers for HTCondor and Slurm, without a shell, and telling apart what the batch system says.

Imported only where Parsl is used. Parsl's own write the submit files. These start programs from argument
lists, take a job for ended only when the batch system says so, remove held jobs and keep their reason, and
remember every job, so that all can be removed at the end.
"""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

from parsl.jobs.states import JobState, JobStatus
from parsl.providers import CondorProvider, SlurmProvider

from pocket_coffea.batch.waiting import remove_jobs, why_waiting
from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.process import run_command

__all__ = ["HTCondorBlocks", "SlurmBlocks"]

log = logging.getLogger(__name__)

#: Asking more often is unkind to a batch system that thousands use [s].
POLL_S = 20
#: Longest time a question to the batch system may take [s].
COMMAND_S = 120.0
#: A batch system that is away for a moment is asked again after these pauses [s]; how its commands say so.
_PAUSES_S = (5, 10, 20)
_AWAY = ("find address of", "failed to connect", "communication error", "unable to contact", "timed out")


class _Blocks:
    """What both have in common; ``system`` as in :mod:`pocket_coffea.batch.waiting`."""

    system: Literal["htcondor", "slurm"]
    resources: dict[str, dict[str, Any]]
    script_dir: str | None

    def execute_wait(self, cmd: str, timeout: float | None = None) -> tuple[int, str, str]:
        """Run a command of Parsl's: a program, and a path or plain words. Returns (code, stdout, stderr)."""
        program, _, rest = cmd.partition(" ")
        words = [rest] if program in ("condor_submit", "sbatch") else shlex.split(rest)
        done = run_command([program, *words], timeout=timeout or COMMAND_S, check=False, cwd=self.script_dir)
        return done.returncode, done.stdout, done.stderr

    @property
    def status_polling_interval(self) -> int:
        return POLL_S

    def job_ids(self) -> list[str]:
        """Return every job that was submitted."""
        return list(self.resources)

    def open_jobs(self) -> list[str]:
        """Return the jobs that, as far as is known, have not ended."""
        return [job for job, known in self.resources.items() if not known["status"].terminal]

    def _patiently(self, submit: Callable[[], Any]) -> str:
        """Return the job that ``submit`` submits; raises what Parsl's provider raises."""
        for pause in _PAUSES_S:
            try:
                return str(submit())
            except Exception as error:
                if not any(words in str(error).lower() for words in _AWAY):
                    raise
                log.info("%s does not take jobs now, trying again: %s", self.system, error)
                time.sleep(pause)
        return str(submit())

    def cancel(self, job_ids: Iterable[str]) -> list[bool]:
        """Remove jobs, running ones too."""
        jobs = list(job_ids)
        if not jobs:
            return []
        remove_jobs(self.system, jobs)
        for job in jobs:
            self._set(job, JobState.CANCELLED)
        return [True] * len(jobs)

    def _set(self, job: str, state: JobState, message: str | None = None) -> None:
        known = self.resources.setdefault(job, {})
        known["status"] = JobStatus(
            state, message, stdout_path=known.get("job_stdout_path"), stderr_path=known.get("job_stderr_path")
        )

    def _ask(self, argv: list[str]) -> list[str] | None:
        """Return what a program prints, by line; None when the batch system does not answer now."""
        try:
            done = run_command(argv, timeout=COMMAND_S, check=False)
        except CommandFailed as error:
            log.info("%s", error)
            return None
        if done.returncode:
            log.info("%s: %s", shlex.join(argv), done.stderr.strip())
            return None
        return done.stdout.splitlines()

    def _query(self, jobs: list[str]) -> list[str]:
        """Return the program that prints a line for each job: its number and its state."""
        raise NotImplementedError

    def _update(self, job: str, state: str) -> None:
        """Take over the state that the batch system gives a job; empty when it does not know the job."""
        raise NotImplementedError

    def _status(self) -> None:
        jobs = self.open_jobs()
        lines = self._ask(self._query(jobs)) if jobs else None
        if lines is None:
            return
        found = {words[0]: words[1] for words in map(str.split, lines) if len(words) > 1}
        for job in jobs:
            self._update(job, found.get(job, ""))

    def _ended(self, job: str, state: JobState) -> None:
        reason = "; ".join(why_waiting(self.system, [job]))
        log.info("a batch job has ended: %s", reason)
        self._set(job, state, reason)


class HTCondorBlocks(_Blocks, CondorProvider):
    """Each block is a job of HTCondor."""

    system = "htcondor"

    def submit(self, command: str, tasks_per_node: int, job_name: str = "parsl") -> str:
        submit = super().submit
        return self._patiently(lambda: submit(command, tasks_per_node, job_name))

    def _query(self, jobs: list[str]) -> list[str]:
        return ["condor_q", *jobs, "-af:jr", "JobStatus"]

    def _update(self, job: str, state: str) -> None:
        if state in ("1", "7"):
            self._set(job, JobState.PENDING)
        elif state in ("2", "6"):
            self._set(job, JobState.RUNNING)
        elif state == "5":
            self._ended(job, JobState.FAILED)  # released by hand, it would be one worker too many
            remove_jobs(self.system, [job])
        else:
            self._ended(job, JobState.COMPLETED)


#: States of Slurm in which a job is not over.
_SLURM_OPEN = {
    "PENDING": JobState.PENDING,
    "CONFIGURING": JobState.PENDING,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.PENDING,
    "RESV_DEL_HOLD": JobState.PENDING,
    "RUNNING": JobState.RUNNING,
    "COMPLETING": JobState.RUNNING,
    "STAGE_OUT": JobState.RUNNING,
    "SUSPENDED": JobState.RUNNING,
    "STOPPED": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
}


class SlurmBlocks(_Blocks, SlurmProvider):
    """Each block is a job of Slurm."""

    system = "slurm"

    def submit(self, command: str, tasks_per_node: int, job_name: str = "parsl") -> str:
        submit = super().submit
        return self._patiently(lambda: submit(command, tasks_per_node, job_name))

    def _query(self, jobs: list[str]) -> list[str]:
        del jobs  # squeue with the number of one that is forgotten is an error for all
        return ["squeue", "--me", "--noheader", "--states=all", "--format=%i %T"]

    def _update(self, job: str, state: str) -> None:
        if state in _SLURM_OPEN:
            self._set(job, _SLURM_OPEN[state])
        else:
            self._ended(job, JobState.COMPLETED if state in ("", "COMPLETED") else JobState.FAILED)
