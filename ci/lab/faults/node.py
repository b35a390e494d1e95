"""Fault `node kill-job JOB|reboot`: processes of the worker node die without a word to any batch system."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ci.lab.errors import LabError
from ci.lab.faults.slurm import NAME as DRAIN
from ci.lab.inside.processes import descendants, kill_trees, table
from ci.lab.layout import HOST_NAME, SCRATCH
from ci.lab.process import run
from ci.lab.services.slurm import HOST
from ci.lab.services.slurm_memory import steps

if TYPE_CHECKING:
    from ci.lab.inside.supervisor import Supervised, Supervisor

NAME = "node"
USAGE = "node kill-job condor:CLUSTER.PROC | node kill-job slurm:JOB[_TASK] | node reboot"
DOWN_SECONDS = 3.0
BACK_SECONDS = 60.0
START_SECONDS = 10.0
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
        killed = _kill_below(lambda: _slurm_steps(slurm[1]))
    elif condor := re.fullmatch(r"condor:(\d+)\.(\d+)", job):
        supervisor["condor"]
        killed = _kill_below(lambda: _condor_starters(int(condor[1]), int(condor[2])))
    else:
        msg = f"{job!r} is not a job; usage: {USAGE}"
        raise LabError(msg)
    return f"{killed} processes of {job} were killed with SIGKILL"


def _kill_below(find: Callable[[], list[int]]) -> int:
    """Kill what runs below the processes that watch a job, as soon as there is something; return how many."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if killed := kill_trees(find(), spare_roots=True):
            return killed
        time.sleep(0.1)  # a job is called running a moment before its first process is there
    msg = f"the job had no process to kill for {START_SECONDS:.0f} s"
    raise LabError(msg)


def _slurm_steps(job: str) -> list[int]:
    """Return the step daemons of a job, which report its end; raises LabError when it does not run."""
    command = ["squeue", "--noheader", "--array", "--states=R", f"--jobs={job}", "--format=%A"]
    numbers = [int(word) for word in run(command, timeout=20, check=False).stdout.split() if word.isdecimal()]
    running = steps(table())
    if not numbers:
        others = ", ".join(f"slurm:{number}" for number in sorted(running)) or "none"
        msg = f"no process of slurm:{job} runs on {HOST_NAME}; jobs that run there: {others}"
        raise LabError(msg)
    return [pid for number in numbers for pid in running.get(number, [])]


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
    died = time.time()
    killed = kill_trees(_node_roots(parts))
    if "slurm" in parts:
        parts["slurm"].stop("slurmd", force=True)
        # the controller would notice by itself after SlurmdTimeout
        run(["scontrol", "update", f"NodeName={HOST}", "State=DOWN", "Reason=not responding"], timeout=20)
    threading.Thread(target=_come_back, args=(supervisor, parts, died), daemon=True).start()
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


def _come_back(supervisor: Supervisor, parts: dict[str, Supervised], died: float) -> None:
    time.sleep(DOWN_SECONDS)
    try:
        if "slurm" in parts:
            parts["slurm"].start_daemons("slurmd")
        if "condor" in parts:
            _await_startd(died)
        for part in parts.values():
            part.wait_healthy(BACK_SECONDS)
            part.check_now()
    except LabError as error:
        supervisor.faults[NAME] = f"{HOST_NAME} did not boot: {error}"
    else:
        supervisor.faults.pop(NAME, None)


def _await_startd(died: float) -> None:
    """Wait for the startd that HTCondor's master starts; the ad of the old one outlives it in the pool."""
    new = f'Machine == "{HOST_NAME}" && PartitionableSlot && DaemonStartTime >= {int(died)}'
    deadline = time.monotonic() + BACK_SECONDS
    while time.monotonic() < deadline:
        if run(["condor_status", "-constraint", new, "-af", "Name"], timeout=20, check=False).stdout.strip():
            return
        time.sleep(0.5)
    msg = "HTCondor's startd did not come back"
    raise LabError(msg)
