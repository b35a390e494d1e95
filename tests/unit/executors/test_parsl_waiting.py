"""When a run on Parsl gives up waiting for workers, and what it says then."""

from __future__ import annotations

import logging
import os
from types import SimpleNamespace

import pytest

from pocket_coffea.errors import ProcessingError
from pocket_coffea.executors.parsl_waiting import BlockErrors, WorkerWatch, log_tails


class Farm:
    """What the watch asks, as a batch system would answer."""

    def __init__(self):
        self.now, self.workers, self.problem = 0.0, 0, None
        self.reasons = [f"job {number}: idle, 3 of your jobs are before it" for number in range(5)]

    def watch(self, limit: float = 300) -> WorkerWatch:
        return WorkerWatch(
            connected=lambda: self.workers,
            problem=lambda: self.problem,
            reasons=lambda: self.reasons,
            tails=lambda: "The last lines of x.stderr:\nimage not found",
            limit=limit,
            clock=lambda: self.now,
        )


def test_waiting_says_why_once_a_minute(caplog):
    farm = Farm()
    watch = farm.watch()
    with caplog.at_level(logging.INFO):
        for farm.now in range(0, 150, 2):
            watch()
    said = [record.getMessage() for record in caplog.records]
    assert [text.splitlines()[0] for text in said] == [
        "no worker yet, for 60 s:",
        "no worker yet, for 120 s:",
    ]
    assert "job 0: idle, 3 of your jobs are before it" in said[0]
    assert "... and 2 more" in said[0]


def test_the_time_limit_ends_with_reasons_and_logs():
    farm = Farm()
    watch = farm.watch(limit=100)
    watch()
    farm.now = 99
    watch()
    farm.now = 100
    with pytest.raises(ProcessingError) as caught:
        watch()
    text = str(caught.value)
    assert "No worker has started for 100 s (run option parsl-worker-start-timeout)" in text
    assert "job 0: idle" in text
    assert "image not found" in text


def test_time_with_workers_does_not_count():
    farm = Farm()
    watch = farm.watch(limit=100)
    watch()
    farm.now, farm.workers = 90, 1
    watch()
    farm.now, farm.workers = 5000, 0
    watch()  # the last one has gone: a new time begins
    farm.now = 5099
    watch()
    farm.now, farm.reasons = 5100, []
    with pytest.raises(ProcessingError, match="No worker is left for 100 s") as caught:
        watch()
    assert "no batch job is in the queue" in str(caught.value)


def test_what_ended_everything_is_raised():
    farm = Farm()
    farm.workers, farm.problem = 3, ProcessingError("3 batch jobs could not start a worker")
    with pytest.raises(ProcessingError, match="could not start"):
        farm.watch()()


class Executor:
    def __init__(self, managers=(), connected=()):
        self.managers, self.connected, self.error = list(managers), list(connected), None

    def connected_managers(self):
        return self.managers

    def connected_blocks(self):
        return self.connected

    def set_bad_state_and_fail_all(self, error):
        self.error = error


def blocks(*states: str, message: str | None = "job 7.0: ended with code 70") -> dict:
    return {
        str(number): SimpleNamespace(state=SimpleNamespace(name=state), message=message)
        for number, state in enumerate(states)
    }


@pytest.mark.parametrize(
    ("states", "executor", "gives_up"),
    [
        (("FAILED", "FAILED"), Executor(), False),
        (("MISSING", "FAILED", "MISSING"), Executor(), True),
        (("FAILED", "PENDING", "FAILED", "RUNNING", "MISSING"), Executor(), True),  # none has ever worked
        (("FAILED", "PENDING", "FAILED", "RUNNING", "MISSING"), Executor(connected=["3"]), False),
        (("COMPLETED", "FAILED", "MISSING", "FAILED"), Executor(connected=["0"]), True),
        (("COMPLETED", "FAILED", "MISSING", "FAILED"), Executor([{}], ["0"]), False),  # one works
        ((), Executor(), False),
    ],
)
def test_a_few_failed_jobs_are_nothing(states, executor, gives_up):
    BlockErrors(lambda: "")(executor, blocks(*states))
    assert (executor.error is not None) == gives_up


def test_the_last_blocks_are_the_youngest_not_those_with_the_largest_text():
    executor = Executor(connected=["9"])
    status = blocks(*["FAILED"] * 8, "COMPLETED", "FAILED", "RUNNING")
    BlockErrors(lambda: "")(executor, status)
    assert executor.error is None


def test_jobs_that_cannot_be_submitted_end_the_run_at_once():
    executor = Executor()
    message = "Failed to start block 0: sbatch: error: invalid partition specified: none"
    BlockErrors(lambda: "unused")(executor, blocks("FAILED", message=message))
    assert "1 batch jobs could not be submitted" in str(executor.error)
    assert "invalid partition" in str(executor.error)
    assert "unused" not in str(executor.error)


def test_the_message_has_reasons_once_and_the_log():
    executor = Executor()
    BlockErrors(lambda: "The last lines of 7.stderr:\nwrong image")(executor, blocks(*["FAILED"] * 4))
    text = str(executor.error)
    assert text.count("ended with code 70") == 1
    assert text.endswith("wrong image")


def test_the_newest_log_that_says_something(tmp_path):
    assert log_tails([tmp_path, tmp_path / "none"]) == ""
    (tmp_path / "a.stdout").write_text("hello\n")
    assert log_tails([tmp_path]) == f"The last lines of {tmp_path}/a.stdout:\nhello"
    (tmp_path / "a.stderr").write_text("".join(f"line {number}\n\n" for number in range(30)))
    os.utime(tmp_path / "a.stderr", (1, 1))
    (tmp_path / "b.stderr").write_text("")
    text = log_tails([tmp_path])
    assert text.splitlines()[0] == f"The last lines of {tmp_path}/a.stderr:"
    assert text.splitlines()[1:] == [f"line {number}" for number in range(20, 30)]
    (tmp_path / "c.stderr").write_text(" \n")
    assert "a.stderr" in log_tails([tmp_path])
