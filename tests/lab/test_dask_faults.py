"""Dask on HTCondor when workers, the schedd, a server or the proxy fail: what a run survives and what not."""

from __future__ import annotations

import time

import pytest

from tests.lab import dask_runs
from tests.lab.dask_runs import leaves_nothing
from tests.lab.parsl_runs import content, jobs
from tests.lab.site_runs import SMALL

#: The default flavour ends jobs after 60 s in the lab, where its minutes are seconds.
OPTIONS = {**dask_runs.OPTIONS, **SMALL, "queue": "workday"}
CHUNKS = ("-c", "40")
SOME_DONE = r"[1-9]\d*/\d+ chunks,"
#: The demo, over XRootD with a proxy.
REMOTE = True
pytestmark = pytest.mark.usefixtures("clean_queues")


@pytest.fixture
def running(analysis, shared_folder, until):
    """A run that has processed some chunks; none of it is left after the test."""
    started = analysis.start("dask@lxplus", shared_folder / "out", OPTIONS, *CHUNKS)
    until(lambda: started.says(SOME_DONE) or started.process.poll() is not None, 120)
    assert started.process.poll() is None, started.text
    yield started
    if started.process.poll() is None:
        started.interrupt()
        started.end()


def test_a_worker_that_is_killed_costs_its_chunk(running, expected, shared_folder, fault):
    fault("node", "kill-job", next(job for job in jobs() if job.startswith("condor:")))
    assert running.end() == 0, running.text
    assert content(shared_folder / "out") == expected(*CHUNKS)
    assert leaves_nothing(shared_folder / "out")


def test_the_schedd_is_restarted(running, expected, shared_folder, fault):
    fault("condor", "schedd-kill")
    assert running.end() == 0, running.text
    assert content(shared_folder / "out") == expected(*CHUNKS)
    assert leaves_nothing(shared_folder / "out")


def test_the_server_is_down_for_20_seconds(running, expected, shared_folder, fault):
    fault("xrootd", "kit", "down", off=("xrootd", "kit", "up"))
    time.sleep(20)
    fault("xrootd", "kit", "up")
    assert running.end() == 0, running.text
    assert content(shared_folder / "out") == expected(*CHUNKS)
    assert leaves_nothing(shared_folder / "out")


def test_a_proxy_that_has_expired_stops_the_submission(analysis, shared_folder, fault):
    fault("proxy", "expire", off=("proxy", "renew"))
    said = analysis.run("dask@lxplus", shared_folder / "out", OPTIONS, code=1)
    assert " ago, at " in said
    assert "voms-proxy-init -voms cms -rfc --valid 168:0" in said
    assert jobs() == {}
    assert leaves_nothing(shared_folder / "out")
