import os

import numpy as np

from pocket_coffea.lib.columns_manager import ColOut
from pocket_coffea.lib.cut_functions import get_HLTsel, get_nBtagMin, get_nMuon, get_nObj_min
from pocket_coffea.lib.weights import WeightLambda
from pocket_coffea.lib.weights.common import common_weights
from pocket_coffea.parameters import defaults
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.parameters.histograms import *
from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.workflows.tthbb_base_processor import ttHbbBaseProcessor

localdir = os.path.dirname(os.path.abspath(__file__))
parameters = defaults.merge_parameters_from_files(
    defaults.get_default_parameters(), f"{localdir}/params.yaml", update=True
)

data_weight = WeightLambda.wrap_func(
    name="fake_rate",
    function=lambda params, metadata, events, size, shape_variations: np.full(size, 0.25),
    isMC_only=False,
)

cfg = Configurator(
    parameters=parameters,
    datasets={
        "jsons": [f"{localdir}/datasets.json"],
        "filter": {"samples": ["TTToAnything", "DATA_SingleMuon"]},
        "subsamples": {"TTToAnything": {"mu": [get_nMuon(1, coll="MuonGood")], "all": [passthrough]}},
    },
    workflow=ttHbbBaseProcessor,
    workflow_options={"dump_columns_as_arrays_per_chunk": os.environ["COLUMNS_DIR"]} if "COLUMNS_DIR" in os.environ else {},
    skim=[get_HLTsel(primaryDatasets=["SingleMuon"])],
    preselections=[get_nObj_min(2, coll="JetGood")],
    categories={
        "baseline": [passthrough],
        "1btag": [get_nBtagMin(1, coll="BJetGood")],
        "4jets": [get_nObj_min(4, coll="JetGood")],
    },
    weights={
        "common": {"inclusive": ["genWeight", "lumi", "XS"], "bycategory": {}},
        "bysample": {"DATA_SingleMuon": {"bycategory": {"1btag": ["fake_rate"]}}},
    },
    weights_classes=common_weights + [data_weight],
    variations={"weights": {"common": {"inclusive": []}}},
    calibrators=[],
    variables={**jet_hists(coll="JetGood", pos=0)},
    columns={
        "common": {
            "inclusive": [],
            "bycategory": {"4jets": [ColOut("JetGood", ["pt", "eta"], flatten="COLUMNS_DIR" not in os.environ)]},
        },
        "bysample": {
            "TTToAnything__mu": {"inclusive": [ColOut("MuonGood", ["pt"], flatten="COLUMNS_DIR" not in os.environ, pos_end=1)]},
            "DATA_SingleMuon": {"inclusive": [ColOut("events", ["run", "nJetGood"])]},
        },
    },
)
