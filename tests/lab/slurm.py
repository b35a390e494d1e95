"""What the Slurm tests share: submit as physicist does, and read `sacct` as users' tools do."""

from __future__ import annotations

from pathlib import Path

from ci.lab.process import run

ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
}


class Batch:
    """Jobs that were submitted from one folder; ``cancel`` ends what is left of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: list[str] = []

    def submit(self, script: str, *options: str) -> str:
        """Submit a one-line script; return the job's number. Raises CommandFailedError when it is refused."""
        command = ["sbatch", "--parsable", f"--chdir={self.folder}", *options, f"--wrap={script}"]
        job = run(command, timeout=30).stdout.strip()
        self.jobs.append(job)
        return job

    def cancel(self) -> None:
        if self.jobs:
            run(["scancel", "--quiet", *self.jobs], timeout=30, check=False)

    def output(self, job: str) -> str:
        return (self.folder / f"slurm-{job}.out").read_text()


def accounting(job: str) -> dict[str, tuple[str, str]]:
    """Return the state and exit code that `sacct` has for a job or each task of an array."""
    said = run(["sacct", "-n", "-P", "-X", "-o", "JobID,State,ExitCode", "-j", job], timeout=30).stdout
    rows = [line.split("|") for line in said.splitlines()]
    return {number: (state, code) for number, state, code in rows}


def ended(job: str, tasks: int = 1) -> dict[str, tuple[str, str]]:
    """Return the accounting of a job when all its tasks have ended, else nothing."""
    found = accounting(job)
    done = [row for row in found.values() if row[0].split()[0] in ENDED]
    return found if len(done) == len(found) == tasks else {}


def queue(job: str, field: str) -> str:
    """Return a field (as of `squeue --format`) of a job that is queued or has just left the queue."""
    command = ["squeue", "--noheader", "--states=all", f"--jobs={job}", f"--format={field}"]
    return run(command, timeout=30).stdout.strip()
