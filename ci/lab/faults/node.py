"""Fault `node kill-job JOB|reboot`: processes of the worker node die without a word to any batch system."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

from ci.lab.errors import LabError
from ci.lab.faults.slurm import NAME as DRAIN
from ci.lab.inside.processes import descendants, kill_trees, table
from ci.lab.layout import HOST_NAME, SCRATCH
from ci.lab.process import CommandFailedError, run
from ci.lab.services.slurm import HOST
from ci.lab.services.slurm_memory import steps

if TYPE_CHECKING:
    from ci.lab.inside.supervisor import Supervised, Supervisor

NAME = "node"
USAGE = "node kill-job condor:CLUSTER.PROC | node kill-job slurm:JOB[_TASK] | node reboot"
DOWN_SECONDS = 3.0
BACK_SECONDS = 60.0
BATCH_SYSTEMS = ("slurm", "condor")
CONDOR_EXECUTE = SCRATCH / "condor"


def switch(supervisor: Supervisor, words: list[str]) -> str:
    """Kill a job or reboot the node; raises LabError on other words than those of the usage."""
    match words:
        case ["kill-job", job]:
            return _kill_job(supervisor, job)
        case ["reboot"]:
            return _reboot(supervisor)
    msg = f"unknown words {' '.join(words)!r}; there are: {USAGE}"
    raise LabError(msg)


def _kill_job(supervisor: Supervisor, job: str) -> str:
    if slurm := re.fullmatch(r"slurm:(\d+(?:_\d+)?)", job):
        supervisor["slurm"]
        killed = kill_trees(_slurm_steps(slurm[1]), spare_roots=True)
    elif condor := re.fullmatch(r"condor:(\d+)\.(\d+)", job):
        supervisor["condor"]
        killed = kill_trees(_condor_starters(int(condor[1]), int(condor[2])), spare_roots=True)
    else:
        msg = f"{job!r} is not a job; usage: {USAGE}"
        raise LabError(msg)
    return f"{killed} processes of {job} were killed with SIGKILL"


def _slurm_steps(job: str) -> list[int]:
    """Return the step daemons of a job, which report its end; raises LabError when it does not run."""
    running = steps(table())
    try:
        said = run(["squeue", "--noheader", "--array", f"--jobs={job}", "--format=%A"], timeout=20).stdout
    except CommandFailedError:
        said = ""  # squeue does not know the job
    found = [pid for number in said.split() for pid in running.get(int(number), [])]
    if not found:
        numbers = ", ".join(f"slurm:{number}" for number in sorted(running)) or "none"
        msg = f"no process of slurm:{job} runs on {HOST_NAME}; jobs that run there: {numbers}"
        raise LabError(msg)
    return found


def _condor_starters(cluster: int, proc: int) -> list[int]:
    """Return the starter of a job, which reports its end; raises LabError when it does not run."""
    running = {
        ad["id"]: pid
        for pid, process in table().items()
        if process.name == "condor_starter" and (ad := _job_ad(pid))
    }
    if (job := f"{cluster}.{proc}") not in running:
        jobs = ", ".join(f"condor:{number}" for number in sorted(running)) or "none"
        msg = f"no process of condor:{job} runs on {HOST_NAME}; jobs that run there: {jobs}"
        raise LabError(msg)
    return [running[job]]


def _job_ad(starter: int) -> dict[str, str]:
    """Return the ``id`` of the job that a starter runs; empty before it has one."""
    try:
        text = (CONDOR_EXECUTE / f"dir_{starter}" / ".job.ad").read_text(errors="replace")
    except OSError:
        return {}
    found = dict(re.findall(r"^(ClusterId|ProcId) = (\d+)$", text, re.MULTILINE))
    return {"id": f"{found['ClusterId']}.{found['ProcId']}"} if len(found) == 2 else {}


def _reboot(supervisor: Supervisor) -> str:
    if NAME in supervisor.faults:
        return f"{HOST_NAME} is booting already"
    parts = {name: each for name, each in supervisor.services.items() if name in BATCH_SYSTEMS}
    if not parts:
        msg = f"this lab has no worker node: neither {' nor '.join(BATCH_SYSTEMS)} runs in it"
        raise LabError(msg)
    if DRAIN in supervisor.faults:
        msg = "the node is drained; `slurm resume` it first"  # a boot would undo the drain silently
        raise LabError(msg)
    supervisor.faults[NAME] = f"{HOST_NAME} is booting"
    killed = kill_trees(_node_roots(parts))
    if "slurm" in parts:
        parts["slurm"].stop("slurmd", force=True)
        # the controller would notice by itself after SlurmdTimeout
        run(["scontrol", "update", f"NodeName={HOST}", "State=DOWN", "Reason=not responding"], timeout=20)
    threading.Thread(target=_come_back, args=(supervisor, parts), daemon=True).start()
    return f"{killed} processes of {HOST_NAME} died at once; it is back in some seconds, see `status`"


def _node_roots(parts: dict[str, Supervised]) -> list[int]:
    """Return the processes that all others of the node descend from; schedulers and login shells are not."""
    processes = table()
    roots: list[int] = []
    if "slurm" in parts:
        roots += [pid for pids in steps(processes).values() for pid in pids]
        roots.append(parts["slurm"].processes["slurmd"].pid)
    if "condor" in parts:
        below = descendants(parts["condor"].pids, processes)
        roots += [pid for pid in below if processes[pid].name == "condor_startd"]
    return roots


def _come_back(supervisor: Supervisor, parts: dict[str, Supervised]) -> None:
    time.sleep(DOWN_SECONDS)
    try:
        if "slurm" in parts:
            parts["slurm"].start_daemons("slurmd")
        for part in parts.values():  # HTCondor's master starts its startd again by itself
            part.wait_healthy(BACK_SECONDS)
            part.check_now()
    except LabError as error:
        supervisor.faults[NAME] = f"{HOST_NAME} did not boot: {error}"
    else:
        supervisor.faults.pop(NAME, None)
