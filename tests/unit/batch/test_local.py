"""Processes of this machine as a batch system: the contract, and what only they can be made to do."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from pocket_coffea.batch.local import LocalProcesses
from pocket_coffea.batch.states import Resources, State
from pocket_coffea.batch.systems import batch_system, in_flight
from pocket_coffea.batch.tasks import Template
from pocket_coffea.errors import UnknownName
from tests.contract.batch_system import BatchSystemContract, Farm


class LocalFarm(Farm):
    stranger = "jobs_all.99"

    def pid(self, number):
        tag = number.rpartition(".")[0]
        (event,) = self.system.query([number], 0).values()
        return self.system._process(tag, event)

    def kill(self, number):
        os.killpg(self.pid(number), signal.SIGKILL)

    def runner(self, tag):
        marker = str(self.system._place(tag)).encode()
        for entry in Path("/proc").glob("[0-9]*"):
            if marker in (entry / "cmdline").read_bytes().split(b"\0"):
                return int(entry.name)
        return 0


@pytest.fixture
def farm(tmp_path):
    template = Template(tmp_path / "my jobs", tmp_path / "my jobs" / "a 'job'.sh", slots=4)
    farm = LocalFarm(LocalProcesses(template, "c1"), Resources())
    yield farm
    farm.system.remove(farm.ids, 0, timeout=20)


class TestLocalProcesses(BatchSystemContract):
    pass


def test_no_more_run_at_once_than_there_are_slots(farm):
    ids = farm.submit("jobs_all", *[("sleep", "0.3")] * 12)
    while True:
        farm.observe()
        states = [farm.last[each].state for each in ids.values() if each in farm.last]
        assert states.count(State.RUNNING) <= 4
        if states.count(State.DONE) == 12:
            break
        time.sleep(0.05)


def test_a_job_that_takes_too_long_is_ended(farm):
    ids = farm.submit("jobs_all", ("sleep", "300"), resources=Resources(seconds=1))
    (event,) = farm.wait(ids.values())
    assert (event.state, event.reason) == (State.TIMEOUT, "wall time exceeded")


def test_a_job_goes_on_without_its_runner_and_is_not_taken_for_lost(farm):
    ids = farm.submit("jobs_all", ("sleep", "300"))
    farm.wait(ids.values(), {State.RUNNING})
    os.kill(farm.runner("jobs_all"), signal.SIGKILL)
    while in_flight(str(farm.system._place("jobs_all"))):
        time.sleep(0.05)
    assert farm.system.query([ids[0]], 0)[ids[0]].state is State.RUNNING
    farm.system.remove([ids[0]], 0, timeout=10)
    assert farm.system.query([ids[0]], 0) == {}


def test_a_program_that_cannot_be_started_has_failed(farm):
    farm.system.template.executable.unlink()
    ids = farm.submit("jobs_all", ("exit", "0"))
    (event,) = farm.wait(ids.values())
    assert (event.state, event.exit_code) == (State.FAILED, 127)
    assert "cannot be started" in event.reason


def test_an_unknown_batch_system_is_refused(tmp_path):
    with pytest.raises(UnknownName, match=r"'condor'.*htcondor"):
        batch_system("condor", Template(tmp_path, tmp_path), "c")
    assert batch_system("local", Template(tmp_path, tmp_path), "c").name == "this machine"
