"""A worker whose scheduler has gone leaves when it is told to, and not when it has given up looking."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("distributed")

# as in a job, but without encryption
WORKER = """
import sys
from pocket_coffea.executors import dask_worker
settings = {**dask_worker.worker_settings(), "distributed.comm.require-encryption": False}
dask_worker.worker_settings = lambda: settings
dask_worker.main(sys.argv[1:])
"""


@pytest.fixture
def scheduler(tmp_path):
    file = tmp_path / "scheduler.json"
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", *words], stderr=subprocess.DEVNULL
    )
    limit = time.monotonic() + 60
    while not file.exists() and time.monotonic() < limit:
        time.sleep(0.1)
    yield process, json.loads(file.read_text())["address"]
    process.kill()
    process.wait()


@pytest.fixture
def worker(scheduler, tmp_path):
    log = tmp_path / "worker.err"
    words = [scheduler[1], "--death-timeout", "300", "--nthreads", "1", "--local-directory", str(tmp_path)]
    with log.open("w") as err:
        process = subprocess.Popen([sys.executable, "-c", WORKER, *words], stderr=err)
    yield process, log
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()


def until_it_says(log, text):
    limit = time.monotonic() + 60
    while text not in log.read_text() and time.monotonic() < limit:
        time.sleep(0.1)
    assert text in log.read_text()


def test_a_worker_that_still_looks_for_its_scheduler(scheduler, worker):
    process, log = worker
    until_it_says(log, "Start Nanny at")
    scheduler[0].kill()
    until_it_says(log, "Waiting to connect to")
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)  # without the preload 300 s


def test_a_worker_that_works(scheduler, worker):
    process, log = worker
    until_it_says(log, "Registered to:")
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    assert scheduler[0].poll() is None
    assert "End worker" in log.read_text()
