"""Triggers: OR by name and by primary dataset, missing paths, the emulated 2017 electron path."""

import logging

import awkward as ak
import numpy as np
import pytest

from pocket_coffea.errors import MissingBranch
from pocket_coffea.lib import triggers
from pocket_coffea.lib.triggers import (
    apply_trigger_mask,
    get_trigger_mask_byprimarydataset,
    remove_trigger_prefix,
)

MENU = {"SingleMuon": ["HLT_IsoMu24"], "SingleEle": ["Ele32", "IsoMu24"], "MET": ["MET100"]}


class Events(ak.Array):
    """Events with metadata, as the runner gives them."""

    @property
    def metadata(self):
        return self.attrs["metadata"]


def with_metadata(array, **metadata):
    behavior = {("*", "Events"): Events}
    return ak.Array(array, with_name="Events", behavior=behavior, attrs={"metadata": metadata})


@pytest.fixture
def events():
    record = {
        "HLT": ak.zip({"IsoMu24": [True, False, False, False], "Ele32": [False, True, False, False]}),
        "L1": ak.zip({"Mu22": [False, False, True, False]}),
    }
    return with_metadata(record, primaryDataset="SingleMuon", dataset="D")


@pytest.fixture(autouse=True)
def _forget_reports(monkeypatch):
    monkeypatch.setattr(triggers, "_reported", set())


def test_prefix_is_a_prefix():
    assert remove_trigger_prefix("HLT_HLT_x", "HLT_") == "HLT_x"
    assert remove_trigger_prefix("THL_Mu", "HLT_") == "THL_Mu"


def test_or_of_paths_and_inverse(events):
    assert apply_trigger_mask(events, ["HLT_IsoMu24", "Ele32"], "2018").tolist() == [True, True, False, False]
    inverse = apply_trigger_mask(events, ["IsoMu24", "HLT_Ele32"], "2018", invert=True)
    assert inverse.tolist() == [False, False, True, True]
    assert apply_trigger_mask(events, ["L1_Mu22"], "2018", trigger_type="L1").tolist() == [
        False,
        False,
        True,
        False,
    ]
    assert apply_trigger_mask(events, [], "2018").tolist() == [False] * 4


def test_the_branches_are_not_modified(events):
    apply_trigger_mask(events, ["IsoMu24", "Ele32"], "2018")
    assert events.HLT.IsoMu24.to_list() == [True, False, False, False]


def test_missing_path_is_not_fired_and_reported_once(events, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            mask = apply_trigger_mask(events, ["IsoMu24", "HLT_Ele23"], "2018")
            assert mask.tolist() == [True, False, False, False]
        apply_trigger_mask(events, ["Ele23"], "2017")
    assert [record.getMessage() for record in caplog.records] == [
        "HLT path Ele23 is not in the 2018 events: counted as not fired (nearest: Ele32)",
        "HLT path Ele23 is not in the 2017 events: counted as not fired (nearest: Ele32)",
    ]


def test_no_trigger_record(events):
    with pytest.raises(MissingBranch, match=r"events\.HLT.*not there"):
        apply_trigger_mask(events[["L1"]], ["IsoMu24"], "2018")


def test_mc_takes_all_datasets_and_data_its_own(events):
    def mask(**kwargs):
        return get_trigger_mask_byprimarydataset(events, MENU, "2018", **kwargs).tolist()

    assert mask(isMC=True) == [True, True, False, False]
    assert mask(isMC=False) == [True, False, False, False]
    assert mask(isMC=False, primaryDatasets=["SingleEle"]) == [True, True, False, False]
    assert mask(isMC=True, primaryDatasets="SingleMuon") == [True, False, False, False]
    assert mask(isMC=True, primaryDatasets="SingleMuon", invert=True) == [False, True, True, True]
    assert mask(isMC="False") == [True, False, False, False]


def test_unknown_dataset_is_a_key_error(events):
    with pytest.raises(KeyError, match=r"HLT_triggers\.2018 has no 'SingleMu'.*Did you mean 'SingleMuon'"):
        get_trigger_mask_byprimarydataset(events, MENU, "2018", True, primaryDatasets=["SingleMu"])


def test_data_without_primary_dataset(events):
    nameless = with_metadata(events, dataset="D")
    with pytest.raises(KeyError, match="'D' is data without 'primaryDataset'"):
        get_trigger_mask_byprimarydataset(nameless, MENU, "2018", False)


def test_electron_path_of_2017_needs_the_single_electron_seed():
    path = "Ele32_WPTight_Gsf_L1DoubleEG"
    events = ak.Array(
        {
            "HLT": ak.zip({path: [True, True, True, False, True]}),
            "TrigObj": [
                [{"id": 11, "filterBits": 1024 + 2}],
                [{"id": 13, "filterBits": 1024}, {"id": 11, "filterBits": 2}],
                [],
                [{"id": 11, "filterBits": 1024}],
                [{"id": 1, "filterBits": 0}, {"id": 11, "filterBits": 1024}],
            ],
        }
    )
    assert apply_trigger_mask(events, [path], "2017").tolist() == [True, False, False, False, True]
    assert apply_trigger_mask(events, [path], "2018").tolist() == [True, True, True, False, True]
    with pytest.raises(MissingBranch, match="TrigObj"):
        apply_trigger_mask(events[["HLT"]], [path], "2017")


def test_result_is_a_new_numpy_array(events):
    mask = apply_trigger_mask(events, ["IsoMu24"], "2018")
    assert type(mask) is np.ndarray
    mask[:] = True
    assert events.HLT.IsoMu24.to_list() == [True, False, False, False]
