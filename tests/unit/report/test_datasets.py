"""Datasets: what the ledger says of their completeness, and how fast the run was."""

from __future__ import annotations

from pocket_coffea.report.datasets import datasets_of, holes_of, throughput_of
from tests.unit.report.outputs import entry, make_output


def test_events_that_were_read_stand_beside_those_expected():
    rows = {row["name"]: row for row in datasets_of(make_output())}
    row = rows["DY_2018"]
    assert (row["sample"], row["year"], row["mc"]) == ("DY", "2018", True)
    assert (row["files"], row["read"], row["entries"], row["expected"]) == (1, 200, 200, 200)
    assert rows["DATA_2018"]["mc"] is False
    assert holes_of(make_output()) == []


def test_what_is_missing_or_skipped_is_told():
    output = make_output()
    output["ledger"]["DY_2018"]["/data/DY_2018.root"] = entry(200, 150)
    output["ledger"]["DATA_2018"]["bad.root"] = {
        **entry(0),
        "entries": None,
        "ranges": [],
        "skipped": [{"range": None, "reason": "no such file"}],
    }
    rows = {row["name"]: row for row in datasets_of(output)}
    assert (rows["DY_2018"]["read"], rows["DY_2018"]["entries"]) == (150, 200)
    assert rows["DATA_2018"]["skipped"] == 1
    assert holes_of(output) == [
        ["DY_2018", "/data/DY_2018.root", "150 to 200", "not processed"],
        ["DATA_2018", "bad.root", "the whole file", "no such file"],
    ]


def test_a_file_that_no_job_has_read_is_missing():
    planned = {"DY_2018": {"/data/DY_2018.root": None, "/data/second.root": [[0, 50]]}}
    assert holes_of(make_output(), planned) == [["DY_2018", "/data/second.root", "0 to 50", "not processed"]]


def test_an_output_of_an_old_version_has_datasets_without_a_ledger():
    output = make_output()
    del output["ledger"]
    rows = datasets_of(output)
    assert len(rows) == 3
    assert {(row["ledger"], row["read"]) for row in rows} == {(False, 0)}


def test_metadata_without_a_number_of_events():
    output = make_output()
    output["datasets_metadata"]["by_dataset"]["DY_2017"]["nevents"] = "many"
    rows = {row["name"]: row for row in datasets_of(output)}
    assert rows["DY_2017"]["expected"] is None


def test_the_rate_is_by_the_clock():
    assert throughput_of(make_output()) == {"events": 350, "seconds": 50.0, "rate": 7.0, "datasets": []}
    output = make_output()
    output["provenance"]["throughput"] = {"DY_2018": {"events": 200, "chunks": 2, "seconds": 1.5}}
    assert throughput_of(output)["datasets"] == [["DY_2018", 200, 1.5]]
    assert throughput_of({"provenance": {"start": "yesterday"}}) is None
    assert throughput_of({}) is None
