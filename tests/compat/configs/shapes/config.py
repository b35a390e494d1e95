import os

import awkward as ak
import numpy as np

from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.cut_functions import get_HLTsel, get_nObj_min
from pocket_coffea.parameters import defaults
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.parameters.histograms import *
from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.workflows.tthbb_base_processor import ttHbbBaseProcessor

localdir = os.path.dirname(os.path.abspath(__file__))
parameters = defaults.merge_parameters_from_files(
    defaults.get_default_parameters(), f"{localdir}/params.yaml", update=True
)


class JetPtShift(Calibrator):
    name = "jet_shift"
    has_variations = True
    isMC_only = True
    calibrated_collections = ["Jet.pt"]

    def initialize(self, events):
        self._variations = ["jet_shift_flatUp", "jet_shift_flatDown", "jet_shift_etaUp", "jet_shift_etaDown"]

    def calibrate(self, events, events_original_collections, variation, already_applied_calibrators=None):
        shift = {"Up": 0.1, "Down": -0.1}.get(variation[-2:] if variation.endswith("Up") else variation[-4:], 0.0)
        if variation.startswith("jet_shift_flat"):
            return {"Jet.pt": events.Jet.pt * (1 + shift)}
        if variation.startswith("jet_shift_eta"):
            return {"Jet.pt": events.Jet.pt * (1 + shift * abs(events.Jet.eta) / 2.4)}
        return {"Jet.pt": events.Jet.pt}


class MuonScale(Calibrator):
    """Applied to data and simulation, no variations; must stay applied in every jet variation."""

    name = "muon_scale"
    has_variations = False
    isMC_only = False
    calibrated_collections = ["Muon.pt"]

    def initialize(self, events):
        self.factor = 1.01

    def calibrate(self, events, events_original_collections, variation, already_applied_calibrators=None):
        return {"Muon.pt": events.Muon.pt * self.factor}


cfg = Configurator(
    parameters=parameters,
    datasets={"jsons": [f"{localdir}/datasets.json"], "filter": {"samples": ["TTToAnything", "DATA_SingleMuon"]}},
    workflow=ttHbbBaseProcessor,
    skim=[get_HLTsel(primaryDatasets=["SingleMuon"])],
    preselections=[get_nObj_min(2, coll="JetGood")],
    categories={"baseline": [passthrough], "4jets": [get_nObj_min(4, coll="JetGood")]},
    weights={"common": {"inclusive": ["genWeight", "lumi", "XS", "sf_partonshower_fsr"]}},
    variations={
        "weights": {"common": {"inclusive": ["sf_partonshower_fsr"]}},
        "shape": {"common": {"inclusive": ["jet_shift"]}},
    },
    calibrators=[MuonScale, JetPtShift],
    variables={
        **jet_hists(),
        **muon_hists(pos=0),
        "njets": HistConf([Axis(coll="events", field="nJetGood", bins=10, start=0, stop=10, label="n")],
                          only_variations=["jet_shift_flatDown", "jet_shift_flatUp"]),
        "plain": HistConf([Axis(coll="MET", field="pt", bins=10, start=0, stop=100, label="MET")], variations=False),
    },
)
