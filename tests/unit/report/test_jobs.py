"""The history of a campaign, from its ledger, flags and reports."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pocket_coffea.batch.campaign import Campaign, ended_record
from pocket_coffea.batch.decide import Cause
from pocket_coffea.batch.flags import set_flag
from pocket_coffea.batch.states import Resources, State
from pocket_coffea.batch.systems import Submission
from pocket_coffea.batch.tasks import Task
from pocket_coffea.errors import InputFileError
from pocket_coffea.executors.jobs.report import report_path
from pocket_coffea.report.jobs import history_of


@pytest.fixture
def folder(tmp_path):
    """Job 0 is done, 1 failed once and runs again, 2 was given up, 3 waits, 4 was refused."""
    campaign = Campaign.create(tmp_path, "htcondor", 5)
    send(campaign, {job: f"7.{job}" for job in range(4)}, refused={4: "quota"})
    end(campaign, 0, State.DONE, "done")
    end(campaign, 1, State.FAILED, Cause.MEMORY, reason="MemoryError", exit_code=77, memory_mb=1990)
    end(campaign, 2, State.FAILED, Cause.INPUT, exit_code=73, unreadable={"T2_X": ["root://x//a.root"]})
    decided = {"kind": "decided", "attempt": 1, "action": "retry"}
    campaign.write(
        [
            decided | {"job": 1, "reason": "4000 MB instead of 2000 MB"},
            {"kind": "blacklisted", "sites": ["T2_X"]},
            {"kind": "rerouted", "job": 2, "changes": {f"old{i}": f"new{i}" for i in range(5)}},
            {"kind": "given-up", "job": 2, "reason": "no other replica"},
            {"kind": "note", "text": "the disk was full"},
        ]
    )
    send(campaign, {1: "8.0"}, attempt=2)
    campaign.close()
    set_flag(tmp_path, 1, State.RUNNING)
    report = report_path(tmp_path, 0, 1)
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
    return tmp_path


def send(campaign, ids, attempt=1, refused=None):
    jobs = [*ids, *(refused or {})]
    tag = campaign.begin([Task(job, attempt, (), Resources("workday", 28800, 1, 2000)) for job in jobs])
    campaign.finish(tag, Submission(ids, refused or {}))


def end(campaign, job, state, cause, **values):
    attempt = dataclasses.replace(campaign.jobs[job].last, state=state, cause=str(cause), gone=True, **values)
    campaign.write([ended_record(job, attempt)])


def test_states_of_jobs(folder):
    history = history_of(folder)
    assert [job["state"] for job in history["jobs"]] == ["done", "running", "given up", "idle", "idle"]
    assert history["states"] == {"idle": 2, "done": 1, "running": 1, "given up": 1}
    assert (history["system"], history["submissions"]) == ("htcondor", 2)


def test_attempts_tell_how_they_ended(folder):
    jobs = history_of(folder)["jobs"]
    first, second = jobs[1]["attempts"]
    assert (first["cause"], first["reason"], first["exit_code"]) == ("out of memory", "MemoryError", 77)
    assert (first["queue"], first["asked_mb"], first["used_mb"], first["id"]) == (
        "workday",
        2000,
        1990,
        "7.1",
    )
    assert second["ended"] is None
    assert second["cause"] == ""
    (done,) = jobs[0]["attempts"]
    assert (done["cause"], done["host"], done["used_mb"], done["events"]) == ("", "node1", 800, 1000)
    assert jobs[2]["attempts"][0]["unreadable"] == ["root://x//a.root"]


def test_decisions_stand_by_their_job(folder):
    jobs = history_of(folder)["jobs"]
    (retry,) = jobs[1]["decisions"]
    assert (retry["attempt"], retry["action"], retry["reason"]) == (1, "retry", "4000 MB instead of 2000 MB")
    rerouted, given_up = jobs[2]["decisions"]
    assert rerouted["action"] == "other replicas"
    assert rerouted["reason"] == "old0 → new0; old1 → new1; old2 → new2; and 2 more files"
    assert (given_up["action"], given_up["reason"]) == ("given up", "no other replica")


def test_causes_notes_and_throughput(folder):
    history = history_of(folder)
    assert sorted(history["causes"]) == [["input cannot be read", 1, 1], ["out of memory", 1, 1]]
    assert [text for _, text in history["notes"]] == [
        "jobs_all: 1 jobs were refused: quota",
        "no file is read from T2_X any more",
        "the disk was full",
    ]
    assert history["throughput"] == {
        "jobs": 1,
        "events": 1000,
        "core_seconds": 20.0,
        "wall_seconds": 25.0,
        "datasets": [["DY", 1000, 20.0]],
    }
    json.dumps(history, allow_nan=False)


def test_a_folder_without_a_campaign_is_an_error(tmp_path):
    with pytest.raises(InputFileError, match="has no campaign"):
        history_of(tmp_path)
