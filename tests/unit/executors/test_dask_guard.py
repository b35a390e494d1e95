from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from pocket_coffea.errors import CommandFailed
from pocket_coffea.executors import dask_guard
from pocket_coffea.executors.dask_guard import WorkerGuard


class Cluster:
    """Two jobs, of which ``living`` are in the queue and ``workers`` have a worker."""

    def __init__(self, tmp_path, living=(), workers=(), refused=()):
        old = time.monotonic() - 100
        submitted = {"run-0": ("7.0", old), "run-1": ("8.0", old)}
        self.job_plan = SimpleNamespace(submitted=submitted, refused=dict(refused))
        self.scheduler_info = {"workers": {name: {"name": name} for name in workers}}
        self.loop = SimpleNamespace(add_callback=lambda function, names: function(names))
        self.replaced: list[str] = []
        self._living, self._folder = living, tmp_path

    def scale_down(self, names):
        self.replaced += names

    def submitted(self):
        return ["7.0", "8.0"]

    def living(self):
        if self._living is None:
            msg = "no answer"
            raise CommandFailed(msg)
        return set(self._living)

    def why(self, jobs):
        return [f"job {job}: held" for job in jobs]

    def logs(self):
        return self._folder


@pytest.mark.parametrize(
    ("living", "workers", "replaced"),
    [
        (["7.0", "8.0"], [], []),
        (["7.0"], [], ["run-1"]),
        ([], ["run-0", "run-1-0"], []),  # several workers of a job have numbers
        ([], ["run-0"], ["run-1"]),
        (None, [], []),
    ],
)
def test_jobs_that_ended_before_their_worker_came_are_replaced(tmp_path, living, workers, replaced):
    cluster = Cluster(tmp_path, living, workers)
    WorkerGuard(cluster, jobs=2).look()
    assert cluster.replaced == replaced


def test_a_young_job_may_be_missing_in_an_answer(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.job_plan.submitted = {"run-0": ("7.0", time.monotonic())}
    WorkerGuard(cluster, jobs=2).look()
    assert cluster.replaced == []


def test_what_was_refused_is_told_and_tried_again(tmp_path, caplog):
    cluster = Cluster(tmp_path, ["7.0", "8.0"], refused={"run-2": "Invalid account"})
    WorkerGuard(cluster, jobs=2).look()
    assert cluster.replaced == ["run-2"]
    assert cluster.job_plan.refused == {}
    assert "did not take a job: Invalid account" in caplog.text


def test_the_run_ends_when_nothing_but_failures_is_left(tmp_path):
    cluster = Cluster(tmp_path)
    guard, ended = WorkerGuard(cluster, jobs=1), []
    with guard.watching(lambda: ended.append(True)):
        for _ in range(3):
            guard.look()
    assert ended == [True]
    assert "No Dask worker is left, and 6 jobs in a row ended" in guard.verdict
    assert "job 7.0: held" in guard.verdict


def test_a_worker_that_is_there_ends_the_row(tmp_path):
    cluster = Cluster(tmp_path)
    guard = WorkerGuard(cluster, jobs=1)
    guard.look()
    guard.look()
    cluster.scheduler_info = {"workers": {"x": {"name": "run-0"}}}
    guard.look()
    assert guard.failures == 1
    assert guard.verdict == ""


def test_the_thread_looks_and_ends(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(dask_guard.WorkerGuard, "look", lambda _self: seen.append(1))
    with WorkerGuard(Cluster(tmp_path), jobs=1, interval=0.01) as guard:
        time.sleep(0.2)
    assert len(seen) > 2
    assert not guard._thread.is_alive()
