"""Look-ups that fail with the nearest names."""

import pickle

import awkward as ak
import pytest
from omegaconf import OmegaConf

from pocket_coffea.errors import MissingBranch, UnknownName
from pocket_coffea.lib.lookup import MissingField, UnknownKey, field_of, lookup, missing_field


def test_lookup_follows_the_path():
    params = OmegaConf.create({"lumi": {"2018": {"tot": 59.8}}})
    assert lookup(params, "lumi", "2018", "tot") == 59.8
    assert lookup({"a": {"b": None}}, "a", "b") is None


@pytest.mark.parametrize("error", [UnknownKey, UnknownName, KeyError, ValueError])
def test_unknown_key_names_path_and_nearest(error):
    params = OmegaConf.create({"lumi": {"2018": {"tot": 1}, "2017": {"tot": 2}}})
    with pytest.raises(error, match=r"^parameters\.lumi has no '2019'.*Did you mean .*Allowed: 2017, 2018"):
        lookup(params, "lumi", "2019", "tot")
    with pytest.raises(error, match=r"^parameters has no 'lumy'"):
        lookup(params, "lumy")
    with pytest.raises(error, match=r"^parameters\.x has no 'y'"):
        lookup({"x": None}, "x", "y")


def test_field_of():
    events = ak.Array({"Jet": [[{"pt": 1.0}]]})
    assert field_of(events, "Jet", "the cut").pt.to_list() == [[1.0]]
    for error in (MissingBranch, AttributeError):
        with pytest.raises(
            error, match=r"the cut needs events\.Jat, which is not there\. Did you mean 'Jet'"
        ):
            field_of(events, "Jat", "the cut")
    with pytest.raises(MissingField, match=r"events\.Jet\.px"):
        field_of(events.Jet, "px", "the cut", owner="events.Jet")


def test_missing_field_knows_other_errors():
    events = ak.Array({"Jet": [[{"pt": 1.0}]]})
    assert missing_field(ValueError("no field named 'x'"), events, "f") is None
    assert missing_field(KeyError("x"), events, "f") is None
    assert missing_field(MissingField("no field named 'x'"), events, "f") is None
    told = missing_field(AttributeError("no field named 'zzzz'"), events, "f")
    assert str(told) == "f reads the field 'zzzz', which is not there. The events have: Jet."
    told = missing_field(AttributeError("no field named 'Pt'"), events, "f")
    assert str(told) == "f reads the field 'Pt', which is not there. Did you mean 'Jet.pt'?"


@pytest.mark.parametrize(
    "read", [lambda events: events.Muon.ptt, lambda events: events["Muon", "ptt"], lambda e: e["Muon"]["ptt"]]
)
def test_the_collection_that_was_read_tells_which_field_was_meant(read):
    muon = {"pt": 1.0, "eta": 0.0, "ptErr": 0.1}
    events = ak.Array({"Jet": [[{"pt": 1.0}]], "SV": [[{"pt": 1.0}]], "Muon": [[muon]]})
    with pytest.raises((AttributeError, LookupError)) as caught:
        read(events)
    told = str(missing_field(caught.value, events, "f"))
    assert "Did you mean 'Muon.pt'" in told
    assert "SV" not in told


@pytest.mark.parametrize(("name", "instead"), [("MET", "PuppiMET"), ("jetId", "jet_selection")])
def test_fields_that_new_nanoaod_dropped_have_a_successor(name, instead):
    events = ak.Array({"Jet": [[{"pt": 1.0}]]})
    told = missing_field(AttributeError(f"no field named {name!r}"), events, "f")
    assert f"NanoAOD 15 has {'no jetId' if name == 'jetId' else ''}" in str(told)
    assert instead in str(told)
    with pytest.raises(MissingField, match=f"NanoAOD 15 .*{instead}"):
        field_of(events, name, "the cut")


def test_errors_survive_pickling():
    for error in (UnknownKey("a b"), MissingField("a b")):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == "a b"
