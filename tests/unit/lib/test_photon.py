import awkward as ak
import pytest

from pocket_coffea.lib.photon import photon_selection
from tests.unit.lib.object_events import make_events, objects, params


@pytest.mark.parametrize(
    ("photon", "expected"),
    [
        ({}, True),
        ({"pt": 20.0}, False),
        ({"eta": 2.4}, False),
        ({"eta": -1.5}, False),
        ({"eta": 1.44}, True),
        ({"pixelSeed": True}, False),
        ({"cutBased": 0}, False),
        ({"cutBased": 1}, True),
    ],
)
def test_photon_cuts(photon, expected):
    events = make_events(Photon=[[{"pt": 40.0} | photon], []])
    assert ak.num(photon_selection(events, "Photon", params())).tolist() == [int(expected), 0]


def test_photons_near_leptons_are_dropped():
    events = make_events(
        Photon=[[{"pt": 40.0}, {"pt": 50.0, "phi": 1.0}], [{"pt": 30.0}]],
        LeptonGood=objects("LeptonGood", [[{"pt": 20.0, "eta": 0.1, "phi": 0.1}], []]),
    )
    assert photon_selection(events, "Photon", params(), "LeptonGood").pt.tolist() == [[50], [30]]
    events["LeptonGood"] = events.LeptonGood[events.LeptonGood.pt > 30]
    assert photon_selection(events, "Photon", params(), "LeptonGood").pt.tolist() == [[40, 50], [30]]


def test_the_source_is_the_collection_that_was_named():
    parameters = params()
    parameters.object_preselection["PhotonLoose"] = {"pt": 5, "eta": 3, "cutBased": 0}
    events = make_events(
        Photon=[[{"pt": 40.0}]], PhotonLoose=objects("Photon", [[{"pt": 10.0}, {"pt": 12.0}]])
    )
    assert photon_selection(events, "PhotonLoose", parameters).pt.tolist() == [[10, 12]]
    only_cuts = make_events(Photon=[[{"pt": 40.0}]])
    assert photon_selection(only_cuts, "PhotonLoose", parameters).pt.tolist() == [[40]]
