"""Faults of HTCondor as its users see them: on, seen, off, and jobs run afterwards."""

from __future__ import annotations

import functools

import pytest

from ci.lab.control import ask
from ci.lab.errors import LabError
from ci.lab.layout import CONTROL
from tests.lab import condor
from tests.lab.condor import Pool, ended, queued

SLEEP = "sleep 100"


@pytest.fixture
def pool(shared_folder):
    jobs = Pool(shared_folder)
    yield jobs
    jobs.remove()


def event(until, pool, job, number):
    return until(functools.partial(pool.events, job, number), 40)[-1]


def finish(until, job):
    return until(functools.partial(ended, job), 60)


def states():
    services = ask(CONTROL, "status", "now")["services"]
    return {each["name"]: each["state"] for each in services if each["name"].startswith("condor")}


@pytest.mark.parametrize("name", ["{}", "{}.0", "condor:{}.0"])
def test_the_administrator_holds_and_releases_a_job(fault, pool, until, name):
    job = pool.submit("echo ran", requirements="False")
    name = name.format(job)
    assert fault("condor", "hold", name) == f"job {name.removeprefix('condor:')} held"
    fault("condor", "hold", name)  # once more changes nothing
    assert "by the administrator of the lab" in event(until, pool, job, condor.HELD)
    assert queued(job)["HoldReasonCode"] == 1
    fault("condor", "release", name)
    fault("condor", "release", name)
    assert "by the administrator of the lab" in event(until, pool, job, condor.RELEASED)
    assert queued(job)["JobStatus"] == 1


def test_the_administrator_removes_a_running_job(fault, pool, until):
    job = pool.submit(SLEEP)
    event(until, pool, job, condor.EXECUTING)
    fault("condor", "remove", job)
    text = event(until, pool, job, condor.ABORTED)
    assert "removed by the administrator of the lab" in text
    assert "physicist" not in text


@pytest.mark.parametrize("words", [["sleep"], [], ["hold"], ["restart", "now"]])
def test_other_words_are_refused_with_those_that_are_allowed(fault, words):
    with pytest.raises(LabError, match=r"restart \| schedd-kill \| hold JOB"):
        fault("condor", *words)


@pytest.mark.parametrize("job", ["-all", "slurm:3", "12.0.1", "physicist", ""])
def test_what_is_no_job_is_refused(fault, job):
    with pytest.raises(LabError, match=r"no job of HTCondor.*condor:12\.0"):
        fault("condor", "remove", job)


def test_a_job_that_is_not_there_is_told(fault):
    with pytest.raises(LabError, match=r"999999\.0 is not in the queue"):
        fault("condor", "hold", "999999.0")


def test_a_killed_schedd_comes_back_and_its_jobs_go_on(fault, pool, until):
    mark = pool.folder / "go"
    job = pool.submit(f"echo once; while ! test -e {mark}; do sleep 0.2; done; echo done")
    event(until, pool, job, condor.EXECUTING)
    assert "killed" in fault("condor", "schedd-kill")
    assert queued(job)["JobStatus"] in (1, 2)
    event(until, pool, job, condor.RECONNECTED)
    mark.touch()
    assert finish(until, job)["ExitCode"] == 0
    assert pool.output(job) == "once\ndone\n"
    assert len(pool.events(job, condor.EXECUTING)) == 1
    assert set(states().values()) == {"healthy"}


def test_a_restarted_pool_has_kept_its_queue(fault, pool, until):
    mark = pool.folder / "go"
    running = pool.submit(f"while ! test -e {mark}; do sleep 0.2; done; echo done")
    held = pool.submit("echo later", hold="True")
    event(until, pool, running, condor.EXECUTING)
    fault("condor", "restart")
    assert set(states().values()) == {"healthy"}
    assert queued(held)["JobStatus"] == 5
    mark.touch()
    assert finish(until, running)["ExitCode"] == 0
    assert pool.output(running) == "done\n"
