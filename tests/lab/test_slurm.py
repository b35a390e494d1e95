"""Slurm from the user's side: submit, look, cancel, and the final state of whatever can happen to a job."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from ci.lab.layout import HOST_NAME, PHYSICIST, SCRATCH, SHARED
from ci.lab.process import CommandFailedError
from tests.lab.slurm import Batch, accounting, ended, queue

EAT_200_MB = 'python3 -c "import time; held = bytearray(200_000_000); time.sleep({seconds})"; echo survived'


@pytest.fixture
def batch(shared_folder):
    jobs = Batch(shared_folder)
    yield jobs
    jobs.cancel()


@pytest.fixture(scope="module", autouse=True)
def late_job():
    """A job whose time is over in 2 s. Slurm looks at time limits every 30 s, so it is submitted first."""
    folder = SHARED / PHYSICIST / f"late-{os.getpid()}"
    folder.mkdir()
    jobs = Batch(folder)
    # the controller sets the end of a job's time when it starts, so the job itself moves it closer
    shorten = "scontrol update JobId=$SLURM_JOB_ID EndTime=now+2"
    jobs.number = jobs.submit(f"{shorten}; sleep 120; echo survived", "--time=1")
    yield jobs
    jobs.cancel()
    shutil.rmtree(folder, ignore_errors=True)


def test_srun_runs_on_the_worker_as_the_user_who_asked(command):
    said = command("srun", "--quiet", "sh", "-c", f"id -u; hostname; touch {SCRATCH}/{PHYSICIST}/mark; pwd")
    assert said.split()[:2] == ["1000", HOST_NAME]
    (SCRATCH / PHYSICIST / "mark").unlink()


def test_the_partitions_and_their_time_limits_are_those_that_sites_name(command):
    rows = [line.split() for line in command("sinfo", "--noheader", "--format=%P %l").splitlines()]
    assert dict(rows) == {
        "standard*": "12:00:00",
        "quick": "1:00:00",
        "long": "7-00:00:00",
        "c23ms": "1-00:00:00",
        "batch": "2-00:00:00",
    }


@pytest.mark.parametrize("partition", ["standard", "quick", "long", "c23ms", "batch"])
def test_each_partition_runs_jobs(command, partition):
    said = command("srun", "--quiet", f"--partition={partition}", "printenv", "SLURM_JOB_PARTITION")
    assert said == f"{partition}\n"


def test_each_task_of_an_array_has_its_own_output_and_end(batch, until):
    job = batch.submit('echo "task $SLURM_ARRAY_TASK_ID"; exit $SLURM_ARRAY_TASK_ID', "--array=0-3%2")
    until(lambda: ended(job, tasks=4))
    assert accounting(job) == {
        f"{job}_0": ("COMPLETED", "0:0"),
        f"{job}_1": ("FAILED", "1:0"),
        f"{job}_2": ("FAILED", "2:0"),
        f"{job}_3": ("FAILED", "3:0"),
    }
    assert [batch.output(f"{job}_{task}") for task in range(4)] == [f"task {task}\n" for task in range(4)]


def test_a_job_that_uses_more_memory_than_it_asked_for_is_out_of_memory(batch, until):
    job = batch.submit(EAT_200_MB.format(seconds=60), "--mem=100M")
    assert until(lambda: ended(job), 20) == {job: ("OUT_OF_MEMORY", "0:125")}
    # for a moment its state is COMPLETING
    assert until(lambda: queue(job, "%T %r") == "OUT_OF_MEMORY OutOfMemory", 20)
    assert "survived" not in batch.output(job)


def test_a_job_step_that_uses_too_much_memory_is_out_of_memory(batch, until):
    script = "srun " + EAT_200_MB.format(seconds=60)
    job = batch.submit(script, "--mem-per-cpu=50M", "--cpus-per-task=2")
    assert until(lambda: ended(job), 20) == {job: ("OUT_OF_MEMORY", "0:125")}


def test_a_job_within_its_memory_is_left_alone(batch, until):
    job = batch.submit(EAT_200_MB.format(seconds=3), "--mem=300M")
    assert until(lambda: ended(job), 20) == {job: ("COMPLETED", "0:0")}
    assert "survived" in batch.output(job)


def test_a_cancelled_job_says_who_cancelled_it(batch, until, command):
    job = batch.submit("sleep 120")
    until(lambda: queue(job, "%T") == "RUNNING", 20)
    command("scancel", job)
    assert until(lambda: ended(job), 20)[job][0] == f"CANCELLED by {os.getuid()}"


def test_the_account_is_recorded(batch, until, command):
    job = batch.submit("true", "--account=cms-top")
    until(lambda: ended(job), 20)
    assert command("sacct", "-n", "-P", "-X", "-o", "Account,Partition", "-j", job) == "cms-top|standard\n"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--account=nobody", "Invalid account or account/partition combination specified"),
        ("--partition=nosuch", "Invalid partition name specified"),
        ("--mem=1T", "Memory specification can not be satisfied"),
    ],
)
def test_what_the_site_does_not_offer_is_refused(batch, option, message):
    with pytest.raises(CommandFailedError, match=message):
        batch.submit("true", option)


def test_more_time_than_the_partition_allows_waits_for_ever(batch, until):
    job = batch.submit("true", "--partition=quick", "--time=2:00:00")
    assert until(lambda: queue(job, "%T %r") == "PENDING PartitionTimeLimit", 20)


@pytest.mark.parametrize("secret", ["/etc/munge/munge.key", "/etc/slurm/slurmdbd.conf"])
def test_users_do_not_read_the_secrets_of_the_daemons(secret):
    with pytest.raises(PermissionError) as refusal:
        Path(secret).read_bytes()
    assert refusal.value.errno == errno.EACCES


def test_a_job_past_its_time_limit_is_a_timeout(late_job, until):
    """The last test of this file: it has to wait for what the fixture began."""
    job = late_job.number
    assert until(lambda: ended(job), 45) == {job: ("TIMEOUT", "0:0")}
    said = late_job.output(job)
    assert "DUE TO TIME LIMIT" in said
    assert "survived" not in said
