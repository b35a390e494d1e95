"""Splitting datasets into jobs: every file once, in each documented mode."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocket_coffea.errors import ConfigurationError, OptionError
from pocket_coffea.executors.jobs.split import Rules, split


def dataset(name: str, files: int, events: int | None, sample: str | None = None) -> dict[str, Any]:
    metadata = {"sample": sample or name, "year": "2018", "isMC": "True"}
    if events is not None:
        metadata["nevents"] = str(events)
    return {name: {"files": [f"{name}/{k}.root" for k in range(files)], "metadata": metadata}}


TWO = {**dataset("TT", 4, 400), **dataset("DY", 2, 1000)}


def shape(plans: Any) -> list[dict[str, int]]:
    return [{each.dataset: each.files for each in plan.datasets} for plan in plans]


def test_scaleout_shares_the_events_out():
    assert shape(split(TWO, Rules(scaleout=3))) == [{"TT": 4}, {"DY": 1}, {"DY": 1}]
    assert shape(split(TWO, Rules(scaleout=2))) == [{"TT": 4, "DY": 1}, {"DY": 1}]
    assert [plan.events for plan in split(TWO, Rules(scaleout=2))] == [900, 500]


def test_scaleout_one_is_one_job():
    assert shape(split(TWO, Rules(scaleout=1))) == [{"TT": 4, "DY": 2}]


def test_no_more_jobs_than_files_and_it_is_said(caplog):
    assert len(split(TWO, Rules(scaleout=50))) == 6
    assert "scaleout = 50 asks for more jobs than there are files" in caplog.text
    assert "split-files: true cuts them: 6 jobs" in caplog.text
    caplog.clear()
    assert len(split(TWO, Rules(scaleout=6))) == 6
    assert not caplog.text


def test_one_number_of_events_fills_across_datasets():
    assert shape(split(TWO, Rules(max_events=300))) == [{"TT": 3}, {"TT": 1}, {"DY": 1}, {"DY": 1}]
    assert shape(split(TWO, Rules(max_events=600))) == [{"TT": 4}, {"DY": 1}, {"DY": 1}]
    assert shape(split(TWO, Rules(max_events=900))) == [{"TT": 4, "DY": 1}, {"DY": 1}]


def test_max_events_wins_over_scaleout():
    assert len(split(TWO, Rules(scaleout=1, max_events=100))) == 6


def test_a_number_by_sample_keeps_datasets_apart():
    more = {**TWO, **dataset("DY_2017", 2, 20, sample="DY")}
    plans = split(more, Rules(max_events={"default": 200, "DY": 1000}))
    assert shape(plans) == [{"TT": 2}, {"TT": 2}, {"DY": 2}, {"DY_2017": 2}]


def test_a_sample_without_number_is_named():
    with pytest.raises(OptionError, match=r"max-events-per-job has no entry for the sample 'DY' and no 'def"):
        split(TWO, Rules(max_events={"TT": 5}))


@pytest.mark.parametrize("option", ["max-events-per-job", "chunksize"])
def test_unknown_samples_are_warned_about(caplog, option):
    wrong = {"default": 1000, "TTT": 5}
    rules = {"max_events": wrong} if option == "max-events-per-job" else {"scaleout": 6, "chunksize": wrong}
    with caplog.at_level(logging.WARNING):
        split(TWO, Rules(**rules))
    assert f"{option}: no dataset of this run has the sample 'TTT'. Did you mean 'TT'" in caplog.text


def test_the_chunksize_of_a_job_is_that_of_its_sample():
    plans = split(TWO, Rules(max_events={"default": 1000}, chunksize={"default": 7, "DY": 3}))
    assert [plan.chunksize for plan in plans] == [7, 3]


def test_a_chunksize_by_sample_needs_one_sample_in_each_job():
    with pytest.raises(OptionError, match=r"job 0 covers multiple samples: TT, DY\. Give max-events-per-job"):
        split(TWO, Rules(scaleout=1, chunksize={"default": 7, "DY": 3}))


def test_a_chunksize_for_every_sample_is_needed():
    with pytest.raises(OptionError, match="chunksize has no entry for the sample 'TT' and no 'default'"):
        split(TWO, Rules(max_events={"default": 10}, chunksize={"DY": 3}))


def test_nothing_given_is_a_question():
    with pytest.raises(OptionError, match=r"Into how many jobs\? 2 datasets with 1,400 events in 6 files .*"):
        split(TWO, Rules())


def test_files_that_are_shared_out_are_no_events(caplog):
    plans = split({**TWO, **dataset("WW", 2, None)}, Rules(scaleout=2))
    assert shape(plans) == [{"TT": 4}, {"DY": 2, "WW": 2}]
    assert [plan.events for plan in plans] == [0, 0]
    assert "No nevents in the metadata of WW: files are shared out, not events" in caplog.text


def test_events_are_needed_where_they_count():
    odd = dataset("TT", 4, None)
    with pytest.raises(OptionError, match=r"1 dataset with 4 files"):
        split(odd, Rules())
    assert shape(split(odd, Rules(scaleout=2))) == [{"TT": 2}, {"TT": 2}]
    with pytest.raises(ConfigurationError, match=r"dataset 'TT' has no nevents in its metadata"):
        split(odd, Rules(max_events=10))


def test_a_file_is_not_cut_by_itself():
    plans = split(dataset("TT", 2, 1000), Rules(max_events=100))
    assert [plan.filesets["TT"]["files"] for plan in plans] == [["TT/0.root"], ["TT/1.root"]]


def test_files_are_cut_when_that_is_asked_for():
    entries = {"TT/0.root": 250, "TT/1.root": 80}
    plans = split(
        dataset("TT", 2, 330),
        Rules(max_events=100, split_files=True),
        lambda files: {f: entries[f] for f in files},
    )
    files = [plan.filesets["TT"]["files"] for plan in plans]
    steps = [{name: part["steps"] for name, part in each.items()} for each in files[:3]]
    assert steps == [{"TT/0.root": [[0, 83]]}, {"TT/0.root": [[83, 166]]}, {"TT/0.root": [[166, 250]]}]
    assert files[3] == ["TT/1.root"]
    assert [plan.events for plan in plans] == [83, 83, 84, 80]


def test_neighbouring_ranges_of_a_job_are_one():
    plans = split(
        dataset("TT", 1, 1000), Rules(scaleout=3, split_files=True), lambda files: dict.fromkeys(files, 1000)
    )
    assert [plan.filesets["TT"]["files"]["TT/0.root"]["steps"] for plan in plans] == [
        [[0, 333]],
        [[333, 666]],
        [[666, 1000]],
    ]


def test_files_are_not_looked_into_without_need():
    def never(files):
        pytest.fail("looked into files")

    assert len(split(TWO, Rules(max_events=600, split_files=True), never)) == 3


def test_replicas_go_with_their_files():
    one = dataset("TT", 2, 10)
    one["TT"]["replicas"] = {"TT/1.root": ["root://b//1.root"]}
    plans = split(one, Rules(max_events=5))
    assert [plan.filesets["TT"]["replicas"] for plan in plans] == [{}, {"TT/1.root": ["root://b//1.root"]}]


@settings(deadline=None)  # machines of CI are slow
@given(
    sizes=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 500)), min_size=1, max_size=5),
    jobs=st.integers(1, 30),
    budget=st.integers(1, 300),
    mode=st.sampled_from(["scaleout", "scalar", "mapping"]),
    cut=st.booleans(),
)
def test_every_event_is_in_one_job(sizes, jobs, budget, mode, cut):
    filesets: dict[str, Any] = {}
    for number, (files, events) in enumerate(sizes):
        filesets |= dataset(f"D{number}", files, events)
    counts = {
        file: (k * 37) % 200
        for k, file in enumerate(f for entry in filesets.values() for f in entry["files"])
    }
    rules = {
        "scaleout": Rules(scaleout=jobs, split_files=cut),
        "scalar": Rules(max_events=budget, split_files=cut),
        "mapping": Rules(max_events={"default": budget}, split_files=cut),
    }[mode]
    plans = split(filesets, rules, lambda files: {file: counts[file] for file in files})
    seen: dict[str, list[tuple[int, int]]] = {}
    for plan in plans:
        assert plan.filesets
        for entry in plan.filesets.values():
            files = entry["files"]
            for file in files:
                steps = files[file]["steps"] if isinstance(files, dict) else [[0, counts[file]]]
                seen.setdefault(file, []).extend(map(tuple, steps))
    assert set(seen) == set(counts)
    for file, ranges in seen.items():
        edges = sorted(ranges)
        assert edges[0][0] == 0
        assert edges[-1][1] == counts[file]
        assert all(left[1] == right[0] for left, right in itertools.pairwise(edges))
    if mode == "scaleout":
        pieces = sum(len(ranges) for ranges in seen.values())
        assert len(plans) == jobs or len(plans) == pieces


def test_files_of_all_datasets_are_counted_in_one_go():
    filesets = {**dataset("A", 2, 100), **dataset("B", 2, 100), **dataset("SMALL", 10, 10)}
    asked = []

    def count(files):
        asked.append(list(files))
        return dict.fromkeys(files, 50)

    split(filesets, Rules(max_events=20, split_files=True), count)
    assert asked == [[*filesets["A"]["files"], *filesets["B"]["files"]]]
    split(filesets, Rules(max_events=1000, split_files=True), count)
    assert len(asked) == 1
