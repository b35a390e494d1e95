"""``dask@SITE`` on the real Slurm."""

from __future__ import annotations

import os
import signal

import pytest

from ci.lab.process import run
from tests.lab.dask_runs import OPTIONS, in_image, leaves_nothing
from tests.lab.parsl_runs import content, jobs, provenance

SMALL = ("-c", "40")
pytestmark = pytest.mark.usefixtures("clean_queues")


@pytest.mark.parametrize("site", ["T3_CH_PSI", "CLAIX"])
def test_the_documented_string_gives_the_bits_of_iterative(site, analysis, expected, shared_folder):
    output = shared_folder / "out"
    analysis.run(f"dask@{site}", output, {**OPTIONS, "skip-bad-files": False})
    assert content(output) == expected()
    found = provenance(output)["workers"]
    assert (found["site"], found["batch"], found["kind"]) == (site, "slurm", "virtualenv")
    assert leaves_nothing(output)


def test_workers_in_the_pinned_image_by_a_prefix(analysis, expected, shared_folder):
    output = shared_folder / "out"
    analysis.run("dask@T3_CH_PSI", output, in_image())
    assert content(output) == expected()
    assert provenance(output)["workers"]["image"]["pinned"] is True
    logs = sorted(output.glob("slurm_log/worker-*.err"))
    assert len(logs) == 2  # each job has its own
    assert all("file: sha256; Python 3.13" in path.read_text() for path in logs)
    assert leaves_nothing(output)


def test_a_closed_terminal_closes_everything(analysis, shared_folder, until):
    output = shared_folder / "out"
    running = analysis.start("dask@T3_CH_PSI", output, OPTIONS, *SMALL)
    until(lambda: running.says(r"[1-9]\d*/\d+ chunks,"), 180)
    os.killpg(running.process.pid, signal.SIGHUP)
    assert running.end() == 130
    assert leaves_nothing(output)


def test_a_worker_that_is_killed_costs_its_chunk(analysis, expected, shared_folder, until, fault):
    output = shared_folder / "out"
    running = analysis.start("dask@T3_CH_PSI", output, OPTIONS, *SMALL)
    until(lambda: running.says(r"[1-9]\d*/\d+ chunks,"), 180)
    fault("node", "kill-job", next(job for job in jobs() if job.startswith("slurm:")))
    assert running.end() == 0, running.text
    assert content(output) == expected(*SMALL)
    assert leaves_nothing(output)


def test_the_reason_of_slurm_is_told(analysis, shared_folder, fault):
    fault("slurm", "drain", off=("slurm", "resume"))
    options = {**OPTIONS, "dask-worker-start-timeout": 15}
    said = analysis.run("dask@T3_CH_PSI", shared_folder / "out", options, code=3)
    assert "No worker has started within 15 s" in said
    assert "pending in partition standard" in said
    assert "DRAINED" in said
    assert leaves_nothing(shared_folder / "out")


def test_an_account_that_slurm_refuses(analysis, shared_folder):
    options = {**OPTIONS, "account": "nobody"}
    said = analysis.run("dask@T3_CH_PSI", shared_folder / "out", options, code=3)
    assert "did not take the jobs" in said
    assert "Invalid account" in said
    assert leaves_nothing(shared_folder / "out")


def test_a_walltime_that_the_queue_does_not_give(analysis, shared_folder):
    said = analysis.run("dask@T3_CH_PSI", shared_folder / "out", {**OPTIONS, "walltime": "20:00:00"}, code=1)
    assert "the queue 'standard' of T3_CH_PSI gives 12:00:00" in said
    assert "Longer queues: long" in said


def test_what_is_asked_for_is_what_the_job_asks_for(analysis, shared_folder, until):
    options = {
        **OPTIONS,
        "cores-per-worker": 2,
        "queue": "quick",
        "walltime": "0:50:00",
        "account": "cms-top",
    }
    running = analysis.start("dask@T3_CH_PSI", shared_folder / "out", options, *SMALL)
    until(lambda: running.says("first worker is there"), 120)
    rows = run(
        ["squeue", "--me", "-h", "-t", "R", "-O", "Partition,Account,TimeLimit,NumCPUs,MinMemory"], timeout=30
    )
    assert rows.stdout.splitlines()[0].split() == ["quick", "cms-top", "50:00", "2", "954M"]
    running.interrupt()
    assert running.end() == 130
    assert leaves_nothing(shared_folder / "out")


def test_chunks_that_workers_kept_are_used_again(analysis, expected, shared_folder, until):
    output = shared_folder / "out"
    running = analysis.start("dask@T3_CH_PSI", output, OPTIONS, *SMALL)
    until(lambda: running.says(r"[1-9]\d*/\d+ chunks,"), 180)
    running.interrupt()
    assert running.end() == 130
    assert list(output.glob(".resume/*/*.node"))
    said = analysis.run("dask@T3_CH_PSI", output, OPTIONS, *SMALL, "--resume")
    assert "chunks are completed already" in said
    assert content(output) == expected(*SMALL)
