"""HTCondor from the user's side, as at CERN: images in /srv, flavours, limits, holds; a worker as at FNAL."""

from __future__ import annotations

import functools
import os
import shutil

import pytest

from ci.lab.layout import BARE_HOST_NAME, HOST_NAME, PHYSICIST, SHARED
from ci.lab.services.apptainer import IMAGE
from ci.lab.services.condor import FLAVOURS
from tests.lab import condor
from tests.lab.condor import Pool, ended, queued

SLEEP = "sleep 100"


@pytest.fixture
def pool(shared_folder):
    jobs = Pool(shared_folder)
    yield jobs
    jobs.remove()


@pytest.fixture(scope="module", autouse=True)
def late_job():
    """A job of the shortest flavour that never ends; submitted first, since its time is 20 s."""
    folder = SHARED / PHYSICIST / f"late-{os.getpid()}"
    folder.mkdir()
    jobs = Pool(folder)
    jobs.number = jobs.submit(SLEEP, **{"+JobFlavour": '"espresso"'})
    yield jobs
    jobs.remove()
    shutil.rmtree(folder, ignore_errors=True)


def finish(until, job, seconds=40):
    return until(functools.partial(ended, job), seconds)


def event(until, pool, job, number):
    return until(functools.partial(pool.events, job, number), 30)[-1]


def test_a_job_runs_in_its_image_in_srv_as_the_user_who_submitted(pool, until):
    (pool.folder / "in.txt").write_text("carried along\n")
    job = pool.submit(
        "id -un; pwd; cat in.txt; test -x /bin/busybox && echo image; echo kept > result.txt",
        MY_SingularityImage=f'"{IMAGE}"',
        transfer_input_files="in.txt",
    )
    assert finish(until, job)["ExitCode"] == 0
    assert pool.output(job).splitlines() == [PHYSICIST, "/srv", "carried along", "image"]
    assert (pool.folder / "result.txt").read_text() == "kept\n"
    assert len(pool.events(job, condor.EXECUTING)) == len(pool.events(job, condor.TERMINATED)) == 1


def test_a_job_in_an_image_sees_the_shared_file_systems(pool, until):
    script = f"ls -d /project/pocket_coffea /images ~{PHYSICIST}; echo back > {pool.folder}/written"
    job = pool.submit(script, MY_SingularityImage=f'"{IMAGE}"')
    assert finish(until, job)["ExitCode"] == 0
    assert (pool.folder / "written").read_text() == "back\n"


@pytest.mark.parametrize("flavour", [*FLAVOURS, None])
def test_a_flavour_decides_how_long_a_job_may_run(pool, flavour):
    settings = {} if flavour is None else {"+JobFlavour": f'"{flavour}"'}
    job = pool.submit("true", hold="True", **settings)
    assert queued(job)["MaxRuntime"] == FLAVOURS[flavour or "espresso"]


def test_an_explicit_max_runtime_wins_and_kills(pool, until):
    job = pool.submit(SLEEP, **{"+MaxRuntime": "2", "+JobFlavour": '"nextweek"'})
    text = event(until, pool, job, condor.ABORTED)
    assert "SYSTEM_PERIODIC_REMOVE" in text
    assert "wall time exceeded" in text
    assert finish(until, job)["MaxRuntime"] == 2


def test_a_graceful_removal_tells_the_job_first(pool, until):
    mark = pool.folder / "told"
    script = f"trap 'echo told > {mark}; kill $!; exit 3' TERM; {SLEEP} & wait $!"
    graceful = {"want_graceful_removal": "True", "job_max_vacate_time": "10", "kill_sig": "15"}
    job = pool.submit(script, **graceful, periodic_remove="JobStatus == 2 && NumJobStarts > 0")
    assert "PeriodicRemove expression" in event(until, pool, job, condor.ABORTED)
    assert until(mark.exists, 15)


def test_a_failed_job_is_tried_again(pool, until):
    tries = pool.folder / "tries"
    again = {"max_retries": "1", "requirements": "Machine =!= LastRemoteHost"}
    job = pool.submit(f"echo try >> {tries}; test $(wc -l < {tries}) = 2", **again)
    assert finish(until, job)["ExitCode"] == 0
    assert len(pool.events(job, condor.EXECUTING)) == 2


def test_on_exit_remove_keeps_a_failed_job_in_the_queue(pool, until):
    condition = "(ExitBySignal == False) && (ExitCode == 0)"
    job = pool.submit("exit 4", on_exit_remove=condition)
    until(lambda: len(pool.events(job, condor.EXECUTING)) > 1, 30)
    assert queued(job)["ExitCode"] == 4


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"transfer_input_files": "no.txt"}, 13, "Transfer input files failure"),
        ({"transfer_output_files": "no.root"}, 12, "Transfer output files failure"),
        ({"MY_SingularityImage": '"/shared/images/no.sif"'}, 26, "could not open image"),
    ],
    ids=["input", "output", "image"],
)
def test_a_job_that_lacks_a_file_is_held(pool, until, settings, code, words):
    job = pool.submit("true", **settings)
    text = event(until, pool, job, condor.HELD)
    assert words in text
    assert f"Code {code} " in text
    held = until(functools.partial(queued, job), 5)
    assert (held["JobStatus"], held["HoldReasonCode"]) == (5, code)


def test_a_held_job_runs_when_its_user_releases_it(pool, command, until):
    job = pool.submit("echo released", hold="True")
    command("condor_release", job)
    assert finish(until, job)["ExitCode"] == 0
    assert "by user physicist" in event(until, pool, job, condor.RELEASED)


def test_condor_rm_ends_a_running_job(pool, command, until):
    job = pool.submit(SLEEP)
    event(until, pool, job, condor.EXECUTING)
    command("condor_rm", job)
    assert "by user physicist" in event(until, pool, job, condor.ABORTED)


def test_a_job_that_sends_its_credential_gets_a_kerberos_cache(pool, until):
    job = pool.submit('head -c 2 "${KRB5CCNAME#FILE:}" | od -An -tx1', MY_SendCredential="True")
    assert finish(until, job)["ExitCode"] == 0
    assert pool.output(job).split() == ["05", "04"]


def test_the_proxy_travels_with_the_job(pool, until):
    proxy = pool.folder / "x509up"
    proxy.write_text("not a proxy, but a file of this name\n")
    proxy.chmod(0o600)
    job = pool.submit("ls -l x509up; cat x509up", transfer_input_files=str(proxy))
    assert finish(until, job)["ExitCode"] == 0
    assert pool.output(job).startswith("-rw-------")


def test_a_spooled_job_gives_its_output_when_asked(pool, command, until):
    job = pool.submit("echo spooled", "-spool")
    until(lambda: queued(job).get("JobStatus") == 4, 40)
    assert not (pool.folder / f"{job}.0.out").exists()
    command("condor_transfer_data", job)
    assert pool.output(job) == "spooled\n"


def test_jobs_go_to_the_bare_worker_only_when_they_ask(pool, until):
    asked = pool.submit("hostname", requirements="TARGET.HasSharedFS =?= False")
    others = [pool.submit("hostname") for _ in range(3)]
    machines = [pool.output(job).strip() for job in (asked, *others) if finish(until, job)]
    assert machines == [BARE_HOST_NAME, *[HOST_NAME] * 3]


def test_the_bare_worker_has_nothing_of_the_submit_side(pool, until, monkeypatch):
    """One variable makes every submission go to a worker without a shared file system."""
    monkeypatch.setenv("_CONDOR_APPEND_REQUIREMENTS", "TARGET.HasSharedFS =?= False")
    folders = f"{SHARED} /work /home/{PHYSICIST} /project"
    script = (
        f"hostname; cat in.txt; ls -A {folders}; touch {pool.folder}/seen /shared/x && echo written; true"
    )
    (pool.folder / "in.txt").write_text("carried along\n")
    job = pool.submit(script, transfer_input_files="in.txt")
    assert finish(until, job)["ExitCode"] == 0
    listing = [line for folder in folders.split() for line in (f"{folder}:", "")][:-1]
    said = pool.output(job).splitlines()
    assert said[:2] == [BARE_HOST_NAME, "carried along"]
    assert sorted(said[2:]) == sorted(listing)
    assert not (pool.folder / "seen").exists()


def test_the_bindings_talk_to_the_pool(pool, until):
    import htcondor2

    schedd = htcondor2.Schedd()
    job = pool.submit("true", hold="True")
    (found,) = schedd.query(f"ClusterId == {job}", ["HoldReason", "Owner"])
    assert found["Owner"] == PHYSICIST
    schedd.act(htcondor2.JobAction.Remove, f"{job}.0")
    assert until(functools.partial(ended, job), 10)["JobStatus"] == 3


def test_a_job_is_killed_by_the_time_limit_of_its_flavour(late_job, until):
    text = until(lambda: late_job.events(late_job.number, condor.ABORTED), 50)[0]
    assert "SYSTEM_PERIODIC_REMOVE" in text.splitlines()[1]
    assert "wall time exceeded" in text.splitlines()[1]
    job = finish(until, late_job.number)
    assert FLAVOURS["espresso"] <= job["RemoteWallClockTime"] < FLAVOURS["espresso"] + 15
