"""What the HTCondor tests share: submit as physicist does, and read the job event log as users' tools do."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ci.lab.process import run

BASE = {
    "output": "$(ClusterId).$(ProcId).out",
    "error": "$(ClusterId).$(ProcId).err",
    "log": "$(ClusterId).log",
    "should_transfer_files": "YES",
    "when_to_transfer_output": "ON_EXIT",
}
EVENT = re.compile(r"^(\d{3}) \((\d+)\.(\d+)\.\d+\) .*?^\.\.\.$", re.MULTILINE | re.DOTALL)
EXECUTING, EVICTED, TERMINATED, ABORTED, HELD = "001", "004", "005", "009", "012"
RELEASED, RECONNECTED = "013", "023"


class Pool:
    """Jobs that were submitted from one folder; ``remove`` ends what is left of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: list[str] = []

    def submit(self, script: str, *options: str, **settings: str) -> str:
        """Submit a shell script; return the cluster's number. Raises CommandFailedError when refused."""
        job = self.folder / f"job-{len(self.jobs)}.sh"
        job.write_text(f"#!/bin/sh\n{script}\n")
        job.chmod(0o755)
        lines = {"executable": job.name, **BASE, **settings}
        text = "\n".join(f"{key.replace('MY_', 'MY.')} = {value}" for key, value in lines.items())
        description = job.with_suffix(".sub")
        description.write_text(f"{text}\nqueue\n")
        said = run(["condor_submit", "-terse", *options, description], cwd=self.folder, timeout=30).stdout
        self.jobs.append(said.split(".")[0].splitlines()[-1])
        return self.jobs[-1]

    def remove(self) -> None:
        if self.jobs:
            run(["condor_rm", *self.jobs], timeout=30, check=False)
            run(["condor_rm", "-forcex", *self.jobs], timeout=30, check=False)

    def output(self, job: str) -> str:
        return (self.folder / f"{job}.0.out").read_text()

    def events(self, job: str, number: str) -> list[str]:
        """Return the texts of a job's events of that number, oldest first."""
        log = self.folder / f"{job}.log"
        text = log.read_text() if log.exists() else ""
        return [found.group(0) for found in EVENT.finditer(text) if found.group(1) == number]


def queued(job: str) -> dict:
    """Return the attributes of a job in the queue; empty when it has left."""
    found = json.loads(run(["condor_q", job, "-json"], timeout=30).stdout or "[]")
    return found[0] if found else {}


def ended(job: str) -> dict:
    """Return the attributes of a job that has left the queue, else nothing."""
    if queued(job):
        return {}
    found = json.loads(run(["condor_history", job, "-limit", "1", "-json"], timeout=30).stdout or "[]")
    return found[0] if found else {}
