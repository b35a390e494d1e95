import os

import awkward as ak
import numpy as np

from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.cut_functions import get_HLTsel, get_nBtagMin, get_nElectron, get_nMuon, get_nObj_min
from pocket_coffea.lib.weights import WeightData, WeightDataMultiVariation, WeightLambda, WeightWrapper
from pocket_coffea.lib.weights.common.common import common_weights
from pocket_coffea.parameters import defaults
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.parameters.histograms import *
from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.workflows.tthbb_base_processor import ttHbbBaseProcessor

localdir = os.path.dirname(os.path.abspath(__file__))
parameters = defaults.merge_parameters_from_files(
    defaults.get_default_parameters(), f"{localdir}/params.yaml", update=True
)


class CustomTopPt(WeightWrapper):
    name = "top_pt"
    has_variations = True

    def compute(self, events, size, shape_variation):
        pt = ak.to_numpy(ak.firsts(events.GenPart[abs(events.GenPart.pdgId) == 6].pt))
        nominal = np.exp(0.0615 - 0.0005 * pt)
        return WeightData(name=self.name, nominal=nominal, up=np.ones(size), down=nominal**2)


class CustomMulti(WeightWrapper):
    name = "my_multi"
    has_variations = True

    def __init__(self, params, metadata):
        super().__init__(params, metadata)
        self._variations = ["stat", "syst"]

    def compute(self, events, size, shape_variation):
        return WeightDataMultiVariation(
            name=self.name,
            nominal=np.ones(size),
            variations=["stat", "syst"],
            up=[np.full(size, 2.0), np.full(size, 4.0)],
            down=[np.full(size, 0.5), np.full(size, 0.25)],
        )


weight_two = WeightLambda.wrap_func(
    name="two", function=lambda params, metadata, events, size, shape_variations: np.ones(size) * 2.0
)
weight_three = WeightLambda.wrap_func(
    name="three",
    function=lambda params, metadata, events, size, shape_variations: (
        np.ones(size) * 3.0,
        np.ones(size) * 6.0,
        np.ones(size) * 1.5,
    ),
    has_variations=True,
)

all_events = Cut("all_events", {}, lambda events, params, **kw: ak.ones_like(events.event, dtype=bool))

cfg = Configurator(
    parameters=parameters,
    datasets={
        "jsons": [f"{localdir}/datasets.json"],
        "filter": {"samples": ["TTToAnything", "DYJetsToLL"], "year": ["2018"]},
        "subsamples": {
            "TTToAnything": {"same_a": [all_events], "same_b": [all_events], "mu": [get_nMuon(1, coll="MuonGood")]},
        },
    },
    workflow=ttHbbBaseProcessor,
    skim=[get_HLTsel(primaryDatasets=["SingleMuon", "SingleEle"])],
    preselections=[get_nObj_min(1, coll="LeptonGood")],
    categories={
        "baseline": [passthrough],
        "1btag": [get_nBtagMin(1, coll="BJetGood")],
        "1btag_B": [get_nBtagMin(1, coll="BJetGood")],
        "2jets": [get_nObj_min(2, coll="JetGood")],
    },
    weights={
        "common": {"inclusive": ["genWeight", "lumi", "XS", "my_multi"], "bycategory": {}},
        "bysample": {
            "TTToAnything": {"inclusive": ["top_pt"], "bycategory": {}},
            "TTToAnything__same_b": {"inclusive": ["two"], "bycategory": {"1btag_B": ["three"]}},
        },
    },
    weights_classes=common_weights + [CustomTopPt, CustomMulti, weight_two, weight_three],
    variations={
        "weights": {
            "common": {"inclusive": ["my_multi"], "bycategory": {}},
            "bysample": {
                "TTToAnything": {"inclusive": ["top_pt"]},
                "TTToAnything__same_b": {"bycategory": {"1btag_B": ["three"]}},
            },
        }
    },
    calibrators=[],
    variables={
        **jet_hists(),
        **count_hist(coll="JetGood"),
        "met_up": HistConf([Axis(coll="MET", field="pt", bins=20, start=0, stop=200, label="MET")],
                           only_variations=["top_ptUp", "my_multi_statUp"]),
    },
)
