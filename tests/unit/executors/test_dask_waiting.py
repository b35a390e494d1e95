from __future__ import annotations

import time
from pathlib import Path

import pytest

from pocket_coffea.errors import CommandFailed, ProcessingError
from pocket_coffea.executors import dask_waiting
from pocket_coffea.executors.dask_waiting import log_tail, wait_for_first_worker


class Jobs:
    def __init__(self, folder: Path, refused=(), living=("1", "2"), silent=False):
        self.folder, self._refused, self._living, self._silent = folder, list(refused), set(living), silent

    def submitted(self):
        return ["1", "2"]

    def refused(self):
        return self._refused

    def living(self):
        if self._silent:
            msg = "nobody answers"
            raise CommandFailed(msg)
        return self._living

    def why(self, jobs):
        return [f"jobs {', '.join(jobs)}: held: no such image"]

    def logs(self):
        return self.folder


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(dask_waiting, "_ASK", 0.02)


def wait(jobs, workers=lambda: 0, timeout=0.3):
    wait_for_first_worker(workers, jobs, timeout, pause=0.01)


def test_a_worker_that_comes(tmp_path):
    began = time.monotonic()
    wait(Jobs(tmp_path), lambda: time.monotonic() - began > 0.1)
    assert time.monotonic() - began < 0.3


def test_the_limit_tells_the_reason_and_the_end_of_the_log(tmp_path):
    (tmp_path / "worker-1.out").write_text("started\n")
    (tmp_path / "worker-2.err").write_text("".join(f"line {n}\n" for n in range(100)))
    with pytest.raises(ProcessingError) as caught:
        wait(Jobs(tmp_path))
    text = str(caught.value)
    assert "No worker has started within 0 s (run option dask-worker-start-timeout)" in text
    assert "held: no such image" in text
    assert "worker-2.err" in text
    assert "line 99" in text
    assert "line 79" not in text


def test_nobody_waits_for_jobs_that_have_ended(tmp_path):
    with pytest.raises(ProcessingError, match="all 2 jobs have ended or are held") as caught:
        wait(Jobs(tmp_path, living=()), timeout=60)
    assert f"The workers have written nothing into {tmp_path}" in str(caught.value)


def test_what_the_batch_system_refuses_is_told_at_once(tmp_path):
    with pytest.raises(ProcessingError, match="did not take the jobs of the workers: Invalid partition"):
        wait(Jobs(tmp_path, refused=["Invalid partition"]), timeout=60)


def test_a_batch_system_that_does_not_answer_is_no_reason_to_stop(tmp_path):
    with pytest.raises(ProcessingError, match="within"):
        wait(Jobs(tmp_path, silent=True))


def test_the_tail_of_a_log(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"x" * 200_000 + b"\nend \xff\n\n")
    assert log_tail(log, 1) == ["end \ufffd"]
    assert log_tail(tmp_path / "none") == []
