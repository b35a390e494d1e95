"""Batch jobs that are Dask workers: one class for each batch system, none for a site.

What a job asks for and starts comes as one :class:`JobPlan`; dask-jobqueue submits, finds the number of the
job, and removes it.
"""

from __future__ import annotations

import re
from typing import Any

from dask_jobqueue.core import Job
from dask_jobqueue.htcondor import HTCondorJob
from dask_jobqueue.slurm import SLURMJob
from distributed.core import Status

from pocket_coffea.executors.dask_job_plan import JobPlan
from pocket_coffea.executors.dask_job_text import slurm_script, submit_file

__all__ = ["HTCondorWorkerJob", "SlurmWorkerJob"]


class _WorkerJob(Job):
    """What both batch systems have in common."""

    plan: JobPlan

    async def start(self) -> None:
        """Submit the job. A refusal is written down, not raised: who waits for workers tells it."""
        try:
            async with self.plan.gate:
                await super().start()
        except (RuntimeError, ValueError, OSError) as exc:
            self.plan.refused[str(self.name)] = _what_was_said(exc)
            self.status = Status.running  # what Dask insists on; see WorkerGuard
            return
        self.plan.note(str(self.name), str(self.job_id))

    async def close(self) -> None:
        """Remove the job; at the end of the run all are removed at once."""
        if not self.plan.closing:
            await super().close()
            self.plan.forget(str(self.name), str(self.job_id))
        self.status = Status.closed


def _what_was_said(exc: Exception) -> str:
    """Return what the batch system printed, without the frame that dask-jobqueue puts around it."""
    text = str(exc)
    said = re.search(r"stderr:\n(.*)", text, re.DOTALL)
    return (said[1].strip() if said else "") or text.strip()


class HTCondorWorkerJob(_WorkerJob, HTCondorJob):
    """A worker in an HTCondor job. All files travel with the job, so that nothing need be shared."""

    def __init__(self, scheduler: Any = None, name: Any = None, *, plan: JobPlan, **kwargs: Any) -> None:
        kwargs |= {"security": None, "protocol": None, "disk": "1 GiB"}
        super().__init__(scheduler=scheduler, name=name, **kwargs)
        self.plan = plan

    def job_script(self) -> str:
        """Return the submit file."""
        return submit_file(self.plan, str(self.scheduler), str(self.name))


class SlurmWorkerJob(_WorkerJob, SLURMJob):
    """A worker in a Slurm job, with files on a file system that the nodes see."""

    def __init__(self, scheduler: Any = None, name: Any = None, *, plan: JobPlan, **kwargs: Any) -> None:
        kwargs |= {"security": None, "protocol": None}
        super().__init__(scheduler=scheduler, name=name, **kwargs)
        self.plan = plan

    def job_script(self) -> str:
        """Return the script that sbatch gets."""
        return slurm_script(self.plan, str(self.scheduler), str(self.name))
