"""Fault `node kill-job|reboot`: what users see of jobs whose processes or whose machine die under them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from ci.lab.control import ask
from ci.lab.errors import LabError
from ci.lab.layout import CONTROL
from ci.lab.process import run
from tests.lab.slurm import Batch, accounting, ended, queue


@pytest.fixture
def batch(shared_folder):
    jobs = Batch(shared_folder)
    yield jobs
    jobs.cancel()


def running(job: str) -> bool:
    return set(queue(job, "%T").split()) == {"RUNNING"}


def booted() -> bool:
    status = ask(CONTROL, "status", "now")
    return not status["faults"] and {row["state"] for row in status["services"]} == {"healthy"}


def test_a_killed_slurm_job_failed_by_signal_9(batch, until, fault):
    job = batch.submit("sleep 120; echo survived")
    until(lambda: running(job), 20)
    fault("node", "kill-job", f"slurm:{job}")
    assert until(lambda: ended(job), 20) == {job: ("FAILED", "0:9")}
    assert "survived" not in batch.output(job)


def test_one_task_of_an_array_is_killed_and_the_other_goes_on(batch, until, fault):
    job = batch.submit("while test ! -e go; do sleep 0.2; done", "--array=1-2")
    until(lambda: running(job), 20)
    fault("node", "kill-job", f"slurm:{job}_1")
    until(lambda: ended(f"{job}_1"), 20)
    assert accounting(f"{job}_2")[f"{job}_2"][0] == "RUNNING"
    (batch.folder / "go").touch()
    assert until(lambda: ended(job, tasks=2), 20) == {
        f"{job}_1": ("FAILED", "0:9"),
        f"{job}_2": ("COMPLETED", "0:0"),
    }


def submit_to_condor(folder: Path, seconds: int) -> str:
    """Submit a job that tells each of its starts; return its name, such as 12.0."""
    description = f"""
        executable = /bin/sh
        arguments = "-c 'date +%s >> {folder}/starts; sleep {seconds}'"
        transfer_executable = false
        log = {folder}/job.log
        job_lease_duration = 20
        +JobFlavour = "workday"
        queue
        """
    (folder / "job.sub").write_text(textwrap.dedent(description))
    said = run(["condor_submit", "-terse", folder / "job.sub"], timeout=30).stdout
    return said.split()[0]


@pytest.fixture
def condor_job(shared_folder, until):
    """A running HTCondor job, its folder, and its event log as a function."""
    job = submit_to_condor(shared_folder, 120)
    until((shared_folder / "starts").exists, 30)
    yield job, shared_folder, (shared_folder / "job.log").read_text
    run(["condor_rm", job], timeout=30, check=False)


def test_a_killed_condor_job_terminated_by_signal_9(condor_job, until, fault):
    job, _, log = condor_job
    fault("node", "kill-job", f"condor:{job}")
    until(lambda: "Abnormal termination (signal 9)" in log(), 30)


def test_a_node_that_dies_takes_its_jobs_with_it_and_comes_back(batch, condor_job, until, fault):
    lost = batch.submit("sleep 120; echo survived")
    again = batch.submit("sleep 120", "--requeue")
    until(lambda: running(lost) and running(again), 20)
    fault("node", "reboot")
    fault("node", "reboot")  # again: it is booting already
    slurm_reports_a_node_failure(batch, lost, again, until)
    until(booted, 40)
    after = batch.submit("true")
    assert until(lambda: ended(after), 20) == {after: ("COMPLETED", "0:0")}
    condor_starts_the_job_again(*condor_job, until)


def slurm_reports_a_node_failure(batch, lost: str, again: str, until) -> None:
    assert until(lambda: ended(lost), 20)[lost][0] == "NODE_FAIL"
    until(lambda: queue(again, "%T") == "PENDING", 20)  # it asked for --requeue
    assert "survived" not in batch.output(lost)


def condor_starts_the_job_again(job: str, folder: Path, log: Callable[[], str], until) -> None:
    """The scheduler survives: it hopes to reconnect until the job's lease is over."""
    until(lambda: "\n022 " in log(), 20)  # disconnected
    until(lambda: "\n024 " in log(), 40)  # reconnection failed
    until(lambda: len((folder / "starts").read_text().split()) == 2, 40)
    assert job in run(["condor_q", "-af:j", "JobStatus"], timeout=30).stdout


@pytest.mark.parametrize("job", ["slurm:999999", "slurm:999999_1", "condor:999999.0"])
def test_a_job_that_does_not_run_cannot_be_killed(fault, job):
    with pytest.raises(LabError, match=f"no process of {job} runs on lab.site; jobs that run there: "):
        fault("node", "kill-job", job)


@pytest.mark.parametrize("words", [(), ("burn",), ("kill-job",), ("reboot", "now")])
def test_unknown_words_are_refused_with_those_that_are_known(fault, words):
    with pytest.raises(
        LabError, match=r"there are: node kill-job condor:CLUSTER.PROC \| node kill-job slurm"
    ):
        fault("node", *words)


@pytest.mark.parametrize("job", ["12", "slurm:abc", "condor:12", "pbs:1"])
def test_a_job_is_named_with_its_batch_system(fault, job):
    with pytest.raises(LabError, match="is not a job; usage: "):
        fault("node", "kill-job", job)
