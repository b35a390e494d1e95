import awkward as ak
import pytest

from pocket_coffea.errors import MissingBranch
from pocket_coffea.lib import cleaning
from pocket_coffea.lib.cleaning import lepton_directions
from tests.unit.lib.object_events import make_events, objects


def test_directions_are_read_once_while_the_leptons_stay(monkeypatch):
    calls = []
    original = cleaning.directions
    monkeypatch.setattr(cleaning, "directions", lambda flat: calls.append(1) or original(flat))
    events = make_events(LeptonGood=objects("L", [[{"pt": 1.0, "eta": 2.0, "phi": 3.0}], []]))
    first, second = (lepton_directions(events, "LeptonGood", "test") for _ in range(2))
    assert first.eta is second.eta
    assert [column.tolist() for column in first] == [[0, 1, 1], [2.0], [3.0]]
    events["LeptonGood"] = objects("L", [[], [{"pt": 1.0, "eta": 2.0, "phi": 3.0}]])
    assert lepton_directions(events, "LeptonGood", "test").offsets.tolist() == [0, 0, 1]
    assert len(calls) == 2


def test_no_collection_and_missing_ones():
    events = make_events(Jet=[[{"pt": 1.0}]])
    assert lepton_directions(events, "", "test") is None
    with pytest.raises(MissingBranch, match=r"test needs events\.LeptonGood"):
        lepton_directions(events, "LeptonGood", "test")


def test_padding_has_no_direction():
    events = make_events(LeptonGood=ak.pad_none(objects("L", [[{"pt": 1.0, "eta": 2.0, "phi": 3.0}], []]), 2))
    assert lepton_directions(events, "LeptonGood", "test").offsets.tolist() == [0, 1, 1]
