"""``dask@local``: worker processes of this machine, in the pinned image."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distributed.core import Status
from distributed.deploy.spec import ProcessInterface, SpecCluster
from distributed.scheduler import Scheduler

from pocket_coffea.errors import CommandFailed
from pocket_coffea.executors.dask_job_plan import JobPlan
from pocket_coffea.executors.dask_scheduler import dashboard_address, free_port
from pocket_coffea.executors.dask_security import RunCertificates
from pocket_coffea.utils.process import Process, start_command

__all__ = ["LocalWorkers"]

#: How long a worker may take to end when it is asked to [s].
_PATIENCE = 5.0


class LocalWorkerJob(ProcessInterface):
    """A worker as a process of this machine; its number is that of the job."""

    def __init__(self, scheduler: Any = None, name: Any = None, *, plan: JobPlan) -> None:
        super().__init__(scheduler=scheduler, name=name)
        self.plan = plan
        self.scheduler, self.name = str(scheduler), str(name)
        self.process: Process | None = None

    async def start(self) -> None:
        """Start the process; what keeps it from starting is written down, not raised."""
        logs = self.plan.setup.logs
        command = self.plan.command(self.scheduler, self.name, transferred=False)
        number = len(self.plan.submitted)
        try:
            with (
                (logs / f"worker-{number}.out").open("wb") as out,
                (logs / f"worker-{number}.err").open("wb") as err,
            ):
                self.process = start_command(command, stdout=out, stderr=err, cwd=Path.cwd())
        except (CommandFailed, OSError) as exc:
            self.plan.refused[self.name] = str(exc)
        else:
            self.plan.note(self.name, str(number))
        await super().start()

    async def close(self) -> None:
        """End the process with all that it started."""
        if self.process is not None and self.process.poll() is None:
            self._signal(signal.SIGTERM)
            for _ in range(int(_PATIENCE / 0.1)):
                if self.process.poll() is not None:
                    break
                await asyncio.sleep(0.1)
            else:
                self._signal(signal.SIGKILL)
            await asyncio.to_thread(self.process.wait)
        self.status = Status.closed
        await super().close()

    def _signal(self, number: int) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


class LocalWorkers(SpecCluster):
    """A scheduler in this process and workers beside it; only the loopback is used."""

    job_plan: JobPlan

    def __init__(self, plan: JobPlan, certificates: RunCertificates, options: Mapping[str, Any]) -> None:
        self.job_plan = plan
        wanted = options.get("dask-scheduler-port")
        port = free_port(8786 if wanted is None else int(wanted), "127.0.0.1")
        security = certificates.security()
        scheduler = {
            "protocol": "tls://",
            "host": "127.0.0.1",
            "port": port,
            "dashboard_address": dashboard_address(port),
            "security": security,
        }
        super().__init__(
            name=plan.job_name,
            scheduler={"cls": Scheduler, "options": scheduler},
            worker={"cls": LocalWorkerJob, "options": {"plan": plan}},
            security=security,
            silence_logs=logging.ERROR,
        )

    def start_workers(self, jobs: int, adaptive: bool) -> None:
        """Start worker processes, one at first when ``adaptive``."""
        least = 1 if adaptive else jobs
        self.scale(least)
        self.adapt(minimum=least, maximum=jobs, interval="1s", wait_count=30)

    # -- for those who wait for workers

    def submitted(self) -> list[str]:
        """Return the numbers of the processes, in the order of their start."""
        return self.job_plan.job_ids()

    def refused(self) -> list[str]:
        """Return what kept processes from starting."""
        return list(self.job_plan.refused.values())

    def _processes(self) -> dict[str, Process]:
        jobs = [job for job in self.workers.values() if isinstance(job, LocalWorkerJob)]
        numbers = {name: number for name, (number, _) in self.job_plan.submitted.items()}
        return {numbers[job.name]: job.process for job in jobs if job.process and job.name in numbers}

    def living(self) -> set[str]:
        """Return the processes that run."""
        return {number for number, process in self._processes().items() if process.poll() is None}

    def why(self, jobs: Sequence[str]) -> list[str]:
        """Return how processes ended."""
        found = self._processes()
        codes = {job: found[job].poll() for job in jobs if job in found}
        return [
            f"process {job}: {'running' if code is None else f'ended with code {code}'}"
            for job, code in codes.items()
        ]

    def logs(self) -> Path:
        """Return the folder of the workers' logs."""
        return self.job_plan.setup.logs
