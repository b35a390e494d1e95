"""``check-jobs`` as a user starts it: options, exit codes, messages, lines, JSON, signals."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from tests.unit.executors.jobs.campaigns import make_campaign, started

PROGRAM = [sys.executable, "-m", "pocket_coffea.cli.main", "check-jobs", "-j"]


def check_jobs(folder: Path, *words: str):
    return CliRunner().invoke(main, ["check-jobs", "-j", str(folder), "--interval", "0.2", *words])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "output" / "job"


def test_a_campaign_from_its_first_to_its_last_job(folder):
    make_campaign(folder, [["deliver"], ["fail 75 'time is up'", "deliver"]])
    result = check_jobs(folder.parent, "--resubmit")
    assert result.exit_code == 0, result.output
    assert "job_1: retry: time limit; sent to longlunch instead of espresso" in result.output
    assert "2 jobs: 0 idle, 0 running, 2 done, 0 failed" in result.output
    assert "All jobs are completed" in result.output
    assert f"Now merge outputs with merge-outputs -jc {folder}" in result.output
    assert "\x1b" not in result.output
    again = check_jobs(folder)
    assert again.exit_code == 0
    assert "All jobs are completed" in again.output


def test_jobs_that_did_not_end_well(folder):
    make_campaign(folder, [["deliver"], ["fail 76 'ValueError: [/eos/x] is no markup'"]])
    result = check_jobs(folder, "-r", "-m", "0")
    assert result.exit_code == 3
    assert "job_1 was given up: processing error: ValueError: [/eos/x] is no markup" in result.output
    looked = check_jobs(folder)
    assert looked.exit_code == 3
    assert "1 of 2 jobs are done." in looked.output
    assert "All jobs are completed" not in looked.output


def test_failed_jobs_are_shown_to_who_only_looks(folder):
    make_campaign(folder, [["deliver"], ["sleep 0.1; fail 76 'x'"]])
    result = check_jobs(folder, "--once", "-r")
    assert result.exit_code == 5
    deadline = time.monotonic() + 30
    while not (folder / "job_1.failed").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    result = check_jobs(folder)
    assert result.exit_code == 3
    assert "Failed jobs found. 1 job did not end well: job_1." in result.output
    assert "Use --resubmit to resubmit the failed jobs" in result.output
    assert sorted(started(folder)) == [(0, 1), (1, 1)]


def test_json_is_one_line_for_each_look(folder):
    make_campaign(folder, [["deliver"], ["deliver"]])
    result = check_jobs(folder, "--json", "--resubmit")
    looks = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == looks[-1]["exit_code"] == 0
    assert looks[0]["sent"] == [0, 1]
    assert looks[-1]["counts"]["done"] == looks[-1]["total"] == 2
    assert [job["state"] for job in looks[-1]["jobs"]] == ["done", "done"]


def test_jobs_are_recreated_once(folder):
    make_campaign(folder, [["deliver"], ["fail 76 'x'", "deliver"]])
    assert check_jobs(folder, "-r", "-m", "0").exit_code == 3
    result = check_jobs(folder, "--recreate", "job_1")
    assert result.exit_code == 0, result.output
    assert "1 job was sent again" in result.output
    assert check_jobs(folder, "--recreate", "auto").exit_code == 4
    assert check_jobs(folder, "--recreate", "7").exit_code == 1


def test_details_show_every_job(folder):
    make_campaign(folder, [["deliver"], ["fail 76 'ValueError: x'"]])
    check_jobs(folder, "-r", "-m", "0")
    result = check_jobs(folder, "--once", "-d")
    assert "given up" in result.output
    assert "ValueError: x" in result.output
    assert "DY" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--use-redirector"], "--use-redirector: concerns jobs that are sent again"),
        (["--recreate-queue", "workday", "--skip-bad-files"], "--recreate-queue, --skip-bad-files: concerns"),
        (["--resubmit", "--remove-running"], "add --recreate auto or a list"),
        (["--recreate", "seven"], "give auto, or numbers of jobs"),
        (["--resubmit", "--blocklist-sites", "root://a.site//"], "not addresses"),
    ],
)
def test_options_that_would_do_nothing_or_harm(folder, words, said):
    make_campaign(folder, [["deliver"]])
    result = check_jobs(folder, *words)
    assert result.exit_code == 1
    assert said in result.output
    assert started(folder) == []


def test_a_folder_that_is_none(tmp_path):
    result = check_jobs(tmp_path / "nowhere")
    assert result.exit_code == 1
    assert "There is no folder" in result.output
    assert CliRunner().invoke(main, ["check-jobs"]).exit_code == 2


def test_a_second_monitor_is_refused(folder):
    make_campaign(folder, [["sleep 600"]])
    first = subprocess.Popen([*PROGRAM, str(folder), "-r", "--interval", "0.2"], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not started(folder):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        result = check_jobs(folder, "--resubmit")
        assert result.exit_code == 6
        assert f"process {first.pid}" in result.output
        assert check_jobs(folder, "--once").exit_code == 5  # looking is allowed
    finally:
        first.send_signal(signal.SIGINT)
        assert first.wait(30) == 5
    assert started(folder) == [(0, 1)]
    assert not (folder / ".check_jobs.lock").exists()
    removed = check_jobs(folder, "--recreate", "0", "--remove-running", "--once")
    assert removed.exit_code == 5
    from pocket_coffea.executors.jobs.owner import open_campaign

    opened = open_campaign(folder)
    opened.system.remove([opened.campaign.jobs[0].last.id], 0.0)


def test_a_killed_monitor_is_followed_by_another(folder):
    make_campaign(folder, [["sleep 1; deliver"], ["fail 76 'x'", "sleep 1; deliver"]])
    first = subprocess.Popen([*PROGRAM, str(folder), "-r", "--interval", "0.2"], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while (1, 2) not in started(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.kill()
    first.wait(30)
    assert (folder / ".check_jobs.lock").exists()
    result = check_jobs(folder, "--resubmit")
    assert result.exit_code == 0, result.output
    assert sorted(started(folder)) == [(0, 1), (1, 1), (1, 2)]


def test_the_screen_on_a_real_terminal(folder):
    make_campaign(folder, [["sleep 0.5; deliver"], ["fail 75 'time is up'", "deliver"]])
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "60", "LINES": "30"}
    process = subprocess.Popen(
        [*PROGRAM, str(folder), "-r", "--interval", "0.2"], stdout=slave, stderr=slave, env=env
    )
    os.close(slave)
    shown = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                shown += os.read(master, 65536)
            except OSError:  # its last writer has gone
                break
    os.close(master)
    assert process.wait(30) == 0
    text = shown.decode()
    assert "\x1b[" in text
    for part in ("Total", "% Done", "█", "Events", "Ctrl-C leaves", "All jobs are completed"):
        assert part in text
