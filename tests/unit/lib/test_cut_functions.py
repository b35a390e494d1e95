"""The ready-made cuts: names, masks, and what they say when something is not there."""

import copy
import json

import awkward as ak
import cloudpickle
import numpy as np
import pytest
from omegaconf import OmegaConf

from pocket_coffea.errors import InvalidType, InvalidValue, MissingBranch
from pocket_coffea.lib import cut_functions as cf
from pocket_coffea.lib.cut_definition import Cut


class Events(ak.Array):
    """Events with metadata, as the runner gives them."""

    @property
    def metadata(self):
        return self.attrs["metadata"]


def with_metadata(array, **metadata):
    behavior = {("*", "Events"): Events}
    return ak.Array(array, with_name="Events", behavior=behavior, attrs={"metadata": metadata})


def jagged(**columns):
    return ak.zip(columns)


@pytest.fixture
def events():
    jets = jagged(
        pt=[[50.0, 30.0, 20.0], [], [30.0], [100.0, 90.0]],
        eta=[[0.1, 3.0, -1.0], [], [0.0], [1.0, 2.0]],
        phi=[[0.1, 3.0, -1.0], [], [3.15], [1.0, 2.0]],
        btag=[[0.9, 0.5, 0.51], [], [0.4], [0.6, 0.2]],
    )
    record = {
        "JetGood": jets,
        "BJetGood": jets[jets.btag > 0.5],
        "nBJetGood": [2, 0, 0, 1],
        "ElectronGood": jagged(pt=[[30.0], [30.1, 40.0], [], [50.0]]),
        "Muon": jagged(pt=[[5.0], [], [], [50.0]]),
        "PV": ak.zip({"npvsGood": [1, 0, 5, 3]}),
        "HLT": ak.zip({"Mu": [True, False, False, True], "Ele": [False, True, False, False]}),
        "L1": ak.zip({"SingleMu": [False, False, True, False]}),
        "Flag": ak.zip({"good": [True, True, True, False], "halo": [True, False, True, True]}),
        "run": np.array([1, 1, 2, 3]),
        "luminosityBlock": np.array([5, 6, 5, 1]),
    }
    return with_metadata(record, primaryDataset="Muon")


@pytest.fixture
def params():
    return OmegaConf.create(
        {
            "HLT_triggers": {"2018": {"Muon": ["HLT_Mu"], "EGamma": ["Ele"]}},
            "L1_triggers": {"2018": {"Muon": ["L1_SingleMu"]}},
            "event_flags": {"2018": ["good"]},
            "event_flags_data": {"2018": ["halo"]},
            "btagging": {
                "working_point": {"2018": {"btagging_algorithm": "btag", "btagging_WP": {"M": 0.5, "L": 0.1}}}
            },
        }
    )


def evaluate(cut, events, params, isMC=True, year="2018"):
    return cut.get_mask(events, params, year=year, sample="s", isMC=isMC).tolist()


@pytest.mark.parametrize(
    ("cut", "name"),
    [
        (cf.get_HLTsel(), "HLT_trigger"),
        (cf.get_HLTsel("Muon"), "HLT_trigger_Muon"),
        (cf.get_HLTsel(primaryDatasets=["Muon", "EGamma"], invert=True), "HLT_trigger_Muon_EGamma_NOT"),
        (cf.get_HLTsel_custom(["HLT_Mu", "Ele"]), "HLT_trigger_HLT_Mu_Ele"),
        (cf.get_HLTsel_custom(["Mu"], invert=True), "HLT_trigger_Mu_NOT"),
        (cf.get_L1sel(), "L1_trigger"),
        (cf.get_L1sel_custom(["SingleMu"]), "L1_trigger_SingleMu"),
        (cf.get_nObj_min(4), "nJetGood_min4"),
        (cf.get_nObj_min(4, 30.0), "nJetGood_min4_pt30.0"),
        (cf.get_nObj_min(4, coll="FatJet", name="x"), "x"),
        (cf.get_nObj_eq(2, 15, "MuonGood"), "nMuonGood_eq2_pt15"),
        (cf.get_nObj_eq(2, coll="MuonGood"), "nMuonGood_eq2"),
        (cf.get_nObj_less(3, "LeptonGood"), "nLeptonGood_less3"),
        (cf.get_nBtagMin(3), "nBJetGood_btagMin3_pt0"),
        (cf.get_nBtagEq(1, 20, "JetGood", "L"), "nJetGood_btagEq1_pt20"),
        (cf.get_nElectron(1), "nElectronGood_1_pt0"),
        (cf.get_nMuon(2, 10, "Muon"), "nMuon_2_pt10"),
        (cf.get_nPVgood(1), "nPVgood_1"),
        (cf.get_JetVetoMap(), "JetVetoMaps"),
        (cf.eventFlags, "event_flags"),
        (cf.goldenJson, "golden_json_lumi"),
    ],
)
def test_names(cut, name):
    assert isinstance(cut, Cut)
    assert cut.name == name
    assert cut.collection == "events"


def test_factories_with_equal_arguments_give_equal_cuts():
    for factory in (
        lambda: cf.get_HLTsel(primaryDatasets=["Muon"]),
        lambda: cf.get_HLTsel_custom(["Mu"]),
        lambda: cf.get_nPVgood(1),
        lambda: cf.get_nObj_min(1, 20.0),
        lambda: cf.get_nBtagMin(1, wp="L"),
    ):
        assert factory() == factory()
    assert cf.get_nBtagMin(1, wp="L") != cf.get_nBtagMin(1, wp="M")
    assert cf.get_HLTsel_custom(["Mu"]) != cf.get_HLTsel_custom(["Mu"], invert=True)


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (cf.get_nObj_min(2), "1001"),
        (cf.get_nObj_min(1, 30.0), "1011"),
        (cf.get_nObj_eq(1), "0010"),
        (cf.get_nObj_eq(2, 30.0), "1001"),
        (cf.get_nObj_less(2), "0110"),
        (cf.get_nBtagMin(1), "1001"),
        (cf.get_nBtagMin(1, 55.0), "0001"),
        (cf.get_nBtagEq(2), "1000"),
        (cf.get_nBtagMin(1, coll="JetGood"), "1001"),
        (cf.get_nBtagMin(2, coll="JetGood", wp="L"), "1001"),
        (cf.get_nBtagEq(1, 40.0, coll="JetGood"), "1001"),
        (cf.get_nElectron(1, 30.0), "0101"),
        (cf.get_nMuon(1, coll="Muon"), "1001"),
        (cf.get_nPVgood(1), "1011"),
        (cf.get_HLTsel(), "1101"),
        (cf.get_HLTsel("EGamma"), "0100"),
        (cf.get_HLTsel(["Muon", "EGamma"], invert=True), "0010"),
        (cf.get_HLTsel_custom(["HLT_Ele"]), "0100"),
        (cf.get_HLTsel_custom("HLT_Ele", invert=True), "1011"),
        (cf.get_L1sel(), "0010"),
        (cf.get_L1sel_custom(["SingleMu"], invert=True), "1101"),
        (Cut("c", {"object": "JetGood", "value": 1}, cf.count_objects_gt), "1001"),
        (Cut("c", {"object": "JetGood", "value": 1}, cf.count_objects_lt), "0100"),
        (Cut("c", {"object": "JetGood", "value": 1}, cf.count_objects_eq), "0010"),
    ],
)
def test_masks(events, params, cut, expected):
    assert evaluate(cut, events, params) == [char == "1" for char in expected]
    assert evaluate(cloudpickle.loads(cloudpickle.dumps(cut)), events, params) == [c == "1" for c in expected]


def test_data_uses_the_triggers_of_its_dataset(events, params):
    assert evaluate(cf.get_HLTsel(), events, params, isMC=False) == [True, False, False, True]


def test_counted_field_is_preferred(events, params):
    events["nJetGood"] = ak.Array([0, 9, None, 0])
    assert evaluate(cf.get_nObj_min(1), events, params) == [False, True, False, False]
    assert evaluate(cf.get_nObj_less(5), events, params) == [True, False, False, True]


def test_event_flags_never_change_the_parameters(events, params):
    before = copy.deepcopy(params)
    for _ in range(2):
        assert evaluate(cf.eventFlags, events, params, isMC=False) == [True, False, True, False]
        assert evaluate(cf.eventFlags, events, params, isMC=True) == [True, True, True, False]
    assert params == before
    assert events.Flag.good.to_list() == [True, True, True, False]


def test_golden_json(events, params, tmp_path):
    path = tmp_path / "golden.json"
    path.write_text(json.dumps({"1": [[1, 5]], "3": [[1, 1]]}))
    params = OmegaConf.merge(params, {"lumi": {"goldenJSON": {"2018": str(path)}}})
    assert evaluate(cf.goldenJson, events, params, isMC=False) == [True, False, False, True]
    assert evaluate(cf.goldenJson, events, params, isMC=True) == [True] * 4
    with pytest.raises(KeyError, match="goldenJSON has no '2017'"):
        evaluate(cf.goldenJson, events, params, isMC=False, year="2017")


def test_golden_json_that_is_nowhere(events, params):
    params = OmegaConf.merge(params, {"lumi": {"goldenJSON": {"2018": "/nowhere/Cert_x.json"}}})
    with pytest.raises(FileNotFoundError, match=r"Cert_x\.json"):
        evaluate(cf.goldenJson, events, params, isMC=False)


@pytest.mark.parametrize(
    ("cut", "error", "match"),
    [
        (cf.get_nObj_min(1, coll="JetGod"), MissingBranch, r"events\.JetGod.*Did you mean 'JetGood'"),
        (cf.get_nObj_min(1, 20.0, coll="PV"), InvalidType, "PV"),
        (cf.get_nBtagMin(1, coll="JetGood", wp="XXL"), KeyError, r"btagging_WP has no 'XXL'.*L, M"),
        (cf.get_nBtagMin(1, coll="Muon"), MissingBranch, "btag"),
        (cf.get_HLTsel("Mun"), KeyError, "Did you mean 'Muon'"),
    ],
)
def test_errors_name_the_nearest(events, params, cut, error, match):
    with pytest.raises(error, match=match):
        evaluate(cut, events, params)


def test_missing_flag_year_and_counter(events, params):
    params.event_flags["2018"] = ["god"]
    with pytest.raises(AttributeError, match=r"events\.Flag\.god.*Did you mean 'good'") as caught:
        evaluate(cf.eventFlags, events, params)
    assert isinstance(caught.value, MissingBranch)
    with pytest.raises(KeyError, match=r"event_flags has no '2019'.*Did you mean '2018'"):
        evaluate(cf.eventFlags, events, params, year="2019")
    with pytest.raises(KeyError, match=r"HLT_triggers has no '2019'"):
        evaluate(cf.get_HLTsel(), events, params, year="2019")
    with pytest.raises(MissingBranch, match="nBJetGood"):
        evaluate(cf.get_nBtagMin(1), events[["BJetGood"]], params)


def test_wrong_arguments_are_refused_early():
    with pytest.raises(InvalidValue, match=r"get_nBtagMin.*get_nBtagEq"):
        cf.get_nBtag(1, coll="x")
    with pytest.raises(InvalidValue, match="Electron or ElectronGood"):
        cf.get_nElectron(1, coll="Muon")
    with pytest.raises(InvalidType, match="N is a number"):
        cf.get_nObj_min("JetGood", 20, 4)
    for factory in (cf.get_nObj_min, cf.get_nObj_eq, cf.get_nBtagMin, cf.get_nBtagEq):
        with pytest.raises(InvalidType, match="minpt='JetGood'"):
            factory(2, "JetGood")
    with pytest.raises(InvalidType, match="got 3"):
        cf.get_HLTsel([3])
    with pytest.raises(InvalidValue, match="at least one"):
        cf.get_HLTsel_custom([])
    # a second name is no reason to turn the cut around
    with pytest.raises(InvalidType, match=r"get_HLTsel: invert is True or False, but got \['SingleEle'\]"):
        cf.get_HLTsel("semileptonic", ["SingleEle"])
    with pytest.raises(InvalidType, match=r"get_L1sel_custom: invert.*'SingleJet'.*one list"):
        cf.get_L1sel_custom("SingleMu", "SingleJet")


def test_star_import_gives_the_promised_names():
    namespace = {}
    exec("from pocket_coffea.lib.cut_functions import *", namespace)
    assert namespace["ak"] is ak
    assert namespace["np"] is np
    assert namespace["Cut"] is Cut
    assert namespace["passthrough_f"](ak.Array({"x": [1, 2]}), {}).tolist() == [True, True]
    from coffea.lumi_tools import LumiMask

    assert namespace["LumiMask"] is LumiMask
    with pytest.raises(AttributeError, match="no attribute 'LumiMusk'"):
        _ = cf.LumiMusk


MAP = {
    "schema_version": 2,
    "corrections": [
        {
            "name": "veto",
            "version": 1,
            "inputs": [
                {"name": "type", "type": "string"},
                {"name": "eta", "type": "real"},
                {"name": "phi", "type": "real"},
            ],
            "output": {"name": "veto", "type": "real"},
            "data": {
                "nodetype": "category",
                "input": "type",
                "content": [
                    {
                        "key": "jetvetomap",
                        "value": {
                            "nodetype": "multibinning",
                            "inputs": ["eta", "phi"],
                            "edges": [[-5.191, 0.0, 5.191], [-3.1415926, 0.0, 3.1415926]],
                            "content": [0.0, 0.0, 0.0, 100.0],
                            "flow": "error",
                        },
                    }
                ],
            },
        }
    ],
}


def test_jet_veto_map(params, tmp_path):
    path = tmp_path / "veto.json"
    path.write_text(json.dumps(MAP))
    params = OmegaConf.merge(
        params,
        {
            "jet_scale_factors": {"vetomaps": {"2022_preEE": {"file": str(path), "name": "veto"}}},
            "default_nano_version": {"2022_preEE": 12},
        },
    )

    def jets(eta, phi, pt=30.0, jet_id=6, em=0.1, mu=0.0):
        fields = {"eta": eta, "phi": phi, "pt": pt, "jetId": jet_id, "chEmEF": em, "neEmEF": 0.05}
        return [{**fields, "neHEF": 0.1, "muEF": mu}]

    rows = [
        (jets(1.0, 1.0), False),  # in the vetoed quadrant
        (jets(-1.0, 1.0), True),
        (jets(1.0, 1.0, pt=14.0), True),  # soft
        (jets(1.0, 1.0, em=0.9), True),  # electromagnetic
        (jets(1.0, 1.0, mu=0.9), True),  # fails the lepton veto
        (jets(1.0, 1.0, jet_id=0), True),
        (jets(5.5, 1.0), True),  # outside the map
        (jets(1.0, 3.1416), False),  # phi beyond the edge
        ([], True),
        (jets(-1.0, 1.0) + jets(1.0, 1.0), False),
    ]
    array = ak.Array({"Jet": [jets for jets, _ in rows]})
    events = with_metadata(array, isMC="True", nano_version="12")
    cut = cf.get_JetVetoMap()
    assert evaluate(cut, events, params, year="2022_preEE") == [expected for _, expected in rows]
    assert evaluate(cut, events[8:9], params, year="2022_preEE") == [True]
    with pytest.raises(KeyError, match=r"vetomaps has no '2018'"):
        evaluate(cut, events, params)
