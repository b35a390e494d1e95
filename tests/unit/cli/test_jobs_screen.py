"""The screen of ``check-jobs`` fits terminals of every size, and says the same on all of them."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from pocket_coffea.batch.monitor import News
from pocket_coffea.cli.jobs_screen import line, news_lines, screen
from pocket_coffea.executors.jobs.overview import JobRow, Overview

SAMPLES = ("DYJetsToLL_M-50_TuneCP5_13TeV-amcatnloFXFX", "TTToSemiLeptonic", "DATA_SingleMuon")
STATES = ("done", "running", "idle", "failed", "held", "timeout", "missing", "removed")


def seen(jobs: int = 200, groups: int = 3, **values) -> Overview:
    rows = []
    for number in range(jobs):
        names = (SAMPLES + tuple(f"sample_{k}" for k in range(groups)))[: max(groups, 1)]
        samples = (names[number % len(names)],) + ((names[0],) if number == 1 else ())
        state = STATES[number % len(STATES)]
        reason = "input cannot be read: root://a.site//store/[x].root" if state == "failed" else ""
        given_up = "tried 5 times" if number == 3 else ""
        rows.append(
            JobRow(number, state, samples, samples, 10, 2, "longlunch", 0, "node.cern.ch", reason, given_up)
        )
    about = {"time": time.time(), "seconds_left": 7500.0, "blacklisted": ("T2_XX",), "is_over": False}
    news = (News(None, "HTCondor does not answer: [red]no[/red]"), News(3, "give up: " + "x" * 500))
    known = {"folder": Path("/eos/user/p/physicist/analysis/output/job"), "name": "job", "news": news}
    return Overview(
        **{**known, **about, "executor": "condor@lxplus", "jobs": tuple(rows), "sent": (), **values}
    )


def shown(overview: Overview, width: int, height: int = 40, **values) -> str:
    console = Console(
        width=width,
        height=height,
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    words = {"by": "sample", "details": False, "hint": "Ctrl-C leaves", **values}
    console.print(screen(overview, [("10:10:10", each) for each in news_lines(overview)], console, **words))
    return console.export_text()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 160, 300])
@pytest.mark.parametrize("details", [False, True])
def test_every_width(width, details):
    text = shown(seen(), width, details=details)
    assert max(map(len, text.splitlines())) <= width
    if width >= 60:
        for part in (
            "200",
            "Running",
            "% Done",
            "█",
            "Given up",
            "T2_XX",
            "2 h 05 min left",
            "Ctrl-C leaves",
        ):
            assert part in text
        assert "(jobs touching multiple samples are counted under each)" in text
        assert "Failed jobs" in text or width < 90


@pytest.mark.parametrize("height", [10, 24, 60])
def test_hundreds_of_samples_leave_room_for_events(height):
    text = shown(seen(jobs=1000, groups=300), 100, height)
    assert "further ones" in text
    assert "[red]no[/red]" in text
    assert len(text.splitlines()) <= max(height, 24) + 4


def test_no_jobs_table_without_by():
    assert "% Done" not in shown(seen(), 100, by="none")
    assert "Dataset" in shown(seen(), 100, by="dataset")


def test_the_slowest_sample_is_first():
    text = shown(seen(), 160)
    places = [text.index(name) for name in sorted(SAMPLES)]
    shares = [
        (sum(row.state == "done" for row in rows) / len(rows), name)
        for name, rows in seen().groups("sample").items()
    ]
    order = [name for _, name in sorted(shares)]
    assert [name for _, name in sorted(zip(places, sorted(SAMPLES), strict=True))] == order


def test_what_a_decision_repeats_is_not_said_twice():
    news = (News(1, "time limit: x"), News(1, "retry: time limit: x; sent again"), News(2, "time limit: x"))
    assert list(news_lines(seen(news=news))) == [
        "job_1: retry: time limit: x; sent again",
        "job_2: time limit: x",
    ]


def test_the_summary_in_one_line():
    assert line(seen(16)) == (
        "16 jobs: 2 idle, 2 running, 2 done, 8 failed, 2 held; 1 given up; about 2 h 05 min left"
    )
    assert line(seen(0, seconds_left=None)) == "0 jobs: 0 idle, 0 running, 0 done, 0 failed"


def test_exit_codes():
    done = tuple(row for row in seen().jobs if row.state == "done")
    assert seen(jobs=0).exit_code(acting=True) == 5
    for acting in (True, False):
        assert seen().exit_code(acting=acting) == 5
        over = seen()
        assert Overview(**{**fields(over), "jobs": done, "is_over": True}).exit_code(acting=acting) == 0
        assert Overview(**{**fields(over), "is_over": True}).exit_code(acting=acting) == 3


def fields(overview: Overview) -> dict:
    return {name: getattr(overview, name) for name in Overview.__slots__}
