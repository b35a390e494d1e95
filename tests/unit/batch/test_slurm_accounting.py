"""What is read from the output of sacct."""

from __future__ import annotations

import time

import pytest

from pocket_coffea.batch.slurm_accounting import parse_accounting
from pocket_coffea.batch.states import State

TIMES = "2026-11-22T02:00:00|2026-11-22T02:10:00|lab|{}"


@pytest.mark.parametrize(
    ("line", "number", "state", "code", "signal"),
    [
        (f"12|COMPLETED|0:0|{TIMES}", "12", State.DONE, 0, None),
        (f"12_3|FAILED|73:0|{TIMES}", "12_3", State.FAILED, 73, None),
        (f"12_3|FAILED|0:9|{TIMES}", "12_3", State.FAILED, None, 9),
        (f"12|OUT_OF_MEMORY|0:125|{TIMES}", "12", State.FAILED, None, 125),
        (f"12|TIMEOUT|0:0|{TIMES}", "12", State.TIMEOUT, 0, None),
        (f"12|NODE_FAIL|0:0|{TIMES}", "12", State.FAILED, 0, None),
        (f"12|CANCELLED by 1000|0:15|{TIMES}", "12", State.REMOVED, None, 15),
        (f"12|PREEMPTED|0:0|{TIMES}", "12", State.REMOVED, 0, None),
        (f"12|RUNNING|0:0|{TIMES}", "12", State.RUNNING, None, None),
        ("12|PENDING|0:0|Unknown|Unknown|None assigned|Resources", "12", State.IDLE, None, None),
        ("12|PENDING|0:0|Unknown|Unknown|None assigned|JobHeldUser", "12", State.HELD, None, None),
        ("12|REQUEUE_HOLD|0:0|Unknown|Unknown|None assigned|None", "12", State.HELD, None, None),
    ],
)
def test_each_state_is_read(line, number, state, code, signal):
    (event,) = parse_accounting(line.format("None") + "\n")
    assert (event.id, event.state, event.exit_code, event.signal) == (number, state, code, signal)


def test_tasks_that_wait_together_are_told_apart():
    (*events,) = parse_accounting("34_[1,3-5%2]|PENDING|0:0|Unknown|Unknown|None assigned|Priority\n")
    assert [event.id for event in events] == ["34_1", "34_3", "34_4", "34_5"]
    assert {(event.state, event.reason) for event in events} == {(State.IDLE, "PENDING (Priority)")}


def test_the_last_line_of_a_requeued_job_counts_and_others_are_passed_over():
    text = f"5|NODE_FAIL|0:0|{TIMES}\nslurm: warning\n\n5|COMPLETED|0:0|{TIMES}\n6||0:0||||\n".replace(
        "{}", "None"
    )
    (event,) = parse_accounting(text)
    assert event.state is State.DONE
    assert time.localtime(event.time)[3:5] == (2, 10)
