import pytest

from pocket_coffea.lib.gen_objects import getGenJets, getGenLeptons
from tests.unit.lib.object_events import make_events, objects, params


def particles():
    return [
        [
            {"pt": 100.0, "pdgId": 23, "status": 62},
            {"pt": 30.0, "pdgId": -11, "genPartIdxMother": 0},
            {"pt": 40.0, "pdgId": 13, "genPartIdxMother": 0},
            {"pt": 60.0, "pdgId": 15, "status": 2, "genPartIdxMother": 0},
            {"pt": 50.0, "pdgId": 13, "genPartIdxMother": 3},
            {"pt": 20.0, "pdgId": 11},
            {"pt": 80.0, "pdgId": 11, "eta": 3.0},
            {"pt": 5.0, "pdgId": 11},
            {"pt": 70.0, "pdgId": 11, "status": 23},
        ],
        [],
        [{"pt": 15.0, "pdgId": 13, "genPartIdxMother": 5}],
    ]


@pytest.mark.parametrize(
    ("flavour", "expected"),
    [
        ("Electron", [[30, 20], [], []]),
        ("Muon", [[40], [], [15]]),
        ("Both", [[40, 30, 20], [], [15]]),
    ],
)
def test_final_leptons_that_do_not_come_from_a_tau(flavour, expected):
    columns = {"pdgId": 0, "status": 1, "genPartIdxMother": -1, "eta": 0.0, "phi": 0.0}
    events = make_events(GenPart=objects("GenPart", particles(), **columns))
    assert getGenLeptons(events, flavour, params()).pt.tolist() == expected


def test_the_mother_is_looked_up_in_its_own_event():
    columns = {"pdgId": 15, "status": 1, "genPartIdxMother": -1, "eta": 0.0, "phi": 0.0}
    second = [{"pt": 1.0, "pdgId": 24}, {"pt": 20.0, "pdgId": 13, "genPartIdxMother": 0}]
    events = make_events(GenPart=objects("GenPart", [[{"pt": 30.0}], second], **columns))
    assert getGenLeptons(events, "Muon", params()).pt.tolist() == [[], [20]]
    with pytest.raises(ValueError, match="Tau"):
        getGenLeptons(events, "Tau", params())


def test_generated_jets_are_cleaned_from_leptons():
    jets = [[{"pt": 30.0}, {"pt": 30.0, "phi": 1.0}, {"pt": 20.0}, {"pt": 30.0, "eta": 2.6}], [{"pt": 40.0}]]
    leptons = objects("GenLepton", [[{"pt": 10.0, "eta": 0.0, "phi": 0.1}], []])
    events = make_events(GenJet=jets, GenLepton=leptons)
    assert getGenJets(events, "GenLepton", params()).phi.tolist() == [[1.0], [0.0]]
