"""Slurm's memory limits without cgroups: a job that uses more than it was given ends OUT_OF_MEMORY.

At sites the kernel's cgroups do that; a laptop or a container may have none that the lab could write. Slurm's
own substitute (OverMemoryKill) ends such jobs as FAILED, which is not what users meet. So this daemon of the
worker node compares what the processes of a job use with what it was given, and reports to the controller,
by Slurm's own call, what Slurm's step daemon reports after an out-of-memory kill.
"""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Mapping
from pathlib import Path

from ci.lab.errors import LabError
from ci.lab.inside.processes import Process, command_line, descendants, kill_trees, table
from ci.lab.process import run

PERIOD = 0.5  # s
OUT_OF_MEMORY = 253  # SIG_OOM of slurm.h: the end of a job that exceeded its memory; sacct says 0:125
TITLE = re.compile(r"slurmstepd: \[(\d+)\.\w+\]")
UNITS = {"": 1024**2, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
LIBRARY = "slurm-wlm/libslurmfull.so"


def main() -> None:
    slurm = _library()
    limits: dict[int, int] = {}
    while True:
        processes = table()
        for job, roots in steps(processes).items():
            if job not in limits:
                limits = {**limits, **_limits()}
            used = sum(processes[pid].memory for pid in descendants(roots, processes))
            if used > limits.get(job, used):
                print(f"out of memory: job {job} uses {used} of {limits[job]} bytes", flush=True)
                # first the reason, then the deed: the controller keeps the first end that it hears of
                slurm.slurm_complete_job(ctypes.c_uint32(job), ctypes.c_uint32(OUT_OF_MEMORY))
                kill_trees(roots, spare_roots=True)
        time.sleep(PERIOD)


def steps(processes: Mapping[int, Process]) -> dict[int, list[int]]:
    """Return the pids of Slurm's step daemons on this node by the number of their job."""
    found: dict[int, list[int]] = {}
    for process in processes.values():
        if process.name == "slurmstepd" and (title := TITLE.match(command_line(process.pid))):
            found.setdefault(int(title[1]), []).append(process.pid)
    return found


def memory_of(resources: str) -> int | None:
    """Return the memory (bytes) in a list of resources such as `cpu=2,mem=140M`; None if it has none."""
    found = re.search(r"\bmem=([\d.]+)([KMGT]?)", resources)
    return int(float(found[1]) * UNITS[found[2]]) if found else None


def _limits() -> dict[int, int]:
    """Return what running jobs were given, in bytes; empty when the controller does not answer."""
    command = ["squeue", "--noheader", "--array", "--states=R,CG", "--Format=JobID:20,tres-alloc:200"]
    try:
        said = run(command, timeout=10)
    except LabError as error:
        print(error, flush=True)
        return {}
    rows = [line.split() for line in said.stdout.splitlines()]
    return {int(row[0]): given for row in rows if len(row) == 2 and (given := memory_of(row[1]))}


def _library() -> ctypes.CDLL:
    path = next(Path("/usr/lib").glob(f"*/{LIBRARY}"))
    slurm = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    slurm.slurm_init(None)
    return slurm


if __name__ == "__main__":
    main()
