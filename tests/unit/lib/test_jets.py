import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

from pocket_coffea.errors import MissingBranch, PhysicsNotAvailable, UnknownName
from pocket_coffea.lib import jets as jets_module
from pocket_coffea.lib.jets import (
    JET_SORTIDX_FIELD,
    CCsorted,
    CvsLsorted,
    ProbBsorted,
    btagging,
    get_dijet,
    jet_correction,
    jet_correction_correctionlib,
    jet_puid_threshold,
    jet_selection,
    jets_in_original_order,
)
from tests.unit.lib.object_events import make_events, objects, params

WP = {"btagging_algorithm": "btagDeepFlavB", "btagging_WP": {"L": 0.05, "M": 0.5, "H": 0.7}}


def select(jets, jet_type="Jet", year="2018", leptons="", tagger="", parameters=None, **collections):
    events = make_events(**{jet_type: jets}, **collections)
    return jet_selection(events, jet_type, parameters or params(), year, leptons, tagger)


@pytest.mark.parametrize(
    ("jet", "passes"),
    [
        ({"pt": 30.0}, False),
        ({"pt": 30.1}, True),
        ({"pt": 60.0, "eta": 2.4}, False),
        ({"pt": 60.0, "eta": -2.39}, True),
        ({"pt": 60.0, "jetId": 1}, False),
        ({"pt": 60.0, "jetId": 2}, True),
        ({"pt": 49.0, "puId": 3}, False),
        ({"pt": 49.0, "puId": 4}, True),
        ({"pt": 50.0, "puId": 0}, True),
    ],
)
def test_cuts_of_a_run2_jet(jet, passes):
    selected, mask = select([[jet], []])
    assert mask.tolist() == [[passes], []]
    assert ak.num(selected).tolist() == [int(passes), 0]


def test_the_mask_is_over_all_jets_and_events_stay_as_they_are():
    events = make_events(Jet=[[{"pt": 10}, {"pt": 40}, {"pt": 60}], [], [{"pt": 5}]])
    fields = events.Jet.fields
    selected, mask = jet_selection(events, "Jet", params(), "2018")
    assert mask.tolist() == [[False, True, True], [], [False]]
    assert selected.pt.tolist() == events.Jet[mask].pt.tolist() == [[40, 60], [], []]
    assert selected.jetId_corrected.tolist() == [[6, 6], [], []]
    assert events.Jet.fields == fields


def test_the_pileup_id_belongs_to_run2_and_nano9():
    jet = [[{"pt": 40, "puId": 0, "neHEF": 0.1, "neEmEF": 0.1, "muEF": 0.1, "chEmEF": 0.1}]]
    assert select(jet, year="2018")[1].tolist() == [[False]]
    assert select(jet, year="2022_preEE")[1].tolist() == [[True]]
    assert select(jet, year="2018", parameters=params(Jet={"puId": None}))[1].tolist() == [[True]]


def test_the_pileup_threshold_has_one_source():
    assert jet_puid_threshold(params(Jet={"puId": {"wp": "T"}}), "2018") == 7
    parameters = params()
    parameters.object_preselection.Jet.puId = {"value": 5, "maxpt": 50}
    assert jet_puid_threshold(parameters, "2018") == 5
    assert select([[{"pt": 40, "puId": 4}]], parameters=parameters)[1].tolist() == [[False]]
    with pytest.raises(UnknownName, match="'X'"):
        jet_puid_threshold(params(Jet={"puId": {"wp": "X"}}), "2018")


def test_jets_near_any_lepton_are_dropped():
    jets = [[{"pt": 60, "phi": 3.1}, {"pt": 60, "phi": 0.0}, {"pt": 60, "phi": 1.5}], [{"pt": 60}]]
    leptons = objects(
        "LeptonGood", [[{"pt": 20, "eta": 0.0, "phi": -3.1}, {"pt": 20, "eta": 0.1, "phi": 0.1}], []]
    )
    selected, mask = select(jets, leptons="LeptonGood", LeptonGood=leptons)
    assert mask.tolist() == [[False, False, True], [True]]
    assert selected.phi.tolist() == [[1.5], [0.0]]


def test_the_selection_follows_changes_of_jets_leptons_and_cuts():
    leptons = [[{"pt": 20.0, "eta": 0.0, "phi": 0.0}], []]
    events = make_events(Jet=[[{"pt": 60}], [{"pt": 25}]], LeptonGood=objects("LeptonGood", leptons))

    def mask(**cuts):
        return jet_selection(events, "Jet", params(Jet=cuts), "2018", "LeptonGood")[1].tolist()

    assert mask() == mask() == [[False], [False]]
    assert mask(pt=20) == [[False], [True]]
    original = events["Jet"]
    events["Jet"] = ak.with_field(original, original.pt * 2, "pt")
    assert mask() == [[False], [True]]
    events["Jet"] = original
    assert mask() == [[False], [False]]
    events["LeptonGood"] = objects("LeptonGood", [[{"pt": 20.0, "eta": 3.0, "phi": 0.0}], []])
    assert mask() == [[True], [False]]


def test_an_unchanged_selection_is_computed_once(monkeypatch):
    calls = []
    original = jets_module._passes
    monkeypatch.setattr(jets_module, "_passes", lambda *args: calls.append(1) or original(*args))
    events = make_events(Jet=[[{"pt": 60}]], MET=objects("MET", [[{"pt": 3.0}]]))
    jet_selection(events, "Jet", params(), "2018")
    events["MET"] = objects("MET", [[{"pt": 4.0}]])
    jet_selection(events, "Jet", params(), "2018")
    assert len(calls) == 1
    events["Jet"] = events.Jet[events.Jet.pt > 0]
    jet_selection(events, "Jet", params(), "2018")
    assert len(calls) == 2


def test_fat_jets_need_soft_drop_mass_and_have_their_own_taggers():
    jets = [[{"pt": 300}, {"pt": 300, "msoftdrop": 40.0}, {"pt": 200}]]
    selected, mask = select(jets, jet_type="FatJet", tagger="PNetMD")
    assert mask.tolist() == [[True, False, False]]
    assert selected.btagBB.tolist() == [[pytest.approx(0.9)]]
    assert selected.btagCC.tolist() == [[pytest.approx(0.1)]]


@pytest.mark.parametrize("tagger", ["DeepFlav", "btagDeepFlavB"])
def test_taggers_of_small_jets(tagger):
    selected, _ = select([[{"pt": 60}]], tagger=tagger)
    scores = [selected[name].tolist()[0][0] for name in ("btagB", "btagCvL", "btagCvB")]
    assert scores == [pytest.approx(value) for value in (0.5, 0.4, 0.3)]


@pytest.mark.parametrize(("tagger", "text"), [("CSVv2", "known: PNet"), ("UParT", "no btagUParTAK4B")])
def test_taggers_that_are_not_there(tagger, text):
    with pytest.raises(NotImplementedError, match=text):
        select([[{"pt": 60}]], tagger=tagger)


def test_missing_things_are_named():
    with pytest.raises(MissingBranch, match="Lepton"):
        select([[{"pt": 60}]], leptons="LeptonGood")
    with pytest.raises(KeyError, match="object_preselection"):
        jet_selection(make_events(Jet=[[{"pt": 1}]]), "CleanJet", params(), "2018")
    parameters = params()
    del parameters.object_preselection.Jet["puId"]
    with pytest.raises(KeyError, match="puId: null"):
        select([[{"pt": 60}]], parameters=parameters)


def test_btagging_is_strict_both_ways():
    jets = objects("Jet", [[{"btagDeepFlavB": 0.4}, {"btagDeepFlavB": 0.5}, {"btagDeepFlavB": 0.6}], []])
    assert btagging(jets, WP, "M").btagDeepFlavB.tolist() == [[pytest.approx(0.6)], []]
    assert btagging(jets, WP, "M", veto=True).btagDeepFlavB.tolist() == [[pytest.approx(0.4)], []]
    assert ak.num(btagging(jets, WP, "L")).tolist() == [3, 0]
    with pytest.raises(KeyError, match="'T'"):
        btagging(jets, WP, "T")


@pytest.mark.parametrize(
    ("sort", "field"), [(CvsLsorted, "btagCvL"), (ProbBsorted, "btagB"), (CCsorted, "btagCC")]
)
def test_sorting_by_a_score(sort, field):
    jets = ak.Array([[{field: 0.1}, {field: 0.3}, {field: 0.2}], []])
    assert sort(jets)[field].tolist() == [[0.3, 0.2, 0.1], []]
    with pytest.raises(NotImplementedError, match="temp"):
        sort(jets, "PNet")
    with pytest.raises(MissingBranch, match="jet_tagger"):
        sort(ak.Array([[{"pt": 1}]]))


def test_the_order_of_the_file_comes_back():
    jets = objects("Jet", [[{"pt": 10.0}, {"pt": 30.0}, {"pt": 20.0}], [], [{"pt": 5.0}]])
    order = ak.argsort(jets.pt, ascending=False)
    resorted = ak.with_field(jets[order], order, JET_SORTIDX_FIELD)
    assert resorted.pt.tolist() == [[30, 20, 10], [], [5]]
    assert jets_in_original_order(resorted).pt.tolist() == jets.pt.tolist()
    assert jets_in_original_order(jets) is jets


def test_dijet_of_the_first_two_jets():
    jets = [
        [{"pt": 40.0, "phi": 0.0}, {"pt": 30.0, "phi": np.pi, "eta": 1.0}, {"pt": 20.0, "phi": 1.0}],
        [{"pt": 40.0}],
        [],
    ]
    columns = {"btagCvL": 0.2, "btagCvB": 0.1}
    dijet, rest = get_dijet(objects("Jet", jets, **columns), remnant_jet=True)
    a, b = ([40 * np.cosh(0), 40, 0, 0], [np.sqrt((30 * np.cosh(1)) ** 2 + 25), -30, 0, 30 * np.sinh(1)])
    a[0] = np.sqrt(40**2 + 25)
    total = np.add(a, b)
    assert dijet.pt.tolist() == pytest.approx([10, 0, 0], abs=1e-4)
    assert dijet.mass[0] == pytest.approx(np.sqrt(total[0] ** 2 - (total[1:] ** 2).sum()), rel=1e-5)
    assert dijet.deltaPhi.tolist() == pytest.approx([np.pi, -1, -1], rel=1e-5)
    assert dijet.deltaEta.tolist() == pytest.approx([1, -1, -1])
    assert dijet.deltaR[0] == pytest.approx(np.hypot(np.pi, 1), rel=1e-5)
    assert dijet.j2pt.tolist() == pytest.approx([30, -1, -1])
    assert dijet.j1Phi.tolist() == pytest.approx([0, -1, -1])
    assert dijet.j1CvsL.tolist() == pytest.approx([0.2, -1, -1])
    assert rest.pt.tolist() == pytest.approx([20, 0, 0])
    assert rest.mass.tolist() == pytest.approx([5, 0, 0], rel=1e-3)
    with pytest.raises(NotImplementedError, match="taggerVars"):
        get_dijet(objects("Jet", jets), taggerVars="PNet")
    assert "j1CvsL" not in get_dijet(objects("Jet", jets), taggerVars=False).fields


def test_old_corrections_say_what_to_do():
    for function in (jet_correction, jet_correction_correctionlib):
        with pytest.raises(PhysicsNotAvailable, match="calibrators="):
            function(1, 2)


def plain_jet_selection(jets, leptons, cuts):
    keep = (jets.pt > cuts.pt) & (abs(jets.eta) < cuts.eta)
    return keep & ak.all(jets.metric_table(leptons) > cuts.dr_lepton, axis=2)


@pytest.mark.parametrize(
    ("name", "year", "version"), [("nano_dy.root", "2018", 9), ("nano_tt_v12.root", "2022_preEE", 12)]
)
@pytest.mark.filterwarnings("ignore:Missing cross-reference target", "ignore:Branch .* already exists")
def test_on_real_events(real_sample, name, year, version):
    events = NanoEventsFactory.from_root(
        {str(real_sample(name)): "Events"},
        schemaclass=NanoAODSchema,
        mode="virtual",
        metadata={"nano_version": version},
    ).events()
    events = events[np.arange(len(events)) % 4 > 0]
    leptons = ak.concatenate([events.Muon, events.Electron], axis=1)
    events["LeptonGood"] = ak.with_name(leptons, "PtEtaPhiMCandidate")
    parameters = params(Jet={"pt": 20, "jetId": 0, "puId": None})
    selected, mask = jet_selection(events, "Jet", parameters, year, "LeptonGood")
    expected = plain_jet_selection(events.Jet, events.LeptonGood, parameters.object_preselection.Jet)
    assert ak.sum(mask) > 10
    assert mask.tolist() == expected.tolist()
    assert selected.btagDeepFlavB.tolist() == events.Jet[expected].btagDeepFlavB.tolist()
    assert selected.type.content.content.parameters["__record__"] == "Jet"
    assert len(selected.matched_gen.pt) == len(events)
