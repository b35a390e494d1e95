"""The history of a campaign, from its ledger, flags and reports."""

from __future__ import annotations

import json

import pytest

from pocket_coffea.errors import InputFileError
from pocket_coffea.report.jobs import history_of
from tests.unit.report.campaigns import make_campaign


@pytest.fixture
def folder(tmp_path):
    return make_campaign(tmp_path)


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
    assert (retry["attempt"], retry["action"]) == (1, "retry")
    assert retry["reason"] == "out of memory: MemoryError; 4000 MB instead of 2000 MB"
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
