"""A Dask cluster whose scheduler is in this process and whose workers are jobs of HTCondor or Slurm."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dask_jobqueue.core import JobQueueCluster

from pocket_coffea.batch.living import living_jobs
from pocket_coffea.batch.waiting import System, why_waiting
from pocket_coffea.errors import CommandFailed
from pocket_coffea.executors.dask_job_plan import JobPlan
from pocket_coffea.executors.dask_jobs import HTCondorWorkerJob, SlurmWorkerJob
from pocket_coffea.executors.dask_scheduler import scheduler_options, started
from pocket_coffea.executors.dask_security import RunCertificates
from pocket_coffea.utils.process import run_command

__all__ = ["BatchCluster", "HTCondorWorkers", "SlurmWorkers", "start_cluster"]

log = logging.getLogger(__name__)


class BatchCluster(JobQueueCluster):
    """Base of the clusters of both batch systems; ``job_plan`` says what a worker's job is."""

    system: System
    job_plan: JobPlan

    def __init__(self, plan: JobPlan, certificates: RunCertificates, options: Mapping[str, Any]) -> None:
        self.job_plan = plan
        request = plan.request
        super().__init__(
            plan=plan,
            name=plan.job_name,
            cores=request.cores,
            processes=request.cores,
            memory=f"{request.memory} MiB",
            security=certificates.security(),
            protocol="tls://",
            scheduler_options=scheduler_options(options),
            silence_logs=logging.ERROR,
        )

    def _get_worker_security(self, _security: Any) -> None:
        """Keep dask-jobqueue from writing the keys to a folder of its own: workers have their files."""

    def remove_jobs(self) -> None:
        """Remove every job of the run, also those whose number was never heard of."""
        raise NotImplementedError

    def start_workers(self, jobs: int, adaptive: bool) -> None:
        """Submit jobs, one at first when ``adaptive``, and go on replacing those that end."""
        least = 1 if adaptive else jobs
        self.scale(jobs=least)
        # a worker that has nothing to do waits some minutes: the next may be long in the queue
        self.adapt(minimum_jobs=least, maximum_jobs=jobs, interval="2s", wait_count=90)

    # -- for those who wait for workers

    def submitted(self) -> list[str]:
        """Return the numbers of the jobs that were submitted."""
        return self.job_plan.job_ids()

    def refused(self) -> list[str]:
        """Return what the batch system said to submissions that it did not take."""
        return list(self.job_plan.refused.values())

    def living(self) -> set[str]:
        """Return the jobs that are queued or running. Raises CommandFailed."""
        return living_jobs(self.system, self.job_plan.job_ids())

    def why(self, jobs: Sequence[str]) -> list[str]:
        """Return what the batch system says of the jobs."""
        return why_waiting(self.system, jobs)

    def logs(self) -> Path:
        """Return the folder of the workers' logs."""
        return self.job_plan.setup.logs

    def close(self, timeout: float | None = None) -> Any:
        """Close the scheduler and remove all jobs, queued ones first."""
        self.job_plan.closing = True
        self._remove()
        try:
            return super().close(timeout)
        finally:
            self._remove()  # what was being submitted

    def _remove(self) -> None:
        try:
            self.remove_jobs()
        except CommandFailed as exc:
            log.warning("the jobs of this run (%s) could not be removed: %s", self.job_plan.job_name, exc)


class HTCondorWorkers(BatchCluster):
    """Workers in HTCondor jobs."""

    system = "htcondor"
    job_cls = HTCondorWorkerJob

    def remove_jobs(self) -> None:
        """Remove the jobs that carry the mark of this run. Raises CommandFailed."""
        constraint = f'PocketCoffeaRun == "{self.job_plan.run}"'
        done = run_command(["condor_rm", "-constraint", constraint], timeout=120, check=False)
        said = (done.stdout + done.stderr).strip()
        if done.returncode and "find" not in said:  # "Couldn't find/remove all jobs": there are none
            raise CommandFailed(said)


class SlurmWorkers(BatchCluster):
    """Workers in Slurm jobs."""

    system = "slurm"
    job_cls = SlurmWorkerJob

    def remove_jobs(self) -> None:
        """Remove the jobs of the name of this run. Raises CommandFailed."""
        run_command(["scancel", "--me", f"--name={self.job_plan.job_name}"], timeout=120)


_CLUSTERS: dict[str, type[BatchCluster]] = {"htcondor": HTCondorWorkers, "slurm": SlurmWorkers}


def start_cluster(
    system: str, plan: JobPlan, certificates: RunCertificates, options: Mapping[str, Any]
) -> Any:
    """Return the running cluster, still without workers.

    Raises ConfigurationError when the scheduler cannot be started.
    """
    return started(lambda: _CLUSTERS[system](plan, certificates, options))
