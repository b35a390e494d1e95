"""What every worker job of a run with Dask is, and what became of those that were submitted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from pocket_coffea.executors.batch_request import BatchRequest
from pocket_coffea.executors.dask_security import CA_FILE, CERTIFICATE_FILE, KEY_FILE
from pocket_coffea.executors.setup import WorkerSetup

__all__ = ["JobPlan"]

#: Submit commands that run at the same time.
_SUBMIT_AT_ONCE = 8
#: A worker hands over what it has this long before its job ends [s], at most.
_HAND_OVER = 300


@dataclass
class JobPlan:
    """What every worker job of a run is, and what became of those that were submitted.

    ``run``: a name that no other run has. ``death_timeout``: how long a worker looks for its scheduler [s].
    ``directives``: further lines of the submit file. ``submitted``: (job number, when) by worker name;
    ``refused``: what the batch system said to submissions that it did not take, by worker name.
    """

    setup: WorkerSetup
    request: BatchRequest
    run: str
    death_timeout: int = 60
    directives: Mapping[str, str] = field(default_factory=dict)
    worker_port: str | None = None
    submitted: dict[str, tuple[str, float]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    closing: bool = False
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SUBMIT_AT_ONCE))

    @property
    def job_name(self) -> str:
        """The name of the jobs of this run, by which they are removed at its end."""
        return f"pocket-coffea-{self.run}"

    def note(self, worker: str, job: str) -> None:
        """Write down the job of a worker."""
        self.submitted[worker] = (job, time.monotonic())
        self.refused.pop(worker, None)

    def forget(self, worker: str, job: str) -> None:
        """Forget a worker that was given up, unless it has another job by now."""
        if self.submitted.get(worker, ("", 0.0))[0] == job:
            del self.submitted[worker]

    def job_ids(self) -> list[str]:
        """Return the numbers of the jobs that were submitted."""
        return [job for job, _ in self.submitted.values()]

    def command(self, scheduler: str, name: str, transferred: bool) -> list[str]:
        """Return the words that start a worker on a node."""
        request = self.request
        argv = [self.setup.environment.python, "-m", "pocket_coffea.executors.dask_worker", scheduler]
        argv += ["--name", name, "--nthreads", "1", "--nworkers", str(request.cores), "--nanny"]
        argv += ["--memory-limit", f"{request.memory // request.cores}MiB"]
        argv += ["--death-timeout", str(self.death_timeout), "--local-directory", "{scratch}"]
        argv += ["--protocol", "tls", "--tls-ca-file", f"{{here}}/{CA_FILE}"]
        argv += ["--tls-cert", f"{{here}}/{CERTIFICATE_FILE}", "--tls-key", f"{{here}}/{KEY_FILE}"]
        argv += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        if self.worker_port:
            argv += ["--worker-port", self.worker_port]
        if request.seconds is not None:
            argv += ["--lifetime", f"{request.seconds - min(_HAND_OVER, request.seconds // 10)}s"]
        return self.setup.command(argv, transferred=transferred)
