from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.errors import NothingToDo, OptionError
from pocket_coffea.run.filesets import (
    filter_filesets,
    group_filesets,
    needs_grid,
    split_names,
    warn_of_unknown_samples,
)


def entry(sample, year="2018", files=("a.root",)):
    return {"files": list(files), "metadata": {"sample": sample, "year": year}}


FILESETS = {
    "TT_2017": entry("TT", "2017"),
    "TT_2018": entry("TT"),
    "DY_2018": entry("DY"),
    "DATA_2018_EraA": entry("DATA"),
    "DATA_2018_EraB": entry("DATA"),
}


def test_filters_can_be_combined():
    assert list(filter_filesets(FILESETS)) == list(FILESETS)
    assert list(filter_filesets(FILESETS, years=["2018"], samples=["TT", "DY"])) == ["TT_2018", "DY_2018"]
    assert list(filter_filesets(FILESETS, datasets=["DATA_2018_EraB"])) == ["DATA_2018_EraB"]


def test_nothing_left_says_what_was_meant():
    with pytest.raises(NothingToDo, match=r"--filter-samples: there is no 'DATAA'. Did you mean 'DATA'"):
        filter_filesets(FILESETS, samples=["DATAA"])
    with pytest.raises(NothingToDo, match="No dataset is left"):
        filter_filesets(FILESETS, years=["2017"], samples=["DY"])


def test_a_name_that_nobody_has_is_warned_about(caplog):
    assert list(filter_filesets(FILESETS, years=["2017", "2019"])) == ["TT_2017"]
    assert "there is no '2019'" in caplog.text


def test_groups_come_first_and_the_others_stay_alone():
    groups = group_filesets(FILESETS, {"MC": ["TT", "DY"]})
    assert {name: list(datasets) for name, datasets in groups.items()} == {
        "MC": ["TT_2017", "TT_2018", "DY_2018"],
        "DATA_2018_EraA": ["DATA_2018_EraA"],
        "DATA_2018_EraB": ["DATA_2018_EraB"],
    }


def test_a_sample_of_a_group_that_no_dataset_has_is_warned_about(caplog):
    warn_of_unknown_samples(FILESETS, {"MC": ["TT", "DYY"]})
    warn_of_unknown_samples(FILESETS, None)
    (said,) = caplog.messages
    assert "no dataset has the sample 'DYY' of group 'MC'. Did you mean 'DY'?" in said


def test_a_group_without_datasets_is_left_out(caplog):
    assert "VV" not in group_filesets(FILESETS, {"VV": ["WW", "ZZ"]})
    assert "no dataset of this run is in group 'VV'" in caplog.text


def test_a_group_must_not_overwrite_a_dataset():
    with pytest.raises(OptionError, match="rename the group"):
        group_filesets(FILESETS, {"DY_2018": ["TT"]})


names = st.sampled_from(["A", "B", "C", "D"])
filesets = st.dictionaries(
    st.text("abc_", min_size=1, max_size=5),
    st.builds(entry, names, st.sampled_from(["2017", "2018"])),
    min_size=1,
)


@given(filesets, st.dictionaries(st.sampled_from(["G1", "G2"]), st.sets(names)))
def test_splitting_loses_and_doubles_no_dataset(all_filesets, groups):
    taken: set[str] = set()
    disjoint = {}
    for group, samples in groups.items():
        disjoint[group] = sorted(samples - taken)
        taken |= samples
    split = group_filesets(all_filesets, disjoint)
    joined = [name for datasets in split.values() for name in datasets]
    assert sorted(joined) == sorted(all_filesets)
    assert all(split.values())


@given(filesets, st.sets(names, min_size=1), st.sets(st.sampled_from(["2017", "2018"]), min_size=1))
def test_filtering_keeps_exactly_what_matches(all_filesets, samples, years):
    expected = [
        name
        for name, fileset in all_filesets.items()
        if fileset["metadata"]["sample"] in samples and fileset["metadata"]["year"] in years
    ]
    if expected:
        assert list(filter_filesets(all_filesets, samples=samples, years=years)) == expected
    else:
        with pytest.raises(NothingToDo):
            filter_filesets(all_filesets, samples=samples, years=years)


def test_only_xrootd_needs_the_grid():
    assert not needs_grid({"a": entry("A", files=["/data/a.root", "https://host/b.root"])})
    assert needs_grid({"a": entry("A"), "b": entry("B", files=["c.root", "root://host//store/d.root"])})


def test_lists_of_names():
    assert split_names(None) == split_names("") == []
    assert split_names("a, b,,c") == ["a", "b", "c"]
