"""The table of what was prepared."""

from __future__ import annotations

from pocket_coffea.executors.jobs.record import JobRecord, JobSlice
from pocket_coffea.executors.jobs.table import jobs_table


def test_the_table_adds_up():
    jobs = [
        JobRecord((JobSlice("TT", "TT", 1500, 2), JobSlice("DY", "DY", 10, 1)), 100),
        JobRecord((JobSlice("DY", "DY", 20, 3),), 100),
    ]
    assert jobs_table(jobs) == [
        "dataset     jobs  events  files",
        "TT             1   1,500      2",
        "DY             2      30      4",
        "2 datasets     2   1,530      6",
        "largest job: 0 (1,510 events in 3 files of TT, DY)",
        "smallest job: 1 (20 events in 3 files of DY)",
    ]


def test_unknown_numbers_of_events():
    assert jobs_table([JobRecord((JobSlice("TT", "TT", 0, 2),), 1)])[1:3] == [
        "TT            1       ?      2",
        "1 dataset     1       ?      2",
    ]
