from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.cut_functions import get_nObj_min, get_HLTsel, get_nPVgood, goldenJson, eventFlags
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.parameters.histograms import *
from pocket_coffea.lib.weights.common import common_weights
import workflow
from workflow import ZmumuBaseProcessor

import cloudpickle
import custom_cut_functions
cloudpickle.register_pickle_by_value(workflow)
cloudpickle.register_pickle_by_value(custom_cut_functions)
from custom_cut_functions import *

import os
localdir = os.path.dirname(os.path.abspath(__file__))

from pocket_coffea.parameters import defaults
default_parameters = defaults.get_default_parameters()
defaults.register_configuration_dir("config_dir", localdir + "/params")

parameters = defaults.merge_parameters_from_files(default_parameters,
                                                  f"{localdir}/params/object_preselection.yaml",
                                                  f"{localdir}/params/triggers.yaml",
                                                  f"{localdir}/params/lumi.yaml",
                                                  update=True)

cfg = Configurator(
    parameters=parameters,
    datasets={
        "jsons": [f"{localdir}/datasets.json"],
        "filter": {
            "samples": ["DATA_SingleMuon", "DYJetsToLL", "TTToAnything"],
            "samples_exclude": [],
            "year": ["2018"],
        },
    },
    workflow=ZmumuBaseProcessor,
    skim=[get_nPVgood(1), eventFlags, goldenJson, get_HLTsel(primaryDatasets=["SingleMuon"])],
    preselections=[dimuon_presel],
    categories={
        "baseline": [passthrough],
        "1jet": [get_nObj_min(1, minpt=40., coll="JetGood")],
        "on_peak": [Cut(name="peak", params={"low": 80, "high": 100}, function=mass_window)],
    },
    weights={
        "common": {
            "inclusive": ["genWeight", "lumi", "XS"],
            "bycategory": {},
        },
        "bysample": {},
    },
    weights_classes=common_weights,
    calibrators=[],
    variations={
        "weights": {
            "common": {
                "inclusive": [],
                "bycategory": {},
            },
            "bysample": {},
        }
    },
    variables={
        **muon_hists(coll="MuonGood", pos=0),
        **muon_hists(coll="MuonGood", pos=1, fields=["pt", "eta"]),
        **jet_hists(coll="JetGood", axis_settings={"jet_pt": {"bins": 10, "stop": 200}}),
        **count_hist(name="nJets", coll="JetGood", bins=8, start=0, stop=8),
        "mll": HistConf([Axis(coll="ll", field="mass", bins=60, start=60, stop=120, label=r"$M_{\ell\ell}$ [GeV]")]),
        "mll_nogen": HistConf([Axis(coll="ll", field="mass", bins=60, start=60, stop=120, label="mll")],
                              only_categories=["baseline"], exclude_samples=["DATA_SingleMuon"]),
        "pt_vs_eta": HistConf([
            Axis(coll="MuonGood", field="pt", type="variable", bins=[20, 30, 40, 60, 100, 200], label="pt", pos=0),
            Axis(coll="MuonGood", field="eta", bins=8, start=-2.4, stop=2.4, label="eta", pos=0),
        ]),
    },
)
