from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import pytest
from rich.console import Console

from pocket_coffea.run.progress import LineProgress, ProgressState, RichProgress, make_progress
from pocket_coffea.run.summary import RunReport, throughput_table


@dataclass
class Chunk:
    dataset: str
    n: int = 1000

    def __len__(self):
        return self.n


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


CHUNKS = [Chunk("A"), Chunk("A"), Chunk("B", 2000), Chunk("C", 0)]


def test_rate_and_time_left():
    clock = Clock()
    state = ProgressState(CHUNKS, clock)
    assert state.eta() is None
    assert (
        "0/4 chunks, 0/4.0k events, 0 events/s, ETA -; datasets: 0 done, 0 running, 3 waiting" in state.line()
    )
    clock.now = 10.0
    state.chunk_done(CHUNKS[0], {})
    assert state.rate() == 100
    assert state.eta() == 30
    assert state.line().startswith(
        "1/4 chunks, 1.0k/4.0k events, 100 events/s, ETA 0:00:30; datasets: 0 done, 1 running"
    )
    state.chunk_done(CHUNKS[1], {})
    state.chunk_done(CHUNKS[3], {})
    assert [entry.state for entry in state.datasets.values()] == ["done", "waiting", "done"]


def test_chunks_of_an_earlier_run_do_not_count_for_the_rate():
    clock = Clock()
    state = ProgressState(CHUNKS, clock)
    state.chunk_done(CHUNKS[2], {"stored": True})
    clock.now = 1.0
    assert state.rate() == 0
    assert state.done_events == 2000


def test_lines_come_now_and_then(caplog):
    caplog.set_level(logging.INFO)
    clock = Clock()
    progress = LineProgress(every=10, clock=clock)
    progress.start("all", CHUNKS)
    progress(CHUNKS[0], {})
    assert caplog.text == ""
    clock.now = 11
    progress(CHUNKS[1], {})
    assert "all: 2/4 chunks" in caplog.text
    progress(CHUNKS[2], {})
    assert caplog.text.count("\n") == 1
    progress(CHUNKS[3], {})
    progress.stop()
    assert "4/4 chunks" in caplog.text
    assert "ETA 0:00:00" in caplog.text


def test_a_terminal_sees_every_dataset(caplog):
    caplog.set_level(logging.INFO)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=160)
    progress = make_progress(console)
    assert isinstance(progress, RichProgress)
    progress.start("all", CHUNKS)
    for chunk in CHUNKS[:3]:
        progress(chunk, {})
    progress._display.refresh()
    text = out.getvalue()
    for part in ("all", "  A", "  B", "done, 2/2 chunks", "events/s", "waiting"):
        assert part in text
    progress.stop()
    assert "all: 3/4 chunks" in caplog.text
    assert isinstance(make_progress(Console(file=io.StringIO())), LineProgress)


def test_the_closing_table():
    report = RunReport(wall_seconds=4.0)
    report.add_throughput({"A": {"events": 1000, "chunks": 2, "seconds": 2.0}})
    report.add_throughput(
        {"A": {"events": 1000, "chunks": 1, "seconds": 2.0}, "B": {"events": 0, "chunks": 1, "seconds": 0.0}}
    )
    out = io.StringIO()
    Console(file=out, width=100).print(throughput_table(report))
    rows = {line.strip().split("  ")[0]: line.split() for line in out.getvalue().splitlines() if line.strip()}
    assert rows["A"][-4:] == ["2,000", "3", "4.0", "500"]
    assert rows["B"][-4:] == ["0", "1", "0.0", "-"]
    assert rows["all, wall clock"][-4:] == ["2,000", "4", "4.0", "500"]


@pytest.mark.parametrize(
    ("failed", "skipped", "code"), [({}, [], 0), ({"A": "x"}, [], 3), ({}, [("A", "f", "bad")], 3)]
)
def test_exit_codes(failed, skipped, code):
    assert RunReport(failed=failed, skipped=skipped).exit_code == code


def test_a_narrow_table_folds_names_and_keeps_numbers_whole():
    report = RunReport(wall_seconds=3.0)
    name = "DATA_SingleMuon_2018_EraA_of_a_long_name"
    report.add_throughput({name: {"events": 123456789, "chunks": 1000, "seconds": 3600.0}})
    out = io.StringIO()
    Console(file=out, width=72).print(throughput_table(report))
    text = out.getvalue()
    assert "123,456,789" in text
    assert "3,600.0" in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert all(part in text for part in ("DATA_SingleMuon_2018_E", "raA_of_a_long_name"))
