"""HTCondor's event log: every event that matters, torn and replaced logs, offsets."""

from __future__ import annotations

import os
import time

import pytest

from pocket_coffea.batch.condor_log import CondorLog, parse_events
from pocket_coffea.batch.states import State


def event(number, first, *lines):
    return "\n".join(
        [f"{number} (037.000.000) 2026-11-22 02:56:17 {first}", *(f"\t{each}" for each in lines), "...\n"]
    )


SUBMITTED = event("000", "Job submitted from host: <127.0.0.1:9618?addrs=127.0.0.1>")
EXECUTING = event(
    "001", "Job executing on host: <127.0.0.1:9620?alias=bare.site&x=1>", "SlotName: slot1_1@bare.site"
)
IMAGE_SIZE = event("006", "Image size of job updated: 53", "1  -  MemoryUsage of job (MB)")
TERMINATED = event(
    "005",
    "Job terminated.",
    "(1) Normal termination (return value {code})",
    "\tUsr 0 00:00:00, Sys 0 00:00:00  -  Run Remote Usage",
    "Partitionable Resources :    Usage  Request Allocated",
    "   Cpus                 :        0        1         1",
    "   Memory (MB)          :      812     2000      2048",
)
KILLED = event("005", "Job terminated.", "(0) Abnormal termination (signal 9)", "(0) No core file")
OVERTIME = event(
    "009", "Job was aborted.", "Job removed by SYSTEM_PERIODIC_REMOVE due to wall time exceeded allowed max."
)
OVERHELD = OVERTIME.replace("wall time exceeded", "being held longer than")
REMOVED = event("009", "Job was aborted.", "via condor_rm (by user physicist)")
HELD = event("012", "Job was held.", "Transfer input files failure: ü", "Code 13 Subcode 2")
RELEASED = event("013", "Job was released.", "via condor_release (by user x)")
EVICTED = event("004", "Job was evicted.", "(0) CPU times")
REMOTE_ERROR = event("021", "Warning from starter on slot1@x:", "something")
DISCONNECTED = event("022", "Job disconnected, attempting to reconnect", "Socket closed")
LOST = event("024", "Job reconnection failed", "Job not found at execution machine")


def read(text):
    events, length = parse_events(text)
    assert length == len(text)
    return events


@pytest.mark.parametrize(
    ("text", "state", "values"),
    [
        (SUBMITTED, State.IDLE, {}),
        (EXECUTING, State.RUNNING, {"host": "bare.site"}),
        (TERMINATED.format(code=0), State.DONE, {"exit_code": 0, "signal": None, "memory_mb": 812}),
        (TERMINATED.format(code=73), State.FAILED, {"exit_code": 73}),
        (KILLED, State.FAILED, {"exit_code": None, "signal": 9}),
        (OVERTIME, State.TIMEOUT, {}),
        (OVERHELD, State.REMOVED, {}),
        (REMOVED, State.REMOVED, {"reason": "via condor_rm (by user physicist)"}),
        (HELD, State.HELD, {"reason": "Transfer input files failure: ü", "code": 13, "subcode": 2}),
        (RELEASED, State.IDLE, {}),
        (EVICTED, State.IDLE, {}),
        (REMOTE_ERROR, State.RUNNING, {"reason": "something"}),
        (DISCONNECTED, State.RUNNING, {}),
        (LOST, State.IDLE, {"reason": "Job not found at execution machine"}),
    ],
    ids=lambda value: value[:3] if isinstance(value, str) else "",
)
def test_each_event_means_a_state(text, state, values):
    (found,) = read(text)
    assert (found.id, found.state) == ("37.0", state)
    assert {name: getattr(found, name) for name in values} == values
    assert time.localtime(found.time)[:6] == (2026, 11, 22, 2, 56, 17)


def test_events_that_change_no_state_are_passed_over():
    assert [each.state for each in read(EXECUTING + IMAGE_SIZE + TERMINATED.format(code=0))] == [
        State.RUNNING,
        State.DONE,
    ]


@pytest.mark.parametrize(
    "stamp", ["2026-11-22 02:56:17", "2026-11-22T02:56:17", "2026-11-22 02:56:17.123", "11/22 02:56:17"]
)
def test_every_form_of_local_time_is_read(stamp):
    (found,) = read(SUBMITTED.replace("2026-11-22 02:56:17", stamp))
    assert time.localtime(found.time)[1:6] == (11, 22, 2, 56, 17)


@pytest.mark.parametrize("stamp", ["2026-11-22T02:56:17Z", "2026-11-22 04:56:17+02:00"])
def test_a_time_with_a_zone_is_read(stamp):
    (found,) = read(SUBMITTED.replace("2026-11-22 02:56:17", stamp))
    assert time.gmtime(found.time)[:6] == (2026, 11, 22, 2, 56, 17)


def test_an_event_that_another_one_interrupts_is_passed_over():
    torn = HELD[: HELD.index("Code")]
    assert [each.state for each in read(EXECUTING + torn + "\n" + RELEASED)] == [State.RUNNING, State.IDLE]
    assert [each.state for each in read("garbage\n\0\0\n" + EXECUTING)] == [State.RUNNING]


WHOLE = SUBMITTED + EXECUTING + HELD + RELEASED + TERMINATED.format(code=0)
STATES = [State.IDLE, State.RUNNING, State.HELD, State.IDLE, State.DONE]


@pytest.mark.parametrize("step", [1, 7, 100, 333])
def test_a_log_that_grows_by_pieces_gives_each_event_once(tmp_path, step):
    path, events = tmp_path / "job.log", []
    log, data = CondorLog(path), WHOLE.encode()
    assert log.read() == []
    for start in range(0, len(data), step):
        with path.open("ab") as file:
            file.write(data[start : start + step])
        events += log.read()
    assert [each.state for each in events] == STATES
    assert [each.reason for each in events][2] == "Transfer input files failure: ü"
    assert log.read() == []


def test_a_replaced_log_is_read_from_its_start(tmp_path):
    path = tmp_path / "job.log"
    path.write_text(WHOLE)
    log = CondorLog(path)
    assert len(log.read()) == 5
    path.unlink()
    path.write_text(WHOLE.replace("(037.", "(038."))
    assert [each.id for each in log.read()] == ["38.0"] * 5


def test_a_log_that_was_cut_is_read_from_its_start(tmp_path):
    path = tmp_path / "job.log"
    path.write_text(WHOLE)
    log = CondorLog(path)
    log.read()
    path.write_text(SUBMITTED)
    assert [each.state for each in log.read()] == [State.IDLE]
    path.write_text(WHOLE.replace("(037.", "(039."))  # overwritten in place, and longer than what was read
    assert [each.id for each in log.read()] == ["39.0"] * 5


@pytest.mark.parametrize("ending", [".old", ".1"])
def test_the_rest_of_a_rotated_log_is_not_lost(tmp_path, ending):
    path = tmp_path / "job.log"
    path.write_text(SUBMITTED + EXECUTING)
    log = CondorLog(path)
    assert len(log.read()) == 2
    with path.open("a") as file:
        file.write(HELD)
    path.rename(f"{path}{ending}")
    path.write_text(RELEASED)
    assert [each.state for each in log.read()] == [State.HELD, State.IDLE]


def test_nothing_new_costs_one_stat(tmp_path, monkeypatch):
    path = tmp_path / "job.log"
    path.write_text(WHOLE)
    log = CondorLog(path)
    log.read()
    monkeypatch.setattr(type(path), "open", None)
    assert log.read() == []


def test_the_first_reading_of_ten_thousand_jobs_is_quick(tmp_path):
    path = tmp_path / "job.log"
    text = SUBMITTED + EXECUTING + IMAGE_SIZE + TERMINATED.format(code=0)
    path.write_text("".join(text.replace("(037.000", f"(037.{number:03d}") for number in range(10_000)))
    start = time.process_time()
    events = CondorLog(path).read()
    assert time.process_time() - start < 3.0  # some tenths; machines of CI are slow
    assert len({each.id for each in events}) == 10_000
    assert os.path.getsize(path) > 5_000_000
