import gzip
import json

import numpy as np
import pytest

from pocket_coffea.errors import DataFileNotFound, MissingBranch
from pocket_coffea.lib.jet_id import compute_jetId
from tests.unit.lib.object_events import make_events, params

FRACTIONS = {"neHEF": 0.1, "neEmEF": 0.1, "muEF": 0.1, "chEmEF": 0.1, "chHEF": 0.5}


def events_with(jets, version=None, jet_type="Jet", **columns):
    filled = [[FRACTIONS | columns | jet for jet in event] for event in jets]
    metadata = None if version is None else {"nano_version": str(version)}
    return make_events(metadata, **{jet_type: filled})


def identify(jets, year="2022_preEE", version=None, jet_type="Jet", parameters=None, **columns):
    return compute_jetId(
        events_with(jets, version, jet_type, **columns), jet_type, parameters or params(), year
    ).tolist()


def test_before_nano12_the_branch_counts():
    assert identify([[{"jetId": 2}], [{"jetId": 6}]], year="2018") == [[2], [6]]


@pytest.mark.parametrize(
    ("jet", "expected"),
    [
        ({"jetId": 2, "eta": 1.0}, 6),
        ({"jetId": 4, "eta": 1.0}, 0),
        ({"jetId": 2, "eta": 1.0, "muEF": 0.8}, 2),
        ({"jetId": 2, "eta": 1.0, "chEmEF": 0.85}, 2),
        ({"jetId": 2, "eta": 2.7, "neHEF": 1.0}, 6),
        ({"jetId": 2, "eta": -2.8, "neHEF": 0.98, "muEF": 1.0}, 6),
        ({"jetId": 2, "eta": -2.8, "neHEF": 0.99}, 0),
        ({"jetId": 2, "eta": 3.0, "neEmEF": 0.9}, 6),
        ({"jetId": 2, "eta": 3.1, "neEmEF": 0.39, "neHEF": 1.0}, 6),
        ({"jetId": 2, "eta": 3.1, "neEmEF": 0.41}, 0),
        ({"jetId": 0, "eta": 0.0}, 0),
    ],
)
@pytest.mark.parametrize("version", [12, 13, 14])
def test_nano12_and_its_relatives(jet, expected, version):
    assert identify([[jet]], version=version) == [[expected]]


def test_nano12_large_jets_have_an_id_in_the_centre_only():
    jets = [[{"jetId": 6, "eta": 2.7}, {"jetId": 6, "eta": 2.8}, {"jetId": 4, "eta": 0.0}]]
    assert identify(jets, jet_type="FatJet", version=12) == [[2, 0, 0]]


def correction(name, threshold):
    inputs = [{"name": n, "type": "real"} for n in ("eta", "neHEF")]
    inputs += [{"name": n, "type": "int"} for n in ("chMultiplicity", "multiplicity")]
    data = {
        "nodetype": "binning",
        "input": "multiplicity",
        "edges": [0.0, float(threshold), 1000.0],
        "content": [0.0, 1.0],
    }
    return {
        "name": name,
        "version": 1,
        "inputs": inputs,
        "output": {"name": "pass", "type": "real"},
        "data": data | {"flow": "clamp"},
    }


@pytest.fixture
def with_payload(tmp_path):
    names = [("AK4PUPPI_Tight", 2), ("AK4PUPPI_TightLeptonVeto", 4), ("AK8PUPPI_Tight", 3)]
    content = [correction(*entry) for entry in [*names, ("AK8PUPPI_TightLeptonVeto", 4)]]
    path = tmp_path / "jetid.json.gz"
    with gzip.open(path, "wt") as file:
        json.dump({"schema_version": 2, "corrections": content}, file)
    parameters = params()
    parameters.jet_scale_factors.jet_id["2024"] = str(path)
    return parameters


def test_nano15_asks_the_correction_set(with_payload):
    jets = [[{"chMultiplicity": 1, "neMultiplicity": n} for n in (0, 1, 3)], []]
    assert identify(jets, year="2024", parameters=with_payload) == [[0, 2, 6], []]
    fat = identify(jets, year="2024", parameters=with_payload, jet_type="FatJet")
    assert fat == [[0, 0, 6], []]
    assert identify([[], []], year="2024", parameters=with_payload, chMultiplicity=1) == [[], []]


def test_nano14_without_the_branch_asks_the_correction_set(with_payload):
    events = events_with([[{"chMultiplicity": 1, "neMultiplicity": 1}]], version=14)
    events["Jet"] = events.Jet[[field for field in events.Jet.fields if field != "jetId"]]
    assert compute_jetId(events, "Jet", with_payload, "2024").tolist() == [[2]]


def test_nano15_errors(with_payload):
    with pytest.raises(MissingBranch, match="jet ID"):
        identify([[{"pt": 1}]], year="2024", parameters=with_payload, chMultiplicity=1)
    with pytest.raises(KeyError, match="jet_id"):
        identify([[{"pt": 1}]], year="2024")
    with_payload.jet_scale_factors.jet_id["2024"] = "/nowhere/jetid.json.gz"
    with pytest.raises(DataFileNotFound, match=r"Jet has no jetId in this NanoAOD.*jetid\.json\.gz"):
        identify([[{"pt": 1}]], year="2024", parameters=with_payload)
    with pytest.raises(ValueError, match="CleanJet"):
        identify([[{"pt": 1}]], year="2024", parameters=with_payload, jet_type="CleanJet")


def test_the_result_has_the_type_of_an_integer_column():
    result = compute_jetId(events_with([[{"jetId": 2}]], 12), "Jet", params(), "2022_preEE")
    assert np.issubdtype(np.asarray(result.layout.content.data).dtype, np.integer)
