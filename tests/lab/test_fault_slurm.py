"""Fault `slurm drain|resume`: jobs wait with a reason, and run when the node is resumed."""

from __future__ import annotations

import pytest

from ci.lab.control import ask
from ci.lab.errors import LabError
from ci.lab.layout import CONTROL
from tests.lab.slurm import Batch, ended, queue

OFF = ("slurm", "resume")


@pytest.fixture
def batch(shared_folder):
    jobs = Batch(shared_folder)
    yield jobs
    jobs.cancel()


def test_a_drained_node_takes_no_jobs_until_it_is_resumed(batch, until, fault):
    running = batch.submit("while test ! -e go; do sleep 0.2; done")
    until(lambda: queue(running, "%T") == "RUNNING", 20)

    fault("slurm", "drain", off=OFF)
    fault("slurm", "drain")  # again: no harm
    waiting = batch.submit("true")
    until(lambda: "DRAINED" in queue(waiting, "%r"), 20)
    assert queue(waiting, "%T") == "PENDING"
    assert queue(running, "%T") == "RUNNING"
    (batch.folder / "go").touch()
    assert until(lambda: ended(running), 20) == {running: ("COMPLETED", "0:0")}
    assert queue(waiting, "%T") == "PENDING"

    fault("slurm", "resume")
    fault("slurm", "resume")
    assert until(lambda: ended(waiting), 20) == {waiting: ("COMPLETED", "0:0")}


def test_the_status_shows_the_drained_node(fault):
    fault("slurm", "drain", off=OFF)
    status = ask(CONTROL, "status", "now")
    assert status["faults"] == ["slurm node lab drained"]
    assert {row["name"]: row["state"] for row in status["services"]}["slurm"] == "failed"
    fault("slurm", "resume")
    status = ask(CONTROL, "status", "now")
    assert status["faults"] == []
    assert {row["name"]: row["state"] for row in status["services"]}["slurm"] == "healthy"


def test_a_drained_node_is_not_rebooted(fault):
    fault("slurm", "drain", off=OFF)
    with pytest.raises(LabError, match="the node is drained; `slurm resume` it first"):
        fault("node", "reboot")


@pytest.mark.parametrize("words", [(), ("dry",), ("drain", "all")])
def test_unknown_words_are_refused_with_those_that_are_known(fault, words):
    with pytest.raises(LabError, match=r"there are: slurm drain \| slurm resume"):
        fault("slurm", *words)
