"""Jobs of a campaign for tests: a shell script that does what ``plan/<job>`` says at each attempt."""

from __future__ import annotations

from pathlib import Path

from pocket_coffea.batch.states import Resources
from pocket_coffea.batch.tasks import Task, Template

#: argument 1: job, 2: attempt; does line <attempt> (or the last one) of plan/<job>
SCRIPT = """#!/bin/bash
cd "${JOBS_FOLDER:-$(dirname "$0")}" || exit 70  # HTCondor runs a copy
job=$1; attempt=$2
echo "$job $attempt" >> started.txt
line=$(sed -n "${attempt}p" "plan/$job"); [ -n "$line" ] || line=$(tail -n 1 "plan/$job")
touch "job_$job.running"; rm -f "job_$job.idle"  # in this order a reader always finds one
finish() { touch "job_$job.$1"; rm -f "job_$job.running"; }
eval "$line"
"""
DELIVER = "touch output_job_$job; finish done; exit 0"


class ScriptedSlices:
    """Jobs that follow their plans; what the engine asked for is recorded."""

    def __init__(self, folder: Path, resources: Resources) -> None:
        self.folder = folder
        self.first = resources
        self.rerouted: list[tuple] = []
        self.reasons: dict[int, tuple[str, list[str]]] = {}

    @classmethod
    def make(cls, folder: Path, plans, resources=None) -> ScriptedSlices:
        (folder / "plan").mkdir(parents=True)
        for job, lines in enumerate(plans):
            (folder / "plan" / str(job)).write_text("\n".join(lines) + "\n")
        script = folder / "job.sh"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        return cls(folder, resources or Resources())

    def template(self, **values) -> Template:
        return Template(
            self.folder,
            self.folder / "job.sh",
            **{"name": "tests", "slots": 4, "environment": {"JOBS_FOLDER": str(self.folder)}, **values},
        )

    def resources(self, job):
        return self.first

    def task(self, job, attempt, resources):
        return Task(job, attempt, (str(job), str(attempt)), resources)

    def delivered(self, job):
        return (self.folder / f"output_job_{job}").exists()

    def explain(self, job, attempt):
        return self.reasons.get(job, ("", []))

    def site(self, address):
        return address.partition("//")[2].partition("/")[0]

    def reroute(self, job, bad, avoid, *, redirector):
        self.rerouted.append((job, tuple(bad), avoid, redirector))
        return {old: old.replace("a.site", "b.site") for old in bad}

    def started(self):
        """Return (job, attempt) of every start, in order."""
        path = self.folder / "started.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [tuple(map(int, line.split())) for line in lines]
