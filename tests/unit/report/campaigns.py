"""A campaign of five jobs as its ledger, flags and reports tell it, with a failure of each kind."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from pocket_coffea.batch.campaign import Campaign, ended_record
from pocket_coffea.batch.decide import Cause
from pocket_coffea.batch.flags import set_flag
from pocket_coffea.batch.states import Resources, State
from pocket_coffea.batch.systems import Submission
from pocket_coffea.batch.tasks import Task
from pocket_coffea.executors.jobs.report import report_path


def make_campaign(folder: Path) -> Path:
    """Job 0 is done, 1 failed once and runs again, 2 was given up, 3 waits, 4 was refused."""
    campaign = Campaign.create(folder, "htcondor", 5)
    send(campaign, {job: f"7.{job}" for job in range(4)}, refused={4: "quota"})
    end(campaign, 0, State.DONE, "done")
    end(campaign, 1, State.FAILED, Cause.MEMORY, reason="MemoryError", exit_code=77, memory_mb=1990)
    end(campaign, 2, State.FAILED, Cause.INPUT, exit_code=73, unreadable={"T2_X": ["root://x//a.root"]})
    decided = {"kind": "decided", "attempt": 1, "action": "retry"}
    campaign.write(
        [
            decided | {"job": 1, "reason": "out of memory: MemoryError; 4000 MB instead of 2000 MB"},
            {"kind": "blacklisted", "sites": ["T2_X"]},
            {"kind": "rerouted", "job": 2, "changes": {f"old{i}": f"new{i}" for i in range(5)}},
            {"kind": "given-up", "job": 2, "reason": "no other replica"},
            {"kind": "note", "text": "the disk was full"},
        ]
    )
    send(campaign, {1: "8.0"}, attempt=2)
    campaign.close()
    set_flag(folder, 1, State.RUNNING)
    report = report_path(folder, 0, 1)
    report.parent.mkdir(exist_ok=True)
    content = {
        "job": 0,
        "attempt": 1,
        "campaign": campaign.id,
        "exit_code": 0,
        "host": "node1",
        "events": 1000,
        "seconds": 20.0,
        "began": 1000.0,
        "ended": 1025.0,
        "memory_mb": 800,
        "datasets": {"DY": {"events": 1000, "seconds": 20.0, "chunks": 2}},
    }
    report.write_text(json.dumps(content))
    return folder


def send(campaign: Campaign, ids: dict[int, str], attempt: int = 1, refused: Any = None) -> None:
    jobs = [*ids, *(refused or {})]
    tag = campaign.begin([Task(job, attempt, (), Resources("workday", 28800, 1, 2000)) for job in jobs])
    campaign.finish(tag, Submission(ids, refused or {}))


def end(campaign: Campaign, job: int, state: State, cause: str, **values: Any) -> None:
    attempt = dataclasses.replace(campaign.jobs[job].last, state=state, cause=str(cause), gone=True, **values)
    campaign.write([ended_record(job, attempt)])
