"""Why an attempt failed: reports, logs of every batch system, and damaged ones."""

from __future__ import annotations

import json

import pytest

from pocket_coffea.batch.states import Attempt
from pocket_coffea.executors.jobs.explain import attempt_logs, explain_attempt, last_line, unreadable_in
from pocket_coffea.executors.jobs.report import read_report, report_path
from tests.unit.executors.jobs.campaigns import make_campaign

URL = "root://a.site:1094//store/mc/a.root"


@pytest.fixture
def record(tmp_path):
    return make_campaign(tmp_path / "job", [["deliver"]], files=[URL, "root://a.site//store/mc/b.root"])


def write_report(record, **values):
    content = {"job": 0, "attempt": 1, "campaign": "c1", "exit_code": 73, "reason": "it\n broke", **values}
    report_path(record.folder, 0, 1).write_text(json.dumps(content))


def test_the_report_is_believed_first(record):
    write_report(record, unreadable=[URL], memory_mb=1234, host="worker7")
    (record.folder / "logs" / "job_jobs_all.0.0.err").write_text("ValueError: something else\n")
    attempt = Attempt(1, "jobs_all.0", memory_mb=12)
    assert explain_attempt(record, "c1", 0, attempt) == ("it broke", (URL,))
    assert (attempt.memory_mb, attempt.host) == (1234, "worker7")


@pytest.mark.parametrize(
    "values", [{"campaign": "another"}, {"attempt": 2}, {"job": 1}, {"exit_code": "x"}, {"outputs": [{}]}]
)
def test_a_report_of_another_attempt_or_a_damaged_one_is_none(record, values):
    write_report(record, **values)
    assert read_report(record.folder, 0, 1, "c1") is None


def test_a_torn_report_is_none(record):
    report_path(record.folder, 0, 1).write_text('{"job": 0, "att')
    assert explain_attempt(record, "c1", 0, Attempt(1, "jobs_all.0")) == ("", ())


@pytest.mark.parametrize(
    ("system", "job_id", "name"),
    [
        ("htcondor", "37.4", "job_37.0.err"),
        ("slurm", "34_1", "job_34_1.err"),
        ("local", "jobs_all.3", "job_jobs_all.3.0.err"),
    ],
)
def test_the_log_of_every_batch_system_is_found(tmp_path, system, job_id, name):
    record = make_campaign(tmp_path / "job", [["deliver"]], system=system)
    attempt = Attempt(1, job_id)
    assert attempt_logs(record, 0, attempt)[0] == record.folder / "logs" / name
    (record.folder / "logs" / name).write_text("bash: apptainer: command not found\n")
    assert explain_attempt(record, "c1", 0, attempt)[0] == "bash: apptainer: command not found"


OLD_XROOTD = f"""Traceback (most recent call last):
  File "x.py", line 1, in <module>
OSError: XRootD error: [ERROR] Operation expired
in file {URL}
"""
OLD_MISSING = f"""FileNotFoundError: file not found (and no wildcards)

    [ERROR] Server responded with an error: [3011]
    '{URL}'
ERROR: it ended
"""


@pytest.mark.parametrize("text", [OLD_XROOTD, OLD_MISSING])
def test_files_that_could_not_be_read_are_found_in_logs(record, text):
    (record.folder / "logs" / "job_jobs_all.0.0.err").write_text(text)
    assert explain_attempt(record, "c1", 0, Attempt(1, "jobs_all.0"))[1] == (URL,)


def test_only_files_of_the_job_are_input():
    lines = ["[ERROR] OSError: XRootD error", "in file root://eos.site//eos/user/output.coffea"]
    assert unreadable_in(lines, [URL]) == ()
    assert unreadable_in(lines[:1], [URL]) == ()
    assert unreadable_in(["XRootD error", f"see {URL}?xrd.wantprot=unix."], [URL]) == (URL,)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ""),
        (["something", "slurmstepd: error: *** JOB 3 CANCELLED ***"], "something"),
        (["ValueError: a", "while ending", "more"], "ValueError: a"),
        (["my.module.StrangeError: b", "x"], "my.module.StrangeError: b"),
        (["a" * 1000], "a" * 297 + "..."),
    ],
)
def test_the_line_that_tells(lines, expected):
    assert last_line(lines) == expected


@pytest.mark.parametrize("values", [{"signal": 9}, {"exit_code": 137}])
def test_what_a_killed_job_wrote_before_is_no_reason(record, values):
    log = record.folder / "logs" / "job_jobs_all.0.0.err"
    log.write_text("10:12:07 INFO: 0 of 1 chunks are completed already\n")
    assert explain_attempt(record, "c1", 0, Attempt(1, "jobs_all.0", **values))[0] == ""
    log.write_text("MemoryError: too much\n10:12:07 INFO: going on\n")
    assert explain_attempt(record, "c1", 0, Attempt(1, "jobs_all.0", **values))[0] == "MemoryError: too much"


def test_a_log_of_any_bytes_and_any_size(record):
    path = record.folder / "logs" / "job_jobs_all.0.0.err"
    path.write_bytes(b"\x00\xff\x1b[31mred\x1b[0m\n" * 100_000 + b"RuntimeError: \xe9nd\n")
    why, files = explain_attempt(record, "c1", 0, Attempt(1, "jobs_all.0"))
    assert why.startswith("RuntimeError: ")
    assert files == ()
