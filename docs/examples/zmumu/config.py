"""Z -> mumu: data, Drell-Yan and top pairs."""

import os

import awkward as ak
import cloudpickle
import custom_cuts
import numpy as np
import workflow
from custom_cuts import dimuon_preselection, z_window
from workflow import ZMuMuProcessor

from pocket_coffea.lib.cut_functions import (
    eventFlags,
    get_HLTsel,
    get_nBtagMin,
    get_nObj_min,
    get_nPVgood,
    goldenJson,
)
from pocket_coffea.lib.weights import WeightLambda
from pocket_coffea.lib.weights.common import common_weights
from pocket_coffea.parameters import defaults
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.parameters.histograms import Axis, HistConf, count_hist, jet_hists, muon_hists
from pocket_coffea.utils.configurator import Configurator

cloudpickle.register_pickle_by_value(workflow)
cloudpickle.register_pickle_by_value(custom_cuts)

localdir = os.path.dirname(os.path.abspath(__file__))
defaults.register_configuration_dir("config_dir", localdir)
parameters = defaults.merge_parameters_from_files(
    defaults.get_default_parameters(),
    f"{localdir}/params/object_preselection.yaml",
    f"{localdir}/params/triggers.yaml",
    f"{localdir}/params/lumi.yaml",
    update=True,
)


def muon_efficiency(params, metadata, events, size, shape_variation):
    """Two per cent of uncertainty for each selected muon."""
    n_muons = ak.to_numpy(events.nMuonGood)
    return np.ones(size), 1.02**n_muons, 0.98**n_muons


weight_muon = WeightLambda.wrap_func(name="muon_eff", function=muon_efficiency, has_variations=True)

cfg = Configurator(
    parameters=parameters,
    datasets={
        "jsons": [f"{localdir}/datasets.json"],
        "filter": {"samples": ["DATA_SingleMuon", "DYJetsToLL", "TTToAnything"], "year": ["2018"]},
    },
    workflow=ZMuMuProcessor,
    skim=[eventFlags, get_nPVgood(1), goldenJson, get_HLTsel(primaryDatasets=["SingleMuon"])],
    preselections=[dimuon_preselection],
    categories={
        "inclusive": [passthrough],
        "on_peak": [z_window],
        "2jets": [get_nObj_min(2, coll="JetGood")],
        "2jets_1btag": [get_nObj_min(2, coll="JetGood"), get_nBtagMin(1, coll="BJetGood")],
    },
    weights={
        "common": {"inclusive": ["genWeight", "lumi", "XS", "muon_eff"]},
        "bysample": {},
    },
    weights_classes=[*common_weights, weight_muon],
    calibrators=[],
    variations={"weights": {"common": {"inclusive": ["muon_eff"]}}},
    variables={
        "mll": HistConf(
            [Axis(coll="ll", field="mass", bins=60, start=60, stop=120, label=r"$m_{\mu\mu}$ [GeV]")]
        ),
        **muon_hists(coll="MuonGood", pos=0),
        **muon_hists(coll="MuonGood", pos=1),
        **jet_hists(coll="JetGood"),
        **count_hist("JetGood", bins=8, start=0, stop=8),
        **count_hist("BJetGood", bins=5, start=0, stop=5),
    },
)
