"""Skim files and dataset definitions."""

from __future__ import annotations

import copy
import json

import awkward as ak
import numpy as np
import pytest
import uproot

from pocket_coffea.errors import OutputError, ResultsRefused
from pocket_coffea.run.event_source import open_events
from pocket_coffea.utils.skim import (
    apply_skim_sumgenweights_override,
    original_branches,
    save_skimed_dataset_definition,
    uproot_writeable,
    write_skim,
)


def output():
    return {
        "cutflow": {"initial": {"A_2018": 100, "B_2018": 50, "Empty_2018": 10}},
        "skimmed_files": {"A_2018": ["a1.root", "a2.root"], "B_2018": ["b.root"], "Empty_2018": []},
        "nskimmed_events": {"A_2018": [20, 5], "B_2018": [10], "Empty_2018": [0]},
        "sum_genweights": {"A_2018": 12.5},
        "sum_signOf_genweights": {"A_2018": 90.0},
        "datasets_metadata": {
            "by_dataset": {
                "A_2018": {"sample": "A", "isMC": "True", "nevents": "100"},
                "B_2018": {"sample": "B", "isMC": "False", "nevents": 50},
                "Empty_2018": {"sample": "E", "isMC": "True", "nevents": "10"},
            }
        },
    }


def test_definition_has_files_counts_and_totals(tmp_path, caplog):
    given = output()
    before = copy.deepcopy(given)
    save_skimed_dataset_definition(given, tmp_path / "skim.json")
    assert given == before
    definition = json.loads((tmp_path / "skim.json").read_text())
    assert definition["A_2018"] == {
        "metadata": {
            "sample": "A",
            "isMC": "True",
            "nevents": "25",
            "isSkim": "True",
            "skim_efficiency": "0.25",
            "sum_genweights": 12.5,
            "sum_signOf_genweights": 90.0,
        },
        "files": ["a1.root", "a2.root"],
    }
    assert "sum_genweights" not in definition["B_2018"]["metadata"]
    assert "Empty_2018" not in definition
    assert "Empty_2018: no event passed the skim" in caplog.text
    assert str(tmp_path) not in caplog.text  # of a run it is a temporary file


def test_incomplete_dataset_is_refused_unless_tolerated(tmp_path, caplog):
    given = output()
    given["cutflow"]["initial"]["A_2018"] = 99
    with pytest.raises(ResultsRefused, match=r"A_2018.*99.*nevents = 100"):
        save_skimed_dataset_definition(given, tmp_path / "skim.json")
    assert not (tmp_path / "skim.json").exists()
    save_skimed_dataset_definition(
        given, tmp_path / "skim.json", skip_initial_events_check_datasets=["A_2018"]
    )
    assert "nevents = 100" in caplog.text
    save_skimed_dataset_definition(given, tmp_path / "other.json", check_initial_events=False)
    assert (tmp_path / "other.json").exists()


def test_output_that_is_not_a_postprocessed_skim_is_refused(tmp_path):
    with pytest.raises(ResultsRefused, match="save_skimmed_files"):
        save_skimed_dataset_definition({"cutflow": {}}, tmp_path / "skim.json")
    given = output()
    given["datasets_metadata"] = {}
    with pytest.raises(ResultsRefused, match="postprocessed"):
        save_skimed_dataset_definition(given, tmp_path / "skim.json")


@pytest.mark.parametrize("is_skim", ["True", "true", True, "1"])
def test_totals_of_skims_replace_the_sums(is_skim):
    accumulator = {
        "cutflow": {"initial": {"A": 5, "B": 5, "C": 5}},
        "sum_genweights": {"A": 1.0, "B": 2.0, "C": 3.0},
        "sum_signOf_genweights": {"A": 1.0, "B": 2.0, "C": 3.0},
    }
    totals = {"sum_genweights": 10.0, "sum_signOf_genweights": "20.0"}
    filesets = {
        "A": {"metadata": {"isSkim": is_skim, **totals}},
        "B": {"metadata": {"isSkim": "False", **totals}},
        "C": {"metadata": {"isSkim": is_skim, "sum_genweights": 10.0}},
    }
    assert apply_skim_sumgenweights_override(accumulator, filesets) == ["A"]
    assert accumulator["sum_genweights"] == {"A": 10.0, "B": 2.0, "C": 3.0}
    assert accumulator["sum_signOf_genweights"] == {"A": 20.0, "B": 2.0, "C": 3.0}


def test_partial_skim_is_said(caplog):
    accumulator = {"cutflow": {"initial": {"A": 5}}}
    metadata = {"isSkim": "True", "sum_genweights": 1, "sum_signOf_genweights": 1, "nevents": "7"}
    apply_skim_sumgenweights_override(accumulator, {"A": {"metadata": metadata}})
    assert "5 of 7 events" in caplog.text


def test_written_file_is_the_original_with_fewer_events(sample_file, tmp_path):
    path = sample_file("v12", "ttbar", 60).path
    events = open_events(path, metadata={"dataset": "x"})
    keep = np.arange(60) % 3 == 0
    write_skim(tmp_path / "s.root", events[keep], {"new": np.arange(20.0)}, original_branches(events))
    original, written = uproot.open(path)["Events"], uproot.open(tmp_path / "s.root")["Events"]
    assert set(original.keys()) - set(written.keys()) <= {n for n in original.keys() if n[0] == "n"}  # noqa: SIM118
    assert set(written.keys()) - set(original.keys()) == {"new"}
    for name in set(original.keys()) & set(written.keys()):
        assert str(written[name].interpretation) == str(original[name].interpretation), name
        assert ak.array_equal(written[name].array(), original[name].array()[keep], equal_nan=True), name
    again = open_events(str(tmp_path / "s.root"), metadata={"dataset": "x"})
    assert ak.array_equal(again.Jet.pt, events.Jet.pt[keep])
    assert ak.array_equal(again.Jet.matched_gen.pt, events[keep].Jet.matched_gen.pt)


def test_all_collections_empty_can_be_written_and_read(tmp_path):
    jets = ak.Array([[{"pt": 1.0}]])[:, :0]
    events = ak.zip({"Jet": jets, "run": [7]}, depth_limit=1)
    write_skim(tmp_path / "s.root", events, {}, None)
    tree = uproot.open(tmp_path / "s.root")["Events"]
    assert tree["Jet_pt"].array().to_list() == [[]]
    assert tree["nJet"].array().to_list() == [0]


def test_fields_that_a_tree_cannot_hold_are_left_out():
    events = ak.zip(
        {
            "Jet": ak.Array([[{"pt": 1.0, "tags": [1, 2]}], []]),
            "name": ["a", "b"],
            "deep": [[[1]], [[2], []]],
            "run": [1, 2],
        },
        depth_limit=1,
    )
    tree = uproot_writeable(events)
    assert set(tree) == {"Jet", "run"}
    assert tree["Jet"].fields == ["pt"]


def test_folder_that_cannot_be_written_is_named(tmp_path):
    events = ak.zip({"run": [1]}, depth_limit=1)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file/s\.root"):
        write_skim(tmp_path / "file" / "s.root", events, {}, None)
