"""The submit file of HTCondor and the script for sbatch of a job that is a Dask worker."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.batch_request import clock
from pocket_coffea.executors.dask_job_plan import JobPlan
from pocket_coffea.executors.worker_environment import fill_in, is_shared

__all__ = ["condor_arguments", "slurm_script", "submit_file"]


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


def slurm_script(plan: JobPlan, scheduler: str, name: str) -> str:
    """Return the script of a worker for sbatch. Raises ConfigurationError for paths that it cannot say."""
    header = "".join(f"#SBATCH {line}\n" for line in _slurm_lines(plan))
    return f"#!/bin/bash\n{header}exec {shlex.join(plan.command(scheduler, name, transferred=False))}\n"


def _slurm_lines(plan: JobPlan) -> list[str]:
    """Return the options of sbatch for a worker."""
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
