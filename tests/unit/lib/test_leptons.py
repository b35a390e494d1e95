import awkward as ak
import numpy as np
import pytest

from pocket_coffea.errors import MissingBranch
from pocket_coffea.lib.jets import JET_SORTIDX_FIELD
from pocket_coffea.lib.leptons import (
    get_charged_leptons,
    get_diboson,
    get_dilepton,
    lepton_selection,
    lepton_selection_promptMVA,
    soft_lepton_selection,
)
from tests.unit.lib.object_events import make_events, objects, params


def passes(function, flavour, lepton, parameters=None, metadata=None):
    events = make_events(metadata, **{flavour: [[{"pt": 40.0} | lepton], []]})
    return ak.num(function(events, flavour, parameters or params())).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("lepton", "expected"),
    [
        ({}, True),
        ({"pt": 15.0}, False),
        ({"eta": -2.4}, False),
        ({"pfRelIso04_all": 0.25}, False),
        ({"pfRelIso04_all": 0.24}, True),
        ({"tightId": False}, False),
    ],
)
def test_muon_cuts(lepton, expected):
    assert passes(lepton_selection, "Muon", lepton) is expected


@pytest.mark.parametrize(
    ("lepton", "expected"),
    [
        ({}, True),
        ({"pt": 15.0}, False),
        ({"eta": 2.4}, False),
        ({"eta": 1.5}, False),
        ({"eta": -1.5}, False),
        ({"eta": 1.4}, True),
        ({"eta": 1.4, "deltaEtaSC": 0.1}, False),
        ({"eta": 1.5, "deltaEtaSC": 0.1}, True),
        ({"mvaFall17V2Iso_WP80": False}, False),
        ({"pfRelIso03_all": 5.0}, True),
    ],
)
def test_electron_cuts(lepton, expected):
    assert passes(lepton_selection, "Electron", lepton) is expected
    assert passes(soft_lepton_selection, "Electron", lepton) is expected


def test_electron_isolation_is_optional():
    isolated = params(Electron={"iso": 0.1})
    assert not passes(lepton_selection, "Electron", {"pfRelIso03_all": 0.2}, isolated)
    assert passes(lepton_selection, "Electron", {"pfRelIso03_all": 0.05}, isolated)


@pytest.mark.parametrize(
    ("lepton", "expected"),
    [
        ({"pfRelIso04_all": 0.6, "dxy": 0.05}, True),
        ({"pfRelIso04_all": 0.5, "dxy": 0.05}, False),
        ({"pfRelIso04_all": 0.6, "dxy": 0.02}, False),
        ({"pfRelIso04_all": 0.6, "dxy": -0.05}, True),
    ],
)
def test_soft_muons_are_displaced_and_not_isolated(lepton, expected):
    assert passes(soft_lepton_selection, "Muon", lepton) is expected


def test_an_id_may_depend_on_the_year():
    parameters = params(Muon={"id": {"2018": "tightId", "2017": "looseId"}})
    assert passes(lepton_selection, "Muon", {"looseId": False}, parameters, {"year": "2018"})
    assert not passes(lepton_selection, "Muon", {"looseId": False}, parameters, {"year": "2017"})
    with pytest.raises(KeyError, match="'2016'"):
        passes(lepton_selection, "Muon", {}, parameters, {"year": "2016"})


def test_other_columns_and_the_record_name_are_kept():
    events = make_events(Muon=[[{"pt": 40.0, "extra": 3.0}, {"pt": 10.0, "extra": 4.0}], [{"pt": 20.0}]])
    events["Muon"] = ak.with_name(events.Muon, "Muon")
    muons = lepton_selection(events, "Muon", params())
    assert muons.extra.tolist() == [[3.0], [0.0]]
    assert muons.type.content.content.parameters["__record__"] == "Muon"


def test_errors():
    with pytest.raises(ValueError, match="Tau"):
        lepton_selection(make_events(Tau=[[{"pt": 1.0}]]), "Tau", params())
    with pytest.raises(MissingBranch, match=r"lepton_selection needs events\.Muon"):
        lepton_selection(make_events(Electron=[[{"pt": 1.0}]]), "Muon", params())
    parameters = params()
    del parameters.object_preselection.Muon["iso"]
    with pytest.raises(KeyError, match=r"object_preselection\.Muon has no 'iso'"):
        lepton_selection(make_events(Muon=[[{"pt": 1.0}]]), "Muon", parameters)
    with pytest.raises(MissingBranch, match="'superId'"):
        lepton_selection(make_events(Muon=[[{"pt": 1.0}]]), "Muon", params(Muon={"id": "superId"}))


PROMPT = {"sip3d": 8, "dxy": 0.05, "dz": 0.1, "btag_cut": {"2018": 0.3}, "mva_wp": {"2018": 0.6}}
MUON = {"pt": 40.0, "sip3d": 1.0, "dxy": 0.01, "dz": 0.01, "jetIdx": 0, "mvaTTH_redo": 0.9} | {
    "isGlobal": False,
    "isTracker": True,
    "isPFcand": True,
    "mediumId": True,
}
ELECTRON = {"pt": 40.0, "sip3d": 1.0, "dxy": 0.01, "dz": 0.01, "jetIdx": 0, "mvaTTH_redo": 0.9, "lostHits": 1}


def prompt(flavour, lepton, jets=None, **options):
    default = MUON if flavour == "Muon" else ELECTRON
    cuts = PROMPT | ({"base_id": "mediumId"} if flavour == "Muon" else {"lostHits": 1})
    jets = (
        objects("Jet", [[{"pt": 30.0, "btagDeepFlavB": 0.1}, {"pt": 20.0, "btagDeepFlavB": 0.9}]])
        if jets is None
        else jets
    )
    events = make_events(**{flavour: [[default | lepton]]}, Jet=jets)
    leptons, mask = lepton_selection_promptMVA(events, flavour, params(**{flavour: cuts}), "2018", **options)
    assert ak.num(leptons).tolist() == ak.sum(mask, axis=1).tolist()
    return mask.tolist() == [[True]]


@pytest.mark.parametrize("flavour", ["Muon", "Electron"])
@pytest.mark.parametrize(
    ("lepton", "expected"),
    [
        ({}, True),
        ({"sip3d": 8.0}, False),
        ({"dxy": -0.06}, False),
        ({"dz": 0.2}, False),
        ({"jetIdx": 1}, False),
        ({"jetIdx": -1}, True),
        ({"jetIdx": 7}, True),
        ({"mvaTTH_redo": 0.6}, False),
        ({"eta": 2.5}, False),
    ],
)
def test_prompt_leptons(flavour, lepton, expected):
    assert prompt(flavour, lepton) is expected


@pytest.mark.parametrize(
    ("flavour", "lepton"),
    [
        ("Muon", {"isPFcand": False}),
        ("Muon", {"isTracker": False}),
        ("Muon", {"mediumId": False}),
        ("Muon", {"pfRelIso04_all": 0.3}),
        ("Electron", {"lostHits": 2}),
        ("Electron", {"eta": 1.5}),
    ],
)
def test_prompt_quality(flavour, lepton):
    assert not prompt(flavour, lepton)


def test_prompt_mva_options():
    assert prompt("Muon", {"mvaTTH_redo": 0.1}, apply_mva_cut=False)
    assert prompt("Muon", {"mvaTTH_redo": 0.1, "mvaTTH": 0.95}, mva_var="mvaTTH")


def test_the_jet_of_a_lepton_is_looked_for_in_the_order_of_the_file():
    jets = objects("Jet", [[{"pt": 30.0, "btagDeepFlavB": 0.9}, {"pt": 20.0, "btagDeepFlavB": 0.1}]])
    sorted_jets = ak.with_field(jets, ak.Array([[1, 0]]), JET_SORTIDX_FIELD)
    assert prompt("Muon", {"jetIdx": 0}, sorted_jets)
    assert not prompt("Muon", {"jetIdx": 1}, sorted_jets)


def leptons(*events, charge=None):
    return objects("Muon", [[{"pt": pt, "charge": q} for pt, q in event] for event in events])


def test_dilepton_takes_two_of_each_and_needs_two_in_all():
    muons = leptons(
        [(50.0, 1)],
        [(50.0, 1), (40.0, -1)],
        [(9.0, 1), (8.0, 1), (7.0, 1)],
        [(5.0, 1)],
        [],
        [(5.0, 1), (4.0, 1)],
    )
    electrons = leptons([(30.0, -1)], [], [], [], [(3.0, 1)], [(3.0, 1)])
    pair = get_dilepton(electrons, muons)
    assert pair.l1pt.tolist() == [50, 50, 9, -1, -1, -1]
    assert pair.l2pt.tolist() == [30, 40, 8, -1, -1, -1]
    assert pair.charge.tolist() == [0, 0, 2, 0, 0, 0]
    assert pair.pt.tolist() == pytest.approx([80, 90, 17, 0, 0, 0], rel=1e-6)
    assert pair.deltaR.tolist() == [0, 0, 0, -1, -1, -1]


def test_dilepton_of_one_collection_is_truncated_too():
    three = leptons([(50.0, 1), (40.0, -1), (30.0, 1)], [(5.0, 1)])
    for pair in (get_dilepton(None, three), get_dilepton(three, None)):
        assert pair.l1pt.tolist() == [50, -1]
        assert pair.l2pt.tolist() == [40, -1]
    with pytest.raises(TypeError, match="electrons, muons or both"):
        get_dilepton(None, None)


def test_dilepton_kinematics():
    muons = objects(
        "Muon", [[{"pt": 45.0, "phi": 3.0, "eta": 1.0}, {"pt": 40.0, "phi": -3.0, "eta": -1.0, "charge": 1}]]
    )
    pair = get_dilepton(None, muons)[0]
    first, second = muons[0]
    total = ak.with_name(ak.Array([first, second]), "PtEtaPhiMLorentzVector", behavior=pair.behavior)
    from coffea.nanoevents.methods import vector

    total = ak.Array(total, behavior=vector.behavior)
    expected = total[0] + total[1]
    for name in ("pt", "eta", "phi", "mass"):
        assert pair[name] == pytest.approx(getattr(expected, name), rel=1e-4)
    assert pair.deltaPhi == pytest.approx(2 * np.pi - 6.0, rel=1e-5)
    assert pair.deltaEta == pytest.approx(2.0)
    flat = get_dilepton(None, muons, transverse=True)[0]
    assert flat.eta == 0
    assert flat.mass == pytest.approx(pair.mass)


def test_delta_r_of_a_pair_is_a_field_and_of_leptons_a_method():
    from coffea.nanoevents.methods import nanoaod

    muons = objects("Muon", [[{"pt": 45.0, "eta": 1.0}, {"pt": 40.0, "eta": -1.0}], []], mass=0.1)
    muons = ak.with_name(muons, "Muon", behavior=nanoaod.behavior)
    pairs = get_dilepton(None, muons)
    assert pairs.deltaR.tolist() == [2.0, -1.0] == pairs["deltaR"].tolist()
    assert pairs[0].deltaR == 2.0
    assert pairs.delta_r(pairs).tolist() == [0.0, 0.0]
    first, second = muons[:1, 0], muons[:1, 1]
    assert first.deltaR(second).tolist() == first.delta_r(second).tolist() == [2.0]


def test_dilepton_ignores_padding():
    muons = ak.pad_none(leptons([(50.0, 1), (40.0, -1)], [(5.0, 1)]), 3)
    assert get_dilepton(None, muons).l2pt.tolist() == [40, -1]


def test_diboson_adds_the_missing_momentum():
    muons = objects(
        "Muon",
        [
            [
                {"pt": 45.0, "phi": 0.0, "eta": 1.0, "mass": 0.0},
                {"pt": 45.0, "phi": 0.0, "eta": 1.0, "mass": 0.0},
            ]
        ],
    )
    met = ak.Array({"pt": [10.0], "phi": [np.pi]})
    pair = get_dilepton(None, muons)
    both = get_diboson(pair, met)[0]
    assert both.pt == pytest.approx(80, rel=1e-6)
    energy, pz = 90 * np.cosh(1) + 10, 90 * np.sinh(1)
    assert both.mass == pytest.approx(np.sqrt(energy**2 - pz**2 - 80**2), rel=1e-6)
    assert both.charge == -2
    assert get_diboson(pair, met, transverse=True)[0].mass == pytest.approx(np.sqrt(100**2 - 80**2), rel=1e-5)


def test_charged_leptons():
    muons = leptons(
        [(50.0, 1)], [(50.0, -1), (40.0, 1)], [(9.0, 1), (8.0, 1)], [(1.0, 1), (2.0, -1), (3.0, 1)]
    )
    electrons = leptons([(30.0, -1)], [], [], [])
    mask = np.array([True, True, True, True])
    minus = get_charged_leptons(electrons, muons, -1, mask)
    plus = get_charged_leptons(electrons, muons, 1, mask)
    assert minus.pt.tolist() == pytest.approx([30, 50, -999.9, -999.9])
    assert plus.pt.tolist() == pytest.approx([50, 40, -999.9, -999.9])
    assert plus.eta.tolist() == pytest.approx([0.5, 0.5, -9, -9])
    masked = get_charged_leptons(electrons, muons, 1, np.array([False, True, True, True]))
    assert masked.pt.tolist() == pytest.approx([-999.9, 40, -999.9, -999.9])
    with pytest.raises(ValueError, match="charge 0"):
        get_charged_leptons(electrons, muons, 0, mask)
