"""Batch jobs that are Dask workers: one class for each batch system, none for a site.

What a job asks for and starts comes as one :class:`JobPlan`; dask-jobqueue submits, finds the number of the
job, and removes it.
"""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dask_jobqueue.core import Job
from dask_jobqueue.htcondor import HTCondorJob
from dask_jobqueue.slurm import SLURMJob
from distributed.core import Status

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.batch_request import clock
from pocket_coffea.executors.dask_job_plan import JobPlan
from pocket_coffea.executors.worker_environment import fill_in, is_shared

__all__ = ["HTCondorWorkerJob", "SlurmWorkerJob", "condor_arguments", "submit_file"]

log = logging.getLogger(__name__)


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


def submit_file(plan: JobPlan, scheduler: str, name: str) -> str:
    """Return the HTCondor submit file of a worker. Raises ConfigurationError for paths that it cannot say."""
    setup, request, logs = plan.setup, plan.request, str(plan.setup.logs)
    files = [str(path) for path in setup.files]
    for path in (logs, *files):
        _require_plain(path, ",$\"'\n")
    lines = {
        "universe": "vanilla",
        # argv[0] of a transferred executable would be condor_exec.exe, and the image has an env of its own
        "executable": "/usr/bin/env",
        "transfer_executable": "False",
        "arguments": condor_arguments(plan.command(scheduler, name, transferred=True)),
        "initialdir": logs,
        "output": f"{logs}/worker-$(ClusterId).$(ProcId).out",
        "error": f"{logs}/worker-$(ClusterId).$(ProcId).err",
        "log": f"{logs}/worker-$(ClusterId).$(ProcId).log",
        # workers are ended by removing their jobs, and the output of removed jobs is not sent back
        "stream_output": "True",
        "stream_error": "True",
        "should_transfer_files": "YES",
        "when_to_transfer_output": "ON_EXIT",
        "transfer_input_files": ",".join(files),
        "transfer_output_files": '""',
        "request_cpus": str(request.cores),
        "request_memory": f"{request.memory} MB",
        "batch_name": plan.job_name,
        "MY.PocketCoffeaRun": f'"{plan.run}"',
    }
    if request.disk is not None:
        lines["request_disk"] = f"{request.disk} MB"
    if request.account:
        lines["accounting_group"] = request.account
    if setup.environment.batch_image:
        lines["MY.SingularityImage"] = f'"{setup.environment.batch_image}"'
    lines |= _condor_time(plan)
    lines |= {**setup.site.directives, **plan.directives}
    return "".join(f"{key} = {value}\n" for key, value in lines.items()) + "queue\n"


def _condor_time(plan: JobPlan) -> dict[str, str]:
    """Return the line that names the queue, or how long the job may run."""
    directive, request = plan.setup.site.queue_directive, plan.request
    if directive == "+JobFlavour" and request.queue:
        return {directive: f'"{request.queue}"'}
    if directive in ("+MaxRuntime", "+RequestRuntime") and request.seconds is not None:
        return {directive: str(request.seconds)}
    return {}


def condor_arguments(argv: Sequence[str]) -> str:
    """Return the value of ``arguments`` in HTCondor's quoting: spaces in single quotes, quotes doubled.

    >>> condor_arguments(["bash", "-c", 'echo "it\\'s"'])
    '"bash -c \\'echo ""it\\'\\'s""\\'"'
    """
    words = []
    for word in argv:
        _require_plain(word, "\n")
        doubled = word.replace('"', '""')
        quoted = not doubled or any(character in doubled for character in " \t'")
        words.append("'" + doubled.replace("'", "''") + "'" if quoted else doubled)
    return '"' + " ".join(words) + '"'


def _require_plain(text: str, forbidden: str) -> None:
    wrong = [character for character in forbidden if character in text]
    if wrong:
        msg = f"{text!r} has {', '.join(map(repr, wrong))} in it, which a submit file cannot say. Rename it."
        raise ConfigurationError(msg)


class SlurmWorkerJob(_WorkerJob, SLURMJob):
    """A worker in a Slurm job, with files on a file system that the nodes see."""

    def __init__(self, scheduler: Any = None, name: Any = None, *, plan: JobPlan, **kwargs: Any) -> None:
        kwargs |= {"security": None, "protocol": None}
        super().__init__(scheduler=scheduler, name=name, **kwargs)
        self.plan = plan

    def job_script(self) -> str:
        """Return the script that sbatch gets."""
        plan = self.plan
        header = "".join(f"#SBATCH {line}\n" for line in slurm_lines(plan))
        command = shlex.join(plan.command(str(self.scheduler), str(self.name), transferred=False))
        return f"#!/bin/bash\n{header}exec {command}\n"


def slurm_lines(plan: JobPlan) -> list[str]:
    """Return the options of sbatch for a worker. Raises ConfigurationError for paths that it cannot say."""
    request, logs = plan.request, str(plan.setup.logs)
    _require_plain(logs, "\"'\n\\")
    place = logs.replace("%", "%%")
    lines = [
        f"--job-name={plan.job_name}",
        f'--output="{place}/worker-%j.out"',
        f'--error="{place}/worker-%j.err"',
        "--no-requeue",
        "--ntasks=1",
        f"--cpus-per-task={request.cores}",
        f"--mem={request.memory}M",
    ]
    if not is_shared(str(Path.cwd()), [fill_in(name) for name in plan.setup.site.shared]):
        lines.append(f'--chdir="{logs}"')
    given = {
        "partition": request.queue,
        "time": clock(request.seconds) if request.seconds is not None else "",
        "account": request.account,
        "qos": request.qos,
        "tmp": f"{request.disk}M" if request.disk else "",
        **plan.setup.site.directives,
        **plan.directives,
    }
    return lines + [_option(name, value) for name, value in given.items() if value not in ("", None)]


def _option(name: str, value: Any) -> str:
    """Return one option of sbatch; ``true`` stands for an option without value."""
    bare = name.lstrip("-")
    return f"--{bare}" if value is True else f"--{bare}={value}"
