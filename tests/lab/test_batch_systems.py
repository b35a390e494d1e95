"""The contract of batch systems on the real HTCondor and the real Slurm, and what only they can show."""

from __future__ import annotations

import contextlib
import getpass

import pytest

from pocket_coffea.batch.decide import Cause, cause_of
from pocket_coffea.batch.htcondor import HTCondor
from pocket_coffea.batch.slurm import Slurm
from pocket_coffea.batch.states import Attempt, Resources, State
from pocket_coffea.batch.tasks import Task, Template
from pocket_coffea.errors import CommandFailed
from pocket_coffea.executors.jobs.template import find_place, job_template
from pocket_coffea.executors.worker_environment import WorkerEnvironment
from pocket_coffea.sites.book import SiteBook
from tests.contract.batch_system import BatchSystemContract, Farm


class CondorFarm(Farm):
    patience = 180.0
    stranger = "999999.0"
    fault = None

    def kill(self, number):
        self.fault("node", "kill-job", f"condor:{number}")


class SlurmFarm(Farm):
    patience = 180.0
    stranger = "999999_0"
    fault = None

    def kill(self, number):
        self.fault("node", "kill-job", f"slurm:{number}")


@contextlib.contextmanager
def farm_of(kind, system, folder, fault, **template):
    # the program's own name has no space: Slurm's linuxproc would not find its processes to kill them
    jobs = folder / "my jobs"
    farm = kind(system(Template(jobs, jobs / "job.sh", **template), folder.name), Resources("", 0, 1, 100))
    farm.fault = fault
    try:
        yield farm
    finally:
        farm.system.remove(farm.ids, farm.since, timeout=120)


@pytest.fixture
def condor(shared_folder, fault):
    need = Resources("longlunch", 120, 1, 100)
    with farm_of(CondorFarm, HTCondor, shared_folder, fault, queue_directive="+JobFlavour") as farm:
        farm.resources = need
        yield farm


@pytest.fixture
def slurm(shared_folder, fault):
    need = Resources("quick", 600, 1, 100)
    with farm_of(SlurmFarm, Slurm, shared_folder, fault, queue_directive="partition", max_array=3) as farm:
        farm.resources = need
        yield farm


class TestHTCondor(BatchSystemContract):
    @pytest.fixture
    def farm(self, condor):
        return condor


class TestSlurm(BatchSystemContract):
    @pytest.fixture
    def farm(self, slurm):
        return slurm


def test_a_flavour_that_is_over_is_a_timeout(condor):
    need = Resources("espresso", 20, 1, 100)
    ids = condor.submit("jobs_all", ("sleep", "300"), resources=need)
    (event,) = condor.wait(ids.values())
    assert event.state is State.TIMEOUT
    assert "wall time exceeded" in event.reason
    assert condor.system.query(list(ids.values()), 0)[event.id].state is State.TIMEOUT


def test_a_missing_input_file_holds_a_job_and_the_reason_is_read(shared_folder, fault):
    words = {"queue_directive": "+JobFlavour", "inputs": ("input_{job}.txt",)}
    with farm_of(CondorFarm, HTCondor, shared_folder, fault, **words) as farm:
        (farm.system.folder / "input_0.txt").touch()
        ids = farm.submit("jobs_all", ("exit", "0"), ("exit", "0"))
        _, held = farm.wait(ids.values(), {State.DONE, State.HELD})
        assert (held.state, held.code) == (State.HELD, 13)
        assert "input_1.txt" in held.reason
        assert "input_1.txt" in farm.system.why([ids[1]], 0)[ids[1]]
        attempt = Attempt(1, ids[1])
        attempt.apply(held)
        assert cause_of(attempt) is Cause.TRANSFER


def test_an_administrators_hold_release_and_removal_are_seen(condor, fault):
    ids = condor.submit("jobs_all", ("sleep", "100"))
    condor.wait(ids.values(), {State.RUNNING})
    fault("condor", "hold", ids[0])
    (event,) = condor.wait(ids.values(), {State.HELD})
    assert event.code == 1
    fault("condor", "release", ids[0])
    condor.wait(ids.values(), {State.IDLE, State.RUNNING})
    fault("condor", "remove", ids[0])
    (event,) = condor.wait(ids.values())
    assert event.state is State.REMOVED
    assert getpass.getuser() not in event.reason


def test_a_killed_schedd_and_a_restarted_pool_lose_no_event(condor, fault):
    ids = condor.submit("jobs_all", ("sleep", "15"), ("sleep", "15"))
    condor.wait(ids.values(), {State.RUNNING})
    fault("condor", "schedd-kill")
    fault("condor", "restart")
    events = condor.wait(ids.values())
    assert {event.state for event in events} == {State.DONE}
    assert any(states.count(State.RUNNING) > 1 for states in condor.states.values())


def test_a_job_is_started_again_unless_its_code_says_that_it_is_of_no_use(shared_folder, fault, tmp_path):
    site = SiteBook().get("lxplus")
    place = find_place(site, {}, tmp_path / "job", "/afs/cern.ch/out")
    asked = job_template(site, {"max-retries": 1}, place, WorkerEnvironment("given"), [], "name")
    lines = {name: asked.directives[name] for name in ("max_retries", "retry_until")}
    words = {"queue_directive": "+JobFlavour", "directives": lines}
    with farm_of(CondorFarm, HTCondor, shared_folder, fault, **words) as farm:
        need = Resources("longlunch", 120, 1, 100)
        ids = farm.submit("jobs_all", ("exit", "74"), ("exit", "76"), resources=need)
        again, once = farm.wait(ids.values())
        assert (again.exit_code, once.exit_code) == (74, 76)
        assert sorted(farm.ran()) == ["start 0", "start 0", "start 1"]
        states = farm.states[ids[0]]
        assert State.IDLE in states[states.index(State.RUNNING) :]


def test_a_job_of_a_folder_that_the_schedd_knows_by_another_path(shared_folder, fault):
    outside, inside = shared_folder / "outside", shared_folder / "inside"
    outside.mkdir()
    inside.symlink_to(outside)
    words = {"queue_directive": "+JobFlavour", "host_path": (str(inside), str(outside))}
    with farm_of(CondorFarm, HTCondor, inside, fault, **words, inputs=("in.txt",)) as farm:
        (farm.system.folder / "in.txt").touch()
        ids = farm.submit("jobs_all", ("print", "hello"), resources=Resources("longlunch", 120, 1, 100))
        inside.unlink()  # as if only the container had it
        here = outside / "my jobs"
        farm.system = HTCondor(Template(here, here / "job.sh"), farm.system.campaign)
        farm.wait(ids.values(), {State.DONE})
        (log,) = (here / "logs").glob("*.out")
        assert log.read_text().splitlines()[-1] == "hello"


def test_what_the_schedd_refuses_is_reported_with_its_words(condor):
    condor.system.template.executable.unlink()
    submission = condor.system.submit("jobs_all", [Task(0, 1, ())])
    assert submission.ids == {}
    assert "ERROR" in submission.refused[0]


def test_a_node_that_dies_lets_the_job_start_again(shared_folder, fault):
    words = {"queue_directive": "+JobFlavour", "directives": {"job_lease_duration": "20"}}
    with farm_of(CondorFarm, HTCondor, shared_folder, fault, **words) as farm:
        ids = farm.submit("jobs_all", ("sleep", "10"), resources=Resources("longlunch", 120, 1, 100))
        farm.wait(ids.values(), {State.RUNNING})
        fault("node", "reboot")
        (event,) = farm.wait(ids.values())
        assert event.state is State.DONE
        assert farm.ran().count("start 0") == 2


def test_resources_differ_within_one_submission_to_slurm(slurm):
    tasks = [
        Task(job, 1, (str(job), "exit", "0"), Resources("quick", 600, 1, 100 + job % 2)) for job in range(8)
    ]
    submission = slurm.system.submit("jobs_all", tasks)
    slurm.ids += submission.ids.values()
    assert sorted(submission.ids) == list(range(8))
    assert len({each.partition("_")[0] for each in submission.ids.values()}) == 4  # two kinds, three at once
    events = slurm.wait(submission.ids.values())
    assert {event.state for event in events} == {State.DONE}
    assert sorted(slurm.ran()) == [f"start {job}" for job in range(8)]
    assert slurm.system.find("jobs_all") == submission.ids


def test_memory_that_is_not_enough_is_told_from_other_failures(slurm):
    script = slurm.system.template.executable
    script.write_text(
        '#!/bin/bash\nexec python3 -c "import time; x = bytearray(300_000_000); time.sleep(60)"\n'
    )
    ids = slurm.submit("jobs_all", ())
    (event,) = slurm.wait(ids.values())
    attempt = Attempt(1, event.id)
    attempt.apply(event)
    assert (event.state, cause_of(attempt)) == (State.FAILED, Cause.MEMORY)


def test_a_dead_node_of_slurm_is_not_the_jobs_fault(slurm, fault):
    ids = slurm.submit("jobs_all", ("sleep", "100"))
    slurm.wait(ids.values(), {State.RUNNING})
    fault("node", "reboot")
    (event,) = slurm.wait(ids.values())
    attempt = Attempt(1, event.id)
    attempt.apply(event)
    assert cause_of(attempt) is Cause.NODE


def test_a_held_job_of_slurm_is_held(slurm, command):
    slurm.fault("slurm", "drain", off=("slurm", "resume"))
    ids = slurm.submit("jobs_all", ("exit", "0"))
    slurm.wait(ids.values(), {State.IDLE})
    command("scontrol", "hold", ids[0].partition("_")[0])
    (event,) = slurm.wait(ids.values(), {State.HELD})
    assert "JobHeldUser" in event.reason
    slurm.fault("slurm", "resume")
    command("scontrol", "release", ids[0].partition("_")[0])
    (event,) = slurm.wait(ids.values())
    assert event.state is State.DONE


def test_an_unknown_partition_is_refused_with_slurms_words(slurm):
    submission = slurm.system.submit("jobs_all", [Task(0, 1, (), Resources("nowhere", 60, 1, 100))])
    assert "nvalid partition" in submission.refused[0]


def test_a_silent_accounting_is_an_error(slurm, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", "/nowhere/slurm.conf")
    with pytest.raises(CommandFailed, match="sacct"):
        slurm.system.observe(["1_0"], 0)
