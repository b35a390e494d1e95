"""Campaigns for tests: real jobs folders whose jobs are a shell script that does what a plan says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.states import Resources
from pocket_coffea.batch.tasks import Template
from pocket_coffea.executors.jobs.payload import write_slice
from pocket_coffea.executors.jobs.record import CampaignRecord, Delivery, JobRecord, JobSlice, Rung

#: Does line <attempt> (or the last one) of plan/<job>, with what a job does at its end as functions.
SCRIPT = """#!/bin/bash
cd "$(dirname "$0")" || exit 70
job=$1 slice=$2 sha=$3 attempt=$5
echo "$job $attempt" >> started.txt
line=$(sed -n "${attempt}p" "plan/$job"); [ -n "$line" ] || line=$(tail -n 1 "plan/$job")
rm -f "job_$job.idle"; touch "job_$job.running"
flag() { rm -f "job_$job.running"; touch "job_$job.$1"; }
report() {  # code, reason, unreadable, outputs
    printf '{"job": %s, "attempt": %s, ' "$job" "$attempt" > .report_$job
    printf '"campaign": "%s", ' "$(cat campaign.id)" >> .report_$job
    printf '"exit_code": %s, "reason": "%s", "unreadable": [%s], ' "$1" "$2" "$3" >> .report_$job
    printf '"outputs": [%s]}' "$4" >> .report_$job
    mv ".report_$job" "logs/job_$job.$attempt.json"
}
deliver() {
    [ "$(sha256sum < "$slice" | cut -d' ' -f1)" = "$sha" ] || fail 72 "the slice is another one"
    printf hello > "out/output_job_$job.coffea"
    report 0 "" "" "{\\"path\\": \\"$PWD/out/output_job_$job.coffea\\", \\"size\\": 5, \\"adler32\\": \\"\\"}"
    flag done; exit 0
}
fail() { report "$1" "$2" "$3" ""; if [ "$1" = 75 ]; then flag timeout; else flag failed; fi; exit "$1"; }
eval "$line"
"""
LADDER = (Rung("espresso", 20), Rung("longlunch", 60), Rung("workday", 600))


def make_campaign(
    folder: Path,
    plans: Sequence[Sequence[str]],
    *,
    files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
    samples: Sequence[str] = ("DY", "TTbar"),
    **values: Any,
) -> CampaignRecord:
    """Make a jobs folder; job ``i`` does line ``attempt`` of ``plans[i]`` and is of sample ``i`` modulo n.

    ``files``: addresses of each job's slice, in which ``{job}`` is its number.
    """
    for name in ("plan", "out", "logs"):
        (folder / name).mkdir(parents=True)
    script = folder / "job.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    jobs = []
    for number, lines in enumerate(plans):
        (folder / "plan" / str(number)).write_text("\n".join(lines) + "\n")
        sample = samples[number % len(samples)]
        names = [each.format(job=number) for each in files] or [f"/data/{number}.root"]
        filesets = {f"{sample}_2018": {"files": names, "metadata": {"sample": sample}}}
        write_slice(folder, number, filesets, "0" * 64)
        jobs.append(JobRecord((JobSlice(f"{sample}_2018", sample, 1000, len(names)),), 150_000))
    record = CampaignRecord(
        **{
            "name": "job",
            "executor": "condor@lab",
            "site": "lab",
            "system": "local",
            "folder": folder,
            "output": str(folder / "out"),
            "outdir_local": None,
            "template": Template(folder, script, slots=8),
            "resources": Resources("espresso", 20, 1, 1000),
            "payload": "configurator.pkl",
            "payload_sha256": "0" * 64,
            "delivery": Delivery("copy", str(folder / "out")),
            "flags": True,
            "jobs": tuple(jobs),
            "ladder": LADDER,
            "options": options or {},
            **values,
        }
    )
    campaign = Campaign.create(folder, record.system, len(jobs))
    (folder / "campaign.id").write_text(campaign.id)
    campaign.close()
    for number in range(len(jobs)):
        (folder / f"job_{number}.idle").touch()
    record.write(folder)
    return record


def started(folder: Path) -> list[tuple[int, int]]:
    """Return (job, attempt) of every start, in order."""
    path = folder / "started.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(map(int, line.split())) for line in lines]


def records(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Return the records of a kind in the ledger."""
    found = [json.loads(line) for line in (folder / "campaign.jsonl").read_text().splitlines()]
    return [each for each in found if each["kind"] == kind]
