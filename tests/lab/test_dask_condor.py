"""``dask@SITE`` on the real HTCondor: equal to iterative to the bit, in the pinned image, with nothing
shared, and what remains when workers, machines or the user's patience are lost.
"""

from __future__ import annotations

import shutil

import pytest
from coffea.util import load
from distributed import Client

from ci.lab.process import run
from tests.lab import dask_runs
from tests.lab.dask_runs import SECRETS, in_image, leaves_nothing, newest_image, scheduler_of
from tests.lab.parsl_runs import content, jobs, provenance
from tests.lab.site_runs import golden_json

#: Sites ask for more disk than the lab has.
OPTIONS = {**dask_runs.OPTIONS, "disk-per-worker": "100MB"}
#: Small chunks, so that there is something to interrupt.
SMALL = ("-c", "20")
pytestmark = pytest.mark.usefixtures("clean_queues")


# test_sites.py has the strings of all sites
@pytest.mark.parametrize("site", ["lxplus"])
def test_the_documented_string_gives_the_bits_of_iterative(site, analysis, expected, shared_folder):
    output = shared_folder / "out"
    options = {**OPTIONS, "dask-scheduler-port": 8786, "performance-report": True}
    said = analysis.run(f"dask@{site}", output, options)
    assert content(output) == expected()
    for text in (">> Sending out jobs", ">> Waiting for the first job to start...", "ssh -N -L"):
        assert text in said
    assert "port 8786 is busy" in said  # the lab's own scheduler
    assert "<title>Dask Performance Report</title>" in (output / "dask-report.html").read_text()
    found = provenance(output)["workers"]
    assert (found["site"], found["batch"], found["kind"]) == (site, "htcondor", "virtualenv")
    assert leaves_nothing(output)


def test_workers_in_the_pinned_image(analysis, expected, shared_folder):
    output = shared_folder / "out"
    analysis.run("dask@lab", output, in_image())
    assert content(output) == expected()
    found = provenance(output)["workers"]
    assert found["kind"] == "image"
    assert found["image"]["digest"].startswith("sha256:")
    logs = "".join(path.read_text() for path in output.glob("condor_log/*.err"))
    assert "file: sha256; Python 3.13" in logs  # the check at the start of the job
    assert leaves_nothing(output)


def test_nothing_is_shared(analysis, of_bare_worker, shared_folder):
    """Everything travels with the job to a worker that sees no folder of this machine; events by XRootD."""
    output = shared_folder / "out"
    golden = golden_json(analysis)
    options = in_image(**{"shared-folders": [], "apptainer-binds": [], "extra-input-files": [golden]})
    said = analysis.run("dask@lab", output, options)
    assert content(output) == of_bare_worker()
    assert load(output / "output_all.coffea")["cutflow"]["skim"]["DATA_SingleMuon_2018_EraA"] > 0
    assert "do not see the output folder: completed chunks are not kept" in said
    logs = "".join(path.read_text() for path in output.glob("condor_log/*.log"))
    assert "127.0.0.1:9620" in logs or "bare.site" in logs
    assert leaves_nothing(output)


def test_secrets_are_private_and_only_there_during_the_run(analysis, shared_folder, until):
    output = shared_folder / "out"
    running = analysis.start("dask@lxplus", output, OPTIONS, *SMALL)
    folder = until(lambda: next(iter(output.glob(".workers-*")), None), 60)
    until(lambda: all((folder / name).exists() for name in SECRETS), 60)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {(folder / name).stat().st_mode & 0o777 for name in SECRETS} == {0o600}
    until(lambda: running.says("planned in"), 120)
    running.interrupt()
    assert running.end() == 130
    assert leaves_nothing(output)


def test_a_client_without_the_certificate_of_the_run_is_refused(analysis, shared_folder, until):
    output = shared_folder / "out"
    running = analysis.start("dask@lxplus", output, OPTIONS, *SMALL)
    address = scheduler_of(running, until, output)
    with pytest.raises(OSError, match=r"Connection reset by peer|Timed out|closed"):
        Client(address.replace("tls://", "tcp://"), timeout=5)
    with pytest.raises(OSError, match=r"(?i)certificate|unknown ca|alert|Timed out"):
        Client(address, timeout=5)  # with the lab's certificates, which are of another authority
    running.interrupt()
    assert running.end() == 130
    assert leaves_nothing(output)


def test_what_is_asked_for_is_what_the_job_asks_for(analysis, shared_folder, until):
    output = shared_folder / "out"
    options = {
        **OPTIONS,
        "cores-per-worker": 2,
        "disk-per-worker": "300MB",
        "queue": "longlunch",
        "dask-job-extra-directives": {"MY.Mark": '"mine"'},
        "adaptive": True,
    }
    running = analysis.start("dask@lxplus", output, options, *SMALL)
    until(lambda: running.says("first worker is there"), 120)
    names = ("RequestCpus", "RequestMemory", "RequestDisk", "JobFlavour", "Mark", "SendCredential")
    rows = run(["condor_q", "-af", *names], timeout=30).stdout.splitlines()
    assert rows[0].split() == ["2", "954", "293888", "longlunch", "mine", "true"]
    assert len(rows) == 1  # adaptive: one at first
    running.interrupt()
    assert running.end() == 130
    assert leaves_nothing(output)


def test_an_image_that_is_missing_is_told_with_the_batch_systems_words(analysis, shared_folder):
    image = shared_folder / "gone.sif"
    shutil.copy("/shared/images/busybox.sif", image)
    options = in_image(**{"worker-image": str(image)})
    # the job's machine looks for another file than the one that was checked here
    options["dask-job-extra-directives"] = {"MY.SingularityImage": '"/shared/images/none.sif"'}
    said = analysis.run("dask@lab", shared_folder / "out", options, code=3)
    assert "No worker has started: all 2 jobs have ended or are held." in said
    assert "held:" in said
    assert "none.sif" in said
    assert leaves_nothing(shared_folder / "out")


def test_the_wrong_image_stops_the_worker_and_its_words_are_shown(analysis, shared_folder):
    """The batch system starts another image than the one that was named: the check in the job says so."""
    other = newest_image(-2)
    options = in_image(**{"dask-job-extra-directives": {"MY.SingularityImage": f'"{other}"'}})
    said = analysis.run("dask@lab", shared_folder / "out", options, code=3)
    assert "exit code 70" in said
    assert "Wrong image: this job was submitted for" in said
    assert "condor_log/worker-" in said
    assert leaves_nothing(shared_folder / "out")


def test_nothing_matches(analysis, shared_folder):
    options = {**OPTIONS, "mem-per-worker": "900GB", "dask-worker-start-timeout": 25}
    said = analysis.run("dask@lxplus", shared_folder / "out", options, code=3)
    assert "No worker has started within 25 s" in said
    assert "idle for" in said
    assert leaves_nothing(shared_folder / "out")


def test_a_command_that_fails_stops_the_worker_and_is_shown(analysis, shared_folder):
    options = {**OPTIONS, "custom-setup-commands": ["echo first", "ls /nowhere"]}
    said = analysis.run("dask@lxplus", shared_folder / "out", options, code=3)
    assert "exit code 78" in said
    assert "custom-setup-commands, command 2 of 2" in said
    assert leaves_nothing(shared_folder / "out")


def test_a_queue_that_does_not_exist(analysis, shared_folder):
    said = analysis.run("dask@lxplus", shared_folder / "out", OPTIONS, "-q", "expresso", code=1)
    assert "Did you mean 'espresso'" in said
    assert "microcentury, longlunch" in said
    assert "pocket-coffea sites show lxplus" in said  # with their times
    assert not jobs()
